//! `[[secondary]]`: who may transfer zones.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ipnet::IpNet;
use thiserror::Error;

use crate::crypto::tsig::TsigKey;
use crate::model::account::parse_cidr;
use crate::model::name::{MAX_NAME, Name, ZoneName};
use crate::model::tsig::Algorithm;

use super::file::ZoneTransfer;
use super::lookups::address;
use super::read::{Reader, private_text};
use super::{ZoneSettings, file};

/// The most secondaries of one configuration.
pub const MAX_SECONDARIES: usize = 64;
/// The most addresses of one secondary.
const MAX_ADDRESSES: usize = 16;
/// The most bytes of the catalog's name: below it stands a label of 24 characters below `zones`.
const MAX_CATALOG: usize = MAX_NAME - 25 - 6;
/// The most characters of a secondary's name.
const MAX_SECONDARY_NAME: usize = 63;
/// The fewest bytes of a key's secret: those of the shortest MAC that is safe (RFC 8945 section 10).
const MIN_SECRET: usize = 16;

/// A text is not a TSIG key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("write the key as one line, ALGORITHM:NAME:SECRET, like \"hmac-sha256:ns2.example.org:\" and {wanted}")]
pub struct TransferKeyError {
    wanted: &'static str,
}

/// A TSIG key that a secondary shares with this server.
#[derive(Clone)]
pub struct TransferKey {
    /// The key's name in messages.
    pub name: Name,
    /// The key itself.
    pub key: TsigKey,
    /// What tells whether another reading found another key.
    text: String,
}

impl TransferKey {
    /// Reads `hmac-sha256:name:base64`, the form that `dig -y` takes.
    fn read(text: &str, allows_md5: bool) -> Result<Self, String> {
        let wrong = |wanted| TransferKeyError { wanted }.to_string();
        let form = || wrong("the secret in base64");
        let text = text.trim();
        let mut parts = text.splitn(3, ':');
        let (Some(algorithm), Some(name), Some(secret)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(form());
        };
        let algorithm: Algorithm = algorithm.parse().map_err(|_| wrong("one of the algorithms of TSIG"))?;
        if algorithm == Algorithm::HmacMd5 && !allows_md5 {
            return Err("hmac-md5 is not allowed here; use hmac-sha256, or set `tsig-md5 = true` in [dns]".into());
        }
        let name: Name = name.parse().map_err(|_| wrong("a domain name as NAME"))?;
        if is_of_account(&name) {
            return Err("a UUID is the name of an account's key; choose another name, like \"ns2.example.org\"".into());
        }
        let secret = STANDARD.decode(secret).map_err(|_| form())?;
        if secret.len() < MIN_SECRET {
            return Err(wrong("a secret of at least 16 bytes; `openssl rand -base64 32` makes one"));
        }
        Ok(Self { name, key: TsigKey::new(algorithm, &secret), text: text.to_owned() })
    }
}

/// Whether a key's name is one that an account's key may have.
fn is_of_account(name: &Name) -> bool {
    let mut labels = name.as_ref().labels();
    let label = labels.next().and_then(|label| std::str::from_utf8(label).ok());
    label.is_some_and(|label| label.parse::<uuid::Uuid>().is_ok()) && labels.next().is_none()
}

impl PartialEq for TransferKey {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for TransferKey {}

impl fmt::Debug for TransferKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TransferKey({}, redacted)", self.name)
    }
}

/// A secondary, and what it may transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecondarySettings {
    /// What it is called in the log, in metrics and in `status`.
    pub name: String,
    /// The networks from which it transfers; at least one.
    pub networks: Vec<IpNet>,
    /// The addresses that are told of changes (RFC 1996).
    pub notify: Vec<SocketAddr>,
    /// The key that it signs with; `None`: the network alone decides.
    pub key: Option<TransferKey>,
    /// Whether it transfers over TLS alone (RFC 9103).
    pub tls_only: bool,
    /// The zones; empty: all.
    pub zones: Vec<ZoneName>,
}

impl SecondarySettings {
    /// Whether it may come from an address.
    pub fn is_at(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.iter().any(|network| network.contains(&address))
    }
}

