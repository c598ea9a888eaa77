//! Too many connections, too few descriptors, a port that is taken.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};

use crate::harness::dns::{Change, Reply, SOA, Tcp, Udp, ask, query};
use crate::harness::{Home, Launch, Process, Settings, ZONE};

/// Connections that one IPv4 /24 may have open.
const PER_PREFIX: usize = 64;

fn answers(stream: &mut Tcp) -> bool {
    stream.send(&query(ZONE, SOA));
    Reply::of(stream.receive()).of_type(SOA) == 1
}

#[test]
fn a_full_prefix_loses_its_longest_idle_connection() {
    let daemon = Process::start(&Settings::default());
    let mut streams: Vec<Tcp> = (0..PER_PREFIX).map(|_| Tcp::to(daemon.dns())).collect();
    assert!(streams.iter_mut().all(answers), "64 may stay");
    // The first is active again, which makes the second the longest idle one.
    assert!(answers(&mut streams[0]));
    let mut newcomer = Tcp::to(daemon.dns());
    assert!(answers(&mut newcomer), "nobody is turned away");
    assert!(streams[1].closes_within(Duration::from_secs(5)), "the longest idle one leaves");
    assert!(answers(&mut streams[0]) && answers(&mut streams[2]) && answers(&mut newcomer));
}

/// What the loop may use of a core. A debug build takes several times what a release does; one that spins takes all.
const MOST_CPU: f64 = if cfg!(debug_assertions) { 0.15 } else { 0.05 };

/// Asks again where nothing comes: so many connections at once overflow the kernel's queue of the loopback device, and
/// datagrams are lost with them.
fn ask_patiently(udp: &Udp, id: u16) {
    let answered = (0..10).any(|_| {
        udp.send(&query(ZONE, SOA).id(id));
        std::iter::from_fn(|| udp.receive_within(Duration::from_millis(500)))
            .any(|reply| reply[..2] == id.to_be_bytes())
    });
    assert!(answered, "UDP goes on being answered");
}

/// 10,000 connections from many prefixes to a daemon with 100 descriptors.
#[test]
fn without_descriptors_the_daemon_neither_spins_nor_stops_answering() {
    const ATTEMPTS: u32 = 10_000;
    let room = descriptors(u64::from(ATTEMPTS) + 1_000);
    let attempts = ATTEMPTS.min(u32::try_from(room.saturating_sub(1_000)).unwrap_or(ATTEMPTS));
    let daemon = Home::new(&Settings::default()).launch(&Launch::descriptors(100));
    let (start, before) = (Instant::now(), daemon.cpu());
    let udp = Udp::to(daemon.dns());
    let mut open = Vec::new();
    let mut asked = 0_u16;
    for turn in 0..attempts {
        open.push(attempt(turn, daemon.dns()));
        if turn % 200 == 0 {
            ask_patiently(&udp, asked);
            asked += 1;
        }
    }
    let flooded = start.elapsed();
    while start.elapsed() < flooded + Duration::from_secs(4) {
        ask_patiently(&udp, asked);
        asked += 1;
        std::thread::sleep(Duration::from_millis(50));
    }
    let share = (daemon.cpu() - before).as_secs_f64() / start.elapsed().as_secs_f64();
    println!(
        "descriptors: {attempts} attempts in {flooded:?}, {asked} UDP answers, {:.1} % of a core over {:?}",
        share * 100.0,
        start.elapsed()
    );
    assert!(share < MOST_CPU, "{:.1} % of a core", share * 100.0);
    assert!(daemon.log().contains("cannot accept connections"), "the test means nothing without a shortage");
    drop(open);
    crate::harness::until("TCP answers again", || {
        let Ok(stream) = std::net::TcpStream::connect_timeout(&daemon.dns(), Duration::from_secs(1)) else {
            return false;
        };
        stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        let mut stream = Tcp(stream);
        stream.send(&query(ZONE, SOA));
        std::io::Read::read(&mut stream.0, &mut [0; 512]).is_ok_and(|count| count > 2)
    });
}

/// Begins to connect, from a prefix that changes with `turn`, and waits for nothing.
fn attempt(turn: u32, server: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_nonblocking(true).unwrap();
    let local = Ipv4Addr::new(127, 1, (turn % 250) as u8, 1);
    socket.bind(&SocketAddr::from((local, 0)).into()).unwrap();
    // In progress, or the backlog is full: an attempt all the same.
    _ = socket.connect(&server.into());
    socket
}

/// Lets this process have so many descriptors, as far as it may; how many it has.
fn descriptors(wanted: u64) -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = Some(wanted.min(limit.maximum.unwrap_or(wanted)).max(limit.current.unwrap_or(wanted)));
    setrlimit(Resource::Nofile, limit).unwrap();
    limit.current.unwrap_or(wanted)
}

#[test]
fn a_second_daemon_on_the_same_address_says_which_port_and_who() {
    let first = Process::start(&Settings::default());
    let port = first.dns().port();
    let settings = Settings::default().with("dns", &format!("listen = [\"127.0.0.1:{port}\"]"));
    let failed = Home::new(&settings).try_launch(&Launch::default()).err().expect("the port is taken");
    assert_eq!(failed.code, Some(1), "{failed:?}");
    for part in [format!("127.0.0.1:{port}"), format!("process {}", first.pid()), "another txtgate".into()] {
        assert!(failed.log.contains(&part), "{part:?} in {}", failed.log);
    }
    assert_eq!(ask(first.dns(), &query(ZONE, SOA)).of_type(SOA), 1, "the first one goes on");
}

#[test]
fn a_port_that_only_tcp_has_taken_is_found_too() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let settings = Settings::default().with("dns", &format!("listen = [\"{address}\"]"));
    let failed = Home::new(&settings).try_launch(&Launch::default()).err().expect("the port is taken");
    assert_eq!(failed.code, Some(1));
    assert!(failed.log.contains(&format!("TCP {address} is in use")), "{}", failed.log);
}
