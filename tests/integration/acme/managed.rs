//! Managed certificates: from `txtgate cert issue` to files and a deploy hook.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

#[cfg(feature = "pkcs12")]
use p12_keystore::{KeyStore, Pkcs12ImportPolicy};
use rustix::process::Signal;
use serde_json::{Value, json};
use txtgate::acme::certificate::Chain;

use crate::harness::ca_lab::{CaLab, missing_cnames};
use crate::harness::http::get;
use crate::harness::pebble::{Options, Pebble};
use crate::harness::{Home, Process, until};

/// What bundles are sealed with.
#[cfg(feature = "pkcs12")]
pub const PASSWORD: &str = "correct horse battery staple";

/// Adds the records that the daemon wants for these names.
pub fn delegate(lab: &CaLab<Pebble>, home: &Home, names: &[&str]) {
    let (code, _) = home.run_err(&arguments(names));
    assert_eq!(code, Some(3), "records are missing");
    lab.add_missing(home, &called(names));
}

fn called(names: &[&str]) -> String {
    names[0].trim_start_matches("*.").to_owned()
}

fn arguments<'a>(names: &[&'a str]) -> Vec<&'a str> {
    let mut words = vec!["cert", "issue"];
    names.iter().for_each(|name| words.extend(["--name", name]));
    words
}

/// How a certificate is.
pub fn show(home: &Home, name: &str) -> Value {
    serde_json::from_str(&home.run_ok(&["cert", "show", name, "--json"])).unwrap()
}

/// The pair in the files, which must be one.
pub fn pair(home: &Home, name: &str) -> Option<Chain> {
    let live = home.path().join("certificates/live").join(name);
    let folder = std::fs::canonicalize(live).ok()?;
    let text = |file: &str| std::fs::read_to_string(folder.join(file)).unwrap();
    assert_eq!(text("cert.pem") + &text("chain.pem"), text("fullchain.pem"));
    let chain = Chain::from_pem(&(text("privkey.pem") + &text("fullchain.pem"))).expect("a pair");
    #[cfg(feature = "pkcs12")]
    assert_bundle(&folder.join("bundle.p12"), name, &chain);
    Some(chain)
}

/// A bundle, where there is one, holds the pair that lies beside it.
#[cfg(feature = "pkcs12")]
fn assert_bundle(bundle: &std::path::Path, name: &str, chain: &Chain) {
    if bundle.exists() {
        let bundle =
            KeyStore::from_pkcs12(&std::fs::read(bundle).unwrap(), PASSWORD, Pkcs12ImportPolicy::Strict).unwrap();
        let (alias, sealed) = bundle.private_key_chain().unwrap();
        let certificates: Vec<_> = sealed.certs().iter().map(|certificate| certificate.as_der()).collect();
        assert_eq!((alias, certificates), (name, chain.certificates().iter().map(AsRef::as_ref).collect()));
        assert_eq!(sealed.key().as_der(), chain.key().reveal_der());
    }
}

/// A file with a text and a mode.
pub fn file(home: &Home, name: &str, text: &str, mode: u32) -> PathBuf {
    let path = home.path().join(name);
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
    path
}

/// A program that does this, for hooks.
pub fn script(home: &Home, name: &str, text: &str) -> PathBuf {
    file(home, name, &format!("#!/bin/sh\n{text}\n"), 0o755)
}

