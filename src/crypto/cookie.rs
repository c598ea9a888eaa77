//! DNS cookies (RFC 7873), with the server cookies that all implementations share (RFC 9018).
//!
//! A client that presents a cookie of this server has received an answer at its address, so the address is not forged.

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

use crate::file::Unusable;
use crate::model::secret::RandomError;
use crate::model::time::Timestamp;

/// The length of a client cookie in bytes.
pub const CLIENT: usize = 8;
/// The length of a server cookie in bytes (RFC 9018 section 4).
pub const SERVER: usize = 16;
const VERSION: u8 = 1;

/// The age up to which a cookie is valid (RFC 9018 section 4.3).
const LIFETIME: Duration = Duration::from_secs(3_600);
/// The age from which the client gets a new cookie.
const RENEWAL: Duration = Duration::from_secs(1_800);
/// How far the clock of another server with the same secret may be ahead.
const SKEW: Duration = Duration::from_secs(300);

/// The content of a query's COOKIE option (RFC 7873 section 4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Presented {
    /// The client cookie.
    pub client: [u8; CLIENT],
    /// The server cookie; `None` if the client has none yet, or one of another form.
    pub server: Option<[u8; SERVER]>,
}

impl Presented {
    /// Reads the option's data; `None` if the length is wrong, which is a format error (RFC 7873 section 5.2.2).
    pub fn read(data: &[u8]) -> Option<Self> {
        let (client, server) = data.split_first_chunk()?;
        let is_whole = server.is_empty() || (8..=32).contains(&server.len());
        is_whole.then(|| Self { client: *client, server: server.try_into().ok() })
    }
}

/// A secret of 128 bits. Servers behind one address share it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CookieSecret([u8; 16]);

impl fmt::Debug for CookieSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CookieSecret(..)")
    }
}

impl CookieSecret {
    /// A random secret.
    pub fn random() -> Result<Self, RandomError> {
        let mut bytes = [0; 16];
        SystemRandom::new().fill(&mut bytes).map_err(|_| RandomError)?;
        Ok(Self(bytes))
    }

    /// The server cookie for a client at an address (RFC 9018 section 4.4). `head` is its first half: version, reserved
    /// bytes and time.
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

/// The secret that makes cookies, and the one before it, by which older cookies are still recognized.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CookieSecrets {
    pub current: CookieSecret,
    pub previous: Option<CookieSecret>,
}

/// Why a file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CookieSecretsError {
    #[error("write one or two lines of 32 hexadecimal digits, the secret in use first and the one before it second")]
    Form,
    #[error("others on this machine can read it; run `chmod 600` on it")]
    Readable,
    #[error("{0}")]
    Unreadable(String),
}

impl CookieSecrets {
    /// Reads a file of one or two lines of 32 hexadecimal digits. Only the owner of the file may be able to read it.
    pub fn read(path: &Path) -> Result<Self, CookieSecretsError> {
        use std::os::unix::fs::PermissionsExt;
        let unreadable = |error| CookieSecretsError::Unreadable(format!("cannot read {}", Unusable(path, &error)));
        let mode = std::fs::metadata(path).map_err(unreadable)?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(CookieSecretsError::Readable);
        }
        Self::parse(&std::fs::read_to_string(path).map_err(unreadable)?)
    }

    fn parse(text: &str) -> Result<Self, CookieSecretsError> {
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let current = lines.next().and_then(secret_of).ok_or(CookieSecretsError::Form)?;
        let previous = lines.next().map(|line| secret_of(line).ok_or(CookieSecretsError::Form)).transpose()?;
        if lines.next().is_some() {
            return Err(CookieSecretsError::Form);
        }
        Ok(Self { current, previous })
    }
}

fn secret_of(line: &str) -> Option<CookieSecret> {
    let digits: &[u8; 32] = line.as_bytes().try_into().ok()?;
    let mut bytes = [0; 16];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(CookieSecret(bytes))
}

