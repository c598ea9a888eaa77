//! The file that keeps over restarts from which networks CAs validate.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use crate::file::state::{self, FileError};
use crate::model::name::Owner;
use crate::model::network::QueryNetwork;
use crate::model::time::PreciseTimestamp;

use super::vantages::{MAX_NETWORKS, MAX_VALIDATIONS, Validation};

/// What the file's name has behind the database's.
const SUFFIX: &str = ".vantages";
/// The most bytes that are read: more than the longest names and all networks take.
const MAX_BYTES: u64 = 1 << 20;

/// The file, with mode 0600 beside the database.
#[derive(Debug)]
pub struct VantageFile {
    path: PathBuf,
    /// One write at a time: that at the end may come while the one before it still waits for the disk.
    writing: Mutex<()>,
    is_failing: AtomicBool,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Stored {
    #[serde(default)]
    validations: Vec<StoredValidation>,
}

#[derive(Debug, Serialize, Deserialize)]
struct StoredValidation {
    zone: String,
    label: String,
    /// Milliseconds since 1970.
    at: u64,
    networks: Vec<QueryNetwork>,
}

impl VantageFile {
    /// The file beside a database.
    pub fn beside(database: &Path) -> Self {
        let mut name = database.as_os_str().to_owned();
        name.push(SUFFIX);
        Self { path: name.into(), writing: Mutex::default(), is_failing: AtomicBool::new(false) }
    }

    /// What an earlier run has learnt, oldest first. A file that cannot be used is logged, and what it held is learnt anew.
    /// Blocks.
    pub fn read(&self) -> Vec<Validation> {
        let stored = read(&self.path).unwrap_or_else(|problem| {
            let path = self.path.display();
            warn!("{path} cannot be used, and from where CAs validate is learnt anew: {problem}");
            Stored::default()
        });
        let surplus = stored.validations.len().saturating_sub(MAX_VALIDATIONS);
        stored.validations.into_iter().skip(surplus).filter_map(StoredValidation::told).collect()
    }

    /// Replaces the file. Returns whether that is on disk. Blocks.
    pub fn write(&self, validations: &[Validation]) -> bool {
        let stored = Stored { validations: validations.iter().map(StoredValidation::of).collect() };
        let outcome = {
            let _one = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
            state::write_toml(&self.path, &stored)
        };
        let was_failing = self.is_failing.swap(outcome.is_err(), Ordering::Relaxed);
        match &outcome {
            Err(problem) if !was_failing => {
                warn!("from where CAs validate is in memory alone, and tried again: {problem}");
            }
            Ok(()) if was_failing => info!("{} can be written again", self.path.display()),
            _ => {}
        }
        outcome.is_ok()
    }
}

fn read(path: &Path) -> Result<Stored, FileError> {
    match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Stored::default()),
        // Opening a pipe would wait for somebody to write.
        Ok(file) if !file.is_file() => return Err(FileError::damaged(path, "it is not a regular file")),
        Ok(file) if file.len() > MAX_BYTES => {
            return Err(FileError::damaged(path, format!("it has more than {MAX_BYTES} bytes")));
        }
        _ => {}
    }
    Ok(state::read_toml(path)?.unwrap_or_default())
}

impl StoredValidation {
    fn of(validation: &Validation) -> Self {
        Self {
            zone: validation.owner.zone.to_string(),
            label: validation.owner.label.as_str().to_owned(),
            at: validation.at.as_millis(),
            networks: validation.networks.iter().copied().collect(),
        }
    }

    /// `None` where the names are none.
    fn told(self) -> Option<Validation> {
        let owner = Owner { zone: self.zone.parse().ok()?, label: self.label.parse().ok()? };
        let networks: BTreeSet<QueryNetwork> = self.networks.into_iter().take(MAX_NETWORKS).collect();
        Some(Validation { owner, value: String::new(), at: PreciseTimestamp::from_millis(self.at), networks })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn validation(label: &str, networks: std::ops::Range<u8>) -> Validation {
        Validation {
            owner: Owner::subdomain("auth.test".parse().unwrap(), label.parse().unwrap()),
            value: String::new(),
            at: PreciseTimestamp::from_millis(1_795_521_600_123),
            networks: networks.map(|n| QueryNetwork::V4([192, 0, n])).collect(),
        }
    }

    #[test]
    fn what_was_written_is_read_and_what_is_damaged_is_no_obstacle() {
        let folder = tempfile::tempdir().unwrap();
        let file = VantageFile::beside(&folder.path().join("t.db"));
        let path = folder.path().join("t.db.vantages");
        assert!(file.read().is_empty());
        let mut all = vec![validation("a", 0..6), validation("b", 10..13)];
        all[1].owner = Owner::apex("_acme-challenge.shop.test".parse().unwrap());
        all[1].networks.insert("2001:db8::/48".parse().unwrap());
        assert!(file.write(&all));
        assert_eq!(file.read(), all);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        for damage in ["validations = 3".to_owned(), "[[validations]]\nzone = \"".to_owned(), "\0".repeat(2 << 20)] {
            fs::write(&path, damage).unwrap();
            assert!(file.read().is_empty());
        }
        fs::write(&path, "[[validations]]\nzone = \"a..b\"\nlabel = \"x\"\nat = 1\nnetworks = []\n").unwrap();
        assert!(file.read().is_empty());
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(file.read().is_empty() && !file.write(&all));
    }

    #[test]
    fn no_more_is_read_than_memory_holds() {
        let folder = tempfile::tempdir().unwrap();
        let file = VantageFile::beside(&folder.path().join("t.db"));
        let all: Vec<_> = (0..MAX_VALIDATIONS + 8).map(|number| validation(&format!("a{number}"), 0..200)).collect();
        assert!(file.write(&all));
        let read = file.read();
        assert_eq!((read.len(), read[0].networks.len()), (MAX_VALIDATIONS, MAX_NETWORKS));
        assert_eq!(read[0].owner, all[8].owner, "the newest are kept");
    }
}
