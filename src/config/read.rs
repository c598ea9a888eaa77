//! From the file's shape to the daemon's settings: the rules that concern more than the form of one key.

use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;

use crate::crypto::cookie::CookieSecrets;
use crate::model::account::parse_cidr;
use crate::model::secret::SecretHash;
use crate::model::time::Span;

use super::error::{ConfigError, Source};
use super::{Api, Certificate, Config, Dns, Log, Registration, TlsFiles, ValueLimits, file};

/// The port of resolvers that are configured without one.
const DNS_PORT: u16 = 53;

pub(super) type Result<T> = std::result::Result<T, ConfigError>;

impl Config {
    /// Reads and checks a configuration file.
    pub fn read(path: &Path) -> Result<Self> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(path, &text),
            Err(source) => Err(ConfigError::Unreadable { path: path.to_owned(), source }),
        }
    }

    /// Checks the text of a configuration. Errors name `path`, and relative paths begin in its folder.
    pub fn parse(path: &Path, text: &str) -> Result<Self> {
        let source = Source { path, text };
        let file: file::File = toml::from_str(text).map_err(|error| source.syntax(&error))?;
        let reader = Reader { source, folder: path.parent().unwrap_or(Path::new("")) };
        Ok(Self {
            path: path.to_owned(),
            database: reader.folder.join(&file.database),
            admin_socket: reader.folder.join(&file.admin_socket),
            log: reader.log(&file.log)?,
            dns: reader.dns(&file)?,
            cookie_secrets: reader.cookie_secrets(&file.dns)?,
            api: reader.api(&file)?,
            acme: reader.acme(&file)?,
            metrics: addresses(&file.metrics.listen),
            values: reader.values(&file.values)?,
            resolvers: reader.resolvers(&file.resolvers)?,
            zones: reader.zones(&file.zone)?,
            certificates: reader.certificates(&file)?,
        })
    }
}

fn addresses(listen: &[file::Listen]) -> Vec<SocketAddr> {
    listen.iter().map(|listen| listen.0).collect()
}

pub(super) struct Reader<'a> {
    pub(super) source: Source<'a>,
    pub(super) folder: &'a Path,
}

