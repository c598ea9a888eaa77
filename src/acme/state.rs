//! What must survive a crash: the account's keys and address, in a private file that is replaced whole.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::file::{self, Unread};
use crate::model::url::Url;

use super::error::{AcmeError, Result};
use super::key::Key;

const HEAD: &str = "\
# An account with a certificate authority. Whoever reads this file can act as that account: order and revoke
# certificates. Written by txtgate; keep a copy in a safe place.

";

/// An account as its file says it: one file for each CA.
#[derive(Clone, Debug)]
pub struct AccountFile {
    /// Where it is.
    pub path: PathBuf,
    /// The CA.
    pub directory: Url,
    /// The account's address; `None` until the CA has told it.
    pub url: Option<Url>,
    /// The key that the CA knows, or is about to.
    pub key: Arc<Key>,
    /// The key that the CA has been asked to take in its place, and may have.
    pub next_key: Option<Arc<Key>>,
    /// Whether the key has just been made, so that no CA can know it.
    pub is_new: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Text {
    directory: Url,
    url: Option<Url>,
    key: String,
    next_key: Option<String>,
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({}, redacted)", self.directory)
    }
}

impl AccountFile {
    /// The file of our account with a CA, in the state folder. Where there is none, a new one with a new key: it is on
    /// disk before the CA sees the key.
    pub fn open(state: &Path, directory: &Url) -> Result<Self> {
        private_folder(state)?;
        let path = state.join(format!("account-{}.toml", slug(directory)));
        match private_text(&path)? {
            Some(text) => Self::parse(path, &text, directory),
            None => {
                let key = Arc::new(Key::generate()?);
                let new = Self { path, directory: directory.clone(), url: None, key, next_key: None, is_new: true };
                new.save()?;
                Ok(new)
            }
        }
    }

    fn parse(path: PathBuf, text: &str, directory: &Url) -> Result<Self> {
        let damaged = |problem: String| AcmeError::Damaged { path: path.clone(), problem };
        // Not the parser's own words: they quote the line, and the line may be the key.
        let text: Text = toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| text[..span.start].matches('\n').count() + 1);
            damaged(format!("line {at} is not as txtgate wrote it"))
        })?;
        if text.directory != *directory {
            return Err(damaged(format!("it is of {}, not of {directory}", text.directory)));
        }
        let key = |text: &String| {
            let pkcs8 = STANDARD.decode(text).map_err(|_| damaged("a key is no base64".into()))?;
            Key::from_pkcs8(&pkcs8).map(Arc::new).map_err(|error| damaged(error.to_string()))
        };
        let (key, next_key) = (key(&text.key)?, text.next_key.as_ref().map(key).transpose()?);
        Ok(Self { directory: text.directory, url: text.url, key, next_key, path, is_new: false })
    }

    /// Writes it in one step, fsync included. Blocks.
    pub fn save(&self) -> Result<()> {
        let key = |key: &Key| STANDARD.encode(key.reveal_pkcs8());
        let text = Text {
            directory: self.directory.clone(),
            url: self.url.clone(),
            key: key(&self.key),
            next_key: self.next_key.as_deref().map(key),
        };
        let text = toml::to_string(&text).map_err(|error| failed(&self.path, io::Error::other(error)))?;
        file::replace(&self.path, format!("{HEAD}{text}").as_bytes()).map_err(|source| failed(&self.path, source))
    }
}

/// `https://acme.example.com:14000/dir` reads `acme.example.com_14000_dir`.
fn slug(directory: &Url) -> String {
    let text = directory.as_str();
    let text = text.split_once("://").map_or(text, |(_, rest)| rest);
    text.chars().take(150).map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-') { c } else { '_' }).collect()
}

/// Makes the state folder where it is not there, for nobody else to read.
pub fn private_folder(folder: &Path) -> Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|source| failed(folder, source))
}

/// What the name of a folder begins with that is being removed.
pub const LEAVING: &str = ".leaving-";

