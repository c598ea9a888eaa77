//! dnstap: what standard tools read of it, and receivers that are slow or gone.

use std::io::{BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::dns::{TXT, Udp, ask, ask_tcp, query, txts};
use crate::harness::http::get;
use crate::harness::{Account, Process, Settings, until, value};

fn tapping(line: &str) -> Settings {
    Settings::default().with("dnstap", line)
}

/// What `kdig` reads in a file of dnstap.
fn read_by_kdig(file: &Path) -> String {
    let output = Command::new("kdig").arg("-G").arg(file).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn is_installed(tool: &str) -> bool {
    let is_there = Command::new(tool).arg("--help").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !is_there {
        println!("skipped: {tool} is not installed");
    }
    is_there
}

/// The number of messages that became `written` or `lost`.
fn messages(daemon: &Process, became: &str) -> u64 {
    let text = get(daemon.metrics(), "/metrics").body;
    let series = format!("txtgate_dnstap_messages_total{{became=\"{became}\"}} ");
    text.lines().find_map(|line| line.strip_prefix(&*series)).unwrap().parse().unwrap()
}

#[test]
fn a_standard_reader_shows_each_message_in_the_file_and_the_reload_begins_another() {
    if !is_installed("kdig") {
        return;
    }
    let daemon = Process::start(&tapping("file = \"queries.dnstap\"\nidentity = \"ns1\""));
    let account = Account::register(daemon.api());
    account.publish(daemon.api(), &value(7));
    let upper = account.fulldomain.to_uppercase();
    ask(daemon.dns(), &query(&upper, TXT));
    ask_tcp(daemon.dns(), &query(&account.fulldomain, TXT));
    let home = daemon.home().clone();
    let (file, former) = (home.path().join("queries.dnstap"), home.path().join("queries.dnstap.1"));
    daemon.signal(Signal::HUP);
    until("the next file", || former.exists() && file.exists());
    let first = read_by_kdig(&former);
    ask(daemon.dns(), &query(&format!("nobody.{}", crate::harness::ZONE), TXT));
    assert!(daemon.terminate().0.success());

    let replies = |over: &str, name: &str| {
        let is_it = |message: &&str| {
            message.contains(&format!(";; {name}.")) && message.contains(over) && message.contains(&value(7))
        };
        first.split("\n\n;; ->>HEADER").filter(is_it).count()
    };
    assert_eq!((replies("(UDP)", &upper), replies("(TCP)", &account.fulldomain)), (1, 1), "{first}");
    let second = read_by_kdig(&file);
    assert!(second.contains("status: NXDOMAIN") && !second.contains(&value(7)), "{second}");
    let bytes = std::fs::read(&file).unwrap();
    assert!(bytes.windows(3).any(|bytes| bytes == b"ns1"), "the identity");
}

/// `fstrm_capture` on a socket; it ends with its input.
struct Capture(Child);

impl Capture {
    fn start(socket: &Path, file: &Path) -> Self {
        _ = std::fs::remove_file(socket);
        let mut command = Command::new("fstrm_capture");
        command.args(["-t", "protobuf:dnstap.Dnstap", "-u"]).arg(socket).arg("-w").arg(file);
        let child = command.stderr(Stdio::null()).spawn().unwrap();
        until("fstrm_capture", || UnixStream::connect(socket).is_ok());
        Self(child)
    }

    fn stop(mut self) {
        kill_process(Pid::from_child(&self.0), Signal::TERM).unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn a_receiver_on_a_socket_may_start_late_end_and_come_back() {
    if !is_installed("kdig") || !is_installed("fstrm_capture") {
        return;
    }
    let daemon = Process::start(&tapping("socket = \"tap.sock\""));
    let home = daemon.home().clone();
    let socket = home.path().join("tap.sock");
    until("the warning", || daemon.log().contains("no receiver listens there"));
    let account = Account::register(daemon.api());
    for number in 0..2 {
        let file = home.path().join(format!("{number}.dnstap"));
        let before = messages(&daemon, "written");
        let capture = Capture::start(&socket, &file);
        account.publish(daemon.api(), &value(number));
        until("a message", || {
            assert_eq!(txts(daemon.dns(), &account.fulldomain).first(), Some(&value(number)));
            messages(&daemon, "written") > before
        });
        capture.stop();
        let read = read_by_kdig(&file);
        assert!(read.contains(&value(number)), "{number}: {read}");
    }
    let (status, _, log) = daemon.terminate();
    assert!(status.success(), "{log}");
    assert_eq!(log.matches("dnstap: writing to").count(), 2, "{log}");
    // Once for each time that the receiver was gone.
    assert_eq!(log.matches("messages are lost until").count(), 3, "{log}");
}

/// Accepts dnstap, and reads nothing more.
fn accept_and_stall(socket: &UnixListener) -> UnixStream {
    loop {
        let (mut stream, _) = socket.accept().unwrap();
        let mut ready = [0; 4 + 4 + 34];
        // Connections that are given up before they begin are no concern.
        if BufReader::new(&stream).read_exact(&mut ready).is_ok() {
            stream.write_all(&[&[0, 0, 0, 0, 0, 0, 0, 4], &1_u32.to_be_bytes()[..]].concat()).unwrap();
            return stream;
        }
    }
}

#[test]
fn a_receiver_that_stalls_costs_messages_and_no_answer() {
    let home = crate::harness::Home::new(&tapping("socket = \"tap.sock\""));
    let socket = UnixListener::bind(home.path().join("tap.sock")).unwrap();
    let daemon = home.start();
    let stalled = accept_and_stall(&socket);
    let account = Account::register(daemon.api());
    account.publish(daemon.api(), &value(1));
    let udp = Udp::to(daemon.dns());
    let question = query(&account.fulldomain, TXT);
    until("a full queue", || {
        for _ in 0..500 {
            udp.ask(&question);
        }
        messages(&daemon, "lost") > 0
    });
    assert_eq!(txts(daemon.dns(), &account.fulldomain), [value(1)]);
    drop(stalled);
    let (status, _, log) = daemon.terminate();
    assert!(status.success(), "{log}");
}