#[test]
fn twenty_two_names_with_wildcard_missing_records_and_a_hook() {
    let Some(lab) = CaLab::real(Options::default()) else { return };
    let more: Vec<String> = (1..=20).map(|number| format!("n{number}.example.com")).collect();
    let mut names = vec!["example.com", "*.example.com"];
    names.extend(more.iter().map(String::as_str));
    let daemon = Process::start(&lab.settings);
    let home = daemon.home().clone();

    let output = home.run(&arguments(&names));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(3), "{err}");
    let records: Vec<&str> = out.lines().filter(|line| line.contains(". CNAME ")).collect();
    assert_eq!(records.len(), 21, "one for each name but the wildcard: {out}");
    assert!(err.contains("names of the certificate are not delegated to this server yet: "), "{err}");
    records.iter().for_each(|record| lab.resolver.add(record));

    let hook = script(&home, "hook", "env > \"$1\"; cat \"$TXTGATE_FULLCHAIN\" >> \"$1\"; echo done");
    let seen = home.path().join("seen");
    let mut words = arguments(&names);
    words.extend(["--mode", "0640", "--", hook.to_str().unwrap(), seen.to_str().unwrap()]);
    let out = home.run_ok(&words);
    assert!(out.contains("example.com: ordering a certificate and proving 22 names\n"), "{out}");
    assert!(out.contains("example.com: valid until "), "{out}");
    let chain = pair(&home, "example.com").unwrap();
    assert_eq!(chain.info.names.len(), 22);
    let mode = |file: &str| {
        let live = home.path().join("certificates/live/example.com");
        std::fs::metadata(live.join(file)).unwrap().permissions().mode() & 0o777
    };
    assert_eq!((mode("privkey.pem"), mode("fullchain.pem")), (0o640, 0o644));

    let seen = std::fs::read_to_string(seen).unwrap();
    let mut variables: Vec<&str> = seen.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    variables.retain(|name| name.chars().all(|c| c.is_ascii_uppercase() || c == '_'));
    variables.retain(|name| !["PWD", "_", "SHLVL", "OLDPWD"].contains(name));
    assert!(variables.iter().all(|name| *name == "PATH" || name.starts_with("TXTGATE_")), "{variables:?}");
    assert!(seen.contains("TXTGATE_CERT_NAME=example.com\n") && seen.ends_with(&chain.pem()));
    let shown = show(&home, "example.com");
    assert_eq!((&shown["hook"]["success"], &shown["hook"]["output"]), (&json!(true), &json!("done")));
    assert!(get(daemon.metrics(), "/metrics").body.contains("_expires_seconds{certificate=\"example.com\"} 1"));

    // The same after a restart: nothing is ordered, no hook is run, the labels are those of before.
    daemon.kill();
    let daemon = home.start();
    until("it is read", || show(&home, "example.com")["ended"] != 0);
    assert_eq!(show(&home, "example.com")["shown"]["serial"], chain.info.serial);
    assert!(!daemon.log().contains("ordering a certificate") && !daemon.log().contains("the deploy hook"));
    lab.resolver.clear();
    let (_, said) = home.run_err(&["cert", "renew", "example.com"]);
    assert!(said.contains("are not delegated to this server"), "{said}");
    let again = missing_cnames(&home, "example.com");
    assert_eq!(again, records, "a CNAME stays right for ever");
    assert_eq!(pair(&home, "example.com").unwrap().info, chain.info, "the old one stays");
}

#[test]
fn one_that_fails_blocks_no_other_and_a_request_survives_a_restart() {
    let Some(lab) = CaLab::real(Options::default()) else { return };
    let configured = "[[certificate]]\nname = \"conf\"\nnames = [\"conf.example.com\"]";
    let home = Home::new(&lab.settings.clone().more(configured));
    let daemon = home.start();
    until("the configured one fails", || show(&home, "conf")["problem"].is_string());
    let (code, said) = home.run_err(&["cert", "issue", "--name", "lost.example.com"]);
    assert!(code == Some(3) && said.contains("does not exist"), "{said}");
    lab.resolver.add("_acme-challenge.wrong.example.com. CNAME elsewhere.test.");
    let (code, said) = home.run_err(&["cert", "issue", "--name", "wrong.example.com"]);
    assert!(code == Some(3) && said.contains("it leads to elsewhere.test"), "{said}");
    delegate(&lab, &home, &["well.example.com"]);
    home.run_ok(&["cert", "renew", "well.example.com"]);
    let list = home.run_ok(&["cert", "list"]);
    let rows = |list: &str| list.lines().take_while(|line| !line.is_empty()).count();
    assert_eq!(rows(&list), 5, "{list}");
    assert!(list.lines().any(|line| line.starts_with("well.example.com") && line.contains("  well  ")), "{list}");
    assert!(
        list.contains(
            "conf: names of the certificate are not delegated to this server: _acme-challenge.conf.example.com: "
        ),
        "{list}"
    );

    daemon.kill();
    let daemon = home.start();
    assert_eq!(rows(&home.run_ok(&["cert", "list"])), 5);
    // What was mended is tried at once after a reload.
    until("it has failed", || show(&home, "lost.example.com")["missing"][0].is_object());
    lab.add_missing(&home, "lost.example.com");
    daemon.signal(Signal::HUP);
    until("the certificate is there", || pair(&home, "lost.example.com").is_some());

    // What stands in the configuration is the configuration's.
    for command in ["delete", "issue"] {
        let words: &[&str] = match command {
            "delete" => &["cert", "delete", "conf"],
            _ => &["cert", "issue", "--name", "conf.example.com", "--cert-name", "conf"],
        };
        let (code, said) = home.run_err(words);
        assert!(code == Some(1) && said.contains("is part of the configuration"), "{said}");
    }
    let (code, said) = home.run_err(&["cert", "issue", "--name", "192.0.2.1"]);
    assert!(code == Some(2) && said.contains("IP address"), "{said}");
    let (code, said) = home.run_err(&["cert", "show", "nobody"]);
    assert!(code == Some(1) && said.contains("no certificate called nobody"), "{said}");
    let (_, said) = home.run_err(&["cert", "issue", "--name", "x.auth.example.org"]);
    assert!(said.contains("lies in this server's zone auth.example.org"), "{said}");
}

