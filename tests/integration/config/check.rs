//! `config check` finds what `serve` would stumble over, all of it at once.

use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::harness::process::BINARY;
use crate::harness::{Home, Settings, ZONE, skip};

fn check_err(home: &Home) -> String {
    let (code, said) = home.run_err(&["config", "check"]);
    assert_eq!(code, Some(2), "{said}");
    said
}

#[test]
fn all_mistakes_are_shown_at_once_with_their_lines() {
    let home = Home::new(&Settings::default());
    let text = format!(
        "databse = \"x\"\n[dns]\nlisten = [\"127.0.0.1\", \"0.0.0.0:0\"]\nthreads = \"4\"\ntsig-md5 = \"yes\"\nnsid = 5\n\
         [api]\nlisten = \"127.0.0.1:0\"\nregistration = \"opne\"\n[values]\nmax-values = 1\nlifetime = \"1w\"\n\
         [[zone]]\nname = \"{ZONE}\"\nns = [\"ns1.{ZONE}\"]\nnegative-ttl = 9999\nrecords = '''\nns1 A 300.1.2.3\n\
         www A 192.0.2.1\nbad LOC x\n'''\n"
    );
    std::fs::write(home.config(), &text).unwrap();
    let said = check_err(&home);
    for part in [
        ":1:1: databse: there is no such key; did you mean `database`?\n     1 | databse = \"x\"\n       | ^^^^^^^",
        ":3:11: dns.listen[0]: write address:port",
        ":4:11: dns.threads: found the text \"4\"; write the number without quotes: 4",
        ":5:12: dns.tsig-md5: found the text \"yes\"; write true or false, without quotes",
        ":6:8: dns.nsid: found the number 5; write it in quotes: \"5\"",
        ":8:10: api.listen: found the text \"127.0.0.1:0\"; write a list in brackets: [\"127.0.0.1:0\"]",
        ":9:16: api.registration: found \"opne\"; did you mean \"open\"?",
        ":11:14: values.max-values: must be from 2 to 1000; found 1",
        ":12:12: values.lifetime: ",
        "zone[0].contact: `contact` is missing",
        ":16:16: zone[0].negative-ttl: must be from 0 to 3600; found 9999",
        ":18:1: zone[0].records: \"ns1 A 300.1.2.3\": a valid IPv4 address is missing",
        ":20:1: zone[0].records: ",
        "13 mistakes in ",
    ] {
        assert!(said.contains(part), "{part:?} in\n{said}");
    }
    for word in ["usize", "u32", "sequence", "struct", "digit", "os error", "expected"] {
        assert!(!said.contains(word), "{word} in\n{said}");
    }
    let (code, same) = home.run_err(&["serve"]);
    assert_eq!((code, same), (Some(2), said), "serve says the same");
}

#[test]
fn a_key_that_is_there_twice_is_named() {
    let home = Home::new(&Settings::default());
    std::fs::write(home.config(), Settings::default().with("dns", "threads = 1").text() + "[dns]\nthreads = 2\n")
        .unwrap();
    let said = check_err(&home);
    assert!(said.contains("`dns` is there twice"), "{said}");
    let text = Settings::default().text().replacen("threads = 2\n", "threads = 2\nthreads = 3\n", 1);
    std::fs::write(home.config(), text).unwrap();
    let said = check_err(&home);
    assert!(
        said.contains("`threads` is there twice; remove one of the two") && said.contains("| threads = 3"),
        "{said}"
    );
}

#[test]
fn a_secret_in_the_wrong_place_is_not_shown() {
    let home = Home::new(&Settings::default().with("api", "registration-secrets = [\"hunter2-hunter2\"]"));
    let said = check_err(&home);
    assert!(said.contains("api.registration-secrets[0]: ") && !said.contains("hunter2"), "{said}");
    let text = Settings::default().text().replacen("[api]\n", "[api]\nregistration-secrets = [\n  hunter2,\n]\n", 1);
    std::fs::write(home.config(), text).unwrap();
    let said = check_err(&home);
    assert!(!said.contains("hunter2"), "{said}");
}

