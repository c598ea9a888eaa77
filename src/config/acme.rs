//! `[acme]` and `[api.tls]`: the daemon as a client of a certificate authority.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use crate::file::folder_of;
use crate::model::identifier::Identifier;
use crate::model::name::{ZoneName, idn};
use crate::model::url::Url;

use super::read::{Reader, private_text};
use super::{Certificate, KeyType, Method, UntilIssued, file};

/// The shortest lifetime of a persistent authorization.
const SHORTEST_PERSIST: Duration = Duration::from_secs(86_400);

/// `[acme]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acme {
    /// The CA's directory.
    pub directory: Url,
    /// Whether the operator agrees to the CA's terms of service.
    pub terms_agreed: bool,
    /// The addresses that the CA may write to, as `mailto:` URLs.
    pub contact: Vec<String>,
    /// The folder of account keys and certificates.
    pub state: PathBuf,
    /// The keys of new certificates.
    pub key_type: KeyType,
    /// The challenge that proves names.
    pub challenge: Method,
    /// The lifetime of persistent authorizations that the daemon publishes; `None`: unlimited.
    pub persist_lifetime: Option<Duration>,
    /// The certificate profile; `None`: the CA's default.
    pub profile: Option<String>,
    /// The common name of the root that chains should lead to, where the CA has several.
    pub preferred_root: Option<String>,
    /// A PEM file of authorities to trust for the CA's HTTPS, beside the system's.
    pub ca_root: Option<PathBuf>,
    /// The account with the CA that a new ACME account is bound to.
    pub external_account: Option<ExternalAccount>,
}

/// An account with the CA that a new ACME account is bound to (RFC 8555 section 7.3.4).
#[derive(Clone, PartialEq, Eq)]
pub struct ExternalAccount {
    /// The key's name with the CA.
    pub kid: String,
    secret: Vec<u8>,
}

impl ExternalAccount {
    /// The HMAC key.
    pub fn reveal(&self) -> &[u8] {
        &self.secret
    }
}

impl fmt::Debug for ExternalAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExternalAccount({}, redacted)", self.kid)
    }
}

/// A certificate that the daemon gets for its own listeners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnCertificate {
    /// At least one name; each is the apex of a zone, or its wildcard.
    pub names: Vec<Identifier>,
    pub until_issued: UntilIssued,
}

