//! `kill -9` in the middle of updates, again and again.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use crate::harness::dns::txts;
use crate::harness::http::try_connect;
use crate::harness::kill::{another, rounds};
use crate::harness::{Account, Home, Process, Settings, value};

const ROUNDS: u64 = 200;
const WRITERS: usize = 4;
/// Of each writer's acknowledged values so many are looked for, the newest: all, unless the machine is fast. With those
/// that were cut off between them, at most one a round, they are fewer than the daemon keeps.
const KEPT: usize = 700;

/// One writer's account, and what it was told is published.
struct Writer {
    account: Account,
    acknowledged: Mutex<Vec<String>>,
}

impl Writer {
    /// Publishes until the daemon is gone.
    fn write(&self, api: SocketAddr, next: &AtomicU64) {
        // It may be gone before: then nothing was acknowledged.
        let Some(mut wire) = try_connect(api) else { return };
        loop {
            let txt = value(another(next));
            match self.account.update_on(&mut wire, &txt) {
                Some(reply) if reply.status == 200 => self.acknowledged.lock().unwrap().push(txt),
                Some(reply) => panic!("{reply:?}"),
                None => return,
            }
        }
    }

    /// How many of the newest acknowledged values DNS does not have.
    fn lost(&self, dns: SocketAddr) -> usize {
        let acknowledged = self.acknowledged.lock().unwrap();
        let newest = &acknowledged[acknowledged.len().saturating_sub(KEPT)..];
        let served: BTreeSet<String> = txts(dns, &self.account.fulldomain).into_iter().collect();
        newest.iter().filter(|txt| !served.contains(*txt)).count()
    }
}

/// After each kill every writer's newest acknowledged values are looked for, those of earlier rounds among them. An
/// update that was cut off may be there or not.
#[test]
fn every_acknowledged_value_is_served_after_kill_9() {
    let start = Instant::now();
    let home = Home::new(&Settings::default().with("values", "max-values = 1000").with("log", "level = \"warn\""));
    let daemon = home.start();
    let register = || Writer { account: Account::register(daemon.api()), acknowledged: Mutex::default() };
    let writers: Vec<Writer> = (0..WRITERS).map(|_| register()).collect();
    let write = |writer: &Writer, daemon: &Process, next: &AtomicU64| writer.write(daemon.api(), next);
    let lost = rounds(&home, daemon, ROUNDS, &writers, write, |writer, daemon| writer.lost(daemon.dns()));
    let acknowledged: usize = writers.iter().map(|writer| writer.acknowledged.lock().unwrap().len()).sum();
    println!("kill -9: rounds={ROUNDS} acknowledged={acknowledged} lost={lost}, {:?}", start.elapsed());
    assert_eq!(lost, 0);
    assert!(acknowledged as u64 > ROUNDS / 4, "too few updates to mean anything: {acknowledged}");
}

/// On a machine that is busy the kill comes before a writer has connected.
#[test]
fn a_writer_that_comes_after_the_kill_is_told_of_nothing() {
    let daemon = Home::new(&Settings::default()).start();
    let (api, account) = (daemon.api(), Account::register(daemon.api()));
    daemon.kill();
    let writer = Writer { account, acknowledged: Mutex::default() };
    writer.write(api, &AtomicU64::new(0));
    assert_eq!(writer.acknowledged.into_inner().unwrap(), [""; 0]);
}
