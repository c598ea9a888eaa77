//! A signed zone, judged by validators that know nothing of us: delv (BIND), drill (ldns) and unbound-host.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

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

/// Everything that is asked of each validator, and whether it finds records there.
const QUESTIONS: [(&str, &str, bool); 20] = [
    ("shop", "TXT", true),
    ("sHoP", "TXT", true),
    ("many", "TXT", true),
    ("persist", "TXT", true),
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
    ("empty", "CAA", false),
    ("_acme-challenge", "TXT", false),
    ("dOwN", "A", false),
    ("@", "TXT", false),
    ("nothing", "TXT", false),
    ("x.Y.nothing", "CAA", false),
];

/// How long anything that must happen may take on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

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
        let handler = tcp::ConnectionHandler::new(responder, shutdown.subscribe());
        tcp::serve(listener, handler, Connections::new(64, 64)).unwrap();
        drop(entered);
        let folder = tempfile::tempdir().unwrap();
        anchors(folder.path(), keys, port);
        Self { port, folder, udp, _runtime: runtime, _shutdown: shutdown }
    }

    fn run(&self, command: &'static str, arguments: &[&str]) -> Option<String> {
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
                skip(command, &format!("{error}; install it to have signatures validated"));
                return None;
            }
        };
        Some(format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)))
    }

    /// Puts each question to all validators.
    fn validate(&self) {
        for (label, rtype, has_records) in QUESTIONS {
            self.validate_one(label, rtype, has_records);
        }
    }

    fn validate_one(&self, label: &str, rtype: &str, has_records: bool) {
        let name = if label == "@" { APEX.to_owned() } else { format!("{label}.{APEX}") };
        self.ask_delv(&name, rtype, has_records);
        self.ask_drill(&name, rtype);
        self.ask_unbound_host(&name, rtype);
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
    let mut delv = "trust-anchors {\n".to_owned();
    let mut drill = String::new();
    for key in keys {
        let dnskey = key.dnskey();
        let algorithm = dnskey[3];
        let public = STANDARD.encode(&dnskey[4..]);
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

/// A resolver that validates, caches, and answers from the NSEC records in its cache (RFC 8198).
struct Unbound {
    child: Child,
    socket: UdpSocket,
    /// How many questions, and the last one's ID.
    asked: u16,
}

/// Reports a check that cannot run here, once, and fails with `CI=true`, where every check has to run. The report goes to
/// standard error itself, because the test harness hides what a passing test prints, and to the file that `tests/run`
/// counts.
fn skip(what: &'static str, why: &str) {
    static REPORTED: Mutex<BTreeSet<&str>> = Mutex::new(BTreeSet::new());
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{what} was skipped: {why}");
    if !REPORTED.lock().unwrap().insert(what) {
        return;
    }
    _ = std::io::stderr().write_all(format!("\nSKIPPED: {what}: {why}\n").as_bytes());
    if let Some(path) = std::env::var_os("TXTGATE_TEST_SKIPPED") {
        let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
        file.write_all(format!("{what}: {why}\n").as_bytes()).unwrap();
    }
}

impl Unbound {
    /// `None` where there is none. Starts it again on another port where somebody else has taken the one that was free.
    fn start(lab: &Lab) -> Option<Self> {
        for _ in 0..10 {
            let mut unbound = Self::on_a_free_port(lab)?;
            if unbound.comes_up() {
                return Some(unbound);
            }
        }
        panic!("unbound ends at once on every port");
    }

    fn on_a_free_port(lab: &Lab) -> Option<Self> {
        let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let settings = std::fs::read_to_string(lab.folder.path().join("unbound.conf")).unwrap();
        let more = format!(
            "server:\n interface: 127.0.0.1@{port}\n so-reuseport: no\n aggressive-nsec: yes\n do-daemonize: no\n \
             use-syslog: no\n pidfile: \"\"\n num-threads: 1\nremote-control:\n control-enable: no\n"
        );
        let file = lab.folder.path().join("unbound-daemon.conf");
        std::fs::write(&file, settings + &more).unwrap();
        let started = Command::new("/usr/sbin/unbound").args(["-d", "-c"]).arg(file).stderr(Stdio::null()).spawn();
        let Ok(child) = started else {
            skip("unbound", "it is not installed; install it to see what caches make of denials");
            return None;
        };
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(("127.0.0.1", port)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        Some(Self { child, socket, asked: 0 })
    }

    /// Waits for its first reply; `false` if it ends instead.
    fn comes_up(&mut self) -> bool {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            if self.try_ask("", 6).is_some() {
                return true;
            }
        }
        panic!("unbound does not answer");
    }

    /// Asks until it answers.
    fn ask(&mut self, label: &str, rtype: u16) -> Message {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Some(reply) = self.try_ask(label, rtype) {
                return reply;
            }
        }
        panic!("unbound does not answer");
    }

    /// Asks once. A late reply to a former question has another ID, and is none.
    fn try_ask(&mut self, label: &str, rtype: u16) -> Option<Message> {
        self.asked += 1;
        let name = if label.is_empty() { APEX.to_owned() } else { format!("{label}.{APEX}") };
        let mut packet = edns(query(&name, rtype));
        packet[..2].copy_from_slice(&self.asked.to_be_bytes());
        packet[2] |= 1; // RD
        if self.socket.send(&packet).is_err() {
            // Nobody listens yet.
            std::thread::sleep(Duration::from_millis(10));
        }
        let mut buffer = [0; 4_096];
        loop {
            let Ok(length) = self.socket.recv(&mut buffer) else {
                std::thread::sleep(Duration::from_millis(10));
                return None;
            };
            if buffer[..2] == packet[..2] {
                return Some(Message::from_vec(&buffer[..length]).unwrap());
            }
        }
    }
}

impl Drop for Unbound {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The bitmap of a registered name that had no value yet said "no TXT" to whoever asked for another type, and a cache
/// that makes negative answers out of NSEC records went on saying so when the value was there.
#[test]
fn a_cache_makes_no_missing_txt_out_of_the_denial_of_another_type() {
    let keys = vec![key(Algorithm::EcdsaP256)];
    let zone = signed_by(Phase::Offered, keys.clone());
    let live = zone.live.clone();
    let lab = Lab::start(zone, &keys);
    let Some(mut unbound) = Unbound::start(&lab) else { return };
    for (rtype, label) in [(1, "empty"), (257, "over"), (47, "past")] {
        let other = unbound.ask(label, rtype);
        assert_eq!((rcode(&other), txts(&other.answers).len()), (ResponseCode::NoError, 0), "{other:?}");
        live.put(label, Some(OwnerState::of(&[value('n', true)])));
        let found = unbound.ask(label, 16);
        assert_eq!(txts(&found.answers), ["n".repeat(43)], "{label} after {rtype}: {found:?}");
    }
    // It does so where the bitmap lets it.
    let asked = unbound.ask("off", 16);
    live.put("off", Some(OwnerState::of(&[value('n', true)])));
    assert!(txts(&asked.answers).is_empty() && txts(&unbound.ask("off", 16).answers).is_empty());
    lab.udp.stop();
}

#[test]
fn every_kind_of_answer_validates_with_p256() {
    let keys = vec![key(Algorithm::EcdsaP256)];
    let lab = Lab::start(signed_by(Phase::Offered, keys.clone()), &keys);
    lab.validate();
    lab.udp.stop();
}

/// No zone holds such names, but anybody can ask for them, and the NSEC that denies one has it as its owner.
#[test]
fn denials_of_names_that_no_zone_holds_validate() {
    let keys = vec![key(Algorithm::EcdsaP256)];
    let lab = Lab::start(signed_by(Phase::Offered, keys.clone()), &keys);
    for label in
        ["*", "*.*", "*.shop", "x.*", "X.*.Y", "**", "*x", r"\000", r"\000.sHoP", r"A\.b", r"\192Z\255", r"\@A\;"]
    {
        lab.validate_one(label, "TXT", false);
        lab.validate_one(label, "CAA", false);
    }
    lab.validate_one("shop", "MAILB", false);
    // Of 253 to 255 bytes, with and without a name beside them.
    let room = 255 - name(APEX).as_wire().len() - 3 * 64;
    for byte in ["a", "@", r"\255"] {
        for last in room - 3..room {
            let labels = [byte.repeat(last), byte.repeat(63), byte.repeat(63), byte.repeat(63)].join(".");
            lab.validate_one(&labels.replace('@', r"\@"), "TXT", false);
        }
    }
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
