//! From the file's shape to the daemon's settings: the rules that concern more than the form of one key.

use std::cell::RefCell;
use std::fmt::Display;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::file::Unusable;
use crate::model::time::Span;

use super::environment::Environment;
use super::error::{ConfigError, MOST_MISTAKES, Mistake, Source};
use super::file::Privacy;
use super::tree::{Node, Place};
use super::{Admin, Certificate, Config, Doctor, Log, TlsFiles, Updates, ValueLimits, file, shape, syntax};

impl Config {
    /// Reads and checks a configuration file, and the environment.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse_with(path, &text, &Environment::of_process()),
            Err(source) => Err(ConfigError::Unreadable { path: path.to_owned(), source }),
        }
    }

    /// Checks the text of a configuration, without the environment. Errors name `path`, and relative paths begin in its
    /// folder.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        Self::parse_with(path, text, &Environment::default())
    }

    /// Checks the text of a configuration, over which an environment is laid. The error has all mistakes.
    pub fn parse_with(path: &Path, text: &str, environment: &Environment) -> Result<Self, ConfigError> {
        Self::parse_in_places(path, text, environment).map(|(config, _)| config)
    }

    /// The same, with the places of the keys, for mistakes that show only later.
    pub fn parse_in_places(path: &Path, text: &str, environment: &Environment) -> Result<(Self, Places), ConfigError> {
        let source = Source { path, text };
        let syntax::Read { mut tree, mistakes, is_whole } = syntax::read(text);
        let (variables, notes) = environment.lay_over(&mut tree);
        let (file, shape): (file::File, Vec<Mistake>) = shape::read(&tree);
        let lines = mistakes.iter().filter_map(|mistake| source.line_of(mistake)).collect::<Vec<_>>();
        let is_elsewhere = |mistake: &Mistake| source.line_of(mistake).is_none_or(|line| !lines.contains(&line));
        let more = shape.into_iter().filter(is_elsewhere);
        let mistakes: Vec<Mistake> = mistakes.into_iter().chain(variables).chain(more).collect();
        // What follows a mistake in the syntax may have been read wrongly, and keys may be missing for that reason alone.
        if !is_whole {
            return Err(source.wrong(mistakes));
        }
        let folder = path.parent().unwrap_or(Path::new(""));
        let reader = Reader { source, tree: &tree, folder, mistakes: RefCell::new(mistakes) };
        let config = reader.config(&file, notes);
        let mistakes = reader.mistakes.into_inner();
        match config.filter(|_| mistakes.is_empty()) {
            Some(config) => Ok((config, Places { path: path.to_owned(), text: text.to_owned(), tree })),
            None => Err(source.wrong(mistakes)),
        }
    }
}

/// The places of a configuration's keys.
#[derive(Debug)]
pub struct Places {
    path: PathBuf,
    text: String,
    tree: Node,
}

impl Places {
    /// The error of these keys, as `dns.listen`, and what is wrong with them.
    pub fn wrong(&self, problems: Vec<(String, String)>) -> ConfigError {
        let mut mistakes = Vec::with_capacity(problems.len());
        for (key, problem) in problems {
            let place = Some(self.tree.place_of(&key).clone());
            mistakes.push(Mistake { key, place, problem });
        }
        Source { path: &self.path, text: &self.text }.wrong(mistakes)
    }
}

pub(super) fn addresses(listen: &[file::Listen]) -> Vec<SocketAddr> {
    listen.iter().map(|listen| listen.0).collect()
}

/// Reads one file, and collects its mistakes. A value with a mistake is `None` or its default.
pub(super) struct Reader<'a> {
    source: Source<'a>,
    tree: &'a Node,
    pub(super) folder: &'a Path,
    mistakes: RefCell<Vec<Mistake>>,
}

