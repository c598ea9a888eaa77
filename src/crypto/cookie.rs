//! DNS cookies (RFC 7873), with the server cookies that all implementations share (RFC 9018).
//!
//! A client that shows a cookie of ours has got an answer at the address that it claims: it is not forged.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use ring::rand::{SecureRandom, SystemRandom};
use siphasher::sip::SipHasher24;
use subtle::ConstantTimeEq;
use thiserror::Error;

use crate::model::secret::RandomError;
use crate::model::time::Timestamp;

/// Bytes of a client cookie, and of a server cookie of ours (RFC 9018 section 4).
pub const CLIENT: usize = 8;
pub const SERVER: usize = 16;
const VERSION: u8 = 1;

/// How old a cookie may be, from when on its client gets a new one, and how far a clock among several servers may run
/// ahead (RFC 9018 section 4.3).
const LIFETIME: Duration = Duration::from_secs(3_600);
const RENEWAL: Duration = Duration::from_secs(1_800);
const SKEW: Duration = Duration::from_secs(300);

/// What stands in a query's COOKIE option (RFC 7873 section 4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Presented {
    /// The client's own part.
    pub client: [u8; CLIENT],
    /// What some server gave it; `None` where it has none yet, or one of a form that is not ours.
    pub server: Option<[u8; SERVER]>,
}

impl Presented {
    /// Reads the option's data. `None`: its length is wrong, which is a format error (RFC 7873 section 5.2.2).
    pub fn read(data: &[u8]) -> Option<Self> {
        let (client, server) = data.split_first_chunk()?;
        let is_whole = server.is_empty() || (8..=32).contains(&server.len());
        is_whole.then(|| Self { client: *client, server: server.try_into().ok() })
    }
}

/// A secret that servers behind one address share: 128 bits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CookieSecret([u8; 16]);

impl fmt::Debug for CookieSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CookieSecret(..)")
    }
}

impl CookieSecret {
    /// A new one.
    pub fn random() -> Result<Self, RandomError> {
        let mut bytes = [0; 16];
        SystemRandom::new().fill(&mut bytes).map_err(|_| RandomError)?;
        Ok(Self(bytes))
    }

    /// The server cookie with this head for a client at an address (RFC 9018 section 4.4).
    fn cookie(&self, client: [u8; CLIENT], head: [u8; 8], address: IpAddr) -> [u8; SERVER] {
        let mut input = [0; CLIENT + 8 + 16];
        input[..8].copy_from_slice(&client);
        input[8..16].copy_from_slice(&head);
        let length = match address {
            IpAddr::V4(v4) => {
                input[16..20].copy_from_slice(&v4.octets());
                20
            }
            IpAddr::V6(v6) => {
                input[16..].copy_from_slice(&v6.octets());
                32
            }
        };
        let hash = SipHasher24::new_with_key(&self.0).hash(&input[..length]);
        let mut cookie = [0; SERVER];
        cookie[..8].copy_from_slice(&head);
        cookie[8..].copy_from_slice(&hash.to_le_bytes());
        cookie
    }
}

/// The secret that cookies are made with, and the one before it, which old cookies are still known by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Secrets {
    pub current: CookieSecret,
    pub previous: Option<CookieSecret>,
}

/// Why a file holds no secrets.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SecretsError {
    #[error("write one or two lines of 32 hexadecimal digits, the secret in use first and the one before it second")]
    Form,
    #[error("others on this machine can read it; run `chmod 600` on it")]
    Readable,
    #[error("{0}")]
    Unreadable(String),
}

impl Secrets {
    /// Reads a file of one or two lines of 32 hexadecimal digits, which only its owner may read.
    pub fn read(path: &Path) -> Result<Self, SecretsError> {
        use std::os::unix::fs::PermissionsExt;
        let unreadable = |error: std::io::Error| SecretsError::Unreadable(error.to_string());
        let mode = std::fs::metadata(path).map_err(unreadable)?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(SecretsError::Readable);
        }
        Self::parse(&std::fs::read_to_string(path).map_err(unreadable)?)
    }

    fn parse(text: &str) -> Result<Self, SecretsError> {
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let current = lines.next().and_then(secret_of).ok_or(SecretsError::Form)?;
        let previous = lines.next().map(|line| secret_of(line).ok_or(SecretsError::Form)).transpose()?;
        if lines.next().is_some() {
            return Err(SecretsError::Form);
        }
        Ok(Self { current, previous })
    }
}