impl Reader<'_> {
    pub(super) fn acme(&self, file: &file::File) -> Option<Acme> {
        let acme = &file.acme;
        let directory = self.take("acme.directory", acme.directory.parse::<Url>());
        let contact = acme.contact.iter().enumerate();
        Some(Acme {
            terms_agreed: acme.terms_agreed,
            contact: contact.filter_map(|(at, text)| self.contact(at, text)).collect(),
            state: folder_of(&self.folder.join(&file.database)).join(&acme.state),
            key_type: acme.key_type,
            challenge: acme.challenge,
            persist_lifetime: self.persist_lifetime(acme),
            profile: acme.profile.clone(),
            preferred_root: acme.preferred_root.clone(),
            ca_root: acme.ca_root.as_ref().map(|path| self.folder.join(path)),
            external_account: self.external_account(acme),
            directory: directory?,
        })
    }

    /// Reads one address, with or without `mailto:`. RFC 8555 section 7.3 allows neither header fields nor a second
    /// address.
    fn contact(&self, at: usize, text: &str) -> Option<String> {
        let address = text.strip_prefix("mailto:").unwrap_or(text);
        let address = match address.split_once('@').map(|(local, host)| (local, idn::to_ascii(host))) {
            Some((local, Ok(host))) => format!("{local}@{host}"),
            _ => address.to_owned(),
        };
        let is_one = address.split_once('@').is_some_and(|(local, host)| !local.is_empty() && host.contains('.'));
        let is_plain = address.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'?' | b',' | b':' | b'<' | b'>'));
        if is_one && is_plain && address.matches('@').count() == 1 {
            return Some(format!("mailto:{address}"));
        }
        let problem = format!("write a mail address like \"hostmaster@example.org\"; found {text:?}");
        self.wrong(&format!("acme.contact.{at}"), problem);
        None
    }

    fn persist_lifetime(&self, acme: &file::Acme) -> Option<Duration> {
        let text = acme.persist_lifetime.as_ref()?;
        let lifetime = self.span("acme.persist-lifetime", text)?;
        if lifetime < SHORTEST_PERSIST {
            let problem = format!(
                "found {text:?}, and a CA may take a day and more to look; write \"1d\" or longer, like \"90d\", or \
                 leave it out"
            );
            self.wrong("acme.persist-lifetime", problem);
        }
        Some(lifetime)
    }

    fn external_account(&self, acme: &file::Acme) -> Option<ExternalAccount> {
        let (kid, path) = match (&acme.eab_kid, &acme.eab_key_file) {
            (None, None) => return None,
            (Some(kid), Some(path)) => (kid.clone(), self.folder.join(path)),
            (Some(_), None) => {
                self.wrong("acme.eab-kid", "it needs the key that the CA gave with it; add `eab-key-file`");
                return None;
            }
            (None, Some(_)) => {
                self.wrong("acme.eab-key-file", "it needs the name that the CA gave with it; add `eab-kid`");
                return None;
            }
        };
        let text = self.take("acme.eab-key-file", private_text(&path))?;
        let text = text.trim().trim_end_matches('=');
        let secret = URL_SAFE_NO_PAD.decode(text).or_else(|_| STANDARD_NO_PAD.decode(text)).ok();
        let secret = secret.filter(|secret| secret.len() >= 16);
        if secret.is_none() {
            let problem = "holds no key of 16 bytes or more in base64url, as CAs give them";
            self.wrong("acme.eab-key-file", format!("{} {problem}", path.display()));
        }
        Some(ExternalAccount { kid, secret: secret? })
    }

    pub(super) fn api_tls(&self, file: &file::File) -> Option<Certificate> {
        let api = &file.api;
        let files = self.tls("api", api.certificate.as_ref(), api.key.as_ref());
        if api.tls.mode == file::TlsMode::Files {
            return files.map(Certificate::Files);
        }
        if files.is_some() {
            let problem =
                "\"acme\" gets a certificate from a CA; take `certificate` and `key` out of [api], or write \"files\"";
            self.wrong("api.tls.mode", problem);
        }
        // A name that cannot be read is reported with its zone.
        let zones = file.zone.iter().filter_map(|zone| zone.name.parse().ok());
        let (challenge, zones): (Vec<ZoneName>, Vec<_>) = zones.partition(ZoneName::is_challenge);
        if zones.is_empty() && !challenge.is_empty() {
            let problem =
                "challenge zones have no names that a certificate is for; add another `[[zone]]`, or write \"files\"";
            self.wrong("api.tls.mode", problem);
        }
        let names = self.own_names(&api.tls.names, &zones);
        Some(Certificate::Own(OwnCertificate { names, until_issued: api.tls.until_issued }))
    }

    /// The names of the certificate. The daemon can prove only apexes and their wildcards, for which it owns
    /// `_acme-challenge.<apex>`.
    fn own_names(&self, names: &[String], zones: &[ZoneName]) -> Vec<Identifier> {
        if names.is_empty() {
            let first = zones.first().and_then(|zone| self.take("api.tls.names", zone.to_string().parse()));
            return first.into_iter().collect();
        }
        let mut read: Vec<Identifier> = Vec::new();
        for (at, text) in names.iter().enumerate() {
            let key = format!("api.tls.names.{at}");
            let Some(name) = self.take(&key, text.parse::<Identifier>()) else { continue };
            let zone = zones.first().map(ToString::to_string).unwrap_or_default();
            // Without a zone, its own mistake is reported.
            if !zones.is_empty() && !zones.iter().any(|zone| zone.apex() == name.base()) {
                let problem = format!(
                    "found {text:?}, and the daemon can prove only its zones' own names; write {zone:?} or \"*.{zone}\", \
                     which covers all names one label below"
                );
                self.wrong(&key, problem);
            }
            if read.contains(&name) {
                self.wrong(&key, format!("{name} is there twice; name it once"));
            }
            read.push(name);
        }
        read
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Config;
    use super::*;

    const ZONE: &str =
        "[[zone]]\nname = \"auth.example.org\"\nns = [\"ns1.example.org\"]\ncontact = \"a@example.org\"\n";

    fn parse(text: &str) -> std::result::Result<Config, String> {
        Config::parse(Path::new("/x/c.toml"), &format!("{text}{ZONE}")).map_err(|error| error.to_string())
    }

    #[test]
    fn an_error_says_where_what_and_what_instead() {
        for (text, place, advice) in [
            ("[acme]\ndirectory = \"http://acme.test/dir\"\n", "2:13: acme.directory: ", "is not https"),
            ("[acme]\ncontact = [\"x\"]\n", "2:12: acme.contact[0]: ", "hostmaster@example.org"),
            ("[acme]\ncontact = [\"mailto:a@b.c?subject=x\"]\n", "2:12: acme.contact[0]: ", "hostmaster@"),
            ("[acme]\ncontact = [\"a@b.c,d@e.f\"]\n", "2:12: acme.contact[0]: ", "hostmaster@"),
            ("[acme]\nchallenge = \"http-01\"\n", "2:13: acme.challenge: ", "dns-account-01"),
            ("[acme]\npersist-lifetime = \"1h\"\n", "2:20: acme.persist-lifetime: ", "90d"),
            ("[acme]\neab-kid = \"1\"\n", "2:11: acme.eab-kid: ", "eab-key-file"),
            ("[acme]\neab-key-file = \"1\"\n", "2:16: acme.eab-key-file: ", "eab-kid"),
            ("[acme]\neab-kid = \"1\"\neab-key-file = \"no\"\n", "3:16: acme.eab-key-file: ", "cannot read"),
            ("[api.tls]\nmode = \"acme\"\nnames = [\"192.0.2.1\"]\n", "3:10: api.tls.names[0]: ", "IP address"),
            ("[api.tls]\nmode = \"acme\"\nnames = [\"www.example.org\"]\n", "3:10: api.tls.names[0]: ", "\"*.auth"),
            (
                "[api]\ncertificate = \"c\"\nkey = \"k\"\ntls.mode = \"acme\"\n",
                "4:12: api.tls.mode: ",
                "take `certificate`",
            ),
        ] {
            let found = parse(text).expect_err(text);
            assert!(found.starts_with(&format!("/x/c.toml:{place}")) && found.contains(advice), "{text:?}: {found}");
        }
    }

    #[test]
    fn own_names_are_the_zones() {
        let names = |text: &str| match parse(text).unwrap().api.tls {
            Some(Certificate::Own(own)) => own.names.iter().map(ToString::to_string).collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        };
        assert_eq!(names("[api.tls]\nmode = \"acme\"\n"), ["auth.example.org"]);
        let both = "[api.tls]\nmode = \"acme\"\nnames = [\"*.auth.example.org\", \"auth.example.org\"]\n";
        assert_eq!(names(both), ["*.auth.example.org", "auth.example.org"]);
        let apex = "[[zone]]\nname = \"_acme-challenge.a.test\"\nns = [\"ns1.a.test\"]\ncontact = \"a@a.test\"\n";
        let text = format!("[api.tls]\nmode = \"acme\"\n{apex}");
        assert_eq!(names(&text), ["auth.example.org"], "not the challenge zone's");
        let only = Config::parse(Path::new("/x/c.toml"), &text).unwrap_err().to_string();
        assert!(only.starts_with("/x/c.toml:2:8: api.tls.mode: challenge zones"), "{only}");
        let config = parse("database = \"/var/lib/t/t.db\"\n[acme]\ncontact = [\"a@b.c\"]\n").unwrap();
        assert_eq!(
            (config.acme.state.to_str(), &config.acme.contact[..]),
            (Some("/var/lib/t/acme"), &["mailto:a@b.c".to_owned()][..])
        );
    }

    #[test]
    fn the_binding_key_is_read_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("eab.key");
        let parse = || {
            let text = format!("[acme]\neab-kid = \"kid\"\neab-key-file = {path:?}\n");
            parse(&text).map(|config| config.acme.external_account.unwrap())
        };
        std::fs::write(&path, "c2VjcmV0LXNlY3JldC1zZWNyZXQ\n").unwrap();
        let mode = |mode| std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        mode(0o644);
        assert!(parse().unwrap_err().contains("chmod o-r"));
        mode(0o600);
        let external = parse().unwrap();
        assert_eq!(external.reveal(), b"secret-secret-secret");
        assert_eq!(format!("{external:?}"), "ExternalAccount(kid, redacted)");
        std::fs::write(&path, "c2hvcnQ").unwrap();
        assert!(parse().unwrap_err().contains("16 bytes"));
    }
}
