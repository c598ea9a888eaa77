//! The settings of the hook: from flags, the environment and `hook.toml`, in this order.

use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use serde::Deserialize;

use crate::model::account::AllowFrom;
use crate::model::time::Span;

use super::error::HookError;
use super::url::ServerUrl;

type Result<T> = std::result::Result<T, HookError>;

/// The settings of one source.
#[derive(Debug, Default, Args, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Given {
    /// The API's address, like https://auth.example.org [env: TXTGATE_SERVER]
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// The account file, JSON by domain as lego's [env: TXTGATE_ACCOUNTS; default: accounts.json beside hook.toml]
    #[arg(long, value_name = "FILE")]
    accounts: Option<PathBuf>,
    /// A file of more certificate authorities to trust, PEM [env: TXTGATE_CA]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// A file with the secret to register with [env: the secret itself in TXTGATE_REGISTRATION_SECRET]
    #[arg(long, value_name = "FILE")]
    registration_secret_file: Option<PathBuf>,
    // Not a flag: every user of the machine can read flags.
    #[arg(skip)]
    registration_secret: Option<String>,
    /// A network that new accounts are limited to; may be repeated [env: TXTGATE_ALLOWFROM, with commas]
    #[arg(long, value_name = "CIDR")]
    allowfrom: Option<Vec<String>>,
    /// `served`: until every nameserver of the delegation serves the value, as the server finds out; or how long to wait
    /// until the resolver sees it, like 10m [env: TXTGATE_WAIT; default: not at all]
    #[arg(long, value_name = "served|TIME")]
    wait: Option<String>,
    /// The resolver to ask, address or address:port [env: TXTGATE_RESOLVER; default: the system's]
    #[arg(long, value_name = "ADDRESS")]
    resolver: Option<String>,
    /// Use plain HTTP to other machines, where others can read the keys [env: TXTGATE_ALLOW_HTTP=true]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    allow_http: Option<bool>,
}

/// All settings.
#[derive(Debug)]
pub struct Settings {
    /// The server for registrations, and for accounts that name none.
    pub server: Option<ServerUrl>,
    /// The account file.
    pub accounts: PathBuf,
    /// More certificate authorities.
    pub ca: Option<PathBuf>,
    /// The secret for registrations.
    pub registration_secret: Option<Secret>,
    /// The networks of new accounts.
    pub allow_from: AllowFrom,
    /// What to wait for after publishing.
    pub wait: Option<HookWait>,
    /// The resolver to ask; `None` for the system's.
    pub resolver: Option<SocketAddr>,
    /// Whether plain HTTP may leave the machine.
    pub allow_http: bool,
    /// The settings file, for messages.
    pub file: PathBuf,
}

/// What the hook waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookWait {
    /// Every nameserver of the delegation serves the value; the server asks them, for as long as its own limit.
    Served,
    /// The resolver sees the value, for this time at most.
    Seen(Duration),
}

impl FromStr for HookWait {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "served" => Ok(Self::Served),
            _ => match text.parse() {
                Ok(Span(wait)) => Ok(Self::Seen(wait)),
                Err(error) => Err(format!("{error}, or write `served`")),
            },
        }
    }
}

/// A registration secret.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// The secret, for the one header that shows it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

impl Settings {
    /// Merges flags, environment and file. A `file` that is named has to exist.
    pub fn read(flags: Given, file: Option<&Path>, environment: impl Fn(&str) -> Option<String>) -> Result<Self> {
        if flags.server.as_ref().is_some_and(|url| url.contains('@')) {
            let problem = "every user of this machine can read a password in arguments; write it into hook.toml, or \
                           set TXTGATE_SERVER";
            return Err(wrong("--server", problem));
        }
        let candidates = default_files(&environment);
        let named = file.map(Path::to_owned);
        let path = named.or_else(|| candidates.iter().find(|path| path.exists()).cloned());
        let written = path.as_deref().map(Given::of_file).transpose()?.unwrap_or_default();
        // No file exists and none is named: messages name the first default path.
        let file = path.or_else(|| candidates.first().cloned()).unwrap_or_default();
        flags.or(Given::of_environment(&environment)?).or(written).parsed(file)
    }
}

