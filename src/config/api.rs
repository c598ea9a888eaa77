//! `[api]`: the public API's listeners, proxies, and who may register.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;

use crate::model::account::parse_cidr;
use crate::model::secret::SecretHash;

use super::read::{Reader, private_text};
use super::{Api, Config, Registration, file};

/// Stands in `trusted-proxies` for everybody who connects through a Unix socket.
const UNIX: &str = "unix";

impl Config {
    /// The URL at which clients reach the API, as far as the configuration says; without a host where it listens on Unix
    /// sockets alone.
    pub fn api_url(&self) -> String {
        if let Some(url) = &self.api.url {
            return url.as_str().trim_end_matches('/').to_owned();
        }
        let scheme = if self.api.tls.is_some() { "https" } else { "http" };
        let Some(address) = self.api.listen.first() else { return String::new() };
        if !address.ip().is_unspecified() {
            return format!("{scheme}://{address}");
        }
        // Clients cannot connect to 0.0.0.0. Most operators serve the API at the name of the zone.
        let ordinary = self.zones.iter().find(|zone| !zone.name.is_challenge());
        let host = ordinary.map(|zone| zone.name.to_string()).unwrap_or_default();
        match (scheme, address.port()) {
            ("https", 443) | ("http", 80) => format!("{scheme}://{host}"),
            (_, port) => format!("{scheme}://{host}:{port}"),
        }
    }
}