impl Reader<'_> {
    fn config(&self, file: &file::File, notes: Vec<String>) -> Option<Config> {
        let log = self.log(&file.log);
        let dns = self.dns(file);
        let cookie_secrets = self.cookie_secrets(&file.dns);
        let dnstap = self.dnstap(&file.dnstap, file.querylog.privacy == Privacy::Network);
        let api = self.api(file);
        let admin = self.admin(file);
        let console = self.console(file);
        let acme = self.acme(file);
        let notify = self.notify(&file.notify);
        let values = self.values(&file.values);
        let retire_fetched = self.retire_fetched(file);
        let doctor = self.doctor(&file.doctor);
        let query_log = self.query_log(&file.querylog);
        let resolvers = self.resolvers(&file.resolvers);
        let detours = self.detours(&file.detours);
        let wait_limit = self.timeout("updates.wait-limit", &file.updates.wait_limit);
        let zones = self.zones(&file.zone);
        let catalog = self.catalog(&file.secondaries, &zones);
        let secondaries = self.secondaries(file, &zones, catalog.as_ref());
        let certificates = self.certificates(file);
        Some(Config {
            path: self.source.path.to_owned(),
            notes,
            database: self.folder.join(&file.database),
            admin_socket: self.folder.join(&file.admin_socket),
            log,
            dns,
            cookie_secrets,
            dnstap,
            api,
            admin,
            console,
            acme: acme?,
            metrics: addresses(&file.metrics.listen),
            notify,
            values: values?,
            retire_fetched,
            doctor,
            query_log,
            resolvers,
            detours,
            updates: Updates { wait: file.updates.wait, wait_limit },
            zones,
            secondaries,
            catalog,
            certificates,
        })
    }

    /// Notes a mistake at a key, unless one is known there already, of which this one may be a consequence.
    pub(super) fn wrong(&self, key: &str, problem: impl Into<String>) {
        self.note(key, self.tree.place_of(key).clone(), problem.into());
    }

    /// Notes a mistake in line `line` (from 1) of a text of several lines at `key`.
    pub(super) fn wrong_line(&self, key: &str, line: usize, problem: &str) {
        let place = match self.tree.place_of(key) {
            Place::File(span) => Place::File(self.source.line_within(span, line)),
            other => other.clone(),
        };
        let mistake = Mistake { key: key.into(), place: Some(place), problem: problem.into() };
        let mut mistakes = self.mistakes.borrow_mut();
        if mistakes.len() < MOST_MISTAKES
            && !mistakes.iter().any(|known| known.place == mistake.place && known.problem == mistake.problem)
        {
            mistakes.push(mistake);
        }
    }

    fn note(&self, key: &str, place: Place, problem: String) {
        let mut mistakes = self.mistakes.borrow_mut();
        if mistakes.len() < MOST_MISTAKES && !mistakes.iter().any(|found| may_explain(&found.key, key)) {
            mistakes.push(Mistake { key: key.to_owned(), place: Some(place), problem });
        }
    }

    pub(super) fn has_mistake_at(&self, key: &str) -> bool {
        self.mistakes.borrow().iter().any(|mistake| mistake.key == key)
    }

    /// The value; `None` with a mistake at the key where there is none.
    pub(super) fn take<T>(&self, key: &str, read: Result<T, impl Display>) -> Option<T> {
        read.map_err(|error| self.wrong(key, error.to_string())).ok()
    }

    fn log(&self, log: &file::Log) -> Log {
        if !is_level(&log.level) {
            let problem = format!(
                "write one of error, warn, info, debug, trace, or a list like \"info,txtgate::dns=debug\"; found {:?}",
                log.level
            );
            self.wrong("log.level", problem);
        }
        Log { level: log.level.clone(), format: log.format }
    }

    /// The certificate is that of `[admin]`, else the API's. Without one, a token would cross the network in the clear.
    fn admin(&self, file: &file::File) -> Admin {
        let admin = &file.admin;
        let own = self.tls("admin", admin.certificate.as_ref(), admin.key.as_ref()).map(Certificate::Files);
        let tls = own.or_else(|| self.api_tls(file));
        let outside = admin.listen.iter().position(|listen| !listen.0.ip().to_canonical().is_loopback());
        if let (None, Some(index)) = (&tls, outside) {
            let problem = format!(
                "{} is reached from other machines, and tokens must not cross the network without TLS; add `certificate` \
                 and `key` to [admin] or to [api], or `mode = \"acme\"` to [api.tls], or listen on 127.0.0.1",
                admin.listen[index].0
            );
            self.wrong(&format!("admin.listen.{index}"), problem);
        }
        Admin { listen: addresses(&admin.listen), tls }
    }

    pub(super) fn tls(&self, table: &str, certificate: Option<&PathBuf>, key: Option<&PathBuf>) -> Option<TlsFiles> {
        match (certificate, key) {
            (None, None) => {}
            (Some(certificate), Some(key)) => {
                return Some(TlsFiles { certificate: self.folder.join(certificate), key: self.folder.join(key) });
            }
            (Some(_), None) => {
                self.wrong(&format!("{table}.certificate"), "a certificate needs its private key; add `key`");
            }
            (None, Some(_)) => {
                self.wrong(&format!("{table}.key"), "a key needs its certificate chain; add `certificate`");
            }
        }
        None
    }

    fn values(&self, values: &file::Values) -> Option<ValueLimits> {
        self.in_range("values.max-values", values.max_values as u64, 2, 1_000);
        let lifetime = self.span("values.lifetime", &values.lifetime);
        let newest_lifetime = self.span("values.newest-lifetime", &values.newest_lifetime);
        Some(ValueLimits {
            max: values.max_values,
            lifetime: lifetime?,
            newest_lifetime: newest_lifetime?,
            persist: values.persist,
        })
    }

    fn doctor(&self, doctor: &file::Doctor) -> Doctor {
        let mut resolvers = Vec::new();
        for (index, text) in doctor.resolvers.iter().enumerate() {
            resolvers.extend(self.take(&format!("doctor.resolvers.{index}"), text.parse()));
        }
        Doctor { at_start: doctor.at_start, daily: doctor.daily, resolvers }
    }

    pub(super) fn span(&self, key: &str, text: &str) -> Option<Duration> {
        self.span_between(key, text, "60s", "400d")
    }

    pub(super) fn timeout(&self, key: &str, text: &str) -> Duration {
        self.span_between(key, text, "1s", "5m").unwrap_or_default()
    }

    /// Reads a span of time with bounds, which are spans themselves.
    pub(super) fn span_between(&self, key: &str, text: &str, least: &str, most: &str) -> Option<Duration> {
        let Span(span) = self.take(key, text.parse())?;
        let bound = |text: &str| text.parse::<Span>().map_or(span, |Span(bound)| bound);
        let is_in_range = (bound(least)..=bound(most)).contains(&span);
        if !is_in_range {
            self.wrong(key, format!("found {text:?}; write a time from {least:?} to {most:?}"));
        }
        is_in_range.then_some(span)
    }

    pub(super) fn in_range(&self, key: &str, found: u64, least: u64, most: u64) {
        if !(least..=most).contains(&found) {
            self.wrong(key, format!("must be from {least} to {most}; found {found}"));
        }
    }
}