/// `hook.toml` in the user's own configuration, then the machine's; for root the machine's alone.
fn default_files(environment: impl Fn(&str) -> Option<String>) -> Vec<PathBuf> {
    let home = environment("HOME").map(|home| Path::new(&home).join(".config"));
    let own = environment("XDG_CONFIG_HOME").map(PathBuf::from).or(home);
    let own = own.filter(|folder| folder.is_absolute() && !rustix::process::geteuid().is_root());
    own.into_iter().chain(["/etc".into()]).map(|folder| folder.join("txtgate/hook.toml")).collect()
}

fn wrong(place: impl Into<String>, problem: impl ToString) -> HookError {
    HookError::Setting { place: place.into(), problem: problem.to_string() }
}

impl Given {
    fn of_file(path: &Path) -> Result<Self> {
        let failed = |source| HookError::File { what: "read", path: path.to_owned(), source };
        let text = std::fs::read_to_string(path).map_err(failed)?;
        let mut given: Self = toml::from_str(&text).map_err(|error| {
            let line = error.span().map_or(1, |span| 1 + text[..span.start].matches('\n').count());
            wrong(format!("{}:{line}", path.display()), error.message())
        })?;
        let mode = std::fs::metadata(path).map_err(failed)?.permissions().mode();
        let has_secret = given.registration_secret.is_some() || given.server.as_ref().is_some_and(|s| s.contains('@'));
        if has_secret && mode & 0o007 != 0 {
            let problem = "it holds a secret that everybody on this machine can read; run `chmod o=` on it";
            return Err(wrong(path.display().to_string(), problem));
        }
        // Paths are relative to the file's folder, as in config.toml.
        let folder = crate::file::folder_of(path);
        for path in [&mut given.accounts, &mut given.ca, &mut given.registration_secret_file].into_iter().flatten() {
            *path = folder.join(&path);
        }
        Ok(given)
    }

    fn of_environment(environment: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let text = |name: &str| environment(name).filter(|text| !text.is_empty());
        let allow_http = text("TXTGATE_ALLOW_HTTP").map(|text| text.parse()).transpose();
        Ok(Self {
            server: text("TXTGATE_SERVER"),
            accounts: text("TXTGATE_ACCOUNTS").map(PathBuf::from),
            ca: text("TXTGATE_CA").map(PathBuf::from),
            registration_secret_file: None,
            registration_secret: text("TXTGATE_REGISTRATION_SECRET"),
            allowfrom: text("TXTGATE_ALLOWFROM").map(|text| text.split(',').map(|t| t.trim().to_owned()).collect()),
            wait: text("TXTGATE_WAIT"),
            resolver: text("TXTGATE_RESOLVER"),
            allow_http: allow_http.map_err(|_| wrong("TXTGATE_ALLOW_HTTP", "write `true` or `false`"))?,
        })
    }

    /// The settings of this source, completed by those of `other`.
    fn or(self, other: Self) -> Self {
        // A secret and a file with a secret are two forms of one setting: the nearer source decides.
        let has_own = self.registration_secret.is_some() || self.registration_secret_file.is_some();
        let (secret, secret_file) = if has_own {
            (self.registration_secret, self.registration_secret_file)
        } else {
            (other.registration_secret, other.registration_secret_file)
        };
        Self {
            server: self.server.or(other.server),
            accounts: self.accounts.or(other.accounts),
            ca: self.ca.or(other.ca),
            registration_secret_file: secret_file,
            registration_secret: secret,
            allowfrom: self.allowfrom.or(other.allowfrom),
            wait: self.wait.or(other.wait),
            resolver: self.resolver.or(other.resolver),
            allow_http: self.allow_http.or(other.allow_http),
        }
    }

    fn parsed(self, file: PathBuf) -> Result<Settings> {
        let allow_http = self.allow_http.unwrap_or(false);
        let networks = self.allowfrom.unwrap_or_default();
        let wait = self.wait.map(|text| text.parse()).transpose().map_err(|error| wrong("wait", error))?;
        Ok(Settings {
            server: self.server.map(|url| ServerUrl::parse(&url, allow_http)).transpose()?,
            accounts: self.accounts.unwrap_or_else(|| file.with_file_name("accounts.json")),
            ca: self.ca,
            registration_secret: secret_of(self.registration_secret, self.registration_secret_file)?,
            allow_from: AllowFrom::parse(&networks).map_err(|error| wrong("allowfrom", error))?,
            wait,
            resolver: self.resolver.as_deref().map(resolver_of).transpose()?,
            allow_http,
            file,
        })
    }
}

