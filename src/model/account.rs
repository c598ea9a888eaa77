//! Accounts: who may publish, at which owners, from which networks.

pub mod listing;
pub mod search;

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Serialize, Serializer};
use thiserror::Error;
use uuid::Uuid;

use crate::model::cadence::Cadence;
use crate::model::name::{Alias, Name, Owner};
use crate::model::secret::ApiKeyHash;
use crate::model::text::serde_as_text;
use crate::model::time::{Moment, RunningTime, Timestamp};
use crate::model::tsig::Derivation;

/// An account's name in `X-Api-User`: a UUID.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Username(Uuid);

impl Username {
    /// A new version 4 UUID.
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// The 16 bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl FromStr for Username {
    type Err = uuid::Error;

    /// Reads every form of UUID that acme-dns accepts: hyphenated, 32 hex digits, braced, `urn:uuid:`.
    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        Uuid::try_parse(text).map(Self)
    }
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

serde_as_text!(Username);

/// A text is not a network.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("write a network as address/length, like `192.0.2.0/24`, `2001:db8::/32` or `192.0.2.7/32`; found {0:?}")]
pub struct CidrError(pub String);

/// Reads a network as CIDR. Accepts host bits and the brackets of `[2001:db8::]/32`, and turns IPv4-mapped networks
/// into IPv4. Like acme-dns, refuses an address without a length.
pub fn parse_cidr(text: &str) -> Result<IpNet, CidrError> {
    let bare: String = text.chars().filter(|c| !matches!(c, '[' | ']')).collect();
    let net: IpNet = bare.parse().map_err(|_| CidrError(text.chars().take(80).collect()))?;
    Ok(unmapped(net))
}

fn unmapped(net: IpNet) -> IpNet {
    let IpNet::V6(v6) = net else { return net };
    let (Some(addr), Some(length)) = (v6.addr().to_ipv4_mapped(), v6.prefix_len().checked_sub(96)) else { return net };
    Ipv4Net::new(addr, length).map_or(net, IpNet::V4)
}

/// The most networks that an account may name.
pub const MAX_ALLOW_FROM: usize = 64;

/// The networks from which an account may be used; an empty list allows every address.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct AllowFrom(Vec<IpNet>);

/// A list is no [`AllowFrom`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AllowFromError {
    #[error(transparent)]
    Cidr(#[from] CidrError),
    #[error("at most {MAX_ALLOW_FROM} networks; found {0}")]
    TooMany(usize),
}

impl AllowFrom {
    pub fn parse<S: AsRef<str>>(texts: &[S]) -> Result<Self, AllowFromError> {
        if texts.len() > MAX_ALLOW_FROM {
            return Err(AllowFromError::TooMany(texts.len()));
        }
        Ok(Self(texts.iter().map(|text| parse_cidr(text.as_ref())).collect::<Result<_, _>>()?))
    }

    /// Whether an address may use the account; a v4-mapped one counts as IPv4.
    pub fn allows(&self, ip: IpAddr) -> bool {
        self.0.is_empty() || self.0.iter().any(|net| net.contains(&ip.to_canonical()))
    }

    /// Whether `wider` allows every address that this list allows.
    pub fn is_within(&self, wider: &Self) -> bool {
        let everything_is_wide = wider.0.is_empty();
        let inside = |net: &IpNet| wider.0.iter().any(|outer| outer.trunc().contains(net));
        everything_is_wide || (!self.0.is_empty() && self.0.iter().all(inside))
    }

    pub fn networks(&self) -> &[IpNet] {
        &self.0
    }
}

impl TryFrom<Vec<String>> for AllowFrom {
    type Error = AllowFromError;

    fn try_from(texts: Vec<String>) -> Result<Self, AllowFromError> {
        Self::parse(&texts)
    }
}

impl Serialize for AllowFrom {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(ToString::to_string))
    }
}

/// A text is not a note.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a note has at most {MAX_NOTE} characters and no control characters; found {0} characters")]
pub struct NoteError(usize);

/// The most characters of a note.
pub const MAX_NOTE: usize = 200;

/// A remark of people about an account: one line, which the daemon never interprets.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Note(String);

