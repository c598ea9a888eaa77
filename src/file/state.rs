//! Files of the daemon's state folder, for its user alone: read only if they are private, written whole, and every
//! error names its path.

use std::fmt;
use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use super::{Unread, Unusable};

/// Why a file or folder cannot be used.
#[derive(Debug, Clone, Error)]
pub enum FileError {
    #[error("the file {} is damaged: {problem}", path.display())]
    Damaged { path: PathBuf, problem: String },
    #[error("others can read {} (mode {mode:o})", path.display())]
    NotPrivate { path: PathBuf, mode: u32 },
    #[error("cannot use {}", Unusable(path, source))]
    Io { path: PathBuf, source: Arc<io::Error> },
    #[error("file access was interrupted: {0}")]
    Interrupted(String),
}

impl FileError {
    /// An input or output error of a file or folder.
    pub fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_owned(), source: source.into() }
    }

    /// The file holds something else than the daemon has written.
    pub fn damaged(path: &Path, problem: impl fmt::Display) -> Self {
        Self::Damaged { path: path.to_owned(), problem: problem.to_string() }
    }

    /// What the operator can do; empty where the error itself says it.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Damaged { .. } => "restore it from a backup, or move it away to start afresh",
            Self::NotPrivate { .. } => "run `chmod 600` on it",
            Self::Io { .. } | Self::Interrupted(_) => "",
        }
    }
}

/// Creates a folder with mode 0700, and its missing parents.
pub fn create_private_folder(folder: &Path) -> Result<(), FileError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|source| FileError::io(folder, source))
}

/// Reads a file that nobody but its owner may read; `None` if there is none.
pub fn read_private(path: &Path) -> Result<Option<String>, FileError> {
    super::private_text(path).map_err(|unread| match unread {
        Unread::NotPrivate(mode) => FileError::NotPrivate { path: path.to_owned(), mode },
        Unread::File(source) => FileError::io(path, source),
    })
}

/// Reads a private TOML file; `None` if there is none.
pub fn read_toml<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, FileError> {
    let Some(text) = read_private(path)? else { return Ok(None) };
    // The parser's message alone: its whole error quotes the line, which may hold a secret.
    toml::from_str(&text).map(Some).map_err(|error| FileError::damaged(path, error.message()))
}

/// Replaces a file in one step, fsync included.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    super::replace(path, bytes).map_err(|source| FileError::io(path, source))
}

/// Replaces a TOML file in one step, fsync included.
pub fn write_toml(path: &Path, content: &impl Serialize) -> Result<(), FileError> {
    let text = toml::to_string(content).map_err(|error| FileError::io(path, io::Error::other(error)))?;
    write(path, text.as_bytes())
}

/// Turns "there is none" into success, for something that is to be removed.
pub fn removed(path: &Path, outcome: io::Result<()>) -> Result<(), FileError> {
    match outcome {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(FileError::io(path, error)),
        _ => Ok(()),
    }
}

/// Deletes a file, if there is one.
pub fn remove_file(path: &Path) -> Result<(), FileError> {
    removed(path, fs::remove_file(path))
}

/// Runs work with files on a thread that may block.
pub async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, E>
where
    T: Send + 'static,
    E: From<FileError> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(error) => Err(FileError::Interrupted(error.to_string()).into()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn toml_survives_its_file_and_damage_is_told_without_the_text() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        create_private_folder(&state).unwrap();
        assert_eq!(fs::metadata(&state).unwrap().permissions().mode() & 0o7777, 0o700);
        let path = state.join("a.toml");
        assert!(read_toml::<BTreeMap<String, String>>(&path).unwrap().is_none());
        let content = BTreeMap::from([("key".to_owned(), "secret".to_owned())]);
        write_toml(&path, &content).unwrap();
        assert_eq!(read_toml(&path).unwrap(), Some(content));
        write(&path, b"key = secret").unwrap();
        let said = read_toml::<BTreeMap<String, String>>(&path).unwrap_err();
        assert!(matches!(said, FileError::Damaged { .. }) && !said.to_string().contains("secret"), "{said}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(read_private(&path), Err(FileError::NotPrivate { mode: 0o644, .. })));
        remove_file(&path).unwrap();
        remove_file(&path).unwrap();
    }

    #[tokio::test]
    async fn a_panic_in_blocking_work_is_an_error() {
        let outcome = blocking(|| if true { panic!("lost") } else { Ok::<(), FileError>(()) }).await;
        assert!(matches!(outcome, Err(FileError::Interrupted(_))), "{outcome:?}");
    }
}
