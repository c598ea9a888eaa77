//! A request for a certificate that is there already, with fewer names or settings.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::harness::process::BINARY;
use crate::harness::standin::{ResponsePolicy, StandIn};
use crate::harness::{Home, Process, ZONE, skip, until};

use super::managed::{pair, script, show};

/// A daemon with a certificate for its zone's name and the wildcard, which need no CNAME.
fn with_certificate(more: &[&str]) -> (StandIn, Process) {
    let ca = StandIn::start(ResponsePolicy::default());
    let daemon = Process::start(&ca.settings());
    let wildcard = format!("*.{ZONE}");
    let words = ["cert", "issue", "--name", ZONE, "--name", &wildcard];
    daemon.home().run_ok(&[&words[..], more].concat());
    (ca, daemon)
}

fn names(home: &Home) -> Value {
    show(home, ZONE)["names"].clone()
}

#[test]
fn a_request_with_fewer_names_is_refused_with_the_difference() {
    let (ca, daemon) = with_certificate(&[]);
    let home = daemon.home();
    let both = names(home);
    let (code, said) = home.run_err(&["cert", "issue", "--name", ZONE]);
    assert_eq!(code, Some(1), "{said}");
    let expected = format!("there is a certificate {ZONE} already, and this request takes from it: - *.{ZONE}");
    assert!(said.contains(&expected) && said.contains("`--replace`") && said.contains("`--cert-name`"), "{said}");
    let (code, _) = home.run_err(&["cert", "issue", "--name", &format!("*.{ZONE}"), "--no-wait"]);
    assert_eq!((code, names(home), ca.orders()), (Some(1), both, 1));
    assert_eq!(pair(home, ZONE).unwrap().info.names.len(), 2);

    // Another name beside it takes nothing, nor does the same request again.
    home.run_ok(&["cert", "issue", "--name", ZONE, "--cert-name", "second"]);
    home.run_ok(&["cert", "issue", "--name", &format!("*.{ZONE}"), "--name", ZONE]);
    assert_eq!(names(home).as_array().unwrap().len(), 2);

    let said = home.run_ok(&["cert", "issue", "--name", ZONE, "--replace"]);
    assert!(said.contains(&format!("{ZONE} is there already; this changes it:\n  - *.{ZONE}\n")), "{said}");
    assert_eq!(names(home), json!([ZONE]));
    assert_eq!(pair(home, ZONE).unwrap().info.names, [ZONE]);
    // More names are printed, and need no flag.
    let said = home.run_ok(&["cert", "issue", "--name", ZONE, "--name", &format!("*.{ZONE}")]);
    assert!(said.contains(&format!("  + *.{ZONE}\n")), "{said}");
    assert!(daemon.log().contains(&format!("for other names than the one before: - *.{ZONE}")), "{}", daemon.log());
}

/// A request to the operator's socket, and the reply as it comes.
fn post(home: &Home, path: &str, body: &Value) -> String {
    let mut socket = UnixStream::connect(home.path().join("txtgate.sock")).unwrap();
    let body = body.to_string();
    let length = body.len();
    let head =
        format!("POST {path} HTTP/1.1\r\nHost: txtgate\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    socket.write_all(format!("{head}{body}").as_bytes()).unwrap();
    let mut reply = String::new();
    socket.read_to_string(&mut reply).unwrap();
    reply
}

#[test]
fn the_api_refuses_a_request_with_fewer_names_unless_it_is_to_replace() {
    let (_ca, daemon) = with_certificate(&[]);
    let home = daemon.home();
    let fewer = json!({ "names": [ZONE] });
    for path in ["/certificates", "/certificates?replace=false", "/certificates?replace="] {
        let reply = post(home, path, &fewer);
        assert!(reply.starts_with("HTTP/1.1 409 ") && reply.contains("\"certificate_exists\""), "{path}: {reply}");
        assert!(reply.contains(&format!("- *.{ZONE}")) && reply.contains("`?replace=true`"), "{reply}");
    }
    let reply = post(home, "/certificates?replace=perhaps", &fewer);
    assert!(reply.starts_with("HTTP/1.1 400 "), "{reply}");
    assert_eq!(names(home).as_array().unwrap().len(), 2);
    let reply = post(home, "/certificates?replace=true", &fewer);
    assert!(reply.starts_with("HTTP/1.1 200 ") && reply.contains(&format!("\"changes\":[\"- *.{ZONE}\"]")), "{reply}");
    assert_eq!(names(home), json!([ZONE]));
}

#[test]
fn a_request_without_the_hook_of_before_is_refused() {
    let (_ca, daemon) = with_certificate(&["--mode", "0640", "--", "/bin/true"]);
    let home = daemon.home();
    let wildcard = format!("*.{ZONE}");
    let again = ["cert", "issue", "--name", ZONE, "--name", &wildcard];
    let (code, said) = home.run_err(&again);
    assert!(code == Some(1) && said.contains("hook: [\"/bin/true\"] becomes nothing"), "{said}");
    assert!(said.contains("mode: \"0640\" becomes \"0600\""), "{said}");
    // Another hook is no loss.
    let other = script(home, "other", "exit 0");
    home.run_ok(&[&again[..], &["--mode", "0640", "--", other.to_str().unwrap()]].concat());
    assert_eq!(show(home, ZONE)["hook"]["success"], true);
}

/// A terminal's user is asked, and nothing but a yes replaces the certificate.
#[test]
fn on_a_terminal_somebody_is_asked() {
    if Command::new("script").arg("--version").output().is_err() {
        skip("a question on a terminal", "script is not installed (apt-get install bsdutils)");
        return;
    }
    let (_ca, daemon) = with_certificate(&[]);
    let home = daemon.home();
    let ask = |answer: &str| {
        let words = format!("'{BINARY}' --config '{}' cert issue {ZONE}", home.config().display());
        let mut command = Command::new("script");
        command.args(["-q", "-e", "-c", &words, "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(answer.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (code, said) = ask("n\n");
    assert!(code == Some(1) && said.contains(&format!("- *.{ZONE}")) && said.contains("Replace it? [y/N]"), "{said}");
    assert_eq!(names(home).as_array().unwrap().len(), 2);
    let (code, said) = ask("y\n");
    assert_eq!((code, names(home)), (Some(0), json!([ZONE])), "{said}");
}

/// The configuration says what is wanted. What it takes away is told in the log, after a reload and after a restart.
#[test]
fn a_configuration_with_fewer_names_is_applied_and_the_difference_logged() {
    let ca = StandIn::start(ResponsePolicy::default());
    let certificate = |names: &str| ca.settings().more(&format!("[[certificate]]\nname = \"c\"\nnames = [{names}]"));
    let home = Home::new(&certificate(&format!("\"{ZONE}\", \"*.{ZONE}\"")));
    let daemon = home.start();
    until("the certificate is there", || pair(&home, "c").is_some());
    daemon.kill();
    home.write(&certificate(&format!("\"{ZONE}\"")));
    let daemon = home.start();
    until("one with a name less is there", || pair(&home, "c").unwrap().info.names == [ZONE]);
    let lost = format!("- *.{ZONE}");
    assert!(daemon.log().contains(&lost), "{}", daemon.log());
}