impl Reader<'_> {
    pub(super) fn api(&self, file: &file::File) -> Api {
        let api = &file.api;
        Api {
            listen: api.listen.iter().filter_map(address).collect(),
            sockets: api.listen.iter().filter_map(|listen| self.socket(listen)).collect(),
            url: api.url.as_ref().and_then(|url| self.take("api.url", url.parse())),
            trusted_proxies: self.proxies(file),
            trusts_sockets: api.trusted_proxies.iter().any(|proxy| proxy == UNIX),
            tls: self.api_tls(file),
            registration: self.registration(api),
            client_ip_header: api.client_ip_header.clone(),
            proxy_protocol: api.proxy_protocol,
            cors_origins: self.origins(api),
            purge_unused: (api.purge_unused_days > 0)
                .then(|| Duration::from_secs(u64::from(api.purge_unused_days) * 86_400)),
            header_timeout: self.timeout("api.header-timeout", &api.header_timeout),
            body_timeout: self.timeout("api.body-timeout", &api.body_timeout),
        }
    }

    pub(super) fn socket(&self, listen: &file::ApiListen) -> Option<PathBuf> {
        match listen {
            file::ApiListen::Unix(path) => Some(self.folder.join(path)),
            file::ApiListen::Tcp(_) => None,
        }
    }

    fn registration(&self, api: &file::Api) -> Registration {
        let secrets = self.secrets(api);
        let is_given = !api.registration_secrets.is_empty() || api.registration_secrets_file.is_some();
        match api.registration {
            file::Registration::Closed => return Registration::Closed,
            file::Registration::OpenToAnyone => return Registration::Open,
            file::Registration::Secret => {
                if secrets.is_empty() && !is_given {
                    let problem = "no secret is given; run `txtgate secret` and put its hash into \
                                   `registration-secrets`, or name a `registration-secrets-file`";
                    self.wrong("api.registration", problem);
                }
                return Registration::Secret(secrets);
            }
            file::Registration::Open => {}
        }
        if let Some(how) = self.reached_from_outside(api) {
            let problem = format!(
                "\"open\" would let anybody register, since {how}; write \"secret\", or, if that is what you want, \
                 \"open-to-anyone\""
            );
            self.wrong("api.registration", problem);
        }
        Registration::Open
    }

    fn reached_from_outside(&self, api: &file::Api) -> Option<String> {
        // Those of the console alone let nobody reach the API.
        let is_before_api = |proxy: &String| proxy != UNIX || api.listen.iter().any(is_socket);
        if api.trusted_proxies.iter().any(is_before_api) {
            return Some("the API stands behind trusted-proxies".into());
        }
        let outside = api.listen.iter().filter_map(address).find(|listen| !listen.ip().to_canonical().is_loopback())?;
        Some(format!("the API listens on {outside}"))
    }

    fn secrets(&self, api: &file::Api) -> Vec<SecretHash> {
        let mut hashes = Vec::new();
        for (index, text) in api.registration_secrets.iter().enumerate() {
            hashes.extend(self.take(&format!("api.registration-secrets.{index}"), text.parse()));
        }
        if let Some(path) = &api.registration_secrets_file {
            let path = self.folder.join(path);
            let read = secrets_of(&path).and_then(|read| match read.is_empty() {
                true => {
                    Err(format!("{} is empty; write a secret into it, as `txtgate secret` makes them", path.display()))
                }
                false => Ok(read),
            });
            hashes.extend(self.take("api.registration-secrets-file", read).unwrap_or_default());
        }
        hashes
    }

    pub(super) fn proxies(&self, file: &file::File) -> Vec<IpNet> {
        let api = &file.api;
        for (key, is_on) in
            [("dns.proxy-protocol", file.dns.proxy_protocol), ("api.proxy-protocol", api.proxy_protocol)]
        {
            if is_on && api.trusted_proxies.is_empty() {
                let problem =
                    "PROXY headers are read from `trusted-proxies` of [api] only, and there are none; add them";
                self.wrong(key, problem);
            }
        }
        match (api.trusted_proxies.is_empty(), &api.client_ip_header) {
            // Those that send PROXY headers need none of HTTP.
            (false, None) if file.dns.proxy_protocol || api.proxy_protocol => {}
            (false, None) => {
                let problem = "the header in which the proxies name the client is missing; add `client-ip-header`, \
                               like \"X-Forwarded-For\"";
                self.wrong("api.trusted-proxies", problem);
            }
            (true, Some(_)) => {
                let problem = "a header is believed only from `trusted-proxies`, and there are none; add them";
                self.wrong("api.client-ip-header", problem);
            }
            _ => {}
        }
        if let Some(header) = &api.client_ip_header
            && header.parse::<axum::http::HeaderName>().is_err()
        {
            let problem = format!("write the name of a header like \"X-Forwarded-For\"; found {header:?}");
            self.wrong("api.client-ip-header", problem);
        }
        let has_socket = api.listen.iter().chain(&file.console.listen).any(is_socket);
        if let Some(index) = api.trusted_proxies.iter().position(|proxy| proxy == UNIX)
            && !has_socket
        {
            let problem =
                "no `listen` of [api] or [console] is a Unix socket; add one, like \"unix:/run/txtgate/api.sock\"";
            self.wrong(&format!("api.trusted-proxies.{index}"), problem);
        }
        let networks = api.trusted_proxies.iter().enumerate().filter(|(_, proxy)| *proxy != UNIX);
        networks
            .filter_map(|(index, text)| self.take(&format!("api.trusted-proxies.{index}"), parse_cidr(text)))
            .collect()
    }

    fn origins(&self, api: &file::Api) -> Vec<String> {
        for (index, origin) in api.cors_origins.iter().enumerate() {
            if origin != "*" && !is_origin(origin) {
                let problem = format!(
                    "write a web origin like \"https://host\" without a path or closing slash, \
                     \"https://*.example.org\" with one wildcard, or \"*\"; found {origin:?}"
                );
                self.wrong(&format!("api.cors-origins.{index}"), problem);
            }
        }
        api.cors_origins.clone()
    }
}

fn is_socket(listen: &file::ApiListen) -> bool {
    matches!(listen, file::ApiListen::Unix(_))
}

/// The address of a listener; `None`: it is a Unix socket.
pub(super) fn address(listen: &file::ApiListen) -> Option<SocketAddr> {
    match listen {
        file::ApiListen::Tcp(address) => Some(*address),
        file::ApiListen::Unix(_) => None,
    }
}

/// Whether a text is a scheme and a host, with one wildcard at most.
fn is_origin(text: &str) -> bool {
    let Some((scheme, host)) = text.split_once("://") else { return false };
    let is_host = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:[]*".contains(&byte));
    let is_scheme = scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    !scheme.is_empty() && is_scheme && !host.is_empty() && is_host && host.matches('*').count() <= 1
}

/// Reads one secret a line; skips empty lines and lines that begin with `#`.
fn secrets_of(path: &Path) -> Result<Vec<SecretHash>, String> {
    let text = private_text(path)?;
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(number, line)| SecretHash::of(line).map_err(|error| format!("{}:{number}: {error}", path.display())))
        .collect()
}
