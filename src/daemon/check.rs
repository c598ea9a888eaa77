//! What a start would stumble over: paths, permissions, certificates, ports. Nothing is created, and ports are let go.

use std::fmt::Display;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::config::keyfile::KeyFile;
use crate::config::{Certificate, Config, DeployHook, ManagedCertificate};
use crate::file::{Unusable, folder_of, writable};
use crate::net::bind::{self, BindError};
use crate::net::inherited::Inherited;
use crate::net::tls::{self, Tls};
use crate::store::probe::probe;
use crate::store::{Creation, StoreError};

use super::error::DaemonError;
use super::first_start;

/// The longest path of a Unix socket (unix(7)).
const LONGEST_SOCKET: usize = 107;
/// Folders that systemd creates when it starts the unit.
const OF_THE_UNIT: [&str; 2] = ["/var/lib/txtgate", "/run/txtgate"];
const UNITS: [&str; 3] = [
    "/etc/systemd/system/txtgate.service",
    "/usr/lib/systemd/system/txtgate.service",
    "/lib/systemd/system/txtgate.service",
];

/// What was found.
#[derive(Debug, Default)]
pub struct Findings {
    /// Each key, as `dns.listen.0`, and what is wrong with it.
    pub problems: Vec<(String, String)>,
    /// What is not a mistake, and good to know.
    pub notes: Vec<String>,
}

/// Looks at everything that a start needs.
pub fn check(config: &Config) -> Findings {
    let mut check = Check { config, found: Findings::default() };
    check.database();
    check.socket("admin-socket", &config.admin_socket);
    config.api.sockets.iter().for_each(|path| check.socket("api.listen", path));
    config.console.sockets.iter().for_each(|path| check.socket("console.listen", path));
    check.certificates_of_listeners();
    check.zones();
    check.acme();
    config.certificates.iter().enumerate().for_each(|(index, wanted)| check.managed(index, wanted));
    check.ports();
    check.found
}

struct Check<'a> {
    config: &'a Config,
    found: Findings,
}

