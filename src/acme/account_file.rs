//! The file of an account: its keys and its URL, private to the daemon and replaced as a whole.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::file::state::{self, FileError};
use crate::model::url::Url;

use super::error::{AcmeError, Result};
use super::key::JwsKey;

const HEAD: &str = "\
# An account with a certificate authority. Whoever reads this file can act as that account: order and revoke
# certificates. Written by txtgate; keep a copy in a safe place.

";

/// An account as its file stores it. Each CA has a file of its own.
#[derive(Clone, Debug)]
pub struct StoredAccount {
    /// The path of the file.
    pub path: PathBuf,
    /// The directory URL of the CA.
    pub directory: Url,
    /// The account's URL; `None` until the CA has assigned it.
    pub url: Option<Url>,
    /// The key that the CA knows, or that the next request registers.
    pub key: Arc<JwsKey>,
    /// The successor of `key` in a rollover that has not ended: the CA may know either.
    pub next_key: Option<Arc<JwsKey>>,
    /// Whether the key has just been generated, so that no CA can know it.
    pub is_new: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct AccountToml {
    directory: Url,
    url: Option<Url>,
    key: String,
    next_key: Option<String>,
}

impl fmt::Debug for AccountToml {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccountToml({}, redacted)", self.directory)
    }
}

impl StoredAccount {
    /// Opens the file of the account with a CA, in the state folder. If there is none, generates a key and writes it
    /// to disk before the CA sees it. Blocks.
    pub fn open(state: &Path, directory: &Url) -> Result<Self> {
        state::create_private_folder(state)?;
        if let Some(found) = Self::find(state, directory)? {
            return Ok(found);
        }
        let path = path_of(state, directory);
        let key = Arc::new(JwsKey::generate()?);
        let new = Self { path, directory: directory.clone(), url: None, key, next_key: None, is_new: true };
        new.save()?;
        Ok(new)
    }

    /// Reads the file of the account with a CA; `None` if there is none. Blocks.
    pub fn find(state: &Path, directory: &Url) -> Result<Option<Self>> {
        let path = path_of(state, directory);
        let text = state::read_private(&path)?;
        Ok(text.map(|text| Self::parse(path, &text, directory)).transpose()?)
    }

    fn parse(path: PathBuf, text: &str, directory: &Url) -> std::result::Result<Self, FileError> {
        let parsed: AccountToml = match toml::from_str(text) {
            Ok(parsed) => parsed,
            // Without the parser's own words: they quote the line, and the line may be the key.
            Err(error) => {
                let line = error.span().map_or(0, |span| text[..span.start].matches('\n').count() + 1);
                return Err(FileError::damaged(&path, format!("line {line} is not as txtgate wrote it")));
            }
        };
        if parsed.directory != *directory {
            let problem = format!("it belongs to {}, not to {directory}", parsed.directory);
            return Err(FileError::damaged(&path, problem));
        }
        let key = decode_key(&path, &parsed.key)?;
        let next_key = parsed.next_key.map(|text| decode_key(&path, &text)).transpose()?;
        Ok(Self { directory: parsed.directory, url: parsed.url, key, next_key, path, is_new: false })
    }

    /// Replaces the file in one step, fsync included. Blocks.
    pub fn save(&self) -> Result<()> {
        let content = AccountToml {
            directory: self.directory.clone(),
            url: self.url.clone(),
            key: encode_key(&self.key),
            next_key: self.next_key.as_deref().map(encode_key),
        };
        let text = toml::to_string(&content).map_err(|error| AcmeError::Setup(error.to_string()))?;
        Ok(state::write(&self.path, format!("{HEAD}{text}").as_bytes())?)
    }
}

fn encode_key(key: &JwsKey) -> String {
    STANDARD.encode(key.reveal_pkcs8())
}

fn decode_key(path: &Path, text: &str) -> std::result::Result<Arc<JwsKey>, FileError> {
    let pkcs8 = STANDARD.decode(text).map_err(|_| FileError::damaged(path, "a key is not base64"))?;
    let key = JwsKey::from_pkcs8(&pkcs8).map_err(|error| FileError::damaged(path, error))?;
    Ok(Arc::new(key))
}

fn path_of(state: &Path, directory: &Url) -> PathBuf {
    state.join(format!("account-{}.toml", slug(directory)))
}

/// The CA in a file name: `https://acme.example.com:14000/dir` becomes `acme.example.com_14000_dir`.
fn slug(directory: &Url) -> String {
    let text = directory.as_str();
    let text = text.split_once("://").map_or(text, |(_, rest)| rest);
    text.chars().take(150).map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn an_account_survives_its_file_which_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("acme");
        let directory: Url = "https://acme.test:14000/dir?x".parse().unwrap();
        let mut account = StoredAccount::open(&state, &directory).unwrap();
        assert_eq!(account.path.file_name().unwrap(), "account-acme.test_14000_dir_x.toml");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode(&state), mode(&account.path)), (0o700, 0o600));
        account.url = Some("https://acme.test/account/1".parse().unwrap());
        account.next_key = Some(Arc::new(JwsKey::generate().unwrap()));
        account.save().unwrap();
        let read = StoredAccount::open(&state, &directory).unwrap();
        let thumbprint = |account: &StoredAccount| account.next_key.as_ref().map(|key| key.thumbprint());
        assert_eq!((read.key.thumbprint(), &read.url), (account.key.thumbprint(), &account.url));
        assert_eq!(thumbprint(&read), thumbprint(&account));
        let text = fs::read_to_string(&read.path).unwrap();
        let secret = STANDARD.encode(account.key.reveal_pkcs8());
        assert!(text.contains(&secret) && !format!("{read:?}").contains(&secret[60..80]));
    }

    #[test]
    fn damage_and_lent_files_are_errors_and_never_a_new_account() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two): (Url, Url) = ("https://a.test/d".parse().unwrap(), "https://a.test/d?".parse().unwrap());
        let account = StoredAccount::open(folder.path(), &one).unwrap();
        let text = fs::read_to_string(&account.path).unwrap();
        let damaged =
            || matches!(StoredAccount::open(folder.path(), &one), Err(AcmeError::File(FileError::Damaged { .. })));
        for bad in ["", &text[..text.len() - 20], &text.replace("key = \"", "key = \"%")] {
            fs::write(&account.path, bad).unwrap();
            assert!(damaged(), "{bad}");
        }
        fs::write(&account.path, &text).unwrap();
        fs::rename(&account.path, folder.path().join("account-a.test_d_.toml")).unwrap();
        assert!(StoredAccount::open(folder.path(), &two).is_err(), "another CA's account under this one's name");
        let account = StoredAccount::open(folder.path(), &one).unwrap();
        fs::set_permissions(&account.path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(
            StoredAccount::open(folder.path(), &one),
            Err(AcmeError::File(FileError::NotPrivate { mode: 0o640, .. }))
        ));
    }
}
