//! The account file: JSON by domain without `*.`, in the form of lego, goacmedns, acme-dns's own hook and certbot's
//! plugin. Unknown entries and keys stay as they are.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use crate::file;
use crate::model::name::Name;
use crate::model::secret::ApiKey;

use super::call::HookTarget;
use super::error::HookError;
use super::url::ServerUrl;

/// How long to wait for another hook that registers an account, which a slow server can delay.
const LOCK: Duration = Duration::from_secs(180);
const BETWEEN: Duration = Duration::from_millis(20);

type Result<T> = std::result::Result<T, HookError>;

/// An account of the file. Username and subdomain are sent to the server as it gave them.
#[derive(Debug, Clone)]
pub struct HookAccount {
    pub username: String,
    pub key: ApiKey,
    pub subdomain: String,
    /// The target of the CNAME.
    pub fulldomain: Name,
    /// The server where the account was registered, if the file says so.
    pub server: Option<String>,
}

/// An account file.
#[derive(Debug)]
pub struct AccountFile(PathBuf);

/// An account file that may be written. Other hooks wait until this is dropped.
#[derive(Debug)]
pub struct Locked<'a> {
    file: &'a AccountFile,
    _lock: File,
}

impl AccountFile {
    pub fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The account for a target, if there is one.
    pub fn find(&self, target: &HookTarget) -> Result<Option<HookAccount>> {
        let entries = self.read()?;
        let found = match target {
            HookTarget::Domain(domain) => entries.iter().find(|(key, _)| is_name(key, domain)),
            HookTarget::Fulldomain(name) => {
                let fulldomain = |entry: &Value| entry["fulldomain"].as_str().is_some_and(|text| is_name(text, name));
                entries.iter().find(|(_, entry)| fulldomain(entry))
            }
        };
        found
            .map(|(domain, entry)| account(entry).map_err(|problem| self.wrong(format!("{domain}: {problem}"))))
            .transpose()
    }

    /// Waits until no other hook writes. Creates the folder if it is missing.
    pub fn lock(&self) -> Result<Locked<'_>> {
        let folder = file::folder_of(&self.0);
        let failed = |what, path: &Path, source| HookError::File { what, path: path.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|e| failed("make", folder, e))?;
        let mut path = self.0.clone().into_os_string();
        path.push(".lock");
        let path = PathBuf::from(path);
        let opened = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let lock = opened.map_err(|source| failed("open", &path, source))?;
        let start = Instant::now();
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(Locked { file: self, _lock: lock }),
                Err(TryLockError::WouldBlock) if start.elapsed() < LOCK => std::thread::sleep(BETWEEN),
                Err(TryLockError::WouldBlock) => {
                    return Err(HookError::Locked { path: self.0.clone(), seconds: LOCK.as_secs() });
                }
                Err(TryLockError::Error(source)) => return Err(failed("lock", &path, source)),
            }
        }
    }

    fn read(&self) -> Result<Map<String, Value>> {
        let failed = |source| HookError::File { what: "read", path: self.0.clone(), source };
        let text = match std::fs::read_to_string(&self.0) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Map::new()),
            Err(error) => return Err(failed(error)),
        };
        let mode = std::fs::metadata(&self.0).map_err(failed)?.permissions().mode();
        if mode & 0o007 != 0 {
            return Err(self.wrong("everybody on this machine can read the keys in it; run `chmod o=` on it".into()));
        }
        if text.trim().is_empty() {
            return Ok(Map::new());
        }
        let entries: Map<String, Value> = serde_json::from_str(&text)
            .map_err(|error| self.wrong(format!("no JSON object of accounts by domain: {error}")))?;
        if entries.get("username").is_some_and(Value::is_string) {
            let problem = "this is one registration; write it as {\"example.com\": {...}}, under its domain";
            return Err(self.wrong(problem.into()));
        }
        Ok(entries)
    }

    fn wrong(&self, problem: String) -> HookError {
        HookError::Accounts { path: self.0.clone(), problem }
    }
}

impl Locked<'_> {
    /// Adds an account as its server gave it, and returns the parsed account.
    pub fn insert(&self, domain: &Name, mut reply: Map<String, Value>, server: &ServerUrl) -> Result<HookAccount> {
        reply.insert("server_url".into(), server.stored().into());
        let entry = Value::Object(reply);
        let added = account(&entry)
            .map_err(|problem| HookError::Unreadable { server: server.to_string(), problem: problem.to_owned() })?;
        let mut entries = self.file.read()?;
        entries.insert(domain.to_string(), entry);
        let text = format!("{:#}\n", Value::Object(entries));
        file::replace(&self.file.0, text.as_bytes()).map_err(|source| HookError::File {
            what: "write",
            path: self.file.0.clone(),
            source,
        })?;
        Ok(added)
    }
}

/// Whether a text is this name, in any case, with or without a closing dot.
fn is_name(text: &str, name: &Name) -> bool {
    text.parse::<Name>().is_ok_and(|parsed| parsed == *name)
}