#[test]
fn certificates_of_the_configuration_come_change_and_go_with_a_reload() {
    let Some(lab) = CaLab::real(Options::default()) else { return };
    let daemon = Process::start(&lab.settings);
    let home = daemon.home().clone();
    delegate(&lab, &home, &["a.example.com", "b.example.com"]);
    home.run_ok(&["cert", "renew", "a.example.com"]);
    let reload = |tables: &str| {
        home.write(&lab.settings.clone().more(tables));
        daemon.signal(Signal::HUP);
    };
    let kept = || -> Vec<(Value, Value)> {
        let list: Value = serde_json::from_str(&home.run_ok(&["cert", "list", "--json"])).unwrap();
        list["items"].as_array().unwrap().iter().map(|one| (one["names"].clone(), one["configured"].clone())).collect()
    };
    let (both, asked) = (json!(["a.example.com", "b.example.com"]), pair(&home, "a.example.com").unwrap().info);

    reload("[[certificate]]\nnames = [\"b.example.com\"]");
    until("it is there", || pair(&home, "b.example.com").is_some());
    reload("[[certificate]]\nnames = [\"b.example.com\", \"a.example.com\"]");
    until("another name is in it", || pair(&home, "b.example.com").unwrap().info.names.len() == 2);
    reload("");
    until("it is gone", || kept() == [(both.clone(), json!(false))]);
    assert!(pair(&home, "b.example.com").is_some(), "its files stay");

    // What a command has asked for is the configuration's for as long as that names it.
    reload("[[certificate]]\nname = \"a.example.com\"\nnames = [\"a.example.com\"]");
    until("the configuration rules", || kept() == [(json!(["a.example.com"]), json!(true))]);
    reload("");
    until("the command rules", || kept() == [(both.clone(), json!(false))]);
    until("it is whole again", || pair(&home, "a.example.com").unwrap().info.names == asked.names);
    assert!(!daemon.log().contains("restart txtgate to apply it"), "{}", daemon.log());
}

#[test]
fn caa_records_that_forbid_the_ca_stop_the_order() {
    let directory = json!({ "meta": { "caaIdentities": ["ca.test"] } });
    let lab = CaLab::with_directory(directory);
    let home = Home::new(&lab.settings);
    let _daemon = home.start();
    let (_, _) = home.run_err(&["cert", "issue", "--name", "a.example.com"]);
    lab.add_missing(&home, "a.example.com");
    lab.resolver.add("example.com. CAA 0 issue \"other.test\"");
    let (code, said) = home.run_err(&["cert", "renew", "a.example.com"]);
    let found = "CAA records forbid this CA (ca.test): a.example.com: example.com has CAA 0 issue \"other.test\"; add `CAA \
                 0 issue \"ca.test; accounturi=";
    assert!(code == Some(1) && said.contains(found), "{said}");
    assert!(said.contains("; validationmethods=dns-01\"`"), "{said}");
    assert_eq!(lab.ca.orders(), 0, "nothing was ordered");
    lab.resolver.add("example.com. CAA 0 issue \"ca.test\"");
    home.run(&["cert", "renew", "a.example.com"]);
    assert_eq!(lab.ca.orders(), 1);
}

