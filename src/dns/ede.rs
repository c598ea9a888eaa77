//! Extended DNS errors (RFC 8914), which explain a reply to the operator of a resolver or a user of `dig`.

use std::fmt::{self, Write};
use std::time::Duration;

/// An extended error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ede {
    /// The INFO-CODE.
    pub code: u16,
    /// The EXTRA-TEXT.
    pub text: ExtraText,
}

/// The text of an extended error. It is formatted into the message, without an allocation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExtraText {
    /// A constant text.
    Fixed(&'static str),
    /// The last value expired so long ago.
    Expired(Duration),
}

impl Ede {
    /// An internal fault, which has no code of its own (RFC 8914 section 4.1).
    pub const FAULT: Self = Self::other("internal fault");
    /// The name's account is disabled.
    pub const DISABLED: Self = Self::other("account disabled");
    /// The name is registered but has no value.
    pub const NO_VALUE: Self = Self::other("no value published");
    /// The wall clock is behind the store, so signatures would have a wrong time.
    pub const CLOCK: Self = Self::other("the clock is wrong, nothing is signed");

    /// The sections of an UPDATE cannot be read.
    pub const UPDATE_MALFORMED: Self = Self::other("not one zone, prerequisites and updates");
    /// The type in the zone section of an UPDATE is not SOA.
    pub const UPDATE_NOT_SOA: Self = Self::other("the zone section must have the type SOA");
    /// A name of an UPDATE lies outside its zone.
    pub const OUT_OF_ZONE: Self = Self::other("a name lies outside the zone of the UPDATE");
    /// A prerequisite of an UPDATE has none of the forms of RFC 2136 section 2.4.
    pub const PREREQUISITE_FORM: Self = Self::other("a prerequisite has a wrong class, type, TTL or data");
    /// An update of an UPDATE has none of the forms of RFC 2136 section 2.5.
    pub const UPDATE_FORM: Self = Self::other("an update has a wrong class, type, TTL or data");
    /// A TXT record in an UPDATE is not a challenge value.
    pub const NOT_A_VALUE: Self = Self::other("a value is one string of 43 base64url characters");
    /// An UPDATE would change a type other than TXT.
    pub const ONLY_TXT: Self = Self::other("only TXT records can be changed");
    /// An UPDATE has too many prerequisites and updates.
    pub const TOO_MANY_RECORDS: Self = Self::other("over 1024 prerequisites and updates in one UPDATE");
    /// An UPDATE would add one name too many.
    pub const TOO_MANY_LABELS: Self = Self::other("too many ACME accounts below this name");
    /// Too many UPDATEs of the same account are in progress.
    pub const ACCOUNT_BUSY: Self = Self::other("too many UPDATEs of this account, try again");
    /// Too many UPDATEs of all accounts are in progress.
    pub const SERVER_BUSY: Self = Self::other("too many UPDATEs in progress, try again");
    /// The store cannot take changes for the moment.
    pub const STORE_BUSY: Self = Self::other("cannot store changes now, try again");

    /// The values of an UPDATE are published, and a nameserver of the delegation does not serve them.
    pub const NOT_SERVED: Self = Self::other("published, but not served by every nameserver");

    /// No zone is loaded yet (RFC 8914 section 4.15).
    pub const NOT_READY: Self = Self::fixed(14, "zones are not loaded yet");

    /// The query asks for a zone transfer, and the client is no secondary.
    pub const PROHIBITED: Self = Self::prohibited("no zone transfers");
    /// A secondary's transfer lacks its TSIG key.
    pub const TRANSFER_NEEDS_KEY: Self = Self::prohibited("a transfer needs the secondary's TSIG key");
    /// A secondary's transfer is not encrypted.
    pub const TRANSFER_NEEDS_TLS: Self = Self::prohibited("this secondary transfers over TLS only");
    /// A transfer over TLS without what RFC 9103 section 7 asks for.
    pub const TRANSFER_NEEDS_XOT: Self = Self::prohibited("a transfer needs TLS 1.3 with the ALPN token dot");
    /// A transfer over UDP or QUIC.
    pub const TRANSFER_NEEDS_TCP: Self = Self::prohibited("a transfer needs TCP or TLS");
    /// The zone is signed online, which a secondary cannot do.
    pub const TRANSFER_SIGNED: Self = Self::other("signed online, cannot be transferred");
    /// Too many transfers are in progress.
    pub const TRANSFERS_BUSY: Self = Self::other("too many transfers, try again");
    /// The key of a secondary is for transfers and queries alone.
    pub const TRANSFER_KEY: Self = Self::prohibited("this key is for zone transfers");
    /// The UPDATE is not signed.
    pub const NEEDS_TSIG: Self = Self::prohibited("an UPDATE needs the TSIG key of an account");
    /// The name in an UPDATE does not belong to the account.
    pub const NOT_OWNER: Self = Self::prohibited("not a name of this account");
    /// The account has been disabled since it signed the UPDATE.
    pub const ACCOUNT_DISABLED: Self = Self::prohibited("this account is disabled");
    /// The account may not be used from the client's address.
    pub const WRONG_NETWORK: Self = Self::prohibited("the account is not for use from this network");

    /// The name is in no zone of this server (RFC 8914 section 4.21).
    pub const NOT_AUTHORITATIVE: Self = Self::fixed(20, "not in a zone of this server");
    /// The type in the question occurs in no zone (RFC 9824).
    pub const INVALID_QUERY_TYPE: Self = Self::fixed(30, "a type that no zone holds");

    /// Code 0, Other (RFC 8914 section 4.1).
    const fn other(text: &'static str) -> Self {
        Self::fixed(0, text)
    }

    /// Code 18, Prohibited (RFC 8914 section 4.19).
    const fn prohibited(text: &'static str) -> Self {
        Self::fixed(18, text)
    }

    const fn fixed(code: u16, text: &'static str) -> Self {
        Self { code, text: ExtraText::Fixed(text) }
    }

    /// The name's last value expired so long `ago`. This has no code of its own.
    pub fn expired(ago: Duration) -> Self {
        Self { code: 0, text: ExtraText::Expired(ago) }
    }
}

impl ExtraText {
    /// The length of the text in bytes.
    pub fn bytes(self) -> usize {
        match self {
            Self::Fixed(text) => text.len(),
            Self::Expired(_) => {
                let mut counted = ByteCount(0);
                // Counting cannot fail.
                _ = write!(counted, "{self}");
                counted.0
            }
        }
    }
}

impl fmt::Display for ExtraText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ago = match self {
            Self::Fixed(text) => return f.write_str(text),
            Self::Expired(ago) => ago.as_secs(),
        };
        let (number, unit) = match ago {
            0..120 => (ago, "s"),
            120..7_200 => (ago / 60, "min"),
            7_200..172_800 => (ago / 3_600, "h"),
            _ => (ago / 86_400, "d"),
        };
        write!(f, "last value expired {number} {unit} ago")
    }
}

/// Counts the bytes that are written to it.
struct ByteCount(usize);

impl Write for ByteCount {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 += text.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_has_the_unit_that_people_would_use() {
        for (seconds, text) in [(0, "0 s"), (119, "119 s"), (180, "3 min"), (7_200, "2 h"), (200_000, "2 d")] {
            let expired = ExtraText::Expired(Duration::from_secs(seconds));
            assert_eq!(expired.to_string(), format!("last value expired {text} ago"));
            assert_eq!(expired.bytes(), expired.to_string().len());
        }
    }
}
