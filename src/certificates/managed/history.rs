//! What the daemon remembers of a managed certificate besides its files: that it was asked for, who issued it, what its
//! hook has done, whether it is revoked or being deleted.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::config::certificate::CertificateName;
use crate::config::{ManagedCertificate, file};
use crate::delegation::challenge_target::ProvenTargets;
use crate::file::state::{FileError, create_private_folder, read_toml, removed, write_toml};
use crate::model::url::Url;

use super::super::error::{CertificateError, Result};
use super::super::leftovers::DELETING;
use super::hook::HookOutcome;

/// The folder of one certificate in the state folder.
#[derive(Debug, Clone)]
pub struct StateFolder(PathBuf);

/// The history of a certificate: the file `record.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct CertificateHistory {
    /// The serial number of the last certificate, and the directory of the CA that issued it.
    pub issued: Option<(String, Url)>,
    /// The serial number of the last certificate that was revoked. It is not renewed until somebody asks for that.
    pub revoked: Option<String>,
    /// Where the names led when the last certificate was issued.
    pub proven: ProvenTargets,
    /// Whether a deletion has begun. A crash may have interrupted it.
    pub deleting: bool,
    /// The outcome of the last run of the hook.
    pub hook: Option<HookOutcome>,
}

impl StateFolder {
    /// The folder of a certificate.
    pub fn of(state: &Path, name: &CertificateName) -> Self {
        Self(state.join("certificates").join(name.to_string()))
    }

    /// Creates the folder, private to the daemon, if there is none.
    pub fn create(&self) -> std::result::Result<(), FileError> {
        create_private_folder(&self.0)
    }

    /// The file of the order under way.
    pub fn pending(&self) -> PathBuf {
        self.0.join("pending.toml")
    }

    /// The file of the persistent authorizations that the certificate relies on.
    pub fn grants(&self) -> PathBuf {
        self.0.join("grants.toml")
    }

    fn request(&self) -> PathBuf {
        self.0.join("request.toml")
    }

    fn history(&self) -> PathBuf {
        self.0.join("record.toml")
    }

    /// Reads the history. Blocks.
    pub fn read_history(&self) -> std::result::Result<CertificateHistory, FileError> {
        Ok(read_toml(&self.history())?.unwrap_or_default())
    }

    /// Replaces the history. Blocks.
    pub fn write_history(&self, history: &CertificateHistory) -> std::result::Result<(), FileError> {
        self.create()?;
        write_toml(&self.history(), history)
    }

    /// Whether a command has asked for the certificate. A file that cannot be looked at counts as one that is there. Blocks.
    pub fn has_request(&self) -> bool {
        self.request().try_exists().unwrap_or(true)
    }

    /// Reads what a command has asked for. Relative directories in it are relative to `base`. Blocks.
    pub fn read_request(&self, base: &Path) -> Result<Option<ManagedCertificate>> {
        let Some(request) = self.read_raw_request()? else { return Ok(None) };
        match ManagedCertificate::read(&request, base) {
            Ok(wanted) => Ok(Some(wanted)),
            Err(error) => Err(CertificateError::Request { path: self.request(), problem: error.to_string() }),
        }
    }

    /// Reads what a command has asked for, as it was written. Blocks.
    pub fn read_raw_request(&self) -> std::result::Result<Option<file::Certificate>, FileError> {
        read_toml(&self.request())
    }

    /// Replaces what a command has asked for. Blocks.
    pub fn write_request(&self, request: &file::Certificate) -> std::result::Result<(), FileError> {
        self.create()?;
        write_toml(&self.request(), request)
    }

    /// Deletes the folder. After a crash it is whole, or gone. Blocks.
    pub fn delete(&self) -> std::result::Result<(), FileError> {
        let name = self.0.file_name().unwrap_or_default();
        let deleting = self.0.with_file_name(format!("{DELETING}{}", name.display()));
        removed(&self.0, fs::remove_dir_all(&deleting))?;
        removed(&self.0, fs::rename(&self.0, &deleting))?;
        removed(&self.0, fs::remove_dir_all(&deleting))
    }
}

/// A certificate that a command has asked for: its name, and the request or why that cannot be read.
pub type Requested = (CertificateName, Result<ManagedCertificate>);

/// Reads every request in the state folder. A request that cannot be read hides no other. Blocks.
pub fn read_requests(state: &Path, base: &Path) -> std::result::Result<Vec<Requested>, FileError> {
    let all = state.join("certificates");
    let entries = match fs::read_dir(&all) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|source| FileError::io(&all, source))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|source| FileError::io(&all, source))?;
        // A folder with another kind of name was not made by the daemon.
        let Some(name) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        match StateFolder(entry.path()).read_request(base) {
            Ok(Some(wanted)) => found.push((name, Ok(wanted))),
            Ok(None) => {}
            Err(problem) => found.push((name, Err(problem))),
        }
    }
    Ok(found)
}