impl Check<'_> {
    fn wrong(&mut self, key: &str, problem: impl Display) {
        // Errors of a start name the key themselves.
        let problem = problem.to_string();
        let problem = problem.strip_prefix(&format!("{key}: ")).unwrap_or(&problem).to_owned();
        self.found.problems.push((key.to_owned(), problem));
    }

    /// True where the folder is missing and systemd will create it.
    fn is_of_the_unit(&mut self, folder: &Path) -> bool {
        let is_started_by_hand = std::env::var_os("INVOCATION_ID").is_none();
        let is_missing = !folder.exists() && OF_THE_UNIT.iter().any(|made| folder.starts_with(made));
        let will_be_made = is_missing && is_started_by_hand && UNITS.iter().any(|unit| Path::new(unit).exists());
        if will_be_made {
            let note = format!("{} is missing; systemd creates it when it starts txtgate.service", folder.display());
            self.found.notes.push(note);
        }
        will_be_made
    }

    fn database(&mut self) {
        let path = &self.config.database;
        if self.is_of_the_unit(folder_of(path)) {
            return;
        }
        let creation = Creation::First { evidence: first_start::evidence(self.config) };
        match probe(path, &creation) {
            Ok(()) => {}
            // The daemon serves what is there, and refuses changes.
            Err(StoreError::File { source, .. }) if source.kind() == ErrorKind::ReadOnlyFilesystem && path.exists() => {
                self.found.notes.push(format!("{}: the disk is read-only; changes would be refused", path.display()));
            }
            Err(error) => self.wrong("database", error),
        }
    }

    fn socket(&mut self, key: &'static str, path: &Path) {
        let length = path.as_os_str().len();
        if length > LONGEST_SOCKET {
            let problem = format!("the path of a socket has at most {LONGEST_SOCKET} bytes, and this one has {length}");
            return self.wrong(key, problem);
        }
        if self.is_of_the_unit(folder_of(path)) {
            return;
        }
        let shown = path.to_owned();
        if path.symlink_metadata().is_ok_and(|found| !found.file_type().is_socket()) {
            return self.wrong(key, DaemonError::NoSocket { key, path: shown });
        }
        if let Err(source) = writable(folder_of(path)) {
            self.wrong(key, DaemonError::Socket { key, path: shown, source });
        }
    }

    fn certificates_of_listeners(&mut self) {
        let api = &self.config.api.tls;
        for (key, certificate, protocols) in [
            ("api.certificate", api, tls::HTTP),
            ("dns.certificate", &self.config.dns.tls, tls::DOT),
            ("admin.certificate", &self.config.admin.tls, tls::HTTP),
        ] {
            let Some(Certificate::Files(files)) = certificate else { continue };
            // Without a certificate of its own, a listener has the API's.
            if key != "api.certificate" && certificate == api {
                continue;
            }
            if let Err(error) = Tls::load(files.clone(), protocols) {
                self.wrong(key, error);
            }
        }
    }

    fn zones(&mut self) {
        for (index, settings) in self.config.zones.iter().enumerate() {
            let Some(dnssec) = &settings.dnssec else { continue };
            if let Err(error) = KeyFile::read(&dnssec.key, &settings.name) {
                self.wrong(&format!("zone.{index}.dnssec-key"), error);
            }
        }
    }

    fn acme(&mut self) {
        let acme = &self.config.acme;
        if let Some(path) = &acme.ca_root
            && let Err(error) = std::fs::read(path)
        {
            self.wrong("acme.ca-root", format!("cannot read {}", Unusable(path, &error)));
        }
        let is_used = matches!(self.config.api.tls, Some(Certificate::Own(_))) || !self.config.certificates.is_empty();
        if is_used {
            self.creatable("acme.state", &acme.state);
        }
    }

    /// A folder that the daemon creates, with those around it.
    fn creatable(&mut self, key: &str, folder: &Path) {
        let there = folder.ancestors().find(|above| above.exists());
        let there = there.filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if self.is_of_the_unit(folder) {
            return;
        }
        if let Err(error) = writable(there) {
            self.wrong(key, format!("cannot write {}", Unusable(there, &error)));
        }
    }

    fn managed(&mut self, index: usize, wanted: &ManagedCertificate) {
        let key = |name: &str| format!("certificate.{index}.{name}");
        self.creatable(&key("directory"), &wanted.directory);
        if let Some(Err(error)) = wanted.pkcs12.as_ref().map(crate::config::pkcs12::Pkcs12::password) {
            self.wrong(&key("pkcs12-password-file"), error);
        }
        if let Some(problem) = wanted.hook.as_ref().and_then(unrunnable) {
            self.wrong(&key("hook.0"), problem);
        }
    }

    /// Binds every address and lets it go. Ports that the daemon itself holds, which runs with this configuration, are no
    /// mistake, and neither are those of its socket unit.
    fn ports(&mut self) {
        let runs = UnixStream::connect(&self.config.admin_socket).is_ok();
        if runs {
            self.found.notes.push(format!("a daemon runs, and answers at {}", self.config.admin_socket.display()));
        }
        let config = self.config;
        let mut inherited = Inherited::default();
        let dns = bind::each(&config.dns.listen, |address| bind::udp_and_tcp(address, 1, &mut inherited));
        let quic = bind::each(&config.dns.quic_listen, |address| bind::udp(address, 1, &mut inherited));
        let mut tcp = |addresses: &[SocketAddr]| bind::each(addresses, |address| bind::tcp(address, &mut inherited));
        let dot = tcp(&config.dns.tls_listen);
        let api = tcp(&config.api.listen);
        let admin = tcp(&config.admin.listen);
        let metrics = tcp(&config.metrics);
        let mut report = |key: &str, error: Option<&BindError>| match error {
            Some(BindError::InUse { holder, .. }) if runs && holder.starts_with("txtgate") => {}
            Some(BindError::InUse { holder, address, .. }) if holder.starts_with("systemd (") => {
                self.found.notes.push(format!("{address} is held by a socket unit of systemd"));
            }
            Some(error) => self.wrong(key, error),
            None => {}
        };
        dns.iter().for_each(|tried| report("dns.listen", tried.as_ref().err()));
        quic.iter().for_each(|tried| report("dns.quic-listen", tried.as_ref().err()));
        dot.iter().for_each(|tried| report("dns.tls-listen", tried.as_ref().err()));
        api.iter().for_each(|tried| report("api.listen", tried.as_ref().err()));
        admin.iter().for_each(|tried| report("admin.listen", tried.as_ref().err()));
        metrics.iter().for_each(|tried| report("metrics.listen", tried.as_ref().err()));
    }
}