#[test]
fn taken_ports_are_found_and_nothing_is_created() {
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = |address: std::net::SocketAddr| format!("listen = [\"{address}\"]");
    let [dns, api] = [udp.local_addr().unwrap(), tcp.local_addr().unwrap()];
    let home = Home::new(&Settings::default().with("dns", &at(dns)).with("api", &at(api)));
    let said = check_err(&home);
    for (protocol, address) in [("UDP", dns), ("TCP", api)] {
        assert!(said.contains(&format!("{protocol} {address} is in use by ")), "{said}");
    }
    assert!(said.contains("2 mistakes") && said.contains("| listen = "), "{said}");
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1, "nothing is created");
}

#[test]
fn the_same_address_twice_is_found() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let line = format!("listen = [\"{free}\"]");
    let home = Home::new(&Settings::default().with("api", &line).with("metrics", &line));
    assert!(check_err(&home).contains(&format!("TCP {free} cannot be bound: it stands twice")));
}

#[test]
fn the_daemon_that_runs_is_no_mistake() {
    let daemon = Home::new(&Settings::default()).start();
    let listen = |address| format!("listen = [\"{address}\"]");
    let (dns, api, metrics) = (listen(daemon.dns()), listen(daemon.api()), listen(daemon.metrics()));
    daemon.home().write(&Settings::default().with("dns", &dns).with("api", &api).with("metrics", &metrics));
    let output = daemon.home().run(&["config", "check"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("a daemon runs"), "{said}");
}

#[test]
fn missing_folders_are_found_with_what_to_type() {
    let home =
        Home::new(&Settings::default().top("database = \"state/txtgate.db\"\nadmin-socket = \"run/admin.sock\""));
    let said = check_err(&home);
    for folder in ["state", "run"] {
        let folder = home.path().join(folder);
        assert!(
            said.contains(&format!("there is no folder {0}; create it: `mkdir -p {0}`", folder.display())),
            "{said}"
        );
    }
    assert!(said.contains("| database = \"state/txtgate.db\"") && said.contains("admin-socket: "), "{said}");
}

/// A command as a user other than root, who may enter the test's folder.
fn as_nobody(home: &Home, arguments: &[&str]) -> Option<String> {
    let what = "a command as another user";
    if !rustix::process::geteuid().is_root() {
        skip(what, "this is not root");
        return None;
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--", BINARY, "-c"]);
    match command.arg(home.config()).args(arguments).output() {
        Ok(output) if !String::from_utf8_lossy(&output.stderr).contains("setpriv:") => {
            assert!(!output.status.success());
            Some(String::from_utf8_lossy(&output.stderr).into_owned())
        }
        other => {
            skip(what, &format!("{other:?}"));
            None
        }
    }
}

#[test]
fn a_database_that_this_user_may_not_open_is_found() {
    let home = Home::new(&Settings::default());
    home.run_ok(&["account", "create", "example.com"]);
    std::fs::set_permissions(home.path(), PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::set_permissions(home.config(), PermissionsExt::from_mode(0o644)).unwrap();
    let Some(said) = as_nobody(&home, &["config", "check"]) else { return };
    assert!(said.contains("database: cannot use ") && said.contains("Permission denied"), "{said}");
    assert!(said.contains("belongs to root") && said.contains("run it with sudo"), "{said}");
}

#[test]
fn another_user_reads_how_to_reach_the_daemon() {
    let daemon = Home::new(&Settings::default()).start();
    let home = daemon.home();
    std::fs::set_permissions(home.path(), PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::set_permissions(home.config(), PermissionsExt::from_mode(0o644)).unwrap();
    for arguments in [&["account", "list"][..], &["status"], &["watch", "x"], &["cert", "list"]] {
        let Some(said) = as_nobody(home, arguments) else { return };
        assert!(said.contains("cannot reach the daemon") && said.contains("run it with sudo"), "{arguments:?}: {said}");
    }
    daemon.kill();
    let Some(said) = as_nobody(&daemon_less(), &["account", "list"]) else { return };
    assert!(said.contains("txtgate.db.lock: Permission denied") && said.contains("run it with sudo"), "{said}");
}

/// A folder that others can enter and not write, with a configuration and no daemon.
fn daemon_less() -> Home {
    let home = Home::new(&Settings::default());
    std::fs::set_permissions(home.path(), PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::set_permissions(home.config(), PermissionsExt::from_mode(0o644)).unwrap();
    home
}
