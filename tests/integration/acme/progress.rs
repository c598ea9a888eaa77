//! What is shown of a certificate's names while somebody waits for it.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::managed::{delegate, show};
use crate::harness::ca_lab::CaLab;
use crate::harness::pebble::Options;
use crate::harness::process::BINARY;
use crate::harness::standin::{ResponsePolicy, StandIn, What};
use crate::harness::{Home, Process, ZONE, skip, until};

/// A command under way, and what it has printed so far.
struct Running {
    child: Child,
    out: Arc<Mutex<Vec<u8>>>,
}

impl Running {
    fn new(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (mut from, out) = (child.stdout.take().unwrap(), Arc::<Mutex<Vec<u8>>>::default());
        let into = out.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 4_096];
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                into.lock().unwrap().extend_from_slice(&buffer[..count]);
            }
        });
        Self { child, out }
    }

    fn said(&self) -> String {
        String::from_utf8_lossy(&self.out.lock().unwrap()).into_owned()
    }

    fn says(&self, part: &str) {
        until(part, || self.said().contains(part));
    }

    /// How it has ended, all that it has printed, and what it has complained of.
    fn end(mut self) -> (Option<i32>, String, String) {
        let status = self.child.wait().unwrap();
        let mut complaint = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
        // Its end of the pipe is closed, so the reader comes to an end as well.
        until("all is read", || Arc::strong_count(&self.out) == 1);
        (status.code(), self.said(), complaint)
    }
}

/// A CA and a daemon whose own zone is what the certificate is for: no CNAME is needed.
fn lab() -> (StandIn, Process) {
    let ca = StandIn::start(ResponsePolicy::default());
    let daemon = Process::start(&ca.settings());
    (ca, daemon)
}

fn arguments() -> [String; 6] {
    ["cert", "issue", "--name", ZONE, "--name", &format!("*.{ZONE}")].map(str::to_owned)
}

fn issue(home: &Home) -> Running {
    Running::new(Command::new(BINARY).arg("--config").arg(home.config()).args(arguments()))
}

/// The same on a terminal, such as it is.
fn issue_on_terminal(home: &Home, environment: &[(&str, &str)]) -> Option<Running> {
    on_terminal(home, &arguments().each_ref().map(String::as_str), environment)
}

fn on_terminal(home: &Home, words: &[&str], environment: &[(&str, &str)]) -> Option<Running> {
    if Command::new("script").arg("--version").output().is_err() {
        skip("progress on a terminal", "script is not installed (apt-get install bsdutils)");
        return None;
    }
    let words: String = words.iter().map(|word| format!(" '{word}'")).collect();
    let words = format!("stty rows 24 cols 80; '{BINARY}' --config '{}'{words}", home.config().display());
    let mut command = Command::new("script");
    command.args(["-q", "-e", "-c", &words, "/dev/null"]).env_remove("NO_COLOR").envs(environment.iter().copied());
    Some(Running::new(&mut command))
}

/// Lines of names, without those of states that pass too fast to be sure to be seen.
fn steps(out: &str) -> Vec<&str> {
    let passing = ["its record is there", "value published"];
    let of_name = |line: &&str| line.matches(": ").count() > 1 && !passing.iter().any(|state| line.ends_with(state));
    out.lines().filter(of_name).collect()
}

fn refused() -> What {
    let problem = json!({ "type": "urn:ietf:params:acme:error:dns", "detail": "no such luck" });
    let challenge = json!({ "type": "dns-01", "url": "http://127.0.0.1/x", "token": "t", "error": problem });
    let identifier = json!({ "type": "dns", "value": ZONE });
    What::Say(
        json!({ "status": "invalid", "identifier": identifier, "wildcard": true, "challenges": [challenge] })
            .to_string(),
    )
}

#[test]
fn each_change_of_a_name_is_a_line_where_there_is_no_terminal() {
    let (ca, daemon) = lab();
    ca.fault("/challenge/0", What::Hold);
    let running = issue(daemon.home());
    ca.hangs();
    for name in [ZONE.to_owned(), format!("*.{ZONE}")] {
        running.says(&format!("{ZONE}: {name}: seen at the nameservers\n"));
    }
    let shown = show(daemon.home(), ZONE);
    let seen = |name: &str| json!({ "name": name, "state": "seen", "problem": null });
    assert_eq!(shown["progress"], json!([seen(ZONE), seen(&format!("*.{ZONE}"))]));
    let listed: Value = serde_json::from_str(&daemon.home().run_ok(&["cert", "list", "--json"])).unwrap();
    assert_eq!(listed["items"][0]["progress"], Value::Null);
    ca.fault("/authorization/0", What::Hold);
    ca.release("/challenge/0");
    ca.hangs();
    for name in [ZONE.to_owned(), format!("*.{ZONE}")] {
        running.says(&format!("{ZONE}: {name}: the CA is looking\n"));
    }
    ca.release("/authorization/0");
    let (code, out, complaint) = running.end();
    assert!(code == Some(0) && complaint.starts_with("txtgate: changed by the daemon on "), "{complaint}{out}");
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
    let lines: Vec<String> = ["seen at the nameservers", "the CA is looking", "proven"]
        .iter()
        .flat_map(|state| [format!("{ZONE}: {ZONE}: {state}"), format!("{ZONE}: *.{ZONE}: {state}")])
        .collect();
    assert_eq!(steps(&out), lines, "{out}");
    assert!(!out.contains(['\u{1b}', '\r']), "{out:?}");
    let table = daemon.home().run_ok(&["cert", "show", ZONE]);
    assert!(
        table.lines().any(|line| line.starts_with("name ") && line.ends_with(" *.auth.example.org: proven")),
        "{table}"
    );
}