fn digit(character: u8) -> Option<u8> {
    char::from(character).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

/// The result of checking a cookie.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CookieCheck {
    /// Whether this server made the cookie for this client, and not too long ago.
    pub is_valid: bool,
    /// The server cookie for the reply.
    pub reply: [u8; SERVER],
}

/// Makes and checks cookies. A cheap handle.
#[derive(Clone, Debug)]
pub struct Cookies(Arc<ArcSwap<CookieSecrets>>);

impl Cookies {
    /// The secrets are this process's own, or shared with other servers.
    pub fn new(secrets: CookieSecrets) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(secrets)))
    }

    /// Replaces the secrets.
    pub fn replace(&self, secrets: CookieSecrets) {
        self.0.store(Arc::new(secrets));
    }

    /// Makes `next` the current secret. The former one stays valid, so that no client notices.
    pub fn rotate(&self, next: CookieSecret) {
        let previous = Some(self.0.load().current);
        self.replace(CookieSecrets { current: next, previous });
    }

    /// Checks what the client at `address` presents.
    pub fn check(&self, presented: Presented, address: IpAddr, now: Timestamp) -> CookieCheck {
        let secrets = self.0.load();
        let client = presented.client;
        let recognized = presented.server.and_then(|server| secrets.recognize(client, server, address, now));
        let reusable = recognized.as_ref().and_then(|recognized| recognized.reusable);
        let reply = match reusable {
            Some(cookie) => cookie,
            None => {
                let [t0, t1, t2, t3] = now.low_32_bits().to_be_bytes();
                secrets.current.cookie(client, [VERSION, 0, 0, 0, t0, t1, t2, t3], address)
            }
        };
        CookieCheck { is_valid: recognized.is_some(), reply }
    }
}

/// A valid cookie of this server.
struct Recognized {
    /// The cookie itself, if the client can keep it.
    reusable: Option<[u8; SERVER]>,
}

