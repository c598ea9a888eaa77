//! Who asks for a change, and how the request came in.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use super::account::Username;
use super::enrolment::EnrolmentId;

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
    /// The operator's API on the Unix socket, which the command line uses.
    Admin,
    /// A command that works on the database without a daemon.
    CommandLine,
    /// DNS UPDATE (RFC 2136).
    Update,
    /// The certificates that the daemon issues and renews.
    Certificates,
    /// The daemon's own rounds: expiry, removal, reload, key files.
    Upkeep,
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
}

impl Actor {
    /// The operator, over the Unix socket: whoever may open its file.
    pub const OPERATOR: Self = Self::local(Principal::Operator, FrontEnd::Admin);
    /// The daemon, for its certificates.
    pub const CERTIFICATES: Self = Self::local(Principal::Daemon, FrontEnd::Certificates);
    /// The daemon, for what is due.
    pub const UPKEEP: Self = Self::local(Principal::Daemon, FrontEnd::Upkeep);
    /// The operator, on a database that no daemon serves.
    pub const COMMAND_LINE: Self = Self::local(Principal::Operator, FrontEnd::CommandLine);

    const fn local(who: Principal, front_end: FrontEnd) -> Self {
        Self { who, front_end, address: None, key: KeyUsed::None }
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

impl fmt::Display for Actor {
    /// For logs: `account 0f8f... (Api, Current key, 192.0.2.1)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.who {
            Principal::Account(username) => write!(f, "account {username}")?,
            Principal::Operator => f.write_str("the operator")?,
            Principal::Daemon => f.write_str("the daemon")?,
            Principal::Registrant => f.write_str("a registrant")?,
        }
        write!(f, " ({:?}", self.front_end)?;
        match self.key {
            KeyUsed::None => {}
            KeyUsed::Enrolment(id) => write!(f, ", enrolment token {id}")?,
            key => write!(f, ", {key:?} key")?,
        }
        match self.address {
            Some(address) => write!(f, ", {address})"),
            None => f.write_str(")"),
        }
    }
}