/// Why a hook's program cannot run.
fn unrunnable(hook: &DeployHook) -> Option<String> {
    use std::os::unix::fs::PermissionsExt;
    let path = Path::new(&hook.program);
    match path.metadata() {
        Err(error) => Some(format!("cannot run {}", Unusable(path, &error))),
        Ok(found) if !found.is_file() => Some(format!("cannot run {}: it is not a file", path.display())),
        Ok(found) if found.permissions().mode() & 0o111 == 0 => {
            Some(format!("cannot run {0}: run `chmod +x {0}`", path.display()))
        }
        Ok(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZONE: &str =
        "[[zone]]\nname = \"auth.example.org\"\nns = [\"ns1.example.org\"]\ncontact = \"a@example.org\"\n";
    const FREE: &str = "[dns]\nlisten = [\"127.0.0.1:0\"]\n[api]\nlisten = [\"127.0.0.1:0\"]\n[metrics]\nlisten = []\n";

    fn found(folder: &Path, top: &str, more: &str) -> Vec<(String, String)> {
        let text = format!("{top}{FREE}{ZONE}{more}");
        check(&Config::parse(&folder.join("c.toml"), &text).unwrap()).problems
    }

    #[test]
    fn every_path_is_tried() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), "x").unwrap();
        assert_eq!(found(folder.path(), "", ""), []);
        let long = format!("admin-socket = \"{}\"\n", "x".repeat(120));
        let certificate = "[[certificate]]\nnames = [\"a.test.example\"]\n";
        for (top, more, key, part) in [
            ("database = \"no/t.db\"\n", "", "database", "mkdir -p"),
            ("database = \"file\"\n", "", "database", "not a database"),
            ("admin-socket = \"no/t.sock\"\n", "", "admin-socket", "/run/txtgate/admin.sock"),
            ("admin-socket = \"file\"\n", "", "admin-socket", "is not a socket"),
            (&long, "", "admin-socket", "107 bytes"),
            ("", &format!("{certificate}hook = [\"/no/such\"]\n"), "certificate.0.hook.0", "/no/such"),
            ("", &format!("{certificate}directory = \"file/x\"\n"), "certificate.0.directory", "is a file"),
            ("", "dnssec-key = \"no.key\"\n", "zone.0.dnssec-key", "is missing"),
            ("[acme]\nca-root = \"no.pem\"\n", "", "acme.ca-root", "no.pem"),
        ] {
            let found = found(folder.path(), top, more);
            assert_eq!(found.len(), 1, "{top}{more}: {found:?}");
            assert!(found[0].0 == key && found[0].1.contains(part), "{top}{more}: {found:?}");
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is created");
    }

    #[test]
    fn a_port_that_is_taken_or_named_twice_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("{FREE}{ZONE}").replacen("127.0.0.1:0\"", "203.0.113.7:0\"", 1);
        let config = Config::parse(&folder.path().join("c.toml"), &text).unwrap();
        let problems = check(&config).problems;
        assert!(problems.len() == 1 && problems[0].0 == "dns.listen", "{problems:?}");
    }
}
