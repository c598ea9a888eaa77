//! Who asks for a change, and how the request came in.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use super::account::Username;
use super::admin_token::AdminTokenId;
use super::enrolment::EnrolmentId;
use super::proxy_user::ProxyUser;

/// The origin of a change: who asks, through which front end, from which address and with which key.
///
/// Every operation of the publisher takes one, and every [`Change`](crate::zone::change::Change) carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Actor {
    /// On whose authority the change is made.
    pub who: Principal,
    /// The part of the program that took the request.
    pub front_end: FrontEnd,
    /// The client's address, as the front end believes it; `None` for requests that cross no network.
    pub address: Option<IpAddr>,
    /// The key that proved the authority.
    pub key: KeyUsed,
}

/// On whose authority a change is made. The rules of ownership look at this alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Principal {
    /// An account, at its own names.
    Account(Username),
    /// The operator, at every name.
    Operator,
    /// The daemon itself, at every name: certificates, expiry, imports.
    Daemon,
    /// A client that registers; the front end has checked whether it may.
    Registrant,
}

/// The part of the program that takes requests for changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrontEnd {
    /// The public HTTP API: the acme-dns API, httpreq, credential storage.
    Api,
    /// The operator's API on the Unix socket or over the network, which the command line uses.
    Admin,
    /// The web console, which sends its requests to the operator's API.
    Console,
    /// A command that works on the database without a daemon.
    CommandLine,
    /// DNS UPDATE (RFC 2136).
    Update,
    /// The certificates that the daemon issues and renews.
    Certificates,
    /// The daemon's own rounds: expiry, removal, reload, key files.
    Upkeep,
    /// The early retirement of values that enough networks have fetched.
    Retirement,
}

/// The key that proved an actor's authority.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyUsed {
    /// None was needed.
    None,
    /// The account's API key.
    Current,
    /// The account's API key before the last rotation, within its grace.
    Former,
    /// The account's TSIG key (RFC 8945).
    Tsig,
    /// A registration secret of the configuration.
    RegistrationSecret,
    /// An enrolment token.
    Enrolment(EnrolmentId),
    /// A token of the admin API over the network.
    AdminToken(AdminTokenId),
    /// A link that `txtgate console login` has printed.
    SignInLink,
    /// None: a proxy before the web console has signed this user in.
    ProxyUser(ProxyUser),
}

impl Actor {
    /// The operator, over the Unix socket: whoever may open its file.
    pub const OPERATOR: Self = Self::local(Principal::Operator, FrontEnd::Admin);
    /// The daemon, for its certificates.
    pub const CERTIFICATES: Self = Self::local(Principal::Daemon, FrontEnd::Certificates);
    /// The daemon, for what is due.
    pub const UPKEEP: Self = Self::local(Principal::Daemon, FrontEnd::Upkeep);
    /// The daemon, for values that enough networks have fetched.
    pub const RETIREMENT: Self = Self::local(Principal::Daemon, FrontEnd::Retirement);
    /// The operator, on a database that no daemon serves.
    pub const COMMAND_LINE: Self = Self::local(Principal::Operator, FrontEnd::CommandLine);

    const fn local(who: Principal, front_end: FrontEnd) -> Self {
        Self { who, front_end, address: None, key: KeyUsed::None }
    }

    /// The operator, over the network with a token.
    pub fn remote_operator(address: IpAddr, token: AdminTokenId) -> Self {
        let key = KeyUsed::AdminToken(token);
        Self { who: Principal::Operator, front_end: FrontEnd::Admin, address: Some(address), key }
    }

    /// The operator, signed in to the web console with this key.
    pub fn console_operator(address: IpAddr, key: KeyUsed) -> Self {
        Self { who: Principal::Operator, front_end: FrontEnd::Console, address: Some(address), key }
    }

    /// The operator, signed in to the web console by a proxy on its Unix socket.
    pub fn proxied_operator(user: ProxyUser) -> Self {
        Self { key: KeyUsed::ProxyUser(user), ..Self::local(Principal::Operator, FrontEnd::Console) }
    }

    /// A client of the public API that registers.
    pub fn registrant(address: IpAddr, key: KeyUsed) -> Self {
        Self { who: Principal::Registrant, front_end: FrontEnd::Api, address: Some(address), key }
    }

    /// An account whose key a front end has verified.
    pub fn account(username: Username, front_end: FrontEnd, address: IpAddr, key: KeyUsed) -> Self {
        Self { who: Principal::Account(username), front_end, address: Some(address), key }
    }
}

impl Actor {
    /// The address that limits by network count; requests that cross no network share the loopback address.
    pub fn limited_address(&self) -> IpAddr {
        self.address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
    }
}

impl Principal {
    /// Whether every name is open to it.
    pub fn is_operator(self) -> bool {
        matches!(self, Self::Operator | Self::Daemon)
    }
}

impl fmt::Display for FrontEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Api => "API",
            Self::Admin => "admin API",
            Self::Console => "console",
            Self::CommandLine => "command line",
            Self::Update => "DNS UPDATE",
            Self::Certificates => "certificates",
            Self::Upkeep => "upkeep",
            Self::Retirement => "early retirement",
        })
    }
}

impl fmt::Display for KeyUsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("no key"),
            Self::Current => f.write_str("current key"),
            Self::Former => f.write_str("former key"),
            Self::Tsig => f.write_str("TSIG key"),
            Self::RegistrationSecret => f.write_str("registration secret"),
            Self::Enrolment(id) => write!(f, "enrolment token {id}"),
            Self::AdminToken(id) => write!(f, "admin token {id}"),
            Self::SignInLink => f.write_str("sign-in link"),
            Self::ProxyUser(user) => write!(f, "user {} of the proxy", user.as_str()),
        }
    }
}

impl fmt::Display for Actor {
    /// For logs: `account 0f8f... (API, current key, 192.0.2.1)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.who {
            Principal::Account(username) => write!(f, "account {username}")?,
            Principal::Operator => f.write_str("the operator")?,
            Principal::Daemon => f.write_str("the daemon")?,
            Principal::Registrant => f.write_str("a registrant")?,
        }
        write!(f, " ({}", self.front_end)?;
        if self.key != KeyUsed::None {
            write!(f, ", {}", self.key)?;
        }
        match self.address {
            Some(address) => write!(f, ", {address})"),
            None => f.write_str(")"),
        }
    }
}