impl Reader<'_> {
    fn log(&self, log: &file::Log) -> Result<Log> {
        if let Err(error) = log.level.parse::<tracing_subscriber::EnvFilter>() {
            let problem = format!(
                "{error}; write one of error, warn, info, debug, trace, or a list like \"info,txtgate::dns=debug\""
            );
            return Err(self.source.at("log.level", problem));
        }
        Ok(Log { level: log.level.clone(), format: log.format })
    }

    fn dns(&self, file: &file::File) -> Result<Dns> {
        let dns = &file.dns;
        if dns.listen.is_empty() {
            return Err(self
                .source
                .at("dns.listen", "the list is empty; name at least one address, like \"0.0.0.0:53\""));
        }
        self.in_range("dns.threads", dns.threads as u64, 0, 256)?;
        self.in_range("dns.answers-per-second", u64::from(dns.answers_per_second), 0, 1_000_000)?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Dns {
            listen: addresses(&dns.listen),
            tls_listen: addresses(&dns.tls_listen),
            quic_listen: self.quic_listen(dns)?,
            tls: self.dns_tls(file)?,
            threads: if dns.threads == 0 { cores } else { dns.threads },
            answers_per_second: dns.answers_per_second,
            tsig_md5: dns.tsig_md5,
            open_virtual_zones: dns.open_virtual_zones,
            nsid: self.told("dns.nsid", &dns.nsid)?,
            version: self.told("dns.version", &dns.version)?,
        })
    }

    /// A text that the server tells of itself; short, so that every reply has room for it.
    fn told(&self, key: &str, text: &str) -> Result<String> {
        if text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
            return Ok(text.to_owned());
        }
        Err(self.source.at(key, "write at most 64 printable ASCII characters, or \"\" to tell nothing"))
    }

    fn cookie_secrets(&self, dns: &file::Dns) -> Result<Option<CookieSecrets>> {
        let Some(path) = &dns.cookie_secret_file else { return Ok(None) };
        let path = self.folder.join(path);
        match CookieSecrets::read(&path) {
            Ok(secrets) => Ok(Some(secrets)),
            Err(error) => Err(self.source.at("dns.cookie-secret-file", format!("{}: {error}", path.display()))),
        }
    }

    fn api(&self, file: &file::File) -> Result<Api> {
        let api = &file.api;
        let trusted_proxies = self.proxies(api)?;
        Ok(Api {
            listen: addresses(&api.listen),
            tls: self.api_tls(file)?,
            registration: self.registration(api)?,
            trusted_proxies,
            client_ip_header: api.client_ip_header.clone(),
            cors_origins: self.origins(api)?,
            purge_unused: (api.purge_unused_days > 0)
                .then(|| Duration::from_secs(u64::from(api.purge_unused_days) * 86_400)),
        })
    }

    pub(super) fn tls(
        &self,
        table: &str,
        certificate: Option<&PathBuf>,
        key: Option<&PathBuf>,
    ) -> Result<Option<TlsFiles>> {
        match (certificate, key) {
            (None, None) => Ok(None),
            (Some(certificate), Some(key)) => {
                Ok(Some(TlsFiles { certificate: self.folder.join(certificate), key: self.folder.join(key) }))
            }
            (Some(_), None) => {
                let problem = "a certificate needs its private key; add `key`";
                Err(self.source.at(&format!("{table}.certificate"), problem))
            }
            (None, Some(_)) => {
                let problem = "a key needs its certificate chain; add `certificate`";
                Err(self.source.at(&format!("{table}.key"), problem))
            }
        }
    }

    fn quic_listen(&self, dns: &file::Dns) -> Result<Vec<SocketAddr>> {
        let addresses = addresses(&dns.quic_listen);
        for quic in &addresses {
            let is_of_plain_dns = quic.port() == DNS_PORT || dns.listen.iter().any(|dns| dns.0 == *quic);
            if quic.port() > 0 && is_of_plain_dns {
                let problem = format!("{quic} is for plain DNS; write another port, by convention 853 (RFC 9250)");
                return Err(self.source.at("dns.quic-listen", problem));
            }
        }
        Ok(addresses)
    }

    /// The certificate of DNS over TLS and QUIC: that of `[dns]`, else the API's.
    fn dns_tls(&self, file: &file::File) -> Result<Option<Certificate>> {
        let dns = &file.dns;
        let own = self.tls("dns", dns.certificate.as_ref(), dns.key.as_ref())?.map(Certificate::Files);
        let (key, what) = match (dns.tls_listen.is_empty(), dns.quic_listen.is_empty()) {
            (true, true) => return Ok(None),
            (false, _) => ("dns.tls-listen", "TLS"),
            (true, false) => ("dns.quic-listen", "QUIC"),
        };
        let found = own.map_or_else(|| self.api_tls(file), |own| Ok(Some(own)))?;
        let problem = format!(
            "DNS over {what} needs `certificate` and `key` in [dns] or in [api], or `mode = \"acme\"` in [api.tls]"
        );
        found.map(Some).ok_or_else(|| self.source.at(key, problem))
    }

    fn registration(&self, api: &file::Api) -> Result<Registration> {
        let secrets = self.secrets(api)?;
        match api.registration {
            file::Registration::Closed => Ok(Registration::Closed),
            file::Registration::OpenToAnyone => Ok(Registration::Open),
            file::Registration::Secret if secrets.is_empty() => {
                let problem = "no secret is given; run `txtgate secret` and put its hash into `registration-secrets`, \
                               or name a `registration-secrets-file`";
                Err(self.source.at("api.registration", problem))
            }
            file::Registration::Secret => Ok(Registration::Secret(secrets)),
            file::Registration::Open => match self.reached_from_outside(api) {
                None => Ok(Registration::Open),
                Some(how) => {
                    let problem = format!(
                        "\"open\" would let anybody register, since {how}; write \"secret\", or, \
                                           if that is what you want, \"open-to-anyone\""
                    );
                    Err(self.source.at("api.registration", problem))
                }
            },
        }
    }

    fn reached_from_outside(&self, api: &file::Api) -> Option<String> {
        if !api.trusted_proxies.is_empty() {
            return Some("the API stands behind trusted-proxies".into());
        }
        let outside = api.listen.iter().find(|listen| !listen.0.ip().to_canonical().is_loopback())?;
        Some(format!("the API listens on {}", outside.0))
    }

    fn secrets(&self, api: &file::Api) -> Result<Vec<SecretHash>> {
        let mut hashes = Vec::new();
        for (index, text) in api.registration_secrets.iter().enumerate() {
            let key = format!("api.registration-secrets.{index}");
            hashes.push(text.parse().map_err(|error| self.source.at(&key, format!("{error}")))?);
        }
        if let Some(path) = &api.registration_secrets_file {
            let read = secrets_of(&self.folder.join(path));
            hashes.extend(read.map_err(|problem| self.source.at("api.registration-secrets-file", problem))?);
        }
        Ok(hashes)
    }

    fn proxies(&self, api: &file::Api) -> Result<Vec<IpNet>> {
        match (api.trusted_proxies.is_empty(), &api.client_ip_header) {
            (false, None) => {
                let problem = "the header in which the proxies name the client is missing; add `client-ip-header`, \
                               like \"X-Forwarded-For\"";
                return Err(self.source.at("api.trusted-proxies", problem));
            }
            (true, Some(_)) => {
                let problem = "a header is believed only from `trusted-proxies`, and there are none; add them";
                return Err(self.source.at("api.client-ip-header", problem));
            }
            _ => {}
        }
        if let Some(header) = &api.client_ip_header {
            let parsed = header.parse::<axum::http::HeaderName>();
            parsed.map_err(|_| self.source.at("api.client-ip-header", format!("{header:?} is no header name")))?;
        }
        let mut proxies = Vec::new();
        for (index, text) in api.trusted_proxies.iter().enumerate() {
            let key = format!("api.trusted-proxies.{index}");
            proxies.push(parse_cidr(text).map_err(|error| self.source.at(&key, error.to_string()))?);
        }
        Ok(proxies)
    }

    fn origins(&self, api: &file::Api) -> Result<Vec<String>> {
        for (index, origin) in api.cors_origins.iter().enumerate() {
            let is_origin = origin == "*" || (origin.contains("://") && !origin.ends_with('/') && origin.is_ascii());
            if !is_origin {
                let problem =
                    format!("{origin:?} is no web origin; write \"https://host\" without a closing slash, or \"*\"");
                return Err(self.source.at(&format!("api.cors-origins.{index}"), problem));
            }
        }
        Ok(api.cors_origins.clone())
    }

    fn values(&self, values: &file::Values) -> Result<ValueLimits> {
        self.in_range("values.max-values", values.max_values as u64, 2, 1_000)?;
        Ok(ValueLimits {
            max: values.max_values,
            lifetime: self.span("values.lifetime", &values.lifetime)?,
            newest_lifetime: self.span("values.newest-lifetime", &values.newest_lifetime)?,
            persist: values.persist,
        })
    }

    fn resolvers(&self, resolvers: &[String]) -> Result<Vec<SocketAddr>> {
        let mut read = Vec::new();
        for (index, text) in resolvers.iter().enumerate() {
            let address = text.parse().or_else(|_| text.parse().map(|ip: IpAddr| SocketAddr::new(ip, DNS_PORT)));
            read.push(address.map_err(|_| {
                let wanted = "write its address, like \"192.0.2.53\" or \"[2001:db8::53]:5353\"";
                self.source.at(&format!("resolvers.{index}"), format!("{text:?} is no resolver; {wanted}"))
            })?);
        }
        Ok(read)
    }

    pub(super) fn span(&self, key: &str, text: &str) -> Result<Duration> {
        let span: Span = text.parse().map_err(|error| self.source.at(key, format!("{error}")))?;
        self.in_range(key, span.0.as_secs(), 60, 400 * 86_400)?;
        Ok(span.0)
    }

    pub(super) fn in_range(&self, key: &str, found: u64, least: u64, most: u64) -> Result<()> {
        if (least..=most).contains(&found) {
            return Ok(());
        }
        Err(self.source.at(key, format!("must be from {least} to {most}; found {found}")))
    }
}

