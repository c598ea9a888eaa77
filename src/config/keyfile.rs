//! The file of a zone's DNSSEC keys and of the phase of a rollover: one file, so that the two always agree.
//!
//! Only `txtgate dnssec` makes the file. Everybody who can read it can forge the zone, so a file that is not private is
//! refused. The parent's DS names the key in the file, so a missing file is an error; the daemon never makes a new key.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::file::{self, Unread, Unusable};
use crate::model::name::ZoneName;
use crate::model::time::Timestamp;
use crate::zone::signing::Keys;
use crate::zone::signing::key::{Algorithm, ZoneKey};
use crate::zone::signing::phase::Phase;

use super::Dnssec;

const HEAD: &str = "\
# The DNSSEC keys of a zone. Whoever reads this file can forge the zone; without it the zone cannot be signed any more.
# Keep a copy in a safe place. Written by `txtgate dnssec`, which is the way to change it.

";

/// A key file cannot be used.
#[derive(Debug, Clone, Error)]
pub enum KeyFileError {
    #[error(
        "the DNSSEC key file {} of {zone} is missing; put it back from a copy. No other key will do while the parent \
         has a DS; only for a zone that never had one, `txtgate dnssec init {zone}` makes it", path.display()
    )]
    Missing { path: PathBuf, zone: ZoneName },
    #[error("others can read the DNSSEC key file {} (mode {mode:o}); run `chmod 600` on it", path.display())]
    NotPrivate { path: PathBuf, mode: u32 },
    #[error("the DNSSEC key file {} is of the zone {found}, not of {zone}", path.display())]
    OtherZone { path: PathBuf, zone: ZoneName, found: ZoneName },
    #[error("the DNSSEC key file {} is damaged: {problem}; put it back from a copy", path.display())]
    Damaged { path: PathBuf, problem: String },
    #[error("the DNSSEC key file {} exists already; it is never made anew", .0.display())]
    Exists(PathBuf),
    #[error("cannot use the DNSSEC key file {}", Unusable(path, source))]
    File { path: PathBuf, source: Arc<io::Error> },
}

type Result<T> = std::result::Result<T, KeyFileError>;

/// The contents of a key file.
#[derive(Debug, Clone)]
pub struct KeyFile {
    pub path: PathBuf,
    pub zone: ZoneName,
    pub phase: Phase,
    /// The time since which the daemon is known to serve this phase; for phases that the parent enters, since which the
    /// parent has.
    pub seen: Option<Timestamp>,
    /// The time since which both keys are known to sign, during a rollover.
    pub doubled: Option<Timestamp>,
    /// The TTL of the parent's former DS, in seconds.
    pub ds_ttl: Option<u32>,
    /// The key; during a rollover, the next key follows.
    pub keys: Vec<Arc<ZoneKey>>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Text {
    zone: ZoneName,
    phase: Phase,
    seen: Option<Timestamp>,
    doubled: Option<Timestamp>,
    ds_ttl: Option<u32>,
    key: Vec<KeyText>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct KeyText {
    algorithm: u8,
    tag: u16,
    private_key: String,
}

impl std::fmt::Debug for KeyText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyText({}, redacted)", self.tag)
    }
}

impl KeyFile {
    /// Reads the keys of `zone`.
    pub fn read(path: &Path, zone: &ZoneName) -> Result<Self> {
        let found = file::private_text(path).map_err(|error| match error {
            Unread::NotPrivate(mode) => KeyFileError::NotPrivate { path: path.to_owned(), mode },
            Unread::File(source) => KeyFileError::File { path: path.to_owned(), source: source.into() },
        })?;
        let missing = || KeyFileError::Missing { path: path.to_owned(), zone: zone.clone() };
        let read = Self::parse(path, &found.ok_or_else(missing)?)?;
        if read.zone != *zone {
            return Err(KeyFileError::OtherZone { path: path.to_owned(), zone: zone.clone(), found: read.zone });
        }
        Ok(read)
    }