fn secret_of(line: &str) -> Option<CookieSecret> {
    let digits: &[u8; 32] = line.as_bytes().try_into().ok()?;
    let mut bytes = [0; 16];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |at: usize| (pair[at] as char).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        *byte = digit(0)? << 4 | digit(1)?;
    }
    Some(CookieSecret(bytes))
}

/// What to make of a cookie.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// Whether it is one of ours, for this client, and not too old.
    pub is_valid: bool,
    /// The server cookie to reply with.
    pub reply: [u8; SERVER],
}

/// Makes cookies and knows them again; a cheap handle.
#[derive(Clone, Debug)]
pub struct Cookies(Arc<ArcSwap<Secrets>>);

impl Cookies {
    /// With secrets that others have as well, or else with one of this process alone.
    pub fn new(secrets: Secrets) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(secrets)))
    }

    /// Takes over other secrets.
    pub fn replace(&self, secrets: Secrets) {
        self.0.store(Arc::new(secrets));
    }

    /// Puts a new secret in place; the one until now still counts, so that no client notices.
    pub fn rotate(&self, next: CookieSecret) {
        let previous = Some(self.0.load().current);
        self.replace(Secrets { current: next, previous });
    }

    /// Judges what the client at `address` shows at `now`.
    pub fn judge(&self, presented: Presented, address: IpAddr, now: Timestamp) -> Verdict {
        let secrets = self.0.load();
        let fresh = || {
            let [t0, t1, t2, t3] = now.low_32_bits().to_be_bytes();
            secrets.current.cookie(presented.client, [VERSION, 0, 0, 0, t0, t1, t2, t3], address)
        };
        let Some(known) = presented.server.and_then(|server| secrets.knows(presented.client, server, address, now))
        else {
            return Verdict { is_valid: false, reply: fresh() };
        };
        Verdict { is_valid: true, reply: known.to_keep.unwrap_or_else(fresh) }
    }
}

/// A cookie that is ours.
struct Known {
    /// The cookie itself, where it is new enough to go on with.
    to_keep: Option<[u8; SERVER]>,
}