/// Reads a file, and refuses one that everybody on the machine can read.
pub(super) fn private_text(path: &Path) -> std::result::Result<String, String> {
    let unreadable = |error| format!("cannot read {}: {error}", path.display());
    let mode = std::fs::metadata(path).map_err(unreadable)?.permissions().mode();
    if mode & 0o004 != 0 {
        return Err(format!("everybody on this machine can read {}; run `chmod o-r` on it", path.display()));
    }
    std::fs::read_to_string(path).map_err(unreadable)
}

/// Reads one secret a line; skips empty lines and lines that begin with `#`.
fn secrets_of(path: &Path) -> std::result::Result<Vec<SecretHash>, String> {
    let text = private_text(path)?;
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(number, line)| SecretHash::of(line).map_err(|error| format!("{}:{number}: {error}", path.display())))
        .collect()
}

#[cfg(test)]
mod tests {
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
            ("[dns]\nlisten = [\"x\"]\n", "c.toml:2:10: dns.listen: ", "192.0.2.1:53"),
            ("[dns]\nlisten = []\n", "c.toml:2:10: dns.listen: ", "0.0.0.0:53"),
            ("[dns]\nnsid = \"\u{e9}\"\n", "c.toml:2:8: dns.nsid: ", "64 printable"),
            ("[dns]\ncookie-secret-file = \"no\"\n", "c.toml:2:22: dns.cookie-secret-file: no: ", "No such file"),
            ("[values]\nlifetime = \"1w\"\n", "c.toml:2:12: values.lifetime: ", "24h"),
            ("[values]\nmax-values = 1\n", "c.toml:2:14: values.max-values: ", "2 to 1000"),
            ("[api]\nlisten = [\"0.0.0.0:80\"]\n", "c.toml:1:1: api.registration: ", "open-to-anyone"),
            ("[api]\nregistration = \"secret\"\n", "c.toml:2:16: api.registration: ", "txtgate secret"),
            ("[api]\nregistration-secrets = [\"hunter2\"]\n", "c.toml:2:25: api.registration-secrets[0]: ", "sha256:"),
            ("[api]\nkey = \"k.pem\"\n", "c.toml:2:7: api.key: ", "certificate"),
            ("[api]\ntrusted-proxies = [\"10.0.0.1\"]\n", "c.toml:2:19: api.trusted-proxies: ", "client-ip-header"),
            ("resolvers = [\"ns.test\"]\n", "c.toml:1:14: resolvers[0]: ", "192.0.2.53"),
            ("[log]\nlevel = \"x=y=z\"\n", "c.toml:2:9: log.level: ", "info"),
            (&format!("{ZONE}dnskey-ttl = 7200\n"), "c.toml:5:14: zone[0].dnskey-ttl: ", "1 to 3600"),
            (
                &format!("{ZONE}dnssec-key = \"k\"\n{OTHER}dnssec-key = \"k\"\n"),
                "c.toml:10:14: zone[1].dnssec-key: ",
                "its own",
            ),
        ] {
            let found = error(text);
            assert!(found.starts_with(start) && found.contains(advice), "{text:?}: {found}");
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
