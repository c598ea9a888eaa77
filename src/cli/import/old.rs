//! The settings in `config.cfg` of acme-dns 1.x and 2.x, of acme-dns-rust and of forks, that matter here.
//!
//! Read leniently, as Go does: keys in any case, and a number where a text belongs. A value of another kind is named and
//! counts as absent, because no setting may keep the accounts from moving in.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use crate::cli::error::{CliError, Result};
use crate::file::Unusable;
use crate::model::name::{NameError, ZoneName};

/// The whole file. Absent keys have Go's zero values: empty, or false.
#[derive(Debug, Default)]
pub struct Old {
    pub general: General,
    pub database: Database,
    pub api: OldApi,
    pub logconfig: LogConfig,
    /// Keys that mean nothing here.
    pub unknown: Vec<String>,
    /// Keys whose values are of the wrong kind.
    pub unread: Vec<String>,
}

/// `[general]`
#[derive(Debug, Default)]
pub struct General {
    pub listen: String,
    pub protocol: String,
    pub domain: String,
    pub nsname: String,
    pub nsadmin: String,
    pub records: Vec<String>,
}

/// `[database]`
#[derive(Default)]
pub struct Database {
    pub engine: String,
    pub connection: String,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("engine", &self.engine).finish_non_exhaustive()
    }
}

/// `[api]`
#[derive(Debug, Default)]
pub struct OldApi {
    pub ip: String,
    pub port: String,
    pub disable_registration: bool,
    pub tls: String,
    pub tls_cert_privkey: PathBuf,
    pub tls_cert_fullchain: PathBuf,
    pub acme_cache_dir: Option<PathBuf>,
    pub notification_email: String,
    pub corsorigins: Vec<String>,
    pub use_header: bool,
    pub header_name: String,
    pub hsts_enabled: bool,
}

/// `[logconfig]`
#[derive(Debug, Default)]
pub struct LogConfig {
    pub loglevel: String,
    pub logtype: String,
    pub logformat: String,
}

/// A table of the file, from which keys are taken one by one.
struct Section<'a> {
    name: &'static str,
    keys: BTreeMap<String, Value>,
    unread: &'a mut Vec<String>,
}

impl<'a> Section<'a> {
    fn take(file: &mut BTreeMap<String, Value>, name: &'static str, unread: &'a mut Vec<String>) -> Self {
        let keys = match file.remove(name) {
            Some(Value::Table(table)) => lower_case(table),
            Some(_) => {
                unread.push(name.to_owned());
                BTreeMap::new()
            }
            None => BTreeMap::new(),
        };
        Self { name, keys, unread }
    }

    fn text(&mut self, key: &str) -> String {
        match self.keys.remove(key) {
            Some(Value::String(text)) => text,
            Some(Value::Integer(number)) => number.to_string(),
            Some(Value::Boolean(value)) => value.to_string(),
            Some(_) => self.no_use(key),
            None => String::new(),
        }
    }

    fn flag(&mut self, key: &str) -> bool {
        match self.keys.remove(key) {
            Some(Value::Boolean(value)) => value,
            Some(Value::String(text)) => text.eq_ignore_ascii_case("true"),
            Some(Value::Integer(number)) => number != 0,
            Some(_) => self.no_use(key),
            None => false,
        }
    }

    fn list(&mut self, key: &str) -> Vec<String> {
        match self.keys.remove(key) {
            Some(Value::Array(items)) => {
                let texts: Vec<String> = items.iter().filter_map(Value::as_str).map(str::to_owned).collect();
                if texts.len() < items.len() {
                    self.no_use::<()>(key);
                }
                texts
            }
            Some(Value::String(text)) => vec![text],
            Some(_) => self.no_use(key),
            None => Vec::new(),
        }
    }

    fn no_use<T: Default>(&mut self, key: &str) -> T {
        self.unread.push(format!("{}.{key}", self.name));
        T::default()
    }

    /// The keys that nothing has taken.
    fn rest(self) -> Vec<String> {
        let known = |key: &String| !SILENT.contains(&key.as_str());
        self.keys.into_keys().filter(known).map(|key| format!("{}.{key}", self.name)).collect()
    }
}

fn lower_case(table: Table) -> BTreeMap<String, Value> {
    table.into_iter().map(|(key, value)| (key.to_ascii_lowercase(), value)).collect()
}

