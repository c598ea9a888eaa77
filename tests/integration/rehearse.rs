//! `txtgate rehearse`: a whole validation on the loopback, with the daemon that runs or one of its own.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::process::BINARY;
use crate::harness::{Home, PATIENCE, Settings, ZONE, skip, until};

const WIDTH: usize = 80;

/// The command in the folder `here`, with an own folder for temporary files.
fn rehearse(here: &Path, temporary: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.arg("rehearse").args(arguments).current_dir(here).env("TMPDIR", temporary.path());
    command
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn entries(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

/// Rehearses with a configuration; the exit code, and all that was said.
fn with(text: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let [here, temporary] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    std::fs::write(here.path().join("config.toml"), text).unwrap();
    let output = rehearse(here.path(), &temporary, &[&["-c", "config.toml"], arguments].concat()).output().unwrap();
    assert_eq!((entries(here.path()), entries(temporary.path())), (1, 0), "no file is left behind");
    (output.status.code(), out(&output) + &err(&output))
}

#[test]
fn the_default_configuration_is_rehearsed_from_an_empty_folder() {
    if Path::new("/etc/txtgate/config.toml").exists() {
        return skip("a rehearsal without a configuration", "this machine has /etc/txtgate/config.toml");
    }
    let [here, temporary] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let output = rehearse(here.path(), &temporary, &[]).output().unwrap();
    let said = out(&output);
    assert!(output.status.success(), "{said}{}", err(&output));
    for part in [
        "Rehearsal of the default configuration, with a daemon and a database of its own.",
        "  ✓ POST /update for *.example.com: 200\n",
        "_acme-challenge TXT  CNAME ",
        "see auth.example.org (127.0.0.1)\n",
        "2 records\n",
        "  ✓ 5 more vantage points see the same",
        "  ✓ over TCP",
        "  ✓ the query log (`txtgate queries WHO`) has 6 networks that got the values\n",
        "    auth.example.org.      NS  ns1.auth.example.org.\n",
        "    _acme-challenge.example.com.  CNAME  LABEL.auth.example.org.\n",
        "✓ Every vantage point finds what was published",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(said.lines().all(|line| line.chars().count() <= WIDTH), "{said}");
    assert_eq!((entries(here.path()), entries(temporary.path()), err(&output).as_str()), (0, 0, ""));
}

/// A new network namespace has no interface but the loopback, which is down at first.
#[test]
fn it_needs_no_network_and_says_what_to_type_where_even_the_loopback_is_down() {
    let [here, temporary] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let isolated = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["-rn", "sh", "-c", script, "sh", BINARY, "rehearse"]).current_dir(here.path());
        command.env("TMPDIR", temporary.path()).env("TXTGATE_CONFIG", here.path().join("config.toml")).output()
    };
    std::fs::write(here.path().join("config.toml"), Settings::default().text()).unwrap();
    let Ok(down) = isolated("exec \"$@\"") else { return skip("a rehearsal without a network", "there is no unshare") };
    let said = err(&down);
    if said.contains("unshare:") {
        return skip("a rehearsal without a network", &said);
    }
    assert!(down.status.code() == Some(1) && said.contains("`ip link set lo up`"), "{said}");
    let up = isolated("ip link set lo up && exec \"$@\"").unwrap();
    if err(&up).contains("ip: not found") {
        return skip("a rehearsal without a network", "there is no ip (apt-get install iproute2)");
    }
    assert!(
        up.status.success() && out(&up).contains("✓ Every vantage point finds what was published"),
        "{}{}",
        out(&up),
        err(&up)
    );
}

#[test]
fn the_running_daemon_answers_and_keeps_nothing() {
    let home = Home::new(&Settings::default());
    let daemon = home.start();
    let created = home.run_ok(&["account", "create", "example.com", "--json"]);
    let created: Value = serde_json::from_str(&created).unwrap();
    let said = home.run_ok(&["rehearse", "example.com", "shop.example"]);
    let cname = format!("_acme-challenge.example.com.  CNAME  {}.\n", created["fulldomain"].as_str().unwrap());
    for part in ["with the daemon that runs with it", &format!("http://{}", daemon.api()), &cname, "CNAME  LABEL."] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let count = |arguments: &[&str]| {
        let list: Value = serde_json::from_str(&home.run_ok(&[arguments, &["--json"]].concat())).unwrap();
        list["items"].as_array().unwrap().len()
    };
    assert_eq!((count(&["account", "list"]), count(&["txt", "list"])), (1, 0));

    // A zone that the daemon has not loaded yet.
    home.write(
        &Settings::default().more(
            "[[zone]]\nname = \"auth.example.net\"\nns = [\"ns1.auth.example.org\"]\ncontact = \"a@example.org\"",
        ),
    );
    let output = home.run(&["rehearse"]);
    let said = out(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("✗ the running daemon does not serve auth.example.net"), "{said}");
    assert_eq!(count(&["account", "list"]), 1);
}

/// The daemon stands still, so that the rehearsal is still under way when the signal comes; it may also have ended before.
#[test]
fn a_rehearsal_that_is_interrupted_removes_its_account() {
    let home = Home::new(&Settings::default());
    let daemon = home.start();
    let mut command = Command::new(BINARY);
    command.arg("-c").arg(home.config()).arg("rehearse").stdout(Stdio::null()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let is_made = || home.run_ok(&["account", "list", "--json"]).contains("txtgate rehearse");
    let is_over = || std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap().contains(") Z ");
    until("the account is made, or the rehearsal over", || is_made() || is_over());
    daemon.signal(Signal::STOP);
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    daemon.signal(Signal::CONT);
    let output = child.wait_with_output().unwrap();
    let was_ended = err(&output).contains("ended early");
    assert!(was_ended || output.status.success(), "{output:?}");
    assert!(!is_made(), "the account is gone");
}

const ORDINARY: &str = "ns = [\"ns1.auth.example.org\"]\ncontact = \"a@example.org\"\n";

/// A configuration with these listeners, more lines, and a zone with these records.
fn config(dns: &str, more: &str, zone: &str) -> String {
    let api = if more.contains("[api]") { "" } else { "[api]\nlisten = [\"127.0.0.1:5380\"]\n" };
    format!("[dns]\nlisten = [{dns}]\n{more}\n{api}[[zone]]\nname = \"{ZONE}\"\n{zone}")
}

fn records(records: &str) -> String {
    format!("{ORDINARY}records = '''\n{records}\n'''\n")
}

#[test]
fn sound_configurations_are_found_sound() {
    let public = records("ns1 A 198.51.100.7");
    let proxied = "proxy-protocol = true\n[api]\nlisten = [\"0.0.0.0:443\"]\nregistration = \"closed\"\n\
                   trusted-proxies = [\"127.0.0.0/8\"]\nproxy-protocol = true\n[api.tls]\nmode = \"acme\"\n\
                   names = [\"auth.example.org\"]\n[acme]\nterms-agreed = true";
    let socket = "[api]\nlisten = [\"unix:/no/such/api.sock\"]\nregistration = \"closed\"\n\
                  trusted-proxies = [\"unix\"]\nclient-ip-header = \"X-Real-Ip\"";
    let several = "ns = [\"ns1.example.org\", \"ns2.auth.example.org\", \"ns.hoster.example\"]\ncontact = \"a@example.org\"\n\
                   records = '''\nns2 A 198.51.100.7\nns2 AAAA 2001:db8::7\n'''\n\
                   [[zone]]\nname = \"acme.example.net\"\nns = [\"ns2.auth.example.org\"]\ncontact = \"a@example.org\"\n\
                   [[zone]]\nname = \"_acme-challenge.shop.example\"\nns = [\"ns2.auth.example.org\"]\n\
                   contact = \"a@example.org\"\n";
    // The first example domain is the daemon's own, and another zone is right below the root.
    let own = "[dns]\nlisten = [\"198.51.100.7:53\", \"203.0.113.9:53\"]\n[api]\nlisten = [\"127.0.0.1:5380\"]\n\
               [[zone]]\nname = \"example.com\"\nns = [\"ns1.example.com\", \"ns2.example.com\"]\n\
               contact = \"a@example.org\"\nrecords = '''\nns1 A 198.51.100.7\nns2 A 203.0.113.9\n'''\n\
               [[zone]]\nname = \"acme\"\nns = [\"ns2.example.com\"]\ncontact = \"a@example.org\"\n";
    for (text, part) in [
        (own.to_owned(), "_acme-challenge.example.net.  CNAME  LABEL.example.com."),
        (config("\"198.51.100.7:53\"", "", &public), "http://127.0.0.1:"),
        (config("\"0.0.0.0:53\", \"[::]:53\"", "", &public), "see auth.example.org (198.51.100.7)"),
        (config("\"[::]:53\"", "", &records("ns1 AAAA 2001:db8::7")), "AAAA  2001:db8::7"),
        (config("\"10.0.0.5:53\"", "", &public), "that is right behind a 1:1 NAT"),
        (config("\"0.0.0.0:53\"", proxied, &public), "https://127.0.0.1:"),
        (config("\"0.0.0.0:53\"", socket, &public), "unix:/"),
        (config("\"0.0.0.0:53\", \"[::]:53\"", "", several), "_acme-challenge.shop.example  @ TXT"),
    ] {
        let (code, said) = with(&text, &[]);
        assert!(
            code == Some(0) && said.contains("✓ Every vantage point finds what was published") && said.contains(part),
            "{text}{said}"
        );
    }
}

#[test]
fn a_signed_zone_is_validated_from_the_ds_down() {
    let home = Home::new(&Settings::default().zone("dnssec-key = \"zone.key\""));
    home.run_ok(&["dnssec", "init", ZONE]);
    let before = std::fs::read(home.path().join("zone.key")).unwrap();
    let said = home.run_ok(&["rehearse"]);
    for part in ["see auth.example.org, signed", "✓ the signatures are valid", "DS  ", " 13 2 "] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(std::fs::read(home.path().join("zone.key")).unwrap(), before);
    assert!(!home.database().exists(), "the database of the configuration is not begun");
    std::fs::remove_file(home.path().join("zone.key")).unwrap();
    let said = out(&home.run(&["rehearse"]));
    assert!(said.contains("✗ auth.example.org is rehearsed unsigned") && said.contains("zone.key"), "{said}");
}

#[test]
fn what_cannot_work_is_found_before_anybody_delegates() {
    let public = records("ns1 A 198.51.100.7");
    let all = "\"0.0.0.0:53\"";
    let elsewhere = format!(
        "{public}[[zone]]\nname = \"acme.example.net\"\nns = [\"ns9.auth.example.org\"]\ncontact = \"a@example.org\"\n"
    );
    for (text, names, code, finding) in [
        (config(all, "", &records("ns2 A 198.51.100.7")), &[][..], 2, "ns1"),
        (config(all, "", &records("ns1 CNAME www.example.net.")), &[], 2, "ns1"),
        (config(all, "", &records("ns1 A 198.51.100.7\nx NS ns1")), &[], 2, "NS"),
        (config(all, "", &public), &["x.auth.example.org"], 2, "is in the zone auth.example.org"),
        (config(all, "", &public), &["a b"], 2, "\"a b\" is not a domain"),
        (config(all, "", &elsewhere), &[], 1, "ns9.auth.example.org, a nameserver of acme.example.net, has no address"),
        (config(all, "", &records("ns1 A 198.51.100.7\nns1 AAAA 2001:db8::7")), &[], 1, "add \"[::]:53\""),
        (config("\"198.51.100.8:53\"", "", &public), &[], 1, "at which nothing listens"),
        (config(all, "[api]\nlisten = []", &public), &[], 1, "add an address to `api.listen`"),
        (config("\"127.0.0.1:53\"", "", &public), &[], 1, "no server has this address"),
    ] {
        let (found, said) = with(&text, names);
        let joined = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(found == Some(code) && joined.contains(finding), "{finding}: {found:?}\n{text}\n{said}");
        assert!(!said.contains("✓ Every vantage point"), "{said}");
    }
}

#[test]
fn the_json_report_has_every_question_as_it_was_sent() {
    let text = config("\"0.0.0.0:53\"", "", &records("ns1 A 198.51.100.7"));
    let (code, said) = with(&text, &["--json", "*.example.com"]);
    let report: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &report["sound"]), (Some(0), &Value::Bool(true)));
    let vantages = report["targets"][0]["vantages"].as_array().unwrap();
    assert_eq!(vantages.len(), 6);
    let sent: Vec<&str> = vantages.iter().map(|vantage| vantage["steps"][6]["sent"].as_str().unwrap()).collect();
    assert!(sent.iter().any(|name| *name != name.to_ascii_lowercase()), "letters of random case: {sent:?}");
    assert_eq!(report["records"][0]["records"][1]["data"], "198.51.100.7");
    assert!(u128::from(report["milliseconds"].as_u64().unwrap()) < PATIENCE.as_millis());
    let (_, verbose) = with(&text, &["-v"]);
    assert_eq!(verbose.matches("\n  vantage point ").count(), 6, "{verbose}");
}

#[test]
fn it_is_for_daemons_of_this_machine() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "x".repeat(43)).unwrap();
    std::fs::set_permissions(&token, PermissionsExt::from_mode(0o600)).unwrap();
    let mut command = Command::new(BINARY);
    command.args(["--server", "http://127.0.0.1:1", "--token-file"]).arg(token).arg("rehearse");
    let output = command.output().unwrap();
    assert!(output.status.code() == Some(2) && err(&output).contains("run it there"), "{}", err(&output));
}
