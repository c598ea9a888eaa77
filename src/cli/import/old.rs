//! The settings in `config.cfg` of acme-dns 1.x and 2.x, and of acme-dns-rust, that matter here.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Table;

use crate::cli::error::{CliError, Result};
use crate::model::name::{NameError, ZoneName};

/// The whole file. Absent keys have Go's zero values: empty, or false.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Old {
    pub general: General,
    pub database: Database,
    pub api: OldApi,
    pub logconfig: LogConfig,
    #[serde(flatten)]
    pub others: Table,
}

/// `[general]`
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct General {
    pub listen: String,
    pub protocol: String,
    pub domain: String,
    pub nsname: String,
    pub nsadmin: String,
    pub records: Vec<String>,
    /// Messages of CORS alone.
    pub debug: bool,
    #[serde(flatten)]
    pub others: Table,
}

/// `[database]`
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Database {
    pub engine: String,
    pub connection: String,
    #[serde(flatten)]
    pub others: Table,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").field("engine", &self.engine).finish_non_exhaustive()
    }
}

/// `[api]`
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
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
    #[serde(flatten)]
    pub others: Table,
}

/// `[logconfig]`
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct LogConfig {
    pub loglevel: String,
    pub logtype: String,
    pub logformat: String,
    #[serde(flatten)]
    pub others: Table,
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
const SILENT: [&str; 6] =
    ["api_domain", "autocert_port", "hsts_max_age", "hsts_include_subdomains", "hsts_preload", "logfile"];

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
                "cannot read acme-dns's configuration {}: {error}; name it with --config",
                path.display()
            ))
        })?;
        let old: Self = toml::from_str(&text).map_err(|error| {
            let line = error.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
            CliError::Usage(format!("{}:{line}: {}", path.display(), error.message()))
        })?;
        match old.general.domain.is_empty() {
            true => Err(wrong(path, "general.domain", &"there is none; is this acme-dns's configuration?")),
            false => Ok(old),
        }
    }

    /// The keys that acme-dns does not know.
    pub fn unknown(&self) -> impl Iterator<Item = String> {
        let tables = [
            ("", &self.others),
            ("general.", &self.general.others),
            ("database.", &self.database.others),
            ("api.", &self.api.others),
            ("logconfig.", &self.logconfig.others),
        ];
        tables.into_iter().flat_map(|(prefix, table)| {
            let known = |key: &&String| !SILENT.contains(&key.as_str());
            table.keys().filter(known).map(move |key| format!("{prefix}{key}"))
        })
    }
}