impl Database {
    /// The file of SQLite, without the parts for drivers: `file:x.db?cache=shared`, `sqlite://x.db`.
    pub fn sqlite_file(&self) -> PathBuf {
        let connection = self.connection.as_str();
        let path = ["sqlite://", "sqlite:", "file:"].iter().find_map(|scheme| connection.strip_prefix(scheme));
        path.unwrap_or(connection).split('?').next().unwrap_or_default().into()
    }
}

/// Keys that mean nothing without another one, or that acme-dns reads and does not use.
const SILENT: [&str; 7] =
    ["api_domain", "autocert_port", "debug", "hsts_max_age", "hsts_include_subdomains", "hsts_preload", "logfile"];

/// Resolves a path of the file. Relative paths start from the folder in which acme-dns is started, which is a guess.
pub fn located(from: &Path, path: &Path) -> PathBuf {
    let beside = from.parent().unwrap_or(Path::new("")).join(path);
    let guesses = [beside.clone(), Path::new("/var/lib/acme-dns").join(path), path.to_owned()];
    let found = guesses.into_iter().find(|path| path.exists()).unwrap_or(beside);
    std::path::absolute(&found).unwrap_or(found)
}

/// The error for a value that cannot be read.
pub fn wrong(from: &Path, key: &str, problem: &dyn std::fmt::Display) -> CliError {
    CliError::Usage(format!("{}: {key}: {problem}", from.display()))
}

impl Old {
    /// The zone that acme-dns serves.
    pub fn zone(&self) -> std::result::Result<ZoneName, NameError> {
        self.general.domain.parse()
    }

    /// The first of acme-dns's default paths that exists.
    pub fn default_path() -> PathBuf {
        let places = ["/etc/acme-dns/config.cfg", "config.cfg"].map(PathBuf::from);
        places.iter().find(|path| path.exists()).unwrap_or(&places[0]).clone()
    }

    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            CliError::Usage(format!(
                "cannot read acme-dns's configuration {}; name it with --config",
                Unusable(path, &error)
            ))
        })?;
        let table: Table = toml::from_str(&text).map_err(|error| {
            let line = error.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
            let quote = text.lines().nth(line - 1).filter(|line| !line.contains("connection")).unwrap_or_default();
            let advice = "acme-dns cannot read that either; correct it, or a copy that --config names";
            CliError::Usage(format!("{}:{line}: {quote:?} is not TOML: {}; {advice}", path.display(), error.message()))
        })?;
        let old = Self::of(table);
        match old.general.domain.is_empty() {
            true => Err(wrong(path, "general.domain", &"there is none; is this acme-dns's configuration?")),
            false => Ok(old),
        }
    }

    fn of(table: Table) -> Self {
        let mut old = Self::default();
        let mut file = lower_case(table);
        let unread = &mut old.unread;
        let mut general = Section::take(&mut file, "general", unread);
        old.general = General {
            listen: general.text("listen"),
            protocol: general.text("protocol").to_ascii_lowercase(),
            domain: general.text("domain"),
            nsname: general.text("nsname"),
            nsadmin: general.text("nsadmin"),
            records: general.list("records"),
        };
        old.unknown.extend(general.rest());
        let mut database = Section::take(&mut file, "database", unread);
        old.database = Database { engine: database.text("engine"), connection: database.text("connection") };
        old.unknown.extend(database.rest());
        let mut api = Section::take(&mut file, "api", unread);
        old.api = OldApi {
            ip: api.text("ip"),
            port: api.text("port"),
            disable_registration: api.flag("disable_registration"),
            tls: api.text("tls"),
            tls_cert_privkey: api.text("tls_cert_privkey").into(),
            tls_cert_fullchain: api.text("tls_cert_fullchain").into(),
            acme_cache_dir: Some(PathBuf::from(api.text("acme_cache_dir"))).filter(|path| !path.as_os_str().is_empty()),
            notification_email: api.text("notification_email"),
            corsorigins: api.list("corsorigins"),
            use_header: api.flag("use_header"),
            header_name: api.text("header_name"),
            hsts_enabled: api.flag("hsts_enabled"),
        };
        old.unknown.extend(api.rest());
        let mut log = Section::take(&mut file, "logconfig", unread);
        old.logconfig = LogConfig {
            loglevel: log.text("loglevel"),
            logtype: log.text("logtype"),
            logformat: log.text("logformat"),
        };
        old.unknown.extend(log.rest());
        old.unknown.extend(file.into_keys());
        old
    }
}
