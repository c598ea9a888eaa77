//! `account create --from`: many accounts at once, all of them or none.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::process::BINARY;
use crate::harness::{Account, Home, Process, Settings, ZONE, value};

fn count(home: &Home) -> usize {
    let list: Value = serde_json::from_str(&home.run_ok(&["account", "list", "--json"])).unwrap();
    list["items"].as_array().unwrap().len()
}

fn write(home: &Home, name: &str, text: &str) {
    std::fs::write(home.path().join(name), text).unwrap();
}

/// Accounts printed as JSON lines.
fn of_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_fleet_is_created_in_order_and_each_key_works() {
    let daemon = Process::start(&Settings::default());
    let home = daemon.home();
    let mut list = "domain,subdomain,allowfrom,note,tsig\n".to_owned();
    for number in 0..300 {
        let label = if number % 3 == 0 { format!("node-{number}") } else { String::new() };
        let tsig = if number == 7 { "hmac-sha512" } else { "" };
        list += &format!("host{number}.example.com,{label},127.0.0.0/8,\"rack 1, unit {number}\",{tsig}\n");
    }
    write(home, "fleet.csv", &list);
    let accounts = of_lines(&home.run_ok(&["account", "create", "--from", "fleet.csv", "--output", "jsonl"]));
    assert_eq!((accounts.len(), count(home)), (300, 300));
    for (number, account) in accounts.iter().enumerate() {
        assert_eq!(account["domain"], format!("host{number}.example.com"), "in the list's order");
        let record =
            format!("_acme-challenge.host{number}.example.com. CNAME {}.", account["fulldomain"].as_str().unwrap());
        assert_eq!(account["records"][0], record);
    }
    assert_eq!(accounts[3]["fulldomain"], format!("node-3.{ZONE}"));
    assert_eq!(accounts[7]["tsig"]["algorithm"], "hmac-sha512");
    for number in [0, 7, 299] {
        Account::of(&accounts[number]).publish(daemon.api(), &value(number as u64));
    }
    let shown: Value = serde_json::from_str(&home.run_ok(&["account", "show", "node-3", "--json"])).unwrap();
    assert!(shown["note"].as_str().is_some_and(|note| note.ends_with("(rack 1, unit 3)")), "{shown}");
    assert_eq!(shown["allowfrom"][0], "127.0.0.0/8");
}

#[test]
fn one_refused_row_creates_nothing_and_every_one_is_named_with_line_and_field() {
    let daemon = Process::start(&Settings::default());
    let home = daemon.home();
    home.run_ok(&["account", "create", "example.com", "--subdomain", "taken"]);
    let list = "domain,subdomain,zone\ngood.example.com,fine,\nb.example.com,taken,\n\nc.example.com,fine,\nd.example.com,,nowhere.test\ne.example.com,autodiscover,\n";
    write(home, "list.csv", list);
    let (code, said) = home.run_err(&["account", "create", "--from", "list.csv", "--save", "keys.csv"]);
    assert_eq!(code, Some(2), "{said}");
    for part in [
        "list.csv:3: subdomain: the subdomain taken is taken",
        "list.csv:5: subdomain: the subdomain fine is taken",
        "list.csv:6: zone: this server has no zone nowhere.test",
        "list.csv:7: subdomain: the subdomain autodiscover cannot be chosen",
        "no account was created",
    ] {
        assert!(said.contains(part), "{part:?} in {said}");
    }
    assert_eq!(count(home), 1);
    assert!(!home.path().join("keys.csv").exists(), "no file that looks like keys is left");
    write(home, "list.csv", "domain,subdomain\na..b,x\n");
    let (code, said) = home.run_err(&["account", "create", "--from", "list.csv"]);
    assert!(code == Some(2) && said.contains("list.csv:2: domain: "), "{said}");
    let (code, said) = home.run_err(&["account", "create", "--from", "nothing.csv"]);
    assert!(code == Some(2) && said.contains("nothing.csv"), "{said}");
    let (code, said) = home.run_err(&["account", "create", "--from", "list.csv", "example.com"]);
    assert!(code == Some(2) && said.contains("--from"), "{said}");
}

/// A file that could be created and not be written left accounts behind whose keys nobody had.
#[test]
fn keys_that_cannot_be_saved_are_printed() {
    let daemon = Process::start(&Settings::default());
    let home = daemon.home();
    write(home, "list.csv", "domain\nexample.com\n");
    let script = "trap '' XFSZ; ulimit -f 0; exec \"$0\" \"$@\"";
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script, BINARY, "--config"]).arg(home.config());
    command.args(["account", "create", "--from", "list.csv", "--output", "csv", "--save", "keys.csv"]);
    let output = command.current_dir(home.path()).output().unwrap();
    let (printed, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.code() == Some(1) && said.contains("cannot write keys.csv"), "{said}");
    assert!(printed.starts_with("domain,username,password") && printed.contains("\nexample.com,"), "{printed}{said}");
    assert!(!home.path().join("keys.csv").exists(), "no file that looks like keys is left");
    assert_eq!(count(home), 1);
}

#[test]
fn json_lines_from_standard_input_are_saved_as_csv_without_a_daemon() {
    let home = Home::new(&Settings::default());
    let mut command = Command::new(BINARY);
    command
        .arg("--config")
        .arg(home.config())
        .args(["account", "create", "--from", "-", "--output", "csv", "--save", "keys.csv"]);
    command.current_dir(home.path()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let list = "{\"domain\":\"*.example.com\",\"allowfrom\":[\"10.0.0.0/8\",\"::1/128\"]}\n{\"domain\":\"example.net\",\"subdomain\":\"net\"}\n";
    child.stdin.take().unwrap().write_all(list.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout.is_empty(), "the keys are in the file alone");
    let path = home.path().join("keys.csv");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let saved = std::fs::read_to_string(&path).unwrap();
    let rows: Vec<Vec<&str>> = saved.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(rows[0][..4], ["domain", "username", "password", "fulldomain"]);
    assert_eq!((rows.len(), rows[1][0], rows[2][3]), (3, "example.com", format!("net.{ZONE}").as_str()));
    assert_eq!((rows[1][6], rows[1][2].len()), ("10.0.0.0/8 ::1/128", 40));
    let (code, said) = home.run_err(&["account", "create", "--from", "keys.csv", "--save", "keys.csv"]);
    assert!(code == Some(2) && said.contains("username"), "a file of keys is not a list: {said}");
    assert_eq!(count(&home), 2);
}