impl Reader<'_> {
    pub(super) fn secondaries(
        &self,
        file: &file::File,
        zones: &[ZoneSettings],
        catalog: Option<&ZoneName>,
    ) -> Vec<SecondarySettings> {
        if file.secondary.len() > MAX_SECONDARIES {
            self.wrong("secondary", format!("there are over {MAX_SECONDARIES}; leave some out"));
        }
        let mut read: Vec<SecondarySettings> = Vec::new();
        for (index, secondary) in file.secondary.iter().enumerate() {
            let key = |name: &str| format!("secondary.{index}.{name}");
            if read.iter().any(|earlier| earlier.name == secondary.name) {
                self.wrong(&key("name"), format!("another secondary is called {:?} too", secondary.name));
            }
            self.is_secondary_name(&key("name"), &secondary.name);
            let tsig = secondary.tsig_key_file.as_ref();
            let tsig = tsig.and_then(|path| self.transfer_key(&key("tsig-key-file"), path, file.dns.tsig_md5));
            if let Some(tsig) = &tsig
                && read
                    .iter()
                    .filter_map(|earlier| earlier.key.as_ref())
                    .any(|other| other.name == tsig.name && other != tsig)
            {
                let problem = format!("another secondary has another key with the name {}; rename one", tsig.name);
                self.wrong(&key("tsig-key-file"), problem);
            }
            if secondary.tls_only && file.dns.tls_listen.is_empty() {
                self.wrong(&key("tls-only"), "no address listens for TLS; add `tls-listen` to [dns]");
            }
            read.push(SecondarySettings {
                name: secondary.name.clone(),
                networks: self.secondary_networks(&key("networks"), secondary),
                notify: self.secondary_addresses(&key("notify"), &secondary.notify),
                key: tsig,
                tls_only: secondary.tls_only,
                zones: self.secondary_zones(&key("zones"), &secondary.zones, zones, catalog),
            });
        }
        self.are_transferred_signed(file);
        read
    }

    fn is_secondary_name(&self, key: &str, name: &str) {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.len() > MAX_SECONDARY_NAME || !name.chars().all(is_allowed) {
            let shown: String = name.chars().take(80).collect();
            let wanted = "write 1 to 63 letters, digits, `-`, `_` and `.`, like \"ns2\"";
            self.wrong(key, format!("{wanted}; found {shown:?}"));
        }
    }

    fn secondary_networks(&self, key: &str, secondary: &file::Secondary) -> Vec<IpNet> {
        if secondary.networks.is_empty() {
            self.wrong(key, "`networks` is missing; write those that transfers come from, like [\"192.0.2.53/32\"]");
        }
        let read = |(at, text): (usize, &String)| {
            let network = parse_cidr(text);
            let network = network.map_err(|error| format!("write a network like \"192.0.2.53/32\": {error}"));
            self.take(&format!("{key}.{at}"), network)
        };
        secondary.networks.iter().enumerate().filter_map(read).collect()
    }

    fn secondary_addresses(&self, key: &str, texts: &[String]) -> Vec<SocketAddr> {
        if texts.len() > MAX_ADDRESSES {
            self.wrong(key, format!("there are over {MAX_ADDRESSES} addresses; leave some out"));
        }
        let read = |(at, text): (usize, &String)| {
            let wanted = "write the address of a secondary, like \"192.0.2.53\" or \"[2001:db8::53]:5353\"";
            self.take(&format!("{key}.{at}"), address(text).ok_or_else(|| format!("{wanted}; found {text:?}")))
        };
        texts.iter().enumerate().filter_map(read).collect()
    }

    /// The catalog zone's name. It is a zone of its own, so it cannot lie in another, and no other in it.
    pub(super) fn catalog(&self, secondaries: &file::Secondaries, zones: &[ZoneSettings]) -> Option<ZoneName> {
        let text = secondaries.catalog.as_ref()?;
        let name =
            self.take("secondaries.catalog", text.parse::<ZoneName>().map_err(|error| format!("{text:?}: {error}")))?;
        let is_nested =
            |zone: &&ZoneSettings| name.apex().is_in(zone.name.apex()) || zone.name.apex().is_in(name.apex());
        if let Some(zone) = zones.iter().find(is_nested) {
            let problem = format!(
                "{name} and the zone {} are nested; choose a name of which neither is in the other, like \"catalog.example.org\"",
                zone.name
            );
            self.wrong("secondaries.catalog", problem);
        }
        if name.apex().as_wire().len() > MAX_CATALOG {
            self.wrong("secondaries.catalog", "the name is too long for the names below it; choose a shorter one");
        }
        Some(name)
    }

    fn transfer_key(&self, key: &str, path: &std::path::Path, allows_md5: bool) -> Option<TransferKey> {
        let path = self.folder.join(path);
        let read = private_text(&path).and_then(|text| {
            TransferKey::read(&text, allows_md5).map_err(|problem| format!("{}: {problem}", path.display()))
        });
        self.take(key, read)
    }

    fn secondary_zones(
        &self,
        key: &str,
        names: &[String],
        zones: &[ZoneSettings],
        catalog: Option<&ZoneName>,
    ) -> Vec<ZoneName> {
        let read = |(at, text): (usize, &String)| {
            let zone = text.parse::<ZoneName>().map_err(|error| format!("{text:?}: {error}"));
            let zone = self.take(&format!("{key}.{at}"), zone)?;
            if catalog != Some(&zone) && !zones.iter().any(|known| known.name == zone) {
                self.wrong(&format!("{key}.{at}"), format!("{zone} is no [[zone]] of this server"));
            }
            Some(zone)
        };
        names.iter().enumerate().filter_map(read).collect()
    }

    /// A word about a zone's signatures where it has none is a mistake in one of the two.
    fn are_transferred_signed(&self, file: &file::File) {
        for (index, zone) in file.zone.iter().enumerate() {
            if zone.transfer == ZoneTransfer::Unsigned && zone.dnssec_key.is_none() {
                let problem =
                    "the zone has no `dnssec-key`, so it is transferred as it is served; leave `transfer` out";
                self.wrong(&format!("zone.{index}.transfer"), problem);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::Config;

    const ZONE: &str =
        "[[zone]]\nname = \"auth.example.org\"\nns = [\"ns1.example.org\"]\ncontact = \"a@example.org\"\n";

    /// A configuration with these lines for a secondary, and a file `key` beside it.
    fn read(lines: &str, key: &str) -> Result<Config, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, key).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let text = format!("{ZONE}[[secondary]]\n{lines}\n");
        Config::parse(&folder.path().join("c.toml"), &text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_secondary_is_known_by_its_network_and_its_key() {
        let lines = "name = \"ns2\"\nnetworks = [\"192.0.2.53/32\", \"2001:db8::/64\"]\ntsig-key-file = \"key\"";
        let config = read(lines, "hmac-sha256:NS2.example.org:c2VjcmV0LW9mLXRoZS10ZXN0cw==\n").unwrap();
        let [secondary] = &config.secondaries[..] else { panic!("{:?}", config.secondaries) };
        assert_eq!(secondary.key.as_ref().unwrap().name.to_string(), "ns2.example.org");
        for (address, is_at) in [("192.0.2.53", true), ("::ffff:192.0.2.53", true), ("192.0.2.54", false)] {
            assert_eq!(secondary.is_at(address.parse().unwrap()), is_at, "{address}");
        }
        assert!(!format!("{secondary:?}").contains("c2Vj"), "{secondary:?}");
    }

    #[test]
    fn mistakes_are_named_with_what_to_write() {
        const KEY: &str = "hmac-sha256:a.b:c2VjcmV0LW9mLXRoZS10ZXN0cw==";
        let uuid = format!("hmac-sha256:{}:c2VjcmV0LW9mLXRoZS10ZXN0cw==", uuid::Uuid::nil());
        let network = "networks = [\"192.0.2.53/32\"]";
        let keyed = format!("name = \"a\"\n{network}\ntsig-key-file = \"key\"");
        for (lines, key, said) in [
            ("networks = [\"192.0.2.1/32\"]", KEY, "secondary[0].name: write 1 to 63 letters"),
            ("name = \"a\"", KEY, "secondary[0].networks: `networks` is missing"),
            ("name = \"a\"\nnetworks = [\"192.0.2.1/33\"]", KEY, "networks[0]: write a network like"),
            (&format!("name = \"a\"\n{network}\nzones = [\"other.test\"]"), KEY, "other.test is no [[zone]]"),
            (&format!("name = \"a\"\n{network}\ntls-only = true"), KEY, "add `tls-listen` to [dns]"),
            (&format!("name = \"a\"\n{network}\n[[secondary]]\nname = \"a\"\n{network}"), KEY, "is called \"a\" too"),
            (
                &format!("name = \"a\"\n{network}\nnotify = [\"ns2\"]"),
                KEY,
                "notify[0]: write the address of a secondary",
            ),
            (&keyed, "", "write the key as one line, ALGORITHM:NAME:SECRET"),
            (&keyed, "hmac-sha256:a.b:c2Vj", "at least 16 bytes"),
            (&keyed, "hmac-sha3:a.b:c2VjcmV0LW9mLXRoZS10ZXN0cw==", "one of the algorithms of TSIG"),
            (&keyed, "hmac-md5:a.b:c2VjcmV0LW9mLXRoZS10ZXN0cw==", "hmac-md5 is not allowed here"),
            (&keyed, &uuid, "a UUID is the name of an account's key"),
        ] {
            let found = read(lines, key).expect_err(lines);
            assert!(found.contains(said), "{lines:?} {key:?}: {found}");
        }
    }

    #[test]
    fn a_catalog_is_a_zone_of_its_own() {
        for (name, said) in [
            ("auth.example.org", "are nested"),
            ("catalog.auth.example.org", "are nested"),
            ("example.org", "are nested"),
            ("a..b", "secondaries.catalog: "),
        ] {
            let text = format!("[secondaries]\ncatalog = \"{name}\"\n{ZONE}");
            let found = Config::parse(std::path::Path::new("c.toml"), &text).expect_err(name).to_string();
            assert!(found.contains(said), "{name}: {found}");
        }
        let text = format!("[secondaries]\ncatalog = \"catalog.example.org\"\n{ZONE}");
        let config = Config::parse(std::path::Path::new("c.toml"), &text).unwrap();
        assert_eq!(config.catalog.unwrap().to_string(), "catalog.example.org");
    }

    #[test]
    fn an_unsigned_zone_needs_no_word_about_signatures() {
        let text = format!("{ZONE}transfer = \"unsigned\"\n");
        let found = Config::parse(std::path::Path::new("c.toml"), &text).expect_err("refused").to_string();
        assert!(found.contains("zone[0].transfer: the zone has no `dnssec-key`"), "{found}");
    }
}
