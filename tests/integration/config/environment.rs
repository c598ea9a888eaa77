//! Settings from the environment and from standard input.

use std::io::Write;
use std::process::{Command, Stdio};

use toml::{Table, Value};
use txtgate::config::Config;
use txtgate::config::environment::Environment;

use crate::harness::process::BINARY;
use crate::harness::{Home, Launch, Settings};

#[test]
fn the_daemon_is_configured_by_its_environment() {
    let home = Home::new(&Settings::default());
    let environment = vec![("TXTGATE_DNS__NSID", "from-the-environment"), ("TXTGATE_METRICS__LISTEN", "")];
    let daemon = home.launch(&Launch { environment, ..Launch::default() });
    assert!(daemon.lines().iter().all(|line| !line.starts_with("metrics")), "an empty list: {:?}", daemon.lines());
    let launch = Launch { environment: vec![("TXTGATE_API_LISTEN", "127.0.0.1:0")], ..Launch::default() };
    let failed = Home::new(&Settings::default()).try_launch(&launch).err().expect("a mistake");
    assert!(failed.log.contains("did you mean TXTGATE_API__LISTEN?"), "{}", failed.log);
}

#[test]
fn a_container_needs_no_file_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(BINARY);
    command.args(["config", "check"]).current_dir(folder.path()).envs([
        ("TXTGATE_DNS__LISTEN", "127.0.0.1:0"),
        ("TXTGATE_API__LISTEN", "127.0.0.1:0"),
        ("TXTGATE_METRICS__LISTEN", "127.0.0.1:0"),
        ("TXTGATE_ZONE__0__NAME", "auth.example.org"),
        ("TXTGATE_ZONE__0__NS", "ns1.example.org,ns2.example.org"),
        ("TXTGATE_ZONE__0__CONTACT", "hostmaster@example.org"),
    ]);
    let output = command.output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.contains("ns2.example.org"), "{out}{err}");
}

#[test]
fn a_configuration_comes_from_standard_input() {
    let folder = tempfile::tempdir().unwrap();
    let run = |text: &str| {
        let mut command = Command::new(BINARY);
        command.args(["-c", "-", "config", "check"]).current_dir(folder.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    };
    let output = run(&Settings::default().text());
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("standard input is right"), "{output:?}");
    let output = run("databse = 1\n");
    assert!(String::from_utf8_lossy(&output.stderr).contains("standard input:1:1: databse: "), "{output:?}");
}

/// Each key of the shipped file, set through the environment, is what it is in a file.
#[test]
fn every_key_can_be_set_by_the_environment() {
    let shipped = txtgate::config::keys::shipped();
    let mut variables = Vec::new();
    collect("TXTGATE", &shipped, &mut variables);
    assert!(variables.len() > 60, "{variables:?}");
    for (name, value) in variables {
        let environment = Environment::new([(name.clone(), value.clone())].into_iter());
        let error = Config::parse_with("c.toml".as_ref(), "", &environment).expect_err("there is no whole zone");
        // Some values need others beside them, or files; none may be unknown or of the wrong type.
        let said = error.to_string();
        for word in ["no such key", "write a list", "write true", "whole number", "write address:port", "write a text"]
        {
            assert!(!said.contains(word), "{name}={value}: {said}");
        }
    }
}

fn collect(prefix: &str, table: &Table, variables: &mut Vec<(String, String)>) {
    for (key, value) in table {
        let name =
            format!("{prefix}{}{}", if prefix == "TXTGATE" { "_" } else { "__" }, key.to_uppercase().replace('-', "_"));
        match value {
            Value::Table(inner) => collect(&name, inner, variables),
            Value::Array(items) if items.iter().any(Value::is_table) => {
                let inner = items.iter().filter_map(Value::as_table);
                inner.for_each(|inner| collect(&format!("{name}__0"), inner, variables));
            }
            Value::Array(items) => {
                let texts: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
                variables.push((name, texts.join(",")));
            }
            Value::String(text) => variables.push((name, text.clone())),
            other => variables.push((name, other.to_string())),
        }
    }
}