impl CookieSecrets {
    fn recognize(
        &self,
        client: [u8; CLIENT],
        server: [u8; SERVER],
        address: IpAddr,
        now: Timestamp,
    ) -> Option<Recognized> {
        let (head, _) = server.split_first_chunk::<8>()?;
        let &[version, ref reserved @ .., t0, t1, t2, t3] = head;
        // Serial number arithmetic (RFC 1982): the time wraps in 2106.
        let age = now.low_32_bits().wrapping_sub(u32::from_be_bytes([t0, t1, t2, t3])) as i32;
        let is_fresh = -(SKEW.as_secs() as i32) <= age && age <= LIFETIME.as_secs() as i32;
        if version != VERSION || !is_fresh {
            return None;
        }
        if bool::from(self.current.cookie(client, *head, address).ct_eq(&server)) {
            let is_reusable = age <= RENEWAL.as_secs() as i32 && *reserved == [0; 3];
            return Some(Recognized { reusable: is_reusable.then_some(server) });
        }
        let previous = self.previous?.cookie(client, *head, address);
        bool::from(previous.ct_eq(&server)).then_some(Recognized { reusable: None })
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

    fn check(secrets: &str, client: &str, server: &str, address: &str, now: u64) -> (bool, [u8; SERVER]) {
        let cookies = Cookies::new(CookieSecrets::parse(secrets).unwrap());
        let server = (!server.is_empty()).then(|| bytes(server));
        let presented = Presented { client: bytes(client), server };
        let checked = cookies.check(presented, address.parse().unwrap(), Timestamp::from_unix(now));
        (checked.is_valid, checked.reply)
    }

    const SECRET: &str = "e5e973e5a6b2a43f48e7dc849e37bfcf";

    // The sections of RFC 9018 appendix A.
    #[test]
    fn a_1_a_new_server_cookie() {
        let found = check(SECRET, "2464c4abcf10c957", "", "198.51.100.100", 1_559_731_985);
        assert_eq!(found, (false, bytes("010000005cf79f111f8130c3eee29480")));
    }

    #[test]
    fn a_2_the_same_client_gets_a_fresh_one() {
        let old = "010000005cf79f111f8130c3eee29480";
        let found = check(SECRET, "2464c4abcf10c957", old, "198.51.100.100", 1_559_734_385);
        assert_eq!(found, (true, bytes("010000005cf7a871d4a564a1442aca77")));
    }

    #[test]
    fn a_3_another_client_and_reserved_bits() {
        let old = "01abcdef5cf78f71a314227b6679ebf5";
        let found = check(SECRET, "fc93fc62807ddb86", old, "203.0.113.203", 1_559_734_700);
        // It is older than an hour by then.
        assert_eq!(found, (false, bytes("010000005cf7a9acf73a7810aca2381e")));
        let (is_valid, fresh) = check(SECRET, "fc93fc62807ddb86", old, "203.0.113.203", 1_559_727_985 + 60);
        assert!(is_valid, "the hash covers the reserved bits");
        assert_eq!(fresh[..4], [1, 0, 0, 0], "and we set none");
    }

    #[test]
    fn a_4_ipv6_and_a_secret_that_was_changed() {
        let both = "445536bcd2513298075a5d379663c962\ndd3bdf9344b678b185a6f5cb60fca715\n";
        let (old, address) = ("010000005cf7c57926556bd0934c72f8", "2001:db8:220:1:59de:d0f4:8769:82b8");
        let found = check(both, "22681ab97d52c298", old, address, 1_559_741_961);
        assert_eq!(found, (true, bytes("010000005cf7c609a6bb79d16625507a")));
        let (is_valid, _) = check(&both[..32], "22681ab97d52c298", old, address, 1_559_741_961);
        assert!(!is_valid, "the previous secret is gone");
    }

    #[test]
    fn a_young_cookie_is_kept_and_an_old_or_foreign_one_is_not_ours() {
        let made = 1_559_731_985;
        let (client, cookie) = ("2464c4abcf10c957", "010000005cf79f111f8130c3eee29480");
        let at = |now, address| check(SECRET, client, cookie, address, now);
        assert_eq!(at(made + 1_800, "198.51.100.100"), (true, bytes(cookie)));
        assert_ne!(at(made + 1_801, "198.51.100.100").1, bytes(cookie));
        assert!(at(made + 3_600, "198.51.100.100").0 && at(made - 300, "198.51.100.100").0);
        for (now, address) in
            [(made + 3_601, "198.51.100.100"), (made - 301, "198.51.100.100"), (made, "198.51.100.101")]
        {
            assert!(!at(now, address).0, "{now} {address}");
        }
        assert!(!check(SECRET, "2464c4abcf10c958", cookie, "198.51.100.100", made).0, "another client's");
        assert!(!check(SECRET, client, "020000005cf79f111f8130c3eee29480", "198.51.100.100", made).0, "version 2");
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
            assert_eq!(CookieSecrets::parse(bad), Err(CookieSecretsError::Form), "{bad}");
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, format!("# in use\n{SECRET}\n")).unwrap();
        assert!(CookieSecrets::read(file.path()).unwrap().previous.is_none());
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(CookieSecrets::read(file.path()), Err(CookieSecretsError::Readable));
        assert!(!format!("{:?}", CookieSecrets::parse(SECRET)).contains("e5"));
    }

    #[test]
    fn rotation_keeps_the_cookies_that_are_out() {
        let cookies = Cookies::new(CookieSecrets { current: CookieSecret::random().unwrap(), previous: None });
        let (client, address, now) = ([1; 8], "192.0.2.1".parse().unwrap(), Timestamp::from_unix(1_000));
        let cookie = cookies.check(Presented { client, server: None }, address, now).reply;
        let is_valid = || cookies.check(Presented { client, server: Some(cookie) }, address, now).is_valid;
        assert!(is_valid());
        cookies.rotate(CookieSecret::random().unwrap());
        assert!(is_valid());
        cookies.rotate(CookieSecret::random().unwrap());
        assert!(!is_valid());
    }
}
