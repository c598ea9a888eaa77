//! What an UPDATE's reply promises: on disk, and served.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

use super::account_with_key;
use crate::harness::dns::{Tcp, framed, txts};
use crate::harness::kill::{another, rounds};
use crate::harness::tsig::Key;
use crate::harness::update::Update;
use crate::harness::{Account, Home, Process, Settings, ZONE, value};

const ROUNDS: u64 = 30;
const WRITERS: usize = 3;

/// One client, and what it was told is published.
struct Writer {
    account: Account,
    key: Key,
    acknowledged: Mutex<Vec<String>>,
}

impl Writer {
    /// Publishes until the daemon is gone.
    fn write(&self, dns: SocketAddr, next: &AtomicU64) {
        let Ok(mut stream) = TcpStream::connect(dns) else { return };
        loop {
            let number = another(next);
            let update = Update::of(ZONE).add(&self.account.fulldomain, &value(number)).id(number as u16);
            let signed = self.key.sign(&update.bytes());
            let Some(reply) = exchange(&mut stream, &signed.bytes) else { return };
            assert_eq!(u16::from(self.key.open(&signed, &reply).0.rcode()), 0);
            self.acknowledged.lock().unwrap().push(value(number));
        }
    }

    fn lost(&self, dns: SocketAddr) -> usize {
        let served: BTreeSet<String> = txts(dns, &self.account.fulldomain).into_iter().collect();
        let acknowledged = self.acknowledged.lock().unwrap();
        // The daemon keeps 1,000 of each.
        acknowledged[acknowledged.len().saturating_sub(700)..].iter().filter(|txt| !served.contains(*txt)).count()
    }
}

fn exchange(stream: &mut TcpStream, message: &[u8]) -> Option<Vec<u8>> {
    use std::io::{Read, Write};
    stream.write_all(&framed(message)).ok()?;
    let mut length = [0; 2];
    stream.read_exact(&mut length).ok()?;
    let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut reply).ok()?;
    Some(reply)
}

#[test]
fn every_acknowledged_update_is_served_after_kill_9() {
    let home = Home::new(&Settings::default().with("values", "max-values = 1000").with("log", "level = \"warn\""));
    let daemon = home.start();
    let writer = || {
        let (account, key) = account_with_key(&home, "hmac-sha256");
        Writer { account, key, acknowledged: Mutex::default() }
    };
    let writers: Vec<Writer> = (0..WRITERS).map(|_| writer()).collect();
    let write = |writer: &Writer, daemon: &Process, next: &AtomicU64| writer.write(daemon.dns(), next);
    let lost = rounds(&home, daemon, ROUNDS, &writers, write, |writer, daemon| writer.lost(daemon.dns()));
    let acknowledged: usize = writers.iter().map(|writer| writer.acknowledged.lock().unwrap().len()).sum();
    println!("kill -9: rounds={ROUNDS} acknowledged updates={acknowledged} lost={lost}");
    assert_eq!(lost, 0);
    assert!(acknowledged as u64 > ROUNDS, "too few updates to mean anything: {acknowledged}");
}

/// A store that cannot be written is SERVFAIL, and the same message is carried out when it can be again.
#[test]
fn a_failed_update_may_be_sent_again() {
    let site = super::Site::of(&Settings::default());
    let database = site.daemon.home().database();
    let signed = site.key.sign(&Update::of(ZONE).add(site.name(), &value(1)).bytes());
    let blocker = rusqlite::Connection::open(&database).unwrap();
    blocker.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut stream = Tcp::to(site.daemon.dns());
    stream.send(&signed.bytes);
    // DNS goes on while the disk is waited for.
    assert_eq!(txts(site.daemon.dns(), site.name()), [""; 0]);
    let (reply, seal) = site.key.open(&signed, &stream.receive());
    assert_eq!((u16::from(reply.rcode()), seal.is_signed), (2, true));
    blocker.execute_batch("ROLLBACK").unwrap();
    let (reply, _) = site.key.exchange(site.daemon.dns(), &signed);
    assert_eq!((u16::from(reply.rcode()), site.served()), (0, vec![value(1)]));
}

#[test]
fn an_update_into_a_damaged_store_is_a_servfail() {
    let site = super::Site::of(&Settings::default());
    let wal = site.daemon.home().path().join("txtgate.db-wal");
    std::fs::OpenOptions::new().write(true).open(wal).unwrap().set_len(0).unwrap();
    let signed = site.key.sign(&Update::of(ZONE).add(site.name(), &value(1)).bytes());
    let (reply, seal) = site.key.exchange(site.daemon.dns(), &signed);
    assert_eq!((u16::from(reply.rcode()), seal.is_signed), (2, true));
    assert_eq!(site.served(), [""; 0]);
}
