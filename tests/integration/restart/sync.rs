//! A 200 comes after an fdatasync of the WAL: what a kill cannot show, since the kernel keeps what was written.
//!
//! The daemon runs under strace with one client; the trace is read as a story of each reply: writes of the
//! value's row into the WAL, an fdatasync of that descriptor after the last of them, then the reply. The same story must not hold where SQLite was
//! told not to sync.

use std::collections::HashMap;
use std::path::Path;

use rustix::process::Signal;

use crate::harness::http::connect;
use crate::harness::{Account, Home, Launch, Settings, skip, value};

const UPDATES: u64 = 20;

/// One system call that ended well, as far as it matters here.
#[derive(Debug, PartialEq)]
enum Call {
    /// Bytes into a descriptor, as strace prints them.
    Write {
        fd: u32,
        data: String,
    },
    Sync {
        fd: u32,
    },
}

/// What was found of each update.
#[derive(Debug, Default, PartialEq)]
struct Verdict {
    in_order: u64,
    without_sync: u64,
}

#[test]
fn each_200_comes_after_an_fdatasync_of_the_wal() {
    if std::process::Command::new("strace").arg("-V").output().is_err() {
        return skip("the order of fdatasync and 200", "there is no strace");
    }
    let full = traced(&[]);
    let off = traced(&[("TXTGATE_TEST_SYNCHRONOUS_OFF", "1")]);
    println!("strace: synchronous=FULL {full:?}; OFF {off:?}");
    assert_eq!(full, Verdict { in_order: UPDATES, without_sync: 0 });
    // The check can fail: a daemon that does not sync is seen.
    assert_eq!(off, Verdict { in_order: 0, without_sync: UPDATES });
}

fn traced(environment: &[(&'static str, &'static str)]) -> Verdict {
    let home = Home::new(&Settings::default());
    let trace = home.path().join("trace");
    let calls = "trace=fdatasync,fsync,pwrite64,write,writev,sendto,sendmsg";
    let file = trace.display().to_string();
    // -y: descriptors with their paths; -s: whole pages of the WAL.
    let wrapper = ["strace", "-f", "-y", "-s", "16384", "-e", calls, "-o", &file].map(str::to_owned).into();
    let daemon = home.launch(&Launch { wrapper, environment: environment.into() });
    let account = Account::register(daemon.api());
    let mut wire = connect(daemon.api());
    for number in 0..UPDATES {
        let reply = account.update_on(&mut wire, &value(number)).expect("a reply");
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    daemon.signal(Signal::TERM);
    drop(daemon);
    judge(&read(&trace))
}

/// The verdict on the trace of [`UPDATES`] updates.
fn judge(story: &[Call]) -> Verdict {
    let mut verdict = Verdict::default();
    for number in 0..UPDATES {
        let value = value(number);
        let reply = format!(r#"{{\"txt\": \"{value}\"}}"#);
        let at = |wanted: &str, from: usize| {
            let is = |call: &Call| matches!(call, Call::Write { data, .. } if data.contains(wanted));
            from + story[from..].iter().position(is).unwrap_or_else(|| panic!("no {wanted} in the trace"))
        };
        // The first bytes with the value that go anywhere are its row, in a page of the WAL.
        let (row, replied) = (at(&value, 0), at(&reply, 0));
        assert!(row < replied, "a reply before the row: {number}");
        let Call::Write { fd: wal, .. } = &story[row] else { unreachable!() };
        // The row may be spread over several writes, the commit mark in the last of them.
        let is_to_wal = |call: &Call| matches!(call, Call::Write { fd, .. } if fd == wal);
        let last = story[..replied].iter().rposition(is_to_wal).unwrap_or(row);
        let synced = story[last..replied].iter().any(|call| matches!(call, Call::Sync { fd } if fd == wal));
        if synced { verdict.in_order += 1 } else { verdict.without_sync += 1 }
    }
    verdict
}

/// The calls of a trace in the order in which they ended; one that another thread interrupts stands on two lines.
fn read(trace: &Path) -> Vec<Call> {
    let text = String::from_utf8_lossy(&std::fs::read(trace).unwrap()).into_owned();
    let mut begun: HashMap<String, String> = HashMap::new();
    let mut calls = Vec::new();
    for line in text.lines() {
        let Some((thread, rest)) = line.trim_start().split_once(' ') else { continue };
        let rest = rest.trim_start();
        if let Some(start) = rest.strip_suffix("<unfinished ...>") {
            // A reply may be with the client before strace says that the call has ended: it counts from its beginning.
            if is_to_socket(start) {
                calls.extend(call(start));
            } else {
                begun.insert(thread.to_owned(), start.to_owned());
            }
        } else if let Some((_, end)) = rest.split_once("resumed>") {
            let whole = begun.remove(thread).unwrap_or_default() + end;
            calls.extend(call(&whole));
        } else {
            calls.extend(call(rest));
        }
    }
    calls
}

fn is_to_socket(call: &str) -> bool {
    call.split_once('<').is_some_and(|(_, path)| path.starts_with("socket:") || path.starts_with("TCP:"))
}

/// `pwrite64(9</tmp/x/txtgate.db-wal>, "...", 4096, 32) = 4096`
fn call(text: &str) -> Option<Call> {
    let (name, arguments) = text.split_once('(')?;
    let fd = arguments.split('<').next()?.parse().ok()?;
    match name {
        "fdatasync" | "fsync" => {
            let path = arguments.split('<').nth(1)?;
            (path.contains("-wal>") && text.trim_end().ends_with("= 0")).then_some(Call::Sync { fd })
        }
        _ => Some(Call::Write { fd, data: arguments.to_owned() }),
    }
}
