//! Deploy hooks on their bad days.

use crate::harness::ca_lab::CaLab;
use crate::harness::pebble::Options;
use crate::harness::{Process, until};

use super::managed::{delegate, pair, script, show};

#[test]
fn hooks_that_fail_or_hang_are_told_of_and_run_again() {
    let Some(lab) = CaLab::real(Options::default()) else { return };
    let daemon = Process::start(&lab.settings);
    let home = daemon.home().clone();
    delegate(&lab, &home, &["a.example.com"]);
    let fails = script(&home, "fails", "echo no such server >&2; exit 7");
    let issue = |more: &[&str]| home.run_err(&[&["cert", "issue", "--name", "a.example.com"], more].concat());
    let (code, said) = issue(&["--", fails.to_str().unwrap(), "x y"]);
    let failed =
        format!("the deploy hook `{} x y` has failed: exit code 7; it has printed \"no such server\"", fails.display());
    assert!(code == Some(1) && said.contains(&failed), "{said}");
    assert!(said.contains("the certificate itself is in place"), "{said}");
    let serial = pair(&home, "a.example.com").unwrap().info.serial;
    assert!(daemon.log().contains("exit code 7"));

    // It holds its output open, and what it has started lives on: all of it ends.
    let hangs = script(&home, "hangs", "sleep 600 & echo $! > \"$1\"; sleep 600");
    let pid = home.path().join("pid");
    let (_, said) = issue(&["--hook-timeout", "1s", "--", hangs.to_str().unwrap(), pid.to_str().unwrap()]);
    assert!(said.contains("has failed: killed after 1 s"), "{said}");
    let pid = std::fs::read_to_string(pid).unwrap().trim().to_owned();
    until("its child is gone", || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
        stat.map_or(true, |stat| stat.contains(") Z "))
    });
    let (_, said) = issue(&["--", "/no/such/program"]);
    assert!(said.contains("cannot be run: No such file"), "{said}");
    let (_, said) = home.run_err(&["cert", "renew", "a.example.com"]);
    assert!(said.contains("cannot be run: No such file"), "what has failed is tried again: {said}");
    assert_eq!(show(&home, "a.example.com")["hook"]["success"], false);
    let loud = script(&home, "loud", "head -c 1000000 /dev/zero | tr '\\0' x");
    home.run_ok(&["cert", "issue", "--name", "a.example.com", "--", loud.to_str().unwrap()]);
    let shown = show(&home, "a.example.com");
    assert_eq!(shown["hook"]["output"].as_str().unwrap().len(), 4_096);
    assert_eq!(pair(&home, "a.example.com").unwrap().info.serial, serial, "no hook costs a certificate");
}

/// As many hooks that hang as there are orders at once.
#[test]
fn hooks_that_hang_hold_up_neither_other_certificates_nor_a_revocation() {
    let Some(lab) = CaLab::real(Options::default()) else { return };
    let daemon = Process::start(&lab.settings);
    let home = daemon.home().clone();
    let names = ["a.example.com", "b.example.com", "c.example.com", "d.example.com", "e.example.com"];
    let hook = script(
        &home,
        "hook",
        "begun=\"$1.$TXTGATE_CERT_NAME\"; echo > \"$begun\"; while [ -e \"$begun\" ]; do sleep 0.2; done",
    );
    let begun = home.path().join("begun");
    names.iter().for_each(|name| delegate(&lab, &home, &[name]));
    for name in &names[..4] {
        let hook = ["--no-wait", "--hook-timeout", "1h", "--", hook.to_str().unwrap(), begun.to_str().unwrap()];
        home.run_ok(&[&["cert", "issue", "--name", name], &hook[..]].concat());
    }
    for name in &names[..4] {
        until("its hook runs", || begun.with_extension(name).exists());
    }
    home.run_ok(&["cert", "renew", "e.example.com"]);
    assert!(pair(&home, "e.example.com").is_some(), "another certificate is got");
    home.run_ok(&["cert", "revoke", "a.example.com", "--reason", "key-compromise"]);
    assert_eq!(lab.ca.status_of(&pair(&home, "a.example.com").unwrap().info.serial)["Status"], "Revoked");
}
