//! `/server`: what the operator's commands tell clients of the server.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::config::{Config, Registration};
use crate::model::name::{CHALLENGE_LABEL, Name, PERSIST_LABEL, ZoneName};

/// How clients reach the server, as far as its configuration says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServerSettings {
    /// The URL of the API. Users behind a proxy name another one.
    pub api: String,
    /// The host and port of the DNS listener.
    pub dns: String,
    /// Whether anybody may register.
    pub is_open: bool,
    /// The zones.
    pub zones: Vec<ServedZone>,
    /// The sockets of the running daemon; empty if no daemon runs.
    #[serde(default)]
    pub listeners: Listeners,
}

/// The sockets at which a daemon serves DNS and the API.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Listeners {
    /// Addresses of DNS over UDP and TCP.
    pub dns: Vec<SocketAddr>,
    /// Addresses of the API.
    pub api: Vec<SocketAddr>,
    /// Whether the API uses TLS there.
    pub api_tls: bool,
    /// Unix sockets of the API.
    pub api_sockets: Vec<PathBuf>,
}

/// A zone and its nameservers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServedZone {
    /// The zone's name.
    pub name: ZoneName,
    /// The nameservers.
    pub nameservers: Vec<String>,
}

impl ServerSettings {
    /// The settings of a configuration.
    pub fn of(config: &Config) -> Self {
        let zones = config.zones.iter().map(|zone| ServedZone {
            name: zone.name.clone(),
            nameservers: zone.nameservers.iter().map(Name::to_string).collect(),
        });
        Self {
            api: config.api_url(),
            dns: listening_for_dns(config),
            is_open: config.api.registration == Registration::Open,
            zones: zones.collect(),
            listeners: Listeners::default(),
        }
    }

    /// The records that lead from a domain to an account's name: a CNAME or, if that name is the domain's own, NS records.
    pub fn delegation(&self, domain: &str, fulldomain: &str) -> Vec<String> {
        let label = if fulldomain.starts_with(PERSIST_LABEL) { PERSIST_LABEL } else { CHALLENGE_LABEL };
        let own = format!("{label}.{domain}");
        if own != fulldomain {
            return vec![format!("{own}. CNAME {fulldomain}.")];
        }
        let zone = self.zones.iter().find(|zone| zone.name.to_string() == fulldomain);
        let nameservers = zone.into_iter().flat_map(|zone| &zone.nameservers);
        nameservers.map(|nameserver| format!("{fulldomain}. NS {nameserver}.")).collect()
    }
}

fn listening_for_dns(config: &Config) -> String {
    let Some(address) = config.dns.listen.first() else { return String::new() };
    if !address.ip().is_unspecified() {
        return address.to_string();
    }
    let nameserver = config.zones.first().and_then(|zone| zone.nameservers.first());
    let host = nameserver.map(ToString::to_string).unwrap_or_default();
    format!("{host}:{}", address.port())
}
