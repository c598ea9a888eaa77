//! A signed zone, judged by validators that know nothing of us: delv (BIND), drill (ldns) and unbound-host.

use std::path::Path;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::sync::watch;

use super::*;
use crate::dns::{tcp, udp};
use crate::net::bind;
use crate::net::connections::Connections;
use crate::net::inherited::Inherited;
use crate::zone::signing::key::{Algorithm, ZoneKey};
use crate::zone::signing::phase::Phase;
use crate::zone::signing::{Keys, Signing};

pub fn key(algorithm: Algorithm) -> Arc<ZoneKey> {
    Arc::new(ZoneKey::generate(algorithm).unwrap())
}

pub fn signed_by(phase: Phase, keys: Vec<Arc<ZoneKey>>) -> Zone {
    let keys = Keys { apex: name(APEX), phase, keys, ttl: 60 };
    Zone { signing: Signing::new(keys, Clock::start(None)).map(Arc::new), ..zone() }
}

/// Everything that is asked of each validator, and whether it finds records there.
const QUESTIONS: [(&str, &str, bool); 18] = [
    ("shop", "TXT", true),
    ("sHoP", "TXT", true),
    ("many", "TXT", true),
    ("@", "CAA", true),
    ("@", "SOA", true),
    ("@", "NS", true),
    ("@", "DNSKEY", true),
    ("@", "CDS", true),
    ("@", "CDNSKEY", true),
    ("to-shop", "TXT", true),
    ("alias2", "A", true),
    ("shop", "A", false),
    ("eMpTy", "TXT", false),
    ("_acme-challenge", "TXT", false),
    ("dOwN", "A", false),
    ("@", "TXT", false),
    ("nothing", "TXT", false),
    ("x.Y.nothing", "CAA", false),
];

struct Lab {
    port: u16,
    folder: tempfile::TempDir,
    udp: udp::UdpListener,
    _runtime: tokio::runtime::Runtime,
    _shutdown: watch::Sender<bool>,
}

impl Lab {
    fn start(zone: Zone, keys: &[Arc<ZoneKey>]) -> Self {
        let responder = responder_of(Zones::new(vec![zone]));
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (sockets, listener) = both_sockets();
        let udp = udp::spawn(sockets, &responder).unwrap();
        let port = udp.address().port();
        listener.set_nonblocking(true).unwrap();
        let shutdown = watch::Sender::new(false);
        let entered = runtime.enter();
        tcp::serve(listener, responder, Connections::new(64, 64), shutdown.subscribe()).unwrap();
        drop(entered);
        let folder = tempfile::tempdir().unwrap();
        anchors(folder.path(), keys, port);
        Self { port, folder, udp, _runtime: runtime, _shutdown: shutdown }
    }

