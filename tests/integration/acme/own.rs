//! The API's own certificate.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use rustix::process::Signal;
use serde_json::Value;
use tokio_rustls::rustls::pki_types::CertificateDer;
use txtgate::acme::certificate::root_of;

use crate::harness::http::{get, request};
use crate::harness::pebble::{Options, Pebble};
use crate::harness::ports::free_port;
use crate::harness::tls::{connect, shown, trusting};
use crate::harness::{Home, Process, Settings, ZONE, until};

/// A CA that asks the daemon itself, and the settings of that daemon.
fn ca(options: Options) -> Option<(Pebble, Settings)> {
    let pebble = Pebble::start(&Options { resolver: Some(free_port()), ..options })?;
    let settings = pebble.settings().with("api.tls", "mode = \"acme\"");
    Some((pebble, settings))
}

/// How the API's certificate is.
pub fn report(home: &Home) -> Value {
    let status: Value = serde_json::from_str(&home.run_ok(&["status", "--json"])).unwrap();
    status["certificates"]["api"].clone()
}

fn is_issued(home: &Home) -> bool {
    report(home)["self_signed"] == false && report(home)["shown"].is_object()
}

fn is_trusted(daemon: &Process, root: &CertificateDer<'static>) -> bool {
    connect(daemon.api(), trusting(root.clone(), &["http/1.1"]), ZONE).is_ok()
}

#[test]
fn from_nothing_to_a_verified_certificate_that_survives_a_restart() {
    let Some((pebble, settings)) = ca(Options { bad_nonces: 20, ..Options::default() }) else { return };
    let names = format!("names = [\"{ZONE}\", \"*.{ZONE}\"]");
    let daemon = Process::start(&settings.with("api.tls", &names).with("acme", "key-type = \"p384\""));
    let home = daemon.home().clone();
    until("the certificate is there", || is_issued(&home));

    let mut wire = connect(daemon.api(), trusting(pebble.issuing_root(), &["http/1.1"]), ZONE).unwrap();
    assert_eq!(wire.exchange(request("GET", "/health", &[], "")).status, 200);
    let certificate = shown(&wire);
    assert!(connect(daemon.api(), trusting(pebble.issuing_root(), &[]), "x.auth.example.org").is_ok(), "the wildcard");
    assert!(daemon.log().contains("the API shows a self-signed certificate until"), "{}", daemon.log());
    assert!(home.run_ok(&["txt", "list"]).lines().count() <= 1, "values are retired");
    let metrics = get(daemon.metrics(), "/metrics").body;
    assert!(metrics.contains("txtgate_certificates_issued_total 1\n"), "{metrics}");
    assert!(!metrics.contains("txtgate_api_certificate_expires_seconds 0\n"));
    private(&home.path().join("acme"));

    daemon.kill();
    let daemon = home.start();
    let wire = connect(daemon.api(), trusting(pebble.issuing_root(), &[]), ZONE).unwrap();
    assert_eq!(shown(&wire), certificate, "the same, without a new order");
    assert_eq!(report(&home)["failures"], 0);
}

/// Nobody else reads the folder or anything in it, and nothing is left of the order.
fn private(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o077;
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(mode(folder) == 0 && files.iter().all(|file| mode(file) == 0), "{files:?}");
    let names: Vec<String> =
        files.iter().map(|file| file.file_name().unwrap().to_string_lossy().into_owned()).collect();
    assert!(names.contains(&"api.pem".to_owned()) && names.len() == 2, "{names:?}");
}

#[test]
fn of_several_chains_the_preferred_one_is_shown() {
    let Some((pebble, settings)) = ca(Options { alternate_roots: 2, ..Options::default() }) else { return };
    let name = root_of(&[pebble.alternate_root(2)]).unwrap();
    let daemon = Process::start(&settings.clone().with("acme", &format!("preferred-root = {name:?}")));
    until("the certificate is there", || is_issued(daemon.home()));
    let trusted = |daemon: &Process| [0, 1, 2].map(|number| is_trusted(daemon, &pebble.alternate_root(number)));
    assert_eq!(trusted(&daemon), [false, false, true]);
    daemon.kill();
    // One that the CA has not is not a reason to go without.
    let daemon = Process::start(&settings.with("acme", "preferred-root = \"No Such Root\""));
    until("the certificate is there", || is_issued(daemon.home()));
    assert_eq!(trusted(&daemon), [true, false, false]);
    assert!(daemon.log().contains("the CA has no chain to No Such Root"));
}