/// Whether a mistake at one key may be the reason for one at another: at the same key, at a table around it, or at an item
/// of its list.
fn may_explain(found: &str, key: &str) -> bool {
    let is_around = key.strip_prefix(found).is_some_and(|rest| rest.starts_with('.'));
    let is_item = found.rsplit_once('.').is_some_and(|(list, last)| list == key && last.parse::<usize>().is_ok());
    found == key || is_around || is_item
}

/// Whether a text says what to log. One word alone that is not a level would be taken for a module, and the log of everything
/// else would be silent.
fn is_level(text: &str) -> bool {
    let levels = ["error", "warn", "info", "debug", "trace", "off", "txtgate"];
    let is_word = text.chars().all(|c| c.is_ascii_alphanumeric());
    let is_known =
        levels.iter().any(|level| level.eq_ignore_ascii_case(text)) || text.parse::<u8>().is_ok_and(|n| n < 6);
    text.parse::<tracing_subscriber::EnvFilter>().is_ok() && (is_known || !is_word)
}

/// Reads a file, and refuses one that everybody on the machine can read.
pub(super) fn private_text(path: &Path) -> Result<String, String> {
    let unreadable = |error| format!("cannot read {}", Unusable(path, &error));
    let mode = std::fs::metadata(path).map_err(unreadable)?.permissions().mode();
    if mode & 0o004 != 0 {
        let shown = path.display();
        return Err(format!(
            "everybody on this machine can read {shown}; run `chmod o-r` on it, or mount it into a container with mode 0440"
        ));
    }
    std::fs::read_to_string(path).map_err(unreadable)
}

#[cfg(test)]
mod tests {
    use super::super::Registration;
    use super::*;

    const ZONE: &str =
        "[[zone]]\nname = \"auth.example.org\"\nns = [\"ns1.example.org\"]\ncontact = \"a@example.org\"\n";

    const OTHER: &str = "[[zone]]\nname = \"auth.example.com\"\nns = [\"ns1.example.org\"]\ncontact = \"a@b.c\"\n";

    fn error(text: &str) -> String {
        Config::parse(Path::new("c.toml"), text).expect_err(text).to_string()
    }

