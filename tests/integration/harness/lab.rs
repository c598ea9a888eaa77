//! An internet on the loopback: root, top-level domains, users' zones, each nameserver on an address of its own of
//! 127.0.0.0/8, all of them on one port, which no other test has. What `txtgate doctor --hints ROOT:PORT` walks.
//!
//! A set-up is a few lines:
//!
//! ```text
//! let mut lab = Lab::new();                                    // root, org, com, net
//! lab.parent("auth NS ns1.auth\nns1.auth A 127.0.1.53");       // example.org, with our delegation
//! lab.user("example.com", "_acme-challenge CNAME x.auth.example.org.");
//! let daemon = Process::start(&lab.settings());                // listens on 127.0.1.53
//! ```

use std::net::{IpAddr, SocketAddr};

use tokio::runtime::{Builder, Runtime};

use super::Settings;
use super::nameserver::{Fault, Nameserver, Zone};
use super::ports::free_port;

/// The root's nameserver.
pub const ROOT: &str = "127.0.1.1";
/// The nameserver of org, com and net.
pub const TLD: &str = "127.0.1.2";
/// The nameserver of example.org, the parent of the daemon's zone.
pub const PARENT: &str = "127.0.1.3";
/// The nameserver of the users' domains.
pub const USER: &str = "127.0.1.4";
/// The daemon.
pub const DAEMON: &str = "127.0.1.53";

/// Running nameservers.
pub struct Lab {
    runtime: Runtime,
    port: u16,
    nameservers: Vec<Nameserver>,
}

impl Lab {
    /// The root, which delegates org, com and net, and those, which delegate `example` to [`PARENT`] (org) and [`USER`]
    /// (com, net).
    pub fn new() -> Self {
        let mut lab = Self::empty();
        lab.serve(ROOT, vec![root("")], &[]);
        lab.serve(TLD, vec![tld("org", PARENT), tld("com", USER), tld("net", USER)], &[]);
        lab
    }

    /// No nameserver at all.
    pub fn empty() -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        Self { runtime, port: free_port().port(), nameservers: Vec::new() }
    }

    /// The port of every nameserver.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// An address with the lab's port.
    pub fn at(&self, address: &str) -> SocketAddr {
        SocketAddr::new(address.parse::<IpAddr>().unwrap(), self.port)
    }

    /// What `--hints` takes.
    pub fn hints(&self) -> String {
        self.at(ROOT).to_string()
    }

    /// Starts a nameserver.
    pub fn serve(&mut self, address: &str, zones: Vec<Zone>, faults: &[Fault]) {
        let started = Nameserver::start_at(self.at(address), zones, faults);
        let nameserver = self.runtime.block_on(started);
        self.nameservers.push(nameserver);
    }

    /// Starts the nameserver of example.org with these records beside its own.
    pub fn parent(&mut self, records: &str) {
        self.serve(PARENT, vec![parent(records)], &[]);
    }

    /// Starts the nameserver of one user's domain with these records beside its own.
    pub fn user(&mut self, domain: &str, records: &str) {
        self.serve(USER, vec![zone_at(domain, USER, records)], &[]);
    }

    /// The configuration of a daemon on [`DAEMON`], whose one nameserver is `ns1.auth.example.org`.
    pub fn settings(&self) -> Settings {
        self.settings_at(&[DAEMON])
    }

    /// The same on other addresses, which are those of `ns1.auth.example.org`.
    pub fn settings_at(&self, addresses: &[&str]) -> Settings {
        let listen: Vec<String> =
            addresses.iter().map(|address| format!("{:?}", self.at(address).to_string())).collect();
        let record = |address: &&str| format!("ns1 {} {address}", if address.contains(':') { "AAAA" } else { "A" });
        let records: Vec<String> = addresses.iter().map(record).collect();
        Settings::default().with("dns", &format!("listen = [{}]", listen.join(", "))).own_records(&records.join("\n"))
    }
}

/// The root zone, with more records.
pub fn root(records: &str) -> Zone {
    let tlds = ["org", "com", "net"].map(|tld| format!("{tld} NS ns.{tld}.\nns.{tld}. A {TLD}\n"));
    Zone::new(".", &format!("@ NS a.root.test.\na.root.test. A {ROOT}\n{}{records}", tlds.concat()))
}

/// A top-level domain that delegates `example` to an address.
pub fn tld(name: &str, example: &str) -> Zone {
    let own = format!("@ NS ns\nns A {TLD}\n");
    Zone::new(&format!("{name}."), &format!("{own}example NS ns.example\nns.example A {example}\n"))
}

/// The zone example.org, with more records.
pub fn parent(records: &str) -> Zone {
    zone_at("example.org", PARENT, records)
}

/// A zone whose nameserver `ns` has an address, with more records.
pub fn zone_at(apex: &str, address: &str, records: &str) -> Zone {
    Zone::new(&format!("{}.", apex.trim_end_matches('.')), &format!("@ NS ns\nns A {address}\n{records}"))
}
