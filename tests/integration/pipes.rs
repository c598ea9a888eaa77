//! What becomes of output that nobody reads.

use std::process::{Command, Output, Stdio};

use crate::harness::ports::free_port;
use crate::harness::process::BINARY;
use crate::harness::{Account, Home, Settings, ZONE, until, value};

/// The end of a pipe whose other end is closed.
fn closed_pipe() -> Stdio {
    let (_, writer) = std::io::pipe().unwrap();
    writer.into()
}

fn command(home: &Home, arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.arg("--config").arg(home.config()).args(arguments).current_dir(home.path()).stdin(Stdio::null());
    command
}

fn unread(home: &Home, arguments: &[&str]) -> Output {
    command(home, arguments).stdout(closed_pipe()).stderr(Stdio::piped()).output().unwrap()
}

#[test]
fn a_command_that_nobody_reads_ends_quietly() {
    let home = Home::new(&Settings::default().zone("dnssec-key = \"zone.key\""));
    home.run_ok(&["dnssec", "init", ZONE]);
    home.run_ok(&["account", "create", "example.com", "--subdomain", "shop"]);
    for arguments in [
        &["dnssec", "ds", ZONE][..],
        &["dnssec", "status", ZONE],
        &["account", "list"],
        &["account", "show", "shop", "--json"],
        &["account", "create", "example.com"],
        &["txt", "publish", "shop", &value(1)],
        &["config", "check"],
        &["completions", "bash"],
        &["man"],
        &["secret"],
    ] {
        let output = unread(&home, arguments);
        // Commands that change something say where.
        let said = String::from_utf8_lossy(&output.stderr);
        let said: Vec<&str> = said.lines().filter(|line| !line.contains("; changed in the database ")).collect();
        assert_eq!((output.status.code(), &said[..]), (Some(141), &[][..]), "{arguments:?}");
    }
    let daemon = home.start();
    for arguments in [&["watch", "shop"][..], &["status"], &["cert", "list"]] {
        let output = unread(daemon.home(), arguments);
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(141), &b""[..]), "{arguments:?}");
    }
    for arguments in [&["--help"][..], &["account", "--help"], &["--version"]] {
        let output = unread(&home, arguments);
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]), "{arguments:?}");
    }
}

#[test]
fn so_it_does_in_front_of_head() {
    let home = Home::new(&Settings::default());
    // A script far longer than what a pipe holds.
    let line = format!("'{BINARY}' completions zsh | head -n 1");
    let output = Command::new("/bin/bash").args(["-o", "pipefail", "-c", &line]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "#compdef txtgate\n");
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(141), &b""[..]));
    drop(home);
}

#[test]
fn a_failure_that_nobody_hears_keeps_its_exit_code() {
    let home = Home::new(&Settings::default());
    for (arguments, code) in
        [(&["account", "show", "nobody"][..], 1), (&["account", "create", "a b"], 2), (&["hook", "nonsense"], 2)]
    {
        let status = command(&home, arguments).stdout(closed_pipe()).stderr(closed_pipe()).status().unwrap();
        assert_eq!(status.code(), Some(code), "{arguments:?}");
    }
}

#[test]
fn a_daemon_whose_log_and_output_nobody_reads_serves_on() {
    let api = free_port();
    let home = Home::new(&Settings::default().with("api", &format!("listen = [\"{api}\"]")));
    let mut child = command(&home, &["serve"]).stdout(closed_pipe()).stderr(closed_pipe()).spawn().unwrap();
    until("it listens", || std::net::TcpStream::connect(api).is_ok());
    Account::register(api).publish(api, &value(1));
    assert!(child.try_wait().unwrap().is_none());
    child.kill().unwrap();
    child.wait().unwrap();
}
