//! Floods of wrong keys and of registrations right after a restart, when nobody is remembered: a real client's updates
//! all succeed, and DNS goes on.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::harness::dns::{TXT, Udp, query, txts};
use crate::harness::http::{Reply, connect, connect_from, request};
use crate::harness::{Account, Process, Settings, until, value};

/// A flood ends with the client's last update, or at one of these.
const MOST: u64 = 40_000;
const LONGEST: Duration = Duration::from_secs(120);
const SENDERS: u64 = 4;
/// Requests that make a flood, sent before the client begins.
const FLOOD: u64 = 50;
/// Accounts of the real client, and updates of each.
const ACCOUNTS: usize = 4;
const UPDATES: u64 = 15;

/// A daemon that has just been killed and started again, and the accounts that it has.
fn restarted() -> (Process, Vec<Account>) {
    let daemon = Process::start(&Settings::default().with("log", "level = \"warn\""));
    let accounts = (0..ACCOUNTS).map(|_| Account::register(daemon.api())).collect();
    let home = daemon.home().clone();
    daemon.kill();
    (home.start(), accounts)
}

/// What a flood has met.
#[derive(Default)]
struct Met {
    sent: AtomicU64,
    succeeded: AtomicU64,
    denied: AtomicU64,
    too_often: AtomicU64,
    busy: AtomicU64,
}

impl Met {
    fn count(&self, reply: Option<Reply>) {
        let counter = match reply.map(|reply| reply.status) {
            Some(201) => &self.succeeded,
            Some(401) => &self.denied,
            Some(429) => &self.too_often,
            Some(503) => &self.busy,
            // Cut off to make room for others.
            None => return,
            Some(other) => panic!("{other} is nothing that a flood should meet"),
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn text(&self) -> String {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        format!(
            "sent={} 201={} 401={} 429={} 503={}",
            of(&self.sent),
            of(&self.succeeded),
            of(&self.denied),
            of(&self.too_often),
            of(&self.busy)
        )
    }
}

/// Sends requests from many prefixes until it is told to stop; `bytes` makes the request of a number.
fn flood(api: SocketAddr, stop: &AtomicBool, met: &Met, bytes: impl Fn(u64) -> Vec<u8>) {
    let start = Instant::now();
    while !stop.load(Ordering::Relaxed) && start.elapsed() < LONGEST {
        let number = met.sent.fetch_add(1, Ordering::Relaxed);
        if number >= MOST {
            return;
        }
        let from = Ipv4Addr::new(127, 0, 1 + (number % 200) as u8, 1);
        let mut wire = connect_from(from, api);
        wire.send(bytes(number));
        met.count(wire.try_receive());
    }
}

/// Times, sorted.
struct Times(Vec<Duration>);

impl Times {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    fn share(&self, percent: usize) -> Duration {
        self.0[(self.0.len() - 1) * percent / 100]
    }
}

/// The real client: every update must succeed.
fn update_all(api: SocketAddr, accounts: &[Account]) -> Times {
    let mut times = Vec::new();
    for number in 0..UPDATES {
        for account in accounts {
            let start = Instant::now();
            let reply = account.update_on(&mut connect(api), &value(number)).expect("a reply");
            assert_eq!(reply.status, 200, "update {number}: {reply:?}");
            times.push(start.elapsed());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    Times::of(times)
}

/// Asks over UDP until it is told to stop; each question must be answered.
fn keep_asking(dns: SocketAddr, name: &str, stop: &AtomicBool) -> Times {
    let socket = Udp::to(dns);
    let mut times = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let start = Instant::now();
        socket.ask(&query(name, TXT));
        times.push(start.elapsed());
        std::thread::sleep(Duration::from_millis(5));
    }
    Times::of(times)
}

/// Runs the client and DNS beside a flood, and prints how it went for each.
fn withstand(what: &str, bytes: impl Fn(&[Account], u64) -> Vec<u8> + Sync) {
    let (daemon, accounts) = restarted();
    let (api, dns) = (daemon.api(), daemon.dns());
    let (stop, met) = (AtomicBool::new(false), Met::default());
    let (updates, answers) = std::thread::scope(|scope| {
        for _ in 0..SENDERS {
            scope.spawn(|| flood(api, &stop, &met, |number| bytes(&accounts, number)));
        }
        let asking = scope.spawn(|| keep_asking(dns, &accounts[0].fulldomain, &stop));
        until("a flood", || met.sent.load(Ordering::Relaxed) > FLOOD);
        let updating = scope.spawn(|| update_all(api, &accounts));
        let updates = updating.join();
        stop.store(true, Ordering::Relaxed);
        (updates, asking.join())
    });
    let (updates, answers) = (updates.expect("all updates succeed"), answers.expect("all questions are answered"));
    println!(
        "{what}: {}; {} updates: p50 {:?} max {:?}; {} DNS answers: p50 {:?} p99 {:?}",
        met.text(),
        updates.0.len(),
        updates.share(50),
        updates.share(100),
        answers.0.len(),
        answers.share(50),
        answers.share(99)
    );
    assert_eq!(updates.0.len(), ACCOUNTS * usize::try_from(UPDATES).unwrap());
    assert!(met.sent.load(Ordering::Relaxed) > FLOOD + SENDERS, "the flood has not gone on: {}", met.text());
    for account in &accounts {
        assert_eq!(txts(dns, &account.fulldomain).len() as u64, UPDATES);
    }
}

/// Of accounts that exist, and of accounts that do not; in form all are right, so that each could cost a hash.
#[test]
fn wrong_keys_after_a_restart_do_not_keep_real_clients_out() {
    withstand("wrong keys", |accounts, number| {
        let username = match number % 2 {
            0 => accounts[number as usize / 2 % accounts.len()].username.clone(),
            _ => format!("00000000-0000-4000-8000-{number:012x}"),
        };
        let account = Account { username, password: format!("{number:A>40}"), ..accounts[0].clone() };
        account.request("POST", "/update", &account.body(&value(0)))
    });
}

#[test]
fn registrations_after_a_restart_do_not_keep_real_clients_out() {
    withstand("registrations", |_, _| request("POST", "/register", &[], ""));
}
