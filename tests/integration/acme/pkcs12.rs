//! PKCS#12 bundles of managed certificates, judged by openssl.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Output};

use txtgate::acme::certificate::Chain;

use super::managed::{PASSWORD, delegate, file, pair, script, show};
use crate::harness::ca_lab::CaLab;
use crate::harness::pebble::Options;
use crate::harness::{Home, Process, until};

const NAME: &str = "a.example.com";

fn openssl(bundle: &Path, password: &str, more: &[&str]) -> Output {
    let mut command = Command::new("openssl");
    command.args(["pkcs12", "-in"]).arg(bundle).args(["-passin", &format!("pass:{password}")]).args(more);
    command.output().expect("openssl, as tests/packages.sh installs it")
}

fn issue<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["cert", "issue", "--name", NAME, "--name", "*.a.example.com"], more].concat()
}

/// The bundle opens with the password alone, and holds what the PEM files hold.
fn assert_sealed(home: &Home) {
    let live = home.path().join("certificates/live").join(NAME);
    let bundle = live.join("bundle.p12");
    let opened = openssl(&bundle, PASSWORD, &["-nodes"]);
    let pem = String::from_utf8(opened.stdout).unwrap();
    assert!(opened.status.success(), "{}", String::from_utf8_lossy(&opened.stderr));
    let (sealed, chain) = (Chain::from_pem(&pem).unwrap(), pair(home, NAME).unwrap());
    assert_eq!(sealed.pem(), chain.pem());
    assert!(chain.certificates().len() > 1, "the chain is in it");
    assert!(sealed.key().reveal_pem() == chain.key().reveal_pem(), "the keys are one");
    assert!(pem.contains(&format!("friendlyName: {NAME}\n")), "{pem}");
    let info = openssl(&bundle, PASSWORD, &["-info", "-noout"]);
    let info = String::from_utf8_lossy(&info.stderr).into_owned();
    assert_eq!(info.matches("PBES2, PBKDF2, AES-256-CBC, Iteration 10000, PRF hmacWithSHA256").count(), 2, "{info}");
    assert!(info.contains("MAC: sha256, Iteration 10000\n"), "{info}");
    assert!(!openssl(&bundle, "another one", &["-nodes"]).status.success());
    let owned = |file: &str| std::fs::metadata(live.join(file)).map(|of| (of.mode(), of.uid(), of.gid())).unwrap();
    assert_eq!(owned("bundle.p12"), owned("privkey.pem"));
}

#[test]
fn a_bundle_holds_what_the_pem_files_hold_and_opens_with_its_password() {
    let Some(lab) = CaLab::real(Options::default()) else { return };
    let daemon = Process::start(&lab.settings);
    let home = daemon.home().clone();
    delegate(&lab, &home, &[NAME]);
    let password = file(&home, "password", &format!("{PASSWORD}\n"), 0o600);
    let seen = home.path().join("seen");
    let hook = script(&home, "hook", "echo \"$TXTGATE_PKCS12\" >> \"$1\"");
    let hook = ["--", hook.to_str().unwrap(), seen.to_str().unwrap()];
    let bundle = ["--pkcs12", "--pkcs12-password-file", "password", "--mode", "0640"];
    home.run_ok(&issue(&[&bundle[..], &hook].concat()));
    assert_sealed(&home);
    let first = pair(&home, NAME).unwrap().info.serial;

    // Without, and with again: the pair stays, the bundle comes, and the hook sees it.
    let (code, said) = home.run_err(&issue(&hook));
    assert!(code == Some(1) && said.contains("pkcs12: true becomes false"), "{said}");
    home.run_ok(&issue(&[&["--replace"][..], &hook].concat()));
    home.run_ok(&["cert", "renew", NAME]);
    let live = home.path().join("certificates/live").join(NAME);
    let second = pair(&home, NAME).unwrap().info.serial;
    assert!(first != second && !live.join("bundle.p12").exists());
    home.run_ok(&issue(&[&bundle[..], &hook].concat()));
    assert_sealed(&home);
    assert_eq!(pair(&home, NAME).unwrap().info.serial, second, "no other certificate was ordered");
    let path = live.join("bundle.p12").display().to_string();
    assert_eq!(std::fs::read_to_string(seen).unwrap(), format!("{path}\n\n{path}\n"));

    // The next one has one by itself, and nothing tells the password.
    home.run_ok(&["cert", "renew", NAME]);
    assert_sealed(&home);
    assert!(!daemon.log().contains(PASSWORD));
    assert!(!home.run_ok(&["cert", "show", NAME, "--json"]).contains(PASSWORD));
    let record =
        std::fs::read_to_string(home.path().join("acme/certificates").join(NAME).join("request.toml")).unwrap();
    assert!(record.contains(password.to_str().unwrap()) && !record.contains(PASSWORD), "{record}");
}

#[test]
fn without_a_password_nothing_is_asked_for_and_nothing_ordered() {
    let Some(lab) = CaLab::real(Options::default()) else { return };
    let configured = "[[certificate]]\nname = \"conf\"\nnames = [\"b.example.com\"]\npkcs12 = true\n\
                      pkcs12-password-file = \"no-such-file\"";
    let home = Home::new(&lab.settings.more(configured));
    let (code, said) = home.run_err(&["config", "check"]);
    assert!(code == Some(2) && said.contains("no-such-file is missing; write the password into it"), "{said}");
    let daemon = home.start();
    until("the configured one fails", || show(&home, "conf")["problem"].is_string());
    let problem = show(&home, "conf")["problem"].as_str().unwrap().to_owned();
    assert!(problem.contains("no-such-file is missing; write the password into it, with mode 0600"), "{problem}");
    assert!(!daemon.log().contains("ordering a certificate"));
    file(&home, "no-such-file", PASSWORD, 0o600);
    assert!(home.run_ok(&["config", "check"]).contains("is right"));

    for (name, text, mode, advice) in [
        ("open", PASSWORD, 0o644, "(mode 644); run `chmod 600` on it"),
        ("empty", "\n", 0o600, "is empty; write the password into it"),
        ("long", "two\nlines", 0o600, "write the password as one line"),
    ] {
        file(&home, name, text, mode);
        let (code, said) = home.run_err(&issue(&["--pkcs12", "--pkcs12-password-file", name]));
        assert!(code == Some(2) && said.contains(advice) && said.contains(name), "{said}");
        assert!(!said.contains(PASSWORD), "{said}");
    }
    let (code, said) = home.run_err(&["cert", "show", NAME]);
    assert!(code == Some(1) && said.contains("no certificate called"), "nothing was asked for: {said}");
    for half in [&["--pkcs12"][..], &["--pkcs12-password-file", "open"]] {
        assert_eq!(home.run_err(&issue(half)).0, Some(2));
    }
}