/// Parses an entry. The error does not repeat its content, which holds a key.
fn account(entry: &Value) -> std::result::Result<HookAccount, &'static str> {
    let text = |key: &str| entry[key].as_str().filter(|text| !text.is_empty());
    let header = |text: &&str| text.bytes().all(|byte| byte.is_ascii_graphic());
    Ok(HookAccount {
        username: text("username").filter(header).ok_or("`username` is missing or unreadable")?.to_owned(),
        key: text("password").and_then(|key| key.parse().ok()).ok_or("`password` is not a key of 40 characters")?,
        subdomain: text("subdomain").ok_or("`subdomain` is missing")?.to_owned(),
        fulldomain: text("fulldomain").and_then(|name| name.parse().ok()).ok_or("`fulldomain` is not a name")?,
        server: text("server_url").map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn target(domain: &str) -> HookTarget {
        HookTarget::Domain(domain.parse().unwrap())
    }

    fn entry(label: &str) -> Map<String, Value> {
        let (key, fulldomain) = ("k".repeat(40), format!("{label}.auth.test"));
        let entry =
            json!({"username": label, "password": key, "subdomain": label, "fulldomain": fulldomain, "allowfrom": []});
        entry.as_object().unwrap().clone()
    }

    fn file_with(text: &str) -> (tempfile::TempDir, AccountFile) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("accounts.json");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        (folder, AccountFile::at(&path))
    }

    #[test]
    fn files_of_other_clients_are_read() {
        let lego = format!(
            r#"{{"Example.com":{{"fulldomain":"s.auth.test.","subdomain":"s","username":"u","password":"{}","server_url":""}}}}"#,
            "k".repeat(40)
        );
        let (_folder, file) = file_with(&lego);
        let account = file.find(&target("example.com")).unwrap().unwrap();
        assert_eq!((account.subdomain.as_str(), account.server), ("s", None));
        assert!(file.find(&HookTarget::Fulldomain("S.auth.test".parse().unwrap())).unwrap().is_some());
        assert!(file.find(&target("example.org")).unwrap().is_none());
        assert!(file.find(&target("www.example.com")).unwrap().is_none());
    }

    #[test]
    fn what_is_added_leaves_the_rest_as_it_was() {
        let (folder, file) = file_with(r#"{"a.test": {"x": 1, "username": "of somebody"}}"#);
        let server = ServerUrl::parse("https://user:pass@auth.test/p", false).unwrap();
        file.lock().unwrap().insert(&"b.test".parse().unwrap(), entry("b"), &server).unwrap();
        let all: Value = serde_json::from_slice(&std::fs::read(file.path()).unwrap()).unwrap();
        assert_eq!(all["a.test"], json!({"x": 1, "username": "of somebody"}));
        assert_eq!(
            (&all["b.test"]["server_url"], &all["b.test"]["allowfrom"]),
            (&json!("https://auth.test/p"), &json!([]))
        );
        let mut names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["accounts.json", "accounts.json.lock"]);
        assert!(file.find(&target("a.test")).is_err(), "an entry that does not read is an error, not a registration");
    }

    #[test]
    fn a_new_file_is_private_and_its_folder_made() {
        let folder = tempfile::tempdir().unwrap();
        let file = AccountFile::at(&folder.path().join("x/y/accounts.json"));
        assert!(file.find(&target("a.test")).unwrap().is_none());
        let server = ServerUrl::parse("https://auth.test", false).unwrap();
        file.lock().unwrap().insert(&"a.test".parse().unwrap(), entry("a"), &server).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(file.path()), mode(&folder.path().join("x/y"))), (0o600, 0o700));
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(file.find(&target("a.test")).unwrap_err().to_string().contains("chmod"));
    }

    #[test]
    fn nonsense_is_an_error_and_no_error_shows_a_key() {
        let key = "sEcReTkEy".repeat(4) + "====";
        for text in [
            "[]".to_owned(),
            "{".to_owned(),
            format!(r#"{{"username": "u", "password": "{key}"}}"#),
            format!(r#"{{"a.test": {{"username": "u", "password": "{key}", "subdomain": "s", "fulldomain": "s.t"}}}}"#),
            r#"{"a.test": "text"}"#.to_owned(),
        ] {
            let (_folder, file) = file_with(&text);
            let error = file.find(&target("a.test")).unwrap_err().to_string();
            assert!(error.contains("accounts.json") && !error.contains("sEcReT"), "{text}: {error}");
        }
        assert!(file_with("").1.find(&target("a.test")).unwrap().is_none());
    }

    #[test]
    fn writers_at_once_lose_nothing() {
        let (_folder, file) = file_with("{}");
        let server = ServerUrl::parse("https://auth.test", false).unwrap();
        std::thread::scope(|scope| {
            for number in 0..8 {
                let (file, server) = (&file, &server);
                scope.spawn(move || {
                    for round in 0..5 {
                        let label = format!("n{number}-{round}");
                        let domain = format!("{label}.test").parse().unwrap();
                        file.lock().unwrap().insert(&domain, entry(&label), server).unwrap();
                    }
                });
            }
        });
        assert_eq!(file.read().unwrap().len(), 40);
    }
}
