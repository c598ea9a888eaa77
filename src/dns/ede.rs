//! Extended DNS errors (RFC 8914): why a reply is what it is, for whoever runs a resolver or looks with `dig`.

use std::fmt::{self, Write};
use std::time::Duration;

/// An extended error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ede {
    /// The INFO-CODE.
    pub code: u16,
    /// The EXTRA-TEXT.
    pub text: Text,
}

/// What an extended error says in words. Written straight into the message: nothing is allocated for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Text {
    /// Always the same.
    Fixed(&'static str),
    /// That the last value expired so long ago.
    Expired(Duration),
}

impl Ede {
    /// RFC 8914 section 4.1: a fault of ours that has no code of its own.
    pub const FAULT: Self = Self::fixed(0, "internal fault");
    /// The name's account is disabled; no code of its own.
    pub const DISABLED: Self = Self::fixed(0, "account disabled");
    /// The name is registered and has no value; no code of its own.
    pub const NO_VALUE: Self = Self::fixed(0, "no value published");
    /// RFC 8914 section 4.1: the wall clock is behind what is stored, so signatures would carry a wrong time.
    pub const CLOCK: Self = Self::fixed(0, "the clock is wrong, nothing is signed");
    /// Of a TXT record in an UPDATE; no code of its own.
    pub const NO_TXT_VALUE: Self = Self::fixed(0, "a value is one string of 43 base64url characters");
    /// Of an UPDATE; no code of its own.
    pub const ONLY_TXT: Self = Self::fixed(0, "only TXT records can be changed");
    /// Of an UPDATE that would add one; no code of its own.
    pub const TOO_MANY_LABELS: Self = Self::fixed(0, "too many ACME accounts below this name");
    /// Nothing can be stored at the moment, or too much waits for it; no code of its own.
    pub const BUSY: Self = Self::fixed(0, "cannot store changes now, try again");
    /// RFC 8914 section 4.15.
    pub const NOT_READY: Self = Self::fixed(14, "zones are not loaded yet");
    /// RFC 8914 section 4.19.
    pub const PROHIBITED: Self = Self::fixed(18, "no zone transfers");
    /// RFC 8914 section 4.19.
    pub const NEEDS_TSIG: Self = Self::fixed(18, "an UPDATE needs the TSIG key of an account");
    /// RFC 8914 section 4.19.
    pub const NOT_AN_OWN_NAME: Self = Self::fixed(18, "not a name of this account");
    /// RFC 8914 section 4.19.
    pub const NOT_FROM_THERE: Self = Self::fixed(18, "the account is not for use from this network");
    /// RFC 8914 section 4.21.
    pub const NOT_AUTHORITATIVE: Self = Self::fixed(20, "not in a zone of this server");
    /// RFC 9824: the type asked for stands in no zone.
    pub const INVALID_QUERY_TYPE: Self = Self::fixed(30, "a type that no zone holds");

    const fn fixed(code: u16, text: &'static str) -> Self {
        Self { code, text: Text::Fixed(text) }
    }

    /// The name's last value expired so long `ago`; no code of its own.
    pub fn expired(ago: Duration) -> Self {
        Self { code: 0, text: Text::Expired(ago) }
    }
}

impl Text {
    /// Bytes that it takes.
    pub fn bytes(self) -> usize {
        match self {
            Self::Fixed(text) => text.len(),
            Self::Expired(_) => {
                let mut counted = Counted(0);
                // Counting cannot fail.
                _ = write!(counted, "{self}");
                counted.0
            }
        }
    }
}

impl fmt::Display for Text {
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

struct Counted(usize);

impl Write for Counted {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 += text.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_is_told_in_the_unit_that_people_would_use() {
        for (seconds, text) in [(0, "0 s"), (119, "119 s"), (180, "3 min"), (7_200, "2 h"), (200_000, "2 d")] {
            let expired = Text::Expired(Duration::from_secs(seconds));
            assert_eq!(expired.to_string(), format!("last value expired {text} ago"));
            assert_eq!(expired.bytes(), expired.to_string().len());
        }
    }
}