#[test]
fn renewal_revocation_and_deletion() {
    let Some(lab) = CaLab::real(Options { validity: 12, ..Options::default() }) else { return };
    let daemon = Process::start(&lab.settings);
    let home = daemon.home().clone();
    delegate(&lab, &home, &["a.example.com"]);
    home.run_ok(&["cert", "renew", "a.example.com"]);
    let serial = || pair(&home, "a.example.com").map(|chain| chain.info.serial);
    let first = serial();
    until("a renewal", || serial() != first);
    home.run_ok(&["cert", "renew", "a.example.com"]);

    let out = home.run_ok(&["cert", "revoke", "a.example.com", "--reason", "superseded"]);
    assert!(out.contains("is revoked, and is not renewed"), "{out}");
    let revoked = serial().unwrap();
    let status = lab.ca.status_of(&revoked);
    assert_eq!((&status["Status"], &status["Reason"]), (&json!("Revoked"), &json!(4)), "{status}");
    daemon.kill();
    let daemon = home.start();
    until("it is read", || show(&home, "a.example.com")["ended"] != 0);
    assert_eq!(show(&home, "a.example.com")["revoked"], true);
    assert_eq!(show(&home, "a.example.com")["renew_at"], Value::Null);
    home.run_ok(&["cert", "renew", "a.example.com"]);
    assert_ne!(serial().unwrap(), revoked);
    assert_eq!(show(&home, "a.example.com")["revoked"], false);

    home.run_ok(&["cert", "delete", "a.example.com"]);
    assert_eq!(home.run_ok(&["cert", "list", "--json"]).trim(), r#"{"items":[],"truncated":false}"#);
    let left = |folder: &str| std::fs::read_dir(home.path().join(folder)).unwrap().count();
    assert_eq!((left("certificates/live"), left("certificates/archive"), left("acme/certificates")), (0, 0, 0));
    // Its label is as it was: the record is still right.
    drop(daemon);
    let _daemon = home.start();
    home.run_ok(&["cert", "issue", "--name", "a.example.com"]);
}

#[test]
fn a_ca_that_is_down_is_told_of() {
    let Some(lab) = CaLab::real(Options::default()) else { return };
    let settings = lab.settings.clone().with("acme", "directory = \"https://127.0.0.1:1/dir\"");
    let daemon = Process::start(&settings);
    let home = daemon.home().clone();
    delegate(&lab, &home, &["a.example.com"]);
    let (code, said) = home.run_err(&["cert", "renew", "a.example.com"]);
    assert!(code == Some(1) && said.contains("the CA cannot be reached at https://127.0.0.1:1/dir"), "{said}");
    assert!(said.contains("check the network"), "{said}");
    let metrics = get(daemon.metrics(), "/metrics").body;
    assert!(metrics.contains("txtgate_certificate_failed_seconds{certificate=\"a.example.com\"} 1"), "{metrics}");
}

/// How often in a run of all tests; more by `TXTGATE_KILLS`.
#[cfg(feature = "pkcs12")]
const KILLS: u32 = 20;

#[cfg(feature = "pkcs12")]
#[test]
fn sigkill_at_any_moment_leaves_the_old_pair_or_the_new_one() {
    let Some(lab) = CaLab::real(Options::default()) else { return };
    let kills = std::env::var("TXTGATE_KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    let seen = Home::new(&lab.settings);
    let hook = script(&seen, "hook", "exit 0");
    let password = file(&seen, "password", PASSWORD, 0o600);
    let configured = format!(
        "[[certificate]]\nnames = [\"a.example.com\", \"*.a.example.com\"]\nhook = [{hook:?}]\npkcs12 = true\n\
         pkcs12-password-file = {password:?}"
    );
    // Values that a kill leaves behind live on. Pebble asks without EDNS, for 512 bytes, and the tests' resolver speaks
    // no TCP: more than a few would not fit.
    let settings = lab.settings.clone().with("values", "max-values = 4");
    let home = Home::new(&settings.more(&configured));
    let daemon = home.start();
    until("it has failed", || show(&home, "a.example.com")["missing"][0].is_object());
    lab.add_missing(&home, "a.example.com");
    let start = std::time::Instant::now();
    home.run_ok(&["cert", "renew", "a.example.com"]);
    // About 700 ms, unless the machine is busy.
    let whole = start.elapsed();
    drop(daemon);

    let (mut serials, mut random) = (std::collections::BTreeSet::new(), 1_u64);
    for kill in 0..kills {
        let daemon = home.start();
        let renewing = {
            let home = home.clone();
            std::thread::spawn(move || _ = home.run(&["cert", "renew", "a.example.com"]))
        };
        // The moments are spread over an issuance and a little more.
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let wait = whole.mul_f64((random >> 33) as f64 / (1_u64 << 31) as f64 * 1.7);
        std::thread::sleep(wait);
        daemon.kill();
        renewing.join().unwrap();
        let found = pair(&home, "a.example.com");
        let bundle = home.path().join("certificates/live/a.example.com/bundle.p12");
        assert_eq!(bundle.exists(), found.is_some(), "the bundle comes with the pair");
        eprintln!("kill {kill} after {wait:?}: {:?}", found.as_ref().map(|chain| &chain.info.serial));
        serials.extend(found.map(|chain| chain.info.serial));
    }
    let _daemon = home.start();
    // A CA that looked while the daemon was down has seen nothing: that order has failed, and another one is made.
    until("a renewal", || home.run(&["cert", "renew", "a.example.com"]).status.success());
    let last = pair(&home, "a.example.com").unwrap().info.serial;
    serials.insert(last.clone());
    assert!(serials.len() > 2, "{serials:?}");
    assert_eq!(show(&home, "a.example.com")["hook"]["serial"], last);
    eprintln!("{kills} kills, {} certificates", serials.len());
}