impl Secrets {
    fn knows(&self, client: [u8; CLIENT], server: [u8; SERVER], address: IpAddr, now: Timestamp) -> Option<Known> {
        let (head, _) = server.split_first_chunk::<8>()?;
        let &[version, ref reserved @ .., t0, t1, t2, t3] = head;
        // Serial number arithmetic (RFC 1982): the time wraps in 2106.
        let age = now.low_32_bits().wrapping_sub(u32::from_be_bytes([t0, t1, t2, t3])) as i32;
        let is_of_now = -(SKEW.as_secs() as i32) <= age && age <= LIFETIME.as_secs() as i32;
        if version != VERSION || !is_of_now {
            return None;
        }
        let is_of = |secret: CookieSecret| bool::from(secret.cookie(client, *head, address).ct_eq(&server));
        if is_of(self.current) {
            let is_as_we_make_them = age <= RENEWAL.as_secs() as i32 && *reserved == [0; 3];
            return Some(Known { to_keep: is_as_we_make_them.then_some(server) });
        }
        self.previous.is_some_and(is_of).then_some(Known { to_keep: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes<const N: usize>(hex: &str) -> [u8; N] {
        let digits: Vec<u8> = hex.chars().map(|digit| digit.to_digit(16).unwrap() as u8).collect();
        let bytes: Vec<u8> = digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect();
        bytes.try_into().unwrap()
    }

    fn judge(secrets: &str, client: &str, server: &str, address: &str, now: u64) -> (bool, [u8; SERVER]) {
        let cookies = Cookies::new(Secrets::parse(secrets).unwrap());
        let server = (!server.is_empty()).then(|| bytes(server));
        let presented = Presented { client: bytes(client), server };
        let verdict = cookies.judge(presented, address.parse().unwrap(), Timestamp::from_unix(now));
        (verdict.is_valid, verdict.reply)
    }

    const SECRET: &str = "e5e973e5a6b2a43f48e7dc849e37bfcf";

    // The sections of RFC 9018 appendix A.
    #[test]
    fn a_1_a_new_server_cookie() {
        let found = judge(SECRET, "2464c4abcf10c957", "", "198.51.100.100", 1_559_731_985);
        assert_eq!(found, (false, bytes("010000005cf79f111f8130c3eee29480")));
    }

    #[test]
    fn a_2_the_same_client_gets_a_fresh_one() {
        let old = "010000005cf79f111f8130c3eee29480";
        let found = judge(SECRET, "2464c4abcf10c957", old, "198.51.100.100", 1_559_734_385);
        assert_eq!(found, (true, bytes("010000005cf7a871d4a564a1442aca77")));
    }

    #[test]
    fn a_3_another_client_and_reserved_bits() {
        let old = "01abcdef5cf78f71a314227b6679ebf5";
        let found = judge(SECRET, "fc93fc62807ddb86", old, "203.0.113.203", 1_559_734_700);
        // It is older than an hour by then.
        assert_eq!(found, (false, bytes("010000005cf7a9acf73a7810aca2381e")));
        let (is_valid, fresh) = judge(SECRET, "fc93fc62807ddb86", old, "203.0.113.203", 1_559_727_985 + 60);
        assert!(is_valid, "the hash covers the reserved bits");
        assert_eq!(fresh[..4], [1, 0, 0, 0], "and we set none");
    }

    #[test]
    fn a_4_ipv6_and_a_secret_that_was_changed() {
        let both = "445536bcd2513298075a5d379663c962\ndd3bdf9344b678b185a6f5cb60fca715\n";
        let (old, address) = ("010000005cf7c57926556bd0934c72f8", "2001:db8:220:1:59de:d0f4:8769:82b8");
        let found = judge(both, "22681ab97d52c298", old, address, 1_559_741_961);
        assert_eq!(found, (true, bytes("010000005cf7c609a6bb79d16625507a")));
        let (is_valid, _) = judge(&both[..32], "22681ab97d52c298", old, address, 1_559_741_961);
        assert!(!is_valid, "the previous secret is gone");
    }

    #[test]
    fn a_young_cookie_is_kept_and_an_old_or_foreign_one_is_not_ours() {
        let made = 1_559_731_985;
        let (client, cookie) = ("2464c4abcf10c957", "010000005cf79f111f8130c3eee29480");
        let at = |now, address| judge(SECRET, client, cookie, address, now);
        assert_eq!(at(made + 1_800, "198.51.100.100"), (true, bytes(cookie)));
        assert_ne!(at(made + 1_801, "198.51.100.100").1, bytes(cookie));
        assert!(at(made + 3_600, "198.51.100.100").0 && at(made - 300, "198.51.100.100").0);
        for (now, address) in
            [(made + 3_601, "198.51.100.100"), (made - 301, "198.51.100.100"), (made, "198.51.100.101")]
        {
            assert!(!at(now, address).0, "{now} {address}");
        }
        assert!(!judge(SECRET, "2464c4abcf10c958", cookie, "198.51.100.100", made).0, "another client's");
        assert!(!judge(SECRET, client, "020000005cf79f111f8130c3eee29480", "198.51.100.100", made).0, "version 2");
    }

    #[test]
    fn the_option_has_8_or_16_to_40_bytes() {
        let good = |length: usize| Presented::read(&[7; 40][..length]).is_some();
        assert!((0..=40).filter(|length| good(*length)).eq([8].into_iter().chain(16..=40)));
        assert!(Presented::read(&[7; 41]).is_none());
        assert_eq!(Presented::read(&[7; 17]).unwrap().server, None);
        assert_eq!(Presented::read(&[7; 24]).unwrap().server, Some([7; 16]));
    }

    #[test]
    fn secrets_are_private_files_of_one_or_two_lines() {
        use std::os::unix::fs::PermissionsExt;
        for bad in ["", "00", "x5e973e5a6b2a43f48e7dc849e37bfcf", &format!("{SECRET}\nshort"), &[SECRET; 3].join("\n")]
        {
            assert_eq!(Secrets::parse(bad), Err(SecretsError::Form), "{bad}");
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, format!("# in use\n{SECRET}\n")).unwrap();
        assert!(Secrets::read(file.path()).unwrap().previous.is_none());
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(Secrets::read(file.path()), Err(SecretsError::Readable));
        assert!(!format!("{:?}", Secrets::parse(SECRET)).contains("e5"));
    }

    #[test]
    fn rotation_keeps_the_cookies_that_are_out() {
        let cookies = Cookies::new(Secrets { current: CookieSecret::random().unwrap(), previous: None });
        let (client, address, now) = ([1; 8], "192.0.2.1".parse().unwrap(), Timestamp::from_unix(1_000));
        let cookie = cookies.judge(Presented { client, server: None }, address, now).reply;
        let is_valid = || cookies.judge(Presented { client, server: Some(cookie) }, address, now).is_valid;
        assert!(is_valid());
        cookies.rotate(CookieSecret::random().unwrap());
        assert!(is_valid());
        cookies.rotate(CookieSecret::random().unwrap());
        assert!(!is_valid());
    }
}
