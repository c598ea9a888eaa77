//! Whether a missing database is one that was never there, or one that is gone: an empty one in its place would answer
//! name errors for everybody.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tracing::debug;

use crate::config::Config;
use crate::crypto::keyring::Keyring;
use crate::file;

/// What shows that there was a database, apart from the files that only the store knows. `None`: nothing does.
pub(super) fn evidence(config: &Config) -> Option<String> {
    let tsig = Keyring::path(&config.database);
    if has_content(&tsig) {
        return Some(format!("the secret of its TSIG keys is there, {}", tsig.display()));
    }
    if has_entries(&config.acme.state) {
        return Some(format!("the state folder {} has files", config.acme.state.display()));
    }
    let record = record(config)?;
    // A record that this user cannot read is there all the same.
    let text = fs::read_to_string(&record).map_err(|error| error.kind() == io::ErrorKind::NotFound);
    match text {
        Err(true) => None,
        Err(false) => Some(format!("{} records one", record.display())),
        Ok(text) => {
            let database = text.lines().find(|line| !line.starts_with('#') && !line.is_empty())?;
            Some(format!("{} records that this configuration has used {database}", record.display()))
        }
    }
}

/// Records beside the configuration that it has a database. When the database's volume is not mounted, nothing else is
/// left of it.
pub fn record_database(config: &Config) {
    let Some(path) = record(config).filter(|_| has_content(&config.database)) else { return };
    let database = std::path::absolute(&config.database).unwrap_or_else(|_| config.database.clone());
    let text = format!(
        "# Written by txtgate. This configuration has used the database named here; if that is missing, txtgate does not\n\
         # start with an empty one in its place. `txtgate serve --init` begins with an empty one.\n{}\n",
        database.display()
    );
    if fs::read_to_string(&path).is_ok_and(|found| found == text) {
        return;
    }
    if let Err(error) = write(&path, &text) {
        // The folder of the configuration often belongs to root, or is read-only.
        debug!(%error, "no record of the database in {}", path.display());
    }
}

/// Readable to all: the daemon may be another user than whose command wrote it.
fn write(path: &Path, text: &str) -> io::Result<()> {
    file::replace(path, text.as_bytes())?;
    fs::set_permissions(path, Permissions::from_mode(0o644))
}

/// `config.toml.database`; `None` where the configuration is not a file.
fn record(config: &Config) -> Option<PathBuf> {
    config.path.is_file().then(|| config.path.with_added_extension("database"))
}

fn has_content(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.len() > 0)
}

fn has_entries(folder: &Path) -> bool {
    fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
}