    fn parse(path: &Path, text: &str) -> Result<Self> {
        let damaged = |problem: String| KeyFileError::Damaged { path: path.to_owned(), problem };
        // The parser's own message quotes the line, which may be the key.
        let text: Text = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| text[..span.start].matches('\n').count() + 1);
            damaged(format!("line {at} is not as `txtgate dnssec` wrote it"))
        })?;
        let Text { zone, phase, seen, doubled, ds_ttl, key } = text;
        if key.len() != phase.keys() {
            return Err(damaged(format!("it has {} keys where {} belong", key.len(), phase.keys())));
        }
        let keys = key.iter().map(KeyText::parse).collect::<std::result::Result<_, _>>().map_err(damaged)?;
        Ok(Self { path: path.to_owned(), zone, phase, seen, doubled, ds_ttl, keys })
    }

    /// The part that the signer needs.
    pub fn signing_keys(&self, settings: &Dnssec) -> Keys {
        let (apex, keys) = (self.zone.apex().clone(), self.keys.clone());
        Keys { apex, phase: self.phase, keys, ttl: settings.dnskey_ttl }
    }

    /// Writes a new file; an error where the file exists.
    pub fn create(&self) -> Result<()> {
        if self.path.symlink_metadata().is_ok() {
            return Err(KeyFileError::Exists(self.path.clone()));
        }
        self.save()
    }

    /// Replaces the file in one step: a crash leaves either the old file or the new one.
    pub fn save(&self) -> Result<()> {
        let written = toml::to_string(&self.text())
            .map_err(io::Error::other)
            .and_then(|text| file::replace(&self.path, format!("{HEAD}{text}").as_bytes()));
        written.map_err(|source| KeyFileError::File { path: self.path.clone(), source: source.into() })
    }

    fn text(&self) -> Text {
        let Self { zone, phase, seen, doubled, ds_ttl, keys, .. } = self;
        let key = keys.iter().map(|key| KeyText::of(key)).collect();
        Text { zone: zone.clone(), phase: *phase, seen: *seen, doubled: *doubled, ds_ttl: *ds_ttl, key }
    }
}

impl KeyText {
    fn of(key: &ZoneKey) -> Self {
        let private_key = STANDARD.encode(key.reveal_pkcs8());
        Self { algorithm: key.algorithm().number(), tag: key.tag(), private_key }
    }

    fn parse(&self) -> std::result::Result<Arc<ZoneKey>, String> {
        let algorithm = Algorithm::of_number(self.algorithm).map_err(|error| error.to_string())?;
        let pkcs8 = STANDARD.decode(&self.private_key).map_err(|_| "a key is not base64".to_owned())?;
        let key = ZoneKey::from_pkcs8(algorithm, &pkcs8).map_err(|error| error.to_string())?;
        if key.tag() != self.tag {
            return Err(format!("the key has the tag {}, not {}", key.tag(), self.tag));
        }
        Ok(Arc::new(key))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn key_file(folder: &Path) -> KeyFile {
        KeyFile {
            path: folder.join("zone.key"),
            zone: "auth.example.org".parse().unwrap(),
            phase: Phase::Doubled,
            seen: Some(Timestamp::from_unix(5)),
            doubled: None,
            ds_ttl: None,
            keys: [Algorithm::EcdsaP256, Algorithm::Ed25519].map(|a| Arc::new(ZoneKey::generate(a).unwrap())).into(),
        }
    }

    #[test]
    fn keys_are_private_and_survive_their_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = key_file(folder.path());
        file.create().unwrap();
        assert!(matches!(file.create(), Err(KeyFileError::Exists(_))));
        file.save().unwrap();
        assert_eq!(std::fs::metadata(&file.path).unwrap().permissions().mode() & 0o7777, 0o600);
        let read = KeyFile::read(&file.path, &file.zone).unwrap();
        assert_eq!((read.phase, read.seen, read.keys.len()), (Phase::Doubled, file.seen, 2));
        assert_eq!(read.keys[1].dnskey(), file.keys[1].dnskey());
        let secret = STANDARD.encode(file.keys[0].reveal_pkcs8());
        assert!(!format!("{read:?} {:?}", read.text()).contains(&secret[40..60]));
    }

    #[test]
    fn loss_mode_and_mismatch_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let file = key_file(folder.path());
        let read = || KeyFile::read(&file.path, &file.zone);
        assert!(matches!(read(), Err(KeyFileError::Missing { .. })));
        file.create().unwrap();
        let other = "auth.example.com".parse().unwrap();
        assert!(matches!(KeyFile::read(&file.path, &other), Err(KeyFileError::OtherZone { .. })));
        let text = std::fs::read_to_string(&file.path).unwrap();
        let tag = format!("tag = {}", file.keys[0].tag());
        for damaged in [
            text.replace(&tag, "tag = 1"),
            text.replace("doubled", "offered"),
            text.replace("algorithm = 13", "algorithm = 8"),
            text.replace("algorithm = 13", "algorithm = 15"),
            text[..text.len() / 2].to_owned(),
            String::new(),
        ] {
            std::fs::write(&file.path, damaged).unwrap();
            assert!(matches!(read(), Err(KeyFileError::Damaged { .. })), "{:?}", read());
        }
        std::fs::write(&file.path, &text).unwrap();
        std::fs::set_permissions(&file.path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(read(), Err(KeyFileError::NotPrivate { mode: 0o640, .. })));
    }
}