fn secret_of(secret: Option<String>, file: Option<PathBuf>) -> Result<Option<Secret>> {
    let text = match (secret, file) {
        (None, None) => return Ok(None),
        (Some(secret), _) => secret,
        (None, Some(path)) => std::fs::read_to_string(&path)
            .map_err(|source| HookError::File { what: "read", path, source })?
            .trim()
            .to_owned(),
    };
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(wrong("registration secret", "it is empty, or not of printable ASCII characters alone"));
    }
    Ok(Some(Secret(text)))
}

fn resolver_of(text: &str) -> Result<SocketAddr> {
    let address = text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53)).or_else(|_| text.parse());
    address.map_err(|_| {
        wrong("resolver", format!("write an address like 192.0.2.53 or [2001:db8::53]:53; found {text:?}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Settings of a `hook.toml` with this text and mode, and of flags.
    fn settings(text: &str, mode: u32, flags: Given, environment: &[(&str, &str)]) -> Result<Settings> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hook.toml");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let found = |name: &str| environment.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Settings::read(flags, Some(&path), found)
    }

    #[test]
    fn flags_come_before_the_environment_and_that_before_the_file() {
        let text = "server = \"https://file.test\"\naccounts = \"a.json\"\nwait = \"1m\"\nallowfrom = [\"192.0.2.0/24\"]\n\
                    registration-secret-file = \"no-such-file\"\n";
        let environment = [("TXTGATE_SERVER", "https://environment.test"), ("TXTGATE_WAIT", "2m")];
        let more = [environment[0], environment[1], ("TXTGATE_REGISTRATION_SECRET", "s")];
        let flags = Given { wait: Some("3m".into()), ..Given::default() };
        let read = settings(text, 0o644, flags, &more).unwrap();
        assert_eq!(read.server.unwrap().to_string(), "https://environment.test");
        assert_eq!(read.accounts, read.file.with_file_name("a.json"));
        assert_eq!(read.wait, Some(HookWait::Seen(Duration::from_secs(180))));
        assert_eq!(read.allow_from.networks().len(), 1);
        // The file's way to the secret does not come before the environment's secret.
        assert_eq!(read.registration_secret.unwrap().reveal(), "s");
    }

    #[test]
    fn a_mistake_is_named_with_its_place() {
        for (text, place) in [
            ("server = \"auth.test\"", "server: "),
            ("\nservr = \"x\"", "hook.toml:2: "),
            ("wait = \"1 day\"", "wait: "),
            ("resolver = \"dns.test\"", "resolver: "),
            ("allowfrom = [\"192.0.2.1\"]", "allowfrom: "),
            ("registration-secret = \"\"", "registration secret: "),
        ] {
            let error = settings(text, 0o600, Given::default(), &[]).unwrap_err();
            assert!(error.to_string().contains(place) && error.exit_code() == 2, "{text}: {error}");
        }
        let missing = Settings::read(Given::default(), Some(Path::new("/no/such/hook.toml")), |_| None);
        assert!(matches!(missing, Err(HookError::File { .. })));
    }

    #[test]
    fn secrets_are_not_for_everybody_to_read() {
        for text in ["registration-secret = \"hush\"", "server = \"https://a:hush@auth.test\""] {
            assert!(settings(text, 0o640, Given::default(), &[]).is_ok());
            let error = settings(text, 0o644, Given::default(), &[]).unwrap_err().to_string();
            assert!(error.contains("chmod") && !error.contains("hush"), "{error}");
        }
        let flags = Given { server: Some("https://a:hush@auth.test".into()), ..Given::default() };
        let error = settings("", 0o600, flags, &[]).unwrap_err().to_string();
        assert!(error.contains("TXTGATE_SERVER") && !error.contains("hush"), "{error}");
        let read = settings("registration-secret = \"hush\"", 0o600, Given::default(), &[]).unwrap();
        assert!(!format!("{read:?}").contains("hush"));
    }

    #[test]
    fn a_resolver_may_have_a_port() {
        for (text, address) in
            [("192.0.2.53", "192.0.2.53:53"), ("[2001:db8::1]:5", "[2001:db8::1]:5"), ("::1", "[::1]:53")]
        {
            assert_eq!(resolver_of(text).unwrap(), address.parse().unwrap());
        }
    }
}