/// Removes what a crash has left in the state folder, and in those of its certificates, beside the files that were being
/// replaced: it holds keys. To be called before anything writes there.
pub fn tidy(folder: &Path) {
    let certificates = entries(&folder.join("certificates"));
    for path in certificates.filter(|path| named(path).starts_with(LEAVING)) {
        // What stays, here and below, is no harm to anybody but the owner.
        _ = fs::remove_dir_all(path);
    }
    let folders = std::iter::once(folder.to_owned()).chain(entries(&folder.join("certificates")));
    for path in folders.flat_map(|folder| entries(&folder)).filter(|path| named(path).contains(file::UNFINISHED)) {
        _ = fs::remove_file(path);
    }
}

/// What is in a folder. Without it, or without leave to read it, nothing: whoever needs it will say so.
fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

fn named(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// A file's text, of a file that nobody else may read; `None` where there is none.
pub fn private_text(path: &Path) -> Result<Option<String>> {
    file::private_text(path).map_err(|error| match error {
        Unread::NotPrivate(mode) => AcmeError::NotPrivate { path: path.to_owned(), mode },
        Unread::File(source) => failed(path, source),
    })
}

/// An error of a file.
pub fn failed(path: &Path, source: io::Error) -> AcmeError {
    AcmeError::File { path: path.to_owned(), source: source.into() }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn an_account_survives_its_file_which_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("acme");
        let directory: Url = "https://acme.test:14000/dir?x".parse().unwrap();
        let mut account = AccountFile::open(&state, &directory).unwrap();
        assert_eq!(account.path.file_name().unwrap(), "account-acme.test_14000_dir_x.toml");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
        assert_eq!((mode(&state), mode(&account.path)), (0o700, 0o600));
        account.url = Some("https://acme.test/account/1".parse().unwrap());
        account.next_key = Some(Arc::new(Key::generate().unwrap()));
        account.save().unwrap();
        let read = AccountFile::open(&state, &directory).unwrap();
        let thumbprint = |account: &AccountFile| account.next_key.as_ref().map(|key| key.thumbprint());
        assert_eq!((read.key.thumbprint(), &read.url), (account.key.thumbprint(), &account.url));
        assert_eq!(thumbprint(&read), thumbprint(&account));
        let text = fs::read_to_string(&read.path).unwrap();
        let secret = STANDARD.encode(account.key.reveal_pkcs8());
        assert!(text.contains(&secret) && !format!("{read:?}").contains(&secret[60..80]));
    }

    #[test]
    fn keys_that_a_crash_has_left_in_a_certificates_folder_go_too() {
        let folder = tempfile::tempdir().unwrap();
        let (state, one) = (folder.path(), folder.path().join("certificates/a.test"));
        fs::create_dir_all(&one).unwrap();
        fs::create_dir_all(state.join("certificates/.leaving-b.test")).unwrap();
        let kept = [state.join("api.pem"), one.join("pending.toml")];
        let left = [state.join("api.pem.new-1"), one.join("pending.toml.new-2")];
        let left =
            left.into_iter().chain([state.join("certificates/.leaving-b.test/pending.toml")]).collect::<Vec<_>>();
        kept.iter().chain(&left).for_each(|path| fs::write(path, "key").unwrap());
        tidy(state);
        assert!(kept.iter().all(|path| path.exists()));
        assert!(left.iter().all(|path| !path.exists()), "{left:?}");
    }

    #[test]
    fn damage_and_lent_files_are_errors_and_never_a_new_account() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two): (Url, Url) = ("https://a.test/d".parse().unwrap(), "https://a.test/d?".parse().unwrap());
        let account = AccountFile::open(folder.path(), &one).unwrap();
        let text = fs::read_to_string(&account.path).unwrap();
        let damaged = || matches!(AccountFile::open(folder.path(), &one), Err(AcmeError::Damaged { .. }));
        for bad in ["", &text[..text.len() - 20], &text.replace("key = \"", "key = \"%")] {
            fs::write(&account.path, bad).unwrap();
            assert!(damaged(), "{bad}");
        }
        fs::write(&account.path, &text).unwrap();
        fs::rename(&account.path, folder.path().join("account-a.test_d_.toml")).unwrap();
        assert!(AccountFile::open(folder.path(), &two).is_err(), "another CA's account under this one's name");
        let account = AccountFile::open(folder.path(), &one).unwrap();
        fs::set_permissions(&account.path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(AccountFile::open(folder.path(), &one), Err(AcmeError::NotPrivate { mode: 0o640, .. })));
    }
}
