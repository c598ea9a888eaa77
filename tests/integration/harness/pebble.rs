//! pebble, a real CA for tests, as a process; where Debian's package is installed.

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

use super::http::request;
use super::ports::free_port;
use super::tls::{Authority, connect, trusting};
use super::{Settings, skip, until};

/// The external account that pebble knows in [`Pebble::for_customers`].
pub const KID: &str = "kid-1";
pub const HMAC_KEY: &str = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";

pub struct Pebble {
    child: Child,
    folder: TempDir,
    address: SocketAddr,
    management: SocketAddr,
    resolver: Option<SocketAddr>,
}

/// How it runs.
pub struct Options {
    /// Whom it asks.
    pub resolver: Option<SocketAddr>,
    /// Whether it wants external account binding.
    pub for_customers: bool,
    /// Seconds that certificates are valid.
    pub validity: u32,
    /// Roots that chains may lead to, beside the first.
    pub alternate_roots: u32,
    /// Nonces that it refuses, of 100, and authorizations that it reuses.
    pub bad_nonces: u32,
    pub reuse: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self { resolver: None, for_customers: false, validity: 7_776_000, alternate_roots: 0, bad_nonces: 5, reuse: 0 }
    }
}

impl Options {
    fn config(&self, folder: &Path, address: SocketAddr, management: SocketAddr) -> Value {
        let mut config = json!({
            "listenAddress": address, "managementListenAddress": management,
            "certificate": folder.join("cert.pem"), "privateKey": folder.join("key.pem"),
            "httpPort": 5002, "tlsPort": 5001, "certificateValidityPeriod": self.validity,
        });
        if self.for_customers {
            config["externalAccountBindingRequired"] = true.into();
            config["externalAccountMACKeys"] = json!({ KID: HMAC_KEY });
        }
        json!({ "pebble": config })
    }
}

impl Pebble {
    /// `None`, with a loud skip, where it is not installed.
    pub fn start(options: &Options) -> Option<Self> {
        if Command::new("pebble").arg("-h").stderr(Stdio::null()).output().is_err() {
            skip("ACME with a real CA", "pebble is not installed (apt-get install pebble)");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        authority.issue(folder.path());
        std::fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        let [address, management] = [free_port(), free_port()];
        let path = folder.path().join("pebble.json");
        std::fs::write(&path, options.config(folder.path(), address, management).to_string()).unwrap();
        let mut command = Command::new("pebble");
        command.arg("-config").arg(&path).env("PEBBLE_VA_NOSLEEP", "1");
        command.env("PEBBLE_WFE_NONCEREJECT", options.bad_nonces.to_string());
        command.env("PEBBLE_AUTHZREUSE", options.reuse.to_string());
        command.env("PEBBLE_ALTERNATE_ROOTS", options.alternate_roots.to_string());
        if let Some(resolver) = options.resolver {
            command.args(["-dnsserver", &resolver.to_string()]);
        }
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let child = command.spawn().unwrap();
        let mut pebble = Self { child, folder, address, management, resolver: options.resolver };
        until("pebble listens", || pebble.is_up());
        Some(pebble)
    }

    fn is_up(&mut self) -> bool {
        assert!(self.child.try_wait().unwrap().is_none(), "pebble has ended:\n{}", self.log());
        [self.address, self.management].iter().all(|address| TcpStream::connect(address).is_ok())
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    pub fn root(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Its directory's URL.
    pub fn directory(&self) -> String {
        format!("https://localhost:{}/dir", self.address.port())
    }

    /// A daemon's settings, as this CA's client.
    pub fn settings(&self) -> Settings {
        let (directory, root) = (self.directory(), self.root());
        let acme = format!("directory = {directory:?}\nca-root = {root:?}\nterms-agreed = true");
        // Its resolver answers for nothing but our zone: the delegation cannot be looked up, and nobody is asked for it.
        let resolvers = self.resolver.map(|dns| format!("resolvers = [\"{dns}\"]")).unwrap_or_default();
        let settings = Settings::default().top(&resolvers).with("acme", &acme);
        match self.resolver {
            Some(dns) => settings.with("dns", &format!("listen = [\"{dns}\"]")),
            None => settings,
        }
    }
    /// What the management interface says.
    pub fn manage(&self, path: &str) -> String {
        let root = CertificateDer::from_pem_file(self.root()).unwrap();
        let mut wire = connect(self.management, trusting(root, &["http/1.1"]), "localhost").unwrap();
        let reply = wire.exchange(request("GET", path, &[], ""));
        assert_eq!(reply.status, 200, "{path}: {reply:?}");
        reply.body
    }

    /// Whether a certificate is revoked, by its serial number in hex.
    pub fn status_of(&self, serial: &str) -> Value {
        serde_json::from_str(&self.manage(&format!("/cert-status-by-serial/{serial}"))).unwrap()
    }

    /// The root of what it issues.
    pub fn issuing_root(&self) -> CertificateDer<'static> {
        self.alternate_root(0)
    }

    /// The root of its other chains, from 1 on.
    pub fn alternate_root(&self, number: u32) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.manage(&format!("/roots/{number}")).as_bytes()).unwrap()
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("--- pebble's log:\n{}", lines[lines.len().saturating_sub(30)..].join("\n"));
        }
    }
}