    #[test]
    fn an_error_says_where_what_and_what_instead() {
        for (text, start, advice) in [
            ("", "c.toml:1:1: zone: ", "[[zone]]"),
            ("databas = 1\n", "c.toml:1:1: databas: ", "database"),
            ("[dns]\nlisten = [\"x\"]\n", "c.toml:2:11: dns.listen[0]: ", "192.0.2.1:53"),
            ("[dns]\nlisten = []\n", "c.toml:2:10: dns.listen: ", "0.0.0.0:53"),
            ("[dns]\nnsid = \"\u{e9}\"\n", "c.toml:2:8: dns.nsid: ", "64 printable"),
            (
                "[dns]\ncookie-secret-file = \"no\"\n",
                "c.toml:2:22: dns.cookie-secret-file: cannot read no: ",
                "No such file",
            ),
            ("[values]\nlifetime = \"1w\"\n", "c.toml:2:12: values.lifetime: ", "24h"),
            ("[querylog]\nmemory = \"64\"\n", "c.toml:2:10: querylog.memory: ", "MiB"),
            ("[querylog]\nper-owner = 1\n", "c.toml:2:13: querylog.per-owner: ", "8 to 1024"),
            ("[querylog]\nkeep-days = 500\n", "c.toml:2:13: querylog.keep-days: ", "0 to 400"),
            ("[querylog]\nkeep-mebibytes = 1\n", "c.toml:2:18: querylog.keep-mebibytes: ", "16 to 1048576"),
            ("[querylog]\nprivacy = \"all\"\n", "c.toml:2:11: querylog.privacy: ", "network"),
            ("[values]\nmax-values = 1\n", "c.toml:2:14: values.max-values: ", "2 to 1000"),
            ("[api]\nlisten = [\"0.0.0.0:80\"]\n", "c.toml:1:1: api.registration: ", "open-to-anyone"),
            ("[api]\nregistration = \"secret\"\n", "c.toml:2:16: api.registration: ", "txtgate secret"),
            ("[api]\nregistration-secrets = [\"hunter2\"]\n", "c.toml:2:25: api.registration-secrets[0]: ", "sha256:"),
            ("[api]\nkey = \"k.pem\"\n", "c.toml:2:7: api.key: ", "certificate"),
            ("[admin]\nkey = \"k.pem\"\n", "c.toml:2:7: admin.key: ", "certificate"),
            ("[admin]\nlisten = [\"127.0.0.1:1\", \"0.0.0.0:2\"]\n", "c.toml:2:26: admin.listen[1]: ", "without TLS"),
            ("[console]\nlisten = [\"0.0.0.0:2\"]\n", "c.toml:2:11: console.listen[0]: ", "without TLS"),
            ("[console]\nhosts = [\"https://a.b\"]\n", "c.toml:2:10: console.hosts[0]: ", "console.example.org"),
            ("[api]\ntrusted-proxies = [\"10.0.0.1\"]\n", "c.toml:2:19: api.trusted-proxies: ", "client-ip-header"),
            ("[dns]\nproxy-protocol = true\n", "c.toml:2:18: dns.proxy-protocol: ", "trusted-proxies"),
            ("detours = [\"192.0.2.1\"]\n", "c.toml:1:12: detours[0]: ", "203.0.113.7=10.0.0.7"),
            ("[updates]\nwait = \"yes\"\n", "c.toml:2:8: updates.wait: ", "stored"),
            ("[updates]\nwait-limit = \"1d\"\n", "c.toml:2:14: updates.wait-limit: ", "5m"),
            ("resolvers = [\"ns.test\"]\n", "c.toml:1:14: resolvers[0]: ", "192.0.2.53"),
            ("[doctor]\nresolvers = [\"ns.test\"]\n", "c.toml:2:14: doctor.resolvers[0]: ", "udp:192.0.2.1"),
            ("[log]\nlevel = \"verbose\"\n", "c.toml:2:9: log.level: ", "info"),
            ("[log]\nlevel = \"\"\n", "c.toml:2:9: log.level: ", "info"),
            ("[log]\nlevel = \"x=y=z\"\n", "c.toml:2:9: log.level: ", "info"),
            (&format!("{ZONE}dnskey-ttl = 7200\n"), "c.toml:5:14: zone[0].dnskey-ttl: ", "1 to 3600"),
            (
                &format!("{ZONE}dnssec-key = \"k\"\n{OTHER}dnssec-key = \"k\"\n"),
                "c.toml:10:14: zone[1].dnssec-key: ",
                "its own",
            ),
        ] {
            let found = error(text);
            let line = found.lines().find(|line| line.starts_with(start)).unwrap_or_default();
            assert!(line.contains(advice), "{text:?}: {found}");
        }
    }

    #[test]
    fn a_minimal_file_gets_every_default() {
        let config = Config::parse(Path::new("/x/c.toml"), ZONE).unwrap();
        assert_eq!(config.database, Path::new("/x/txtgate.db"));
        assert_eq!(config.api.registration, Registration::Open);
        assert_eq!(config.zones[0].soa.negative_ttl, 10);
        assert_eq!(config.values.newest_lifetime, Duration::from_secs(604_800));
    }
}