/// Seconds of validity, so that it is renewed every few; a client asks all the while.
#[test]
fn renewals_lose_no_connection_and_no_request() {
    let Some((pebble, settings)) = ca(Options { validity: 12, ..Options::default() }) else { return };
    let daemon = Process::start(&settings);
    let home = daemon.home().clone();
    until("the certificate is there", || is_issued(&home));
    let root = pebble.issuing_root();
    let first = report(&home)["shown"]["serial"].clone();

    let (stop, asked) = (AtomicBool::new(false), AtomicU32::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut kept = connect(daemon.api(), trusting(root.clone(), &["http/1.1"]), ZONE).unwrap();
            while !stop.load(Ordering::Relaxed) {
                assert_eq!(
                    kept.exchange(request("GET", "/health", &[], "")).status,
                    200,
                    "on the connection kept open"
                );
                let mut fresh =
                    connect(daemon.api(), trusting(root.clone(), &["http/1.1"]), ZONE).expect("a handshake");
                assert_eq!(fresh.exchange(request("GET", "/health", &[], "")).status, 200);
                asked.fetch_add(2, Ordering::Relaxed);
            }
        });
        until("two renewals", || daemon.log().matches("the CA has issued a certificate").count() >= 3);
        stop.store(true, Ordering::Relaxed);
    });
    assert_ne!(report(&home)["shown"]["serial"], first);
    assert!(asked.load(Ordering::Relaxed) > 20, "{asked:?}");
}

#[test]
fn a_ca_that_is_down_is_told_of_and_asked_again_and_the_old_certificate_stays() {
    let Some((pebble, settings)) = ca(Options::default()) else { return };
    let settings = settings.with("api.tls", "until-issued = \"closed\"");
    let home = Home::new(&settings.clone().with("acme", "directory = \"https://127.0.0.1:1/dir\""));
    let daemon = home.start();
    until("the failure shows", || report(&home)["failures"] != 0);
    let problem = report(&home)["problem"].as_str().unwrap().to_owned();
    assert!(problem.contains("cannot be reached at https://127.0.0.1:1/dir"), "{problem}");
    assert!(daemon.log().contains(&problem) && report(&home)["next_attempt"].is_string());
    assert!(get(daemon.metrics(), "/metrics").body.contains("txtgate_certificate_failures_total 1\n"));
    assert!(connect(daemon.api(), trusting(pebble.issuing_root(), &[]), ZONE).is_err(), "closed");
    daemon.kill();

    home.write(&settings);
    let daemon = home.start();
    until("the certificate is there", || is_trusted(&daemon, &pebble.issuing_root()));
    drop(daemon);
    // Another CA that is not there: its certificate is wanted, and this one is not shown in its place.
    home.write(&settings.with("acme", "directory = \"https://127.0.0.1:1/dir\""));
    let daemon = home.start();
    assert!(!is_trusted(&daemon, &pebble.issuing_root()));
}

#[test]
fn a_deactivated_account_fails_with_the_cas_own_words() {
    let Some((pebble, settings)) = ca(Options::default()) else { return };
    let home = Home::new(&settings);
    let daemon = home.start();
    until("the certificate is there", || is_trusted(&daemon, &pebble.issuing_root()));
    home.run_ok(&["acme", "account", "deactivate", "--yes"]);
    std::fs::remove_file(home.path().join("acme/api.pem")).unwrap();
    daemon.kill();
    let daemon = home.start();
    until("the failure shows", || report(&home)["failures"] != 0);
    let problem = report(&home)["problem"].to_string();
    assert!(
        problem.contains("the CA says: ") && problem.contains("urn:ietf:params:acme:error:unauthorized"),
        "{problem}"
    );
    // What was mended is tried at once after a reload: here nothing was, and it fails once more.
    daemon.signal(Signal::HUP);
    until("it is tried again", || report(&home)["failures"].as_u64() > Some(1));
}

#[test]
fn a_certificate_file_that_cannot_be_used_is_replaced() {
    let Some((pebble, settings)) = ca(Options::default()) else { return };
    let daemon = Process::start(&settings);
    let home = daemon.home().clone();
    let folder = home.path().join("acme");
    until("the certificate is there", || is_trusted(&daemon, &pebble.issuing_root()));
    daemon.kill();
    std::fs::write(folder.join("api.pem"), "nonsense").unwrap();
    std::fs::set_permissions(folder.join("api.pem"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let daemon = home.start();
    assert!(daemon.log().contains("api.pem cannot be used, and another certificate is issued; "), "{}", daemon.log());
    until("the certificate is there", || is_trusted(&daemon, &pebble.issuing_root()));
}