    fn run(&self, command: &str, arguments: &[&str]) -> Option<String> {
        let file = |name: &str| self.folder.path().join(name).display().to_string();
        let port = self.port.to_string();
        let fill = |argument: &&str| match *argument {
            "PORT" => port.clone(),
            other => match other.strip_prefix("FILE:") {
                Some(name) => file(name),
                None => other.to_owned(),
            },
        };
        let output = match Command::new(command).args(arguments.iter().map(fill)).output() {
            Ok(output) => output,
            Err(error) => {
                assert!(std::env::var("CI").as_deref() != Ok("true"), "{command}: {error}");
                eprintln!("SKIPPED: {command} does not run ({error}); install it to have signatures validated");
                return None;
            }
        };
        Some(format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)))
    }

    /// Puts each question to all validators.
    fn validate(&self) {
        for (label, rtype, has_records) in QUESTIONS {
            let name = if label == "@" { APEX.to_owned() } else { format!("{label}.{APEX}") };
            self.ask_delv(&name, rtype, has_records);
            self.ask_drill(&name, rtype);
            self.ask_unbound_host(&name, rtype);
        }
    }

    fn ask_delv(&self, name: &str, rtype: &str, has_records: bool) {
        let root = format!("+root={APEX}");
        let arguments = ["@127.0.0.1", "-p", "PORT", "-a", "FILE:delv", &root, name, rtype];
        let Some(said) = self.run("delv", &arguments) else { return };
        let expected = if has_records { "; fully validated" } else { "; negative response, fully validated" };
        assert!(said.contains(expected) && !said.contains("unsigned"), "delv {name} {rtype}: {said}");
    }

    fn ask_drill(&self, name: &str, rtype: &str) {
        // drill asks once and does not come back over TCP by itself.
        let arguments = ["-t", "-S", "-k", "FILE:drill", "-p", "PORT", "@127.0.0.1", name, rtype];
        let Some(said) = self.run("drill", &arguments) else { return };
        assert!(said.contains(";; Chase successful"), "drill {name} {rtype}: {said}");
    }

    fn ask_unbound_host(&self, name: &str, rtype: &str) {
        let arguments = ["-C", "FILE:unbound.conf", "-v", "-t", rtype, name];
        let Some(said) = self.run("unbound-host", &arguments) else { return };
        assert!(said.contains("(secure)") && !said.contains("insecure"), "unbound-host {name} {rtype}: {said}");
    }
}

/// UDP and TCP on one port; another test may have taken it for one of them in between.
fn both_sockets() -> (bind::UdpSockets, std::net::TcpListener) {
    let attempt = || {
        let sockets = bind::udp("127.0.0.1:0".parse().unwrap(), 1, &mut Inherited::default()).unwrap();
        std::net::TcpListener::bind(sockets.address).ok().map(|listener| (sockets, listener))
    };
    (0..50).find_map(|_| attempt()).expect("a free port")
}

fn anchors(folder: &Path, keys: &[Arc<ZoneKey>], port: u16) {
    let (mut delv, mut drill) = ("trust-anchors {\n".to_owned(), String::new());
    for key in keys {
        let dnskey = key.dnskey();
        let (algorithm, public) = (dnskey[3], STANDARD.encode(&dnskey[4..]));
        delv += &format!("  \"{APEX}\" static-key 257 3 {algorithm} \"{public}\";\n");
        drill += &format!("{APEX}. 60 IN DNSKEY 257 3 {algorithm} {public}\n");
    }
    std::fs::write(folder.join("delv"), delv + "};\n").unwrap();
    std::fs::write(folder.join("drill"), drill).unwrap();
    let unbound = format!(
        "server:\n do-not-query-localhost: no\n trust-anchor-file: \"{}\"\n val-sig-skew-min: 0\n val-sig-skew-max: 0\n \
         use-caps-for-id: yes\n username: \"\"\n chroot: \"\"\n directory: \"\"\n\
         stub-zone:\n name: \"{APEX}\"\n stub-addr: 127.0.0.1@{port}\n",
        folder.join("drill").display()
    );
    std::fs::write(folder.join("unbound.conf"), unbound).unwrap();
}

#[test]
fn every_kind_of_answer_validates_with_p256() {
    let keys = vec![key(Algorithm::EcdsaP256)];
    let lab = Lab::start(signed_by(Phase::Offered, keys.clone()), &keys);
    lab.validate();
    lab.udp.stop();
}

#[test]
fn every_kind_of_answer_validates_with_ed25519() {
    let keys = vec![key(Algorithm::Ed25519)];
    let lab = Lab::start(signed_by(Phase::Offered, keys.clone()), &keys);
    lab.validate();
    lab.udp.stop();
}

#[test]
fn during_a_rollover_either_key_validates() {
    let keys = vec![key(Algorithm::EcdsaP256), key(Algorithm::EcdsaP256)];
    for anchor in &keys {
        let lab = Lab::start(signed_by(Phase::Switching, keys.clone()), std::slice::from_ref(anchor));
        lab.validate();
        lab.udp.stop();
    }
}
