//! The name of a user whom a reverse proxy has signed in.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The most bytes of a name.
const MAX: usize = 64;

/// Why a text is no name of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a user's name has 1 to 64 printable ASCII characters, and no space at its ends")]
pub struct ProxyUserError;

/// The name of a user, as a proxy gives it. In place, because an [`Actor`](super::actor::Actor) is copied.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProxyUser {
    bytes: [u8; MAX],
    length: usize,
}

impl ProxyUser {
    /// The name.
    pub fn as_str(&self) -> &str {
        // ASCII is always UTF-8.
        self.bytes.get(..self.length).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }
}

impl FromStr for ProxyUser {
    type Err = ProxyUserError;

    fn from_str(text: &str) -> Result<Self, ProxyUserError> {
        let is_printable = text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
        if text.is_empty() || text.len() > MAX || !is_printable || text.trim() != text {
            return Err(ProxyUserError);
        }
        let mut bytes = [0; MAX];
        bytes.iter_mut().zip(text.bytes()).for_each(|(byte, given)| *byte = given);
        Ok(Self { bytes, length: text.len() })
    }
}

impl fmt::Display for ProxyUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ProxyUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_printable() {
        for name in ["alice", "Alice B. <a@example.org>", &"a".repeat(64)] {
            assert_eq!(name.parse::<ProxyUser>().unwrap().to_string(), name);
        }
        for name in ["", " alice", "a\n", "a\u{1b}[31m", "ä", &"a".repeat(65)] {
            assert_eq!(name.parse::<ProxyUser>(), Err(ProxyUserError), "{name:?}");
        }
    }
}
