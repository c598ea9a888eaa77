//! What bounds connections, and what cannot be done to the others.

use tokio::net::UdpSocket as Between;

use super::*;
use crate::model::prefix::Prefix;

/// Passes on what a client sends, up to so many datagrams, and all that comes back.
async fn pass_on(between: &Between, server: SocketAddr, mut most: usize) {
    let mut datagram = [0; 2_000];
    let mut client = None;
    loop {
        let (length, from) = between.recv_from(&mut datagram).await.unwrap();
        let to = match client {
            Some(client) if from == server => client,
            _ if most == 0 => continue,
            _ => {
                client = Some(from);
                most -= 1;
                server
            }
        };
        between.send_to(&datagram[..length], to).await.unwrap();
    }
}

#[tokio::test]
async fn a_full_house_closes_the_longest_idle_connection() {
    let server = server_of(responder(), Connections::new(3, 2), IDLE);
    let first = server.connect().await;
    let second = server.connect().await;
    for connection in [&second, &first] {
        ask(connection, &ask_for("shop", 16)).await;
    }
    let third = server.connect().await;
    assert_eq!(ended(&second).await, EXCESSIVE_LOAD);
    for connection in [&first, &third] {
        ask(connection, &ask_for("shop", 16)).await;
    }
    assert_eq!(server.connections.len(), 2);
    drop((first, third));
    server.empties().await;
}

/// One datagram was enough to shut out everybody else for five seconds, with a listener that waits for handshakes.
#[tokio::test]
async fn clients_that_start_and_stay_silent_take_no_place_and_no_time() {
    let server = server();
    // Catches the first datagrams of clients and hands them on under its own address.
    let between = Between::bind("127.0.0.1:0").await.unwrap();
    let client = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let mut silent = Vec::new();
    for _ in 0..32 {
        let to = between.local_addr().unwrap();
        silent.push(client.connect_with(server.client_config(b"doq"), to, "api.test").unwrap());
        let mut initial = [0; 2_000];
        let (length, _) = between.recv_from(&mut initial).await.unwrap();
        between.send_to(&initial[..length], server.address).await.unwrap();
        // What comes back is a Retry: shorter than what it answers, and nothing is kept for it.
        let mut retry = [0; 2_000];
        let replied = loop {
            let (length, from) = between.recv_from(&mut retry).await.unwrap();
            if from == server.address {
                break length;
            }
        };
        assert!(replied < length / 3 && retry[0] & 0xf0 == 0xf0, "{replied} {:02x}", retry[0]);
    }
    assert_eq!(server.connections.len(), 0);
    // A listener that waited for each handshake in turn would be busy for 32 times 5 seconds.
    let served = async { ask(&server.connect().await, &ask_for("shop", 16)).await };
    timeout(PATIENCE, served).await.expect("silent clients hold up nobody");
}

/// Takes 5 seconds: the listener's own limit, which is what is tested.
#[tokio::test]
async fn a_handshake_that_stalls_loses_its_place() {
    let server = server_of(responder(), Connections::new(16, 16), Duration::from_secs(60));
    let between = Between::bind("127.0.0.1:0").await.unwrap();
    let client = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    let to = between.local_addr().unwrap();
    let connecting = client.connect_with(server.client_config(b"doq"), to, "api.test").unwrap();
    // From where it stands the handshake is done.
    let _kept = tokio::spawn(connecting.into_future());
    let start = Instant::now();
    let lost = async {
        while server.connections.is_empty() {
            sleep(Duration::from_millis(5)).await;
        }
        while !server.connections.is_empty() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        // Two datagrams: the first, and the same with what the Retry asks for.
        () = pass_on(&between, server.address, 2) => {}
        done = timeout(3 * PATIENCE, lost) => done.expect("the place is free again"),
    }
    assert!(start.elapsed() > Duration::from_secs(4), "{:?}", start.elapsed());
}

#[tokio::test]
async fn newcomers_wait_while_too_many_are_on_their_way_out() {
    let connections = Connections::new(1, 1);
    let server = server_of(responder(), connections.clone(), IDLE);
    // Each tells the one before to leave, and none does.
    let permits: Vec<_> = (0..257).map(|_| connections.admit(Prefix::of(server.address.ip()))).collect();
    assert_eq!(connections.leaving(), 256);
    let mut connecting = Box::pin(server.try_connect(b"doq"));
    assert!(timeout(Duration::from_millis(300), &mut connecting).await.is_err());
    drop(permits);
    let connection = timeout(PATIENCE, connecting).await.expect("heard when it asks again").unwrap();
    ask(&connection, &ask_for("shop", 16)).await;
}

#[tokio::test]
async fn a_pause_for_a_signature_holds_back_what_comes_after_it() {
    let responder = seldom_denying();
    let server = server_of(responder.clone(), Connections::new(16, 16), IDLE);
    let connection = server.connect().await;
    let missing = |number: u32| with_opt(ask_for(&format!("m{number}"), 16), 1_232, 0, 0x8000, &[]);
    let is_paused = |number: &u32| {
        let responded =
            responder.respond(&missing(*number), source(Transport::Tcp), &mut Vec::new()).replied().unwrap();
        responded.pause > Duration::from_millis(600)
    };
    let start = Instant::now();
    let last = (0..5_000).find(is_paused).expect("a pause");
    assert_eq!(Message::from_vec(&ask(&connection, &missing(5_000)).await).unwrap().authorities.len(), 4);
    ask(&connection, &ask_for("shop", 16)).await;
    let turn = (last + 1) * (Duration::from_secs(1) / FEW_DENIALS);
    assert!(start.elapsed() >= turn, "{:?}", start.elapsed());
}

#[tokio::test]
async fn garbage_is_no_trouble() {
    let server = server();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut state = 7_u32;
    for turn in 0..2_000_usize {
        let bytes: Vec<u8> = (0..turn % 1_500)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect();
        socket.send_to(&bytes, server.address).unwrap();
    }
    socket.send_to(&ask_for("shop", 16), server.address).unwrap();
    ask(&server.connect().await, &ask_for("shop", 16)).await;
    assert_eq!(server.connections.len(), 1);
}

#[tokio::test]
async fn lengths_tell_nothing_of_what_was_asked() {
    let server = server();
    let connection = server.connect().await;
    let longest = "x".repeat(63);
    for label in ["shop", "nothing", "empty", &longest] {
        assert_eq!(ask(&connection, &edns(ask_for(label, 16))).await.len(), 468, "{label}");
    }
    assert_eq!(ask(&connection, &edns(ask_for("many", 16))).await.len(), 7 * 468);
}
