//! A CA, the DNS that it sees, and the settings of a daemon between them.

use serde_json::Value;

use super::pebble::{Options, Pebble};
use super::ports::free_port;
use super::resolver::Resolver;
use super::standin::{ResponsePolicy, StandIn};
use super::{Home, Settings};

/// A CA and what surrounds it. The CA and the daemon ask the same resolver.
pub struct CaLab<C> {
    pub ca: C,
    pub resolver: Resolver,
    pub settings: Settings,
}

impl CaLab<StandIn> {
    /// With a stand-in that replies like this.
    pub fn new(policy: ResponsePolicy) -> Self {
        let daemon = free_port();
        let resolver = Resolver::start(daemon);
        let ca = StandIn::asking(policy, daemon, resolver.address);
        let settings = ca.settings();
        Self { ca, resolver, settings }
    }

    /// With a stand-in whose directory has these members, too.
    pub fn with_directory(directory: Value) -> Self {
        Self::new(ResponsePolicy { directory, ..ResponsePolicy::default() })
    }
}

impl CaLab<Pebble> {
    /// With a real CA; `None` where there is none.
    pub fn real(options: Options) -> Option<Self> {
        let daemon = free_port();
        let resolver = Resolver::start(daemon);
        let ca = Pebble::start(&Options { resolver: Some(resolver.address), ..options })?;
        let settings = ca.settings().with("dns", &format!("listen = [\"{daemon}\"]"));
        Some(Self { ca, resolver, settings })
    }
}

impl<C> CaLab<C> {
    /// Adds the CNAMEs that are missing for a certificate, and returns them.
    pub fn add_missing(&self, home: &Home, name: &str) -> Vec<String> {
        let records = missing_cnames(home, name);
        records.iter().for_each(|record| self.resolver.add(record));
        records
    }
}

/// The CNAMEs that are missing for a certificate.
pub fn missing_cnames(home: &Home, name: &str) -> Vec<String> {
    let shown: Value = serde_json::from_str(&home.run_ok(&["cert", "show", name, "--json"])).unwrap();
    shown["missing"].as_array().unwrap().iter().map(cname).collect()
}

/// A missing record as a line of a zonefile.
pub fn cname(record: &Value) -> String {
    let text = |key: &str| record[key].as_str().unwrap_or_else(|| panic!("{key} in {record}"));
    format!("{}. CNAME {}.", text("name"), text("target"))
}
