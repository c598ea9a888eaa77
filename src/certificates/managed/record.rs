//! What is remembered of a managed certificate beside its files: that it was asked for, who issued it, what its hook
//! has done, that it is revoked or about to go.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::config::certificate::CertificateName;
use crate::config::{ManagedCertificate, file};
use crate::file::replace;
use crate::model::url::Url;

use super::hook::Outcome;
use crate::acme::error::{AcmeError, Result};
use crate::acme::state::{LEAVING, failed, private_folder, private_text};
use crate::delegation::challenge_target::Proven;

/// The folder of one certificate's records, in the state folder.
#[derive(Debug, Clone)]
pub struct Folder(PathBuf);

/// What has become of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Record {
    /// The serial number of the last certificate, and the directory of the CA that issued it.
    pub issued: Option<(String, Url)>,
    /// The serial number of the last one that was revoked: nothing is renewed until somebody asks for it.
    pub revoked: Option<String>,
    /// Where its names led then.
    pub proven: Proven,
    /// It is being deleted; a crash has interrupted that.
    pub deleting: bool,
    /// What the hook has done.
    pub hook: Option<Outcome>,
}

impl Folder {
    /// That of a certificate.
    pub fn of(state: &Path, name: &CertificateName) -> Self {
        Self(state.join("certificates").join(name.to_string()))
    }

    /// Makes it where it is not there, for nobody else to read.
    pub fn make(&self) -> Result<()> {
        private_folder(&self.0)
    }

    /// Where its order is kept while it is under way.
    pub fn pending(&self) -> PathBuf {
        self.0.join("pending.toml")
    }

    /// Where the persistent authorizations are kept that it relies on.
    pub fn grants(&self) -> PathBuf {
        self.0.join("grants.toml")
    }

    fn request_path(&self) -> PathBuf {
        self.0.join("request.toml")
    }

    /// What has become of it so far.
    pub fn record(&self) -> Result<Record> {
        Ok(read(&self.0.join("record.toml"))?.unwrap_or_default())
    }

    /// Stores that.
    pub fn store(&self, record: &Record) -> Result<()> {
        self.write(&self.0.join("record.toml"), record)
    }

    /// What a command has asked for. `folder` is what relative directories are relative to.
    pub fn requested(&self, folder: &Path) -> Result<Option<ManagedCertificate>> {
        let path = self.request_path();
        let Some(wanted) = read::<file::Certificate>(&path)? else { return Ok(None) };
        let read = ManagedCertificate::read(&wanted, folder);
        read.map(Some).map_err(|error| AcmeError::Request { path, problem: error.to_string() })
    }

    /// Stores what somebody has asked for.
    pub fn request(&self, wanted: &file::Certificate) -> Result<()> {
        self.write(&self.request_path(), wanted)
    }

    fn write(&self, path: &Path, what: &impl Serialize) -> Result<()> {
        self.make()?;
        let text = toml::to_string(what).map_err(|error| failed(path, std::io::Error::other(error)))?;
        replace(path, text.as_bytes()).map_err(|source| failed(path, source))
    }

    /// Forgets all of it. A crash leaves all that it said, or nothing of it.
    pub fn remove(&self) -> Result<()> {
        let gone = |done: io::Result<()>| match done {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(failed(&self.0, error)),
            _ => Ok(()),
        };
        let leaving = self.0.with_file_name(format!("{LEAVING}{}", self.0.file_name().unwrap_or_default().display()));
        gone(fs::remove_dir_all(&leaving))?;
        gone(fs::rename(&self.0, &leaving))?;
        gone(fs::remove_dir_all(&leaving))
    }
}

/// Every certificate that was asked for by a command; one that cannot be read hides no other.
pub fn requested(state: &Path, folder: &Path) -> Result<Vec<(CertificateName, Result<ManagedCertificate>)>> {
    let all = state.join("certificates");
    let entries = match fs::read_dir(&all) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|source| failed(&all, source))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|source| failed(&all, source))?;
        // Whatever has another name is not ours.
        let Some(name) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let read = Folder(entry.path()).requested(folder).transpose();
        found.extend(read.map(|read| (name, read)));
    }
    Ok(found)
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let Some(text) = private_text(path)? else { return Ok(None) };
    let damaged =
        |error: toml::de::Error| AcmeError::Damaged { path: path.to_owned(), problem: error.message().to_owned() };
    toml::from_str(&text).map(Some).map_err(damaged)
}
