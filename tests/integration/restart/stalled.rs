//! An fsync that hangs: strace delays those of a running daemon.

use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::dns::txts;
use crate::harness::http::get;
use crate::harness::{Account, Process, Settings, skip, until, value};

/// Delays each fsync of a process by a minute, for as long as this is there.
struct Delay(Child);

impl Delay {
    fn of(daemon: &Process) -> Option<Self> {
        let pid = daemon.pid().to_string();
        let calls = "inject=fsync,fdatasync:delay_enter=60000000";
        let mut command = Command::new("strace");
        command.args(["-f", "-p", &pid, "-e", "trace=fsync,fdatasync", "-e", calls, "-o", "/dev/null"]);
        Some(Self(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()?))
    }
}

impl Drop for Delay {
    fn drop(&mut self) {
        _ = kill_process(Pid::from_child(&self.0), Signal::TERM);
        _ = self.0.wait();
    }
}

fn is_traced(daemon: &Process) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).unwrap();
    status.lines().any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0"))
}

#[test]
fn ready_and_status_say_that_an_fsync_hangs() {
    let daemon = Process::start(&Settings::default());
    let account = Account::register(daemon.api());
    account.publish(daemon.api(), &value(1));
    let Some(mut delay) = Delay::of(&daemon) else {
        return skip("an fsync that hangs", "there is no strace");
    };
    until("strace has attached, or may not", || is_traced(&daemon) || delay.0.try_wait().unwrap().is_some());
    if !is_traced(&daemon) {
        return skip("an fsync that hangs", "strace may not attach to a process");
    }
    // The heartbeat meets it, without any update.
    until("it is not ready", || get(daemon.metrics(), "/ready").status == 503);
    let ready = get(daemon.metrics(), "/ready");
    assert!(ready.json()["problem"].as_str().unwrap().contains("stalled"), "{ready:?}");
    assert!(daemon.home().run_ok(&["status"]).contains("stalled"));
    let reply = account.update(daemon.api(), &value(2));
    reply.assert_error(503, "db_error");
    assert!(reply.body.contains("the disk is stalled"), "{reply:?}");
    assert_eq!(txts(daemon.dns(), &account.fulldomain), [value(1)], "DNS goes on");
    drop(delay);
    until("it is ready", || get(daemon.metrics(), "/ready").status == 200);
    account.publish(daemon.api(), &value(3));
}