impl Note {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Note {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        let length = text.chars().count();
        if length > MAX_NOTE || text.chars().any(char::is_control) {
            return Err(NoteError(length));
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for Note {
    type Error = NoteError;

    fn try_from(text: String) -> Result<Self, NoteError> {
        text.parse()
    }
}

/// Whether an account's credentials work and its names are answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AccountStatus {
    /// Both.
    Active,
    /// Neither: its names give no data.
    Disabled,
    /// As disabled, and removed for good at `at` unless the operator restores it.
    Deleted { at: RunningTime },
}

/// A key that a rotation has replaced, and that works until the end of its grace time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FormerKey {
    pub hash: ApiKeyHash,
    pub until: RunningTime,
}

/// The most owners that an account may have.
pub const MAX_OWNERS: usize = 100;
/// The most aliases that an account may have.
pub const MAX_ALIASES: usize = 100;

/// An alias of one account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OwnAlias {
    /// The name in somebody's zone.
    pub alias: Alias,
    /// The owner of the account for which it stands.
    pub owner: Owner,
}

/// The stored credentials, owners and limits of an account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Account {
    pub username: Username,
    /// The API key's hash.
    pub key: ApiKeyHash,
    /// The key before the last rotation, within its grace time.
    pub former_key: Option<FormerKey>,
    /// The stored part of the TSIG key, if the account has one.
    pub tsig: Option<Derivation>,
    pub allow_from: AllowFrom,
    /// The operator's or the owner's remark.
    pub note: Note,
    /// The names at which the account may publish, oldest first. Never empty: registration gives the first one.
    pub owners: Vec<Owner>,
    /// Names in other zones that stand for owners of the account, sorted by name.
    pub aliases: Vec<OwnAlias>,
    /// The time of the registration.
    pub created: Moment,
    /// The time of the last published value.
    pub last_update: Option<Timestamp>,
    /// Its renewals, and when the next one is expected.
    pub cadence: Cadence,
    pub status: AccountStatus,
}

impl Account {
    /// Whether the account may publish at an owner: one of its own, or the label of an ACME account below an apex of
    /// its own.
    pub fn owns(&self, owner: &Owner) -> bool {
        self.owners.contains(owner) || owner.above().is_some_and(|apex| self.owners.contains(&apex))
    }

    /// The owner of this name, if the account may publish there.
    pub fn owner_named(&self, name: &Name) -> Option<Owner> {
        let at = |owner: &Owner| Owner::at(name, &owner.zone);
        self.owners.iter().filter_map(at).find(|owner| self.owns(owner))
    }

    /// The owners that the account was given. The labels of ACME accounts are not among them: they exist as long as
    /// their values.
    pub fn given(&self) -> Vec<&Owner> {
        self.owners.iter().filter(|owner| owner.above().is_none()).collect()
    }

    /// The owner that an alias stands for.
    pub fn owner_behind(&self, alias: &Alias) -> Option<&Owner> {
        self.aliases.iter().find(|own| own.alias == *alias).map(|own| &own.owner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(texts: &[&str]) -> AllowFrom {
        AllowFrom::parse(texts).unwrap()
    }

    #[test]
    fn cidrs_with_host_bits_brackets_and_mapped_addresses() {
        let allow = list(&["192.168.100.1/24", "[2001:db8::1]/32", "::ffff:198.51.100.0/120"]);
        for inside in ["192.168.100.200", "::ffff:192.168.100.7", "2001:db8:1::", "198.51.100.9"] {
            assert!(allow.allows(inside.parse().unwrap()), "{inside}");
        }
        assert!(!allow.allows("192.168.101.1".parse().unwrap()));
        for bad in ["192.0.2.1", "", "192.0.2.0/33", "x/8", "1.2.3/24"] {
            assert!(AllowFrom::parse(&[bad]).is_err(), "{bad}");
        }
    }

    #[test]
    fn narrowing_is_told_from_widening() {
        let (any, wide, narrow) = (list(&[]), list(&["10.0.0.7/8"]), list(&["10.1.0.0/16", "10.2.0.1/32"]));
        assert!(narrow.is_within(&wide) && wide.is_within(&any) && any.is_within(&any));
        assert!(!wide.is_within(&narrow) && !any.is_within(&wide));
    }

    #[test]
    fn a_note_is_one_short_line() {
        assert!("shop, ring 3".parse::<Note>().is_ok());
        assert!("a\nb".parse::<Note>().is_err() && "x".repeat(201).parse::<Note>().is_err());
    }
}