#[test]
fn a_name_that_fails_says_why_and_others_go_on() {
    let (ca, daemon) = lab();
    ca.fault("/challenge/1", What::Hold);
    let running = issue(daemon.home());
    ca.hangs();
    ca.fault("/authorization/1", refused());
    ca.release("/challenge/1");
    let (code, out, complaint) = running.end();
    let why = format!("the CA has not proven *.{ZONE}: ");
    assert!(code == Some(1) && complaint.contains(&why), "{complaint}");
    let lines = steps(&out);
    assert!(lines.contains(&&*format!("{ZONE}: {ZONE}: proven")), "{out}");
    let failed = lines.iter().find(|line| line.starts_with(&format!("{ZONE}: *.{ZONE}: failed: {why}")));
    assert!(failed.is_some_and(|line| line.contains("no such luck")), "{out}");
    let table = daemon.home().run_ok(&["cert", "show", ZONE]);
    assert!(table.contains("no such luck"), "{table}");
}

#[test]
fn a_terminal_shows_a_spinner_that_ends_as_a_tick_or_a_cross() {
    let (ca, daemon) = lab();
    ca.fault("/challenge/1", What::Hold);
    let Some(running) = issue_on_terminal(daemon.home(), &[("TERM", "xterm")]) else { return };
    ca.hangs();
    let spinner =
        |out: &str| out.chars().filter(|c| "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏".contains(*c)).collect::<std::collections::HashSet<_>>().len();
    running.says(&format!(" *.{ZONE}: seen at the nameservers"));
    until("it turns", || spinner(&running.said()) > 2);
    ca.fault("/authorization/1", refused());
    ca.release("/challenge/1");
    let (code, out, _) = running.end();
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains(&format!("\u{1b}[32m✓\u{1b}[0m {ZONE}: proven")), "{out:?}");
    assert!(out.contains(&format!("\u{1b}[31m✗\u{1b}[0m *.{ZONE}: failed: ")), "{out:?}");
    assert!(out.contains(&format!("{ZONE}: 0 of 2 names proven; ordering")), "{out:?}");

    let Some(running) = issue_on_terminal(daemon.home(), &[("TERM", "xterm"), ("NO_COLOR", "1")]) else { return };
    let (code, out, _) = running.end();
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains(&format!("✓ {ZONE}: proven")) && !out.contains("\u{1b}[32m"), "{out:?}");
}

/// All of them at once would not fit, and a hundred ticks would push everything else out of sight.
#[test]
fn a_hundred_names_are_counted_on_a_terminal_of_24_lines() {
    let Some(lab) = CaLab::real(Options::default()) else { return };
    let daemon = Process::start(&lab.settings);
    let names: Vec<String> = (1..=100).map(|number| format!("n{number}.example.com")).collect();
    delegate(&lab, daemon.home(), &names.iter().map(String::as_str).collect::<Vec<_>>());
    let Some(running) = on_terminal(daemon.home(), &["cert", "renew", "n1.example.com"], &[("TERM", "xterm")]) else {
        return;
    };
    let (code, out, _) = running.end();
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains("✓\u{1b}[0m n1.example.com: 100 of 100 names proven"), "{out}");
    assert!(!out.contains(".example.com: proven"), "{out}");
    assert!(out.contains("    and 79 more"), "{out}");
    // How far the cursor goes up is how many lines there were.
    let ups = out.split("\u{1b}[").filter_map(|rest| rest.split_once('A')?.0.parse::<u32>().ok());
    assert_eq!(ups.max(), Some(22), "{out}");
}

#[test]
fn a_dumb_terminal_gets_plain_lines() {
    let (_ca, daemon) = lab();
    let Some(running) = issue_on_terminal(daemon.home(), &[("TERM", "dumb")]) else { return };
    let (code, out, _) = running.end();
    assert_eq!(code, Some(0), "{out}");
    assert!(out.contains(&format!("{ZONE}: *.{ZONE}: proven\r\n")), "{out:?}");
    assert!(!out.contains('\u{1b}') && !out.contains('✓'), "{out:?}");
}
