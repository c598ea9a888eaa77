//! SIGKILL at the worst moments: no account, no order and no certificate is lost.

use std::collections::HashSet;
use std::thread::JoinHandle;
use std::time::Instant;

use serde_json::Value;
use txtgate::acme::certificate::Chain;

use crate::harness::pebble::{Options, Pebble};
use crate::harness::ports::free_port;
use crate::harness::standin::{ResponsePolicy, StandIn, What};
use crate::harness::tls::{connect, trusting};
use crate::harness::{Home, ZONE, until};

fn show(home: &Home) -> Value {
    serde_json::from_str(&home.run_ok(&["acme", "account", "show", "--json"])).unwrap()
}

/// Runs a command that will not end well.
fn begin(home: &Home, command: &'static [&'static str]) -> JoinHandle<()> {
    let home = home.clone();
    std::thread::spawn(move || _ = home.run(command))
}

#[test]
fn while_an_account_is_made_there_is_one_in_the_end() {
    for done in [false, true] {
        let ca = StandIn::start(ResponsePolicy::default());
        let home = Home::new(&ca.settings());
        let daemon = home.start();
        ca.fault("/new-account", What::Hang { done });
        let asking = begin(&home, &["acme", "account", "show"]);
        ca.hangs();
        daemon.kill();
        asking.join().unwrap();
        assert_eq!(ca.accounts(), usize::from(done));

        let daemon = home.start();
        let key = show(&home)["key"].clone();
        assert_eq!((ca.accounts(), key), (1, ca.thumbprint().into()), "done: {done}");
        drop(daemon);
    }
}

#[test]
fn while_a_key_is_exchanged_the_account_stays_ours() {
    for done in [false, true] {
        let ca = StandIn::start(ResponsePolicy::default());
        let home = Home::new(&ca.settings());
        let daemon = home.start();
        let before = show(&home)["key"].clone();
        ca.fault("/key-change", What::Hang { done });
        let asking = begin(&home, &["acme", "account", "rollover"]);
        ca.hangs();
        daemon.kill();
        asking.join().unwrap();

        let daemon = home.start();
        let after = show(&home)["key"].clone();
        assert_ne!(before, after, "what was begun is finished");
        assert_eq!((ca.accounts(), after), (1, ca.thumbprint().into()), "done: {done}");
        drop(daemon);
    }
}

/// The CA has taken the new key and we have not heard of it. Asked again it says no, and tells another address.
#[test]
fn a_key_that_the_ca_has_taken_is_kept_however_it_spells_the_account() {
    let ca = StandIn::start(ResponsePolicy { respells_accounts: true, ..ResponsePolicy::default() });
    let home = Home::new(&ca.settings());
    let daemon = home.start();
    show(&home);
    ca.fault("/key-change", What::Hang { done: true });
    let asking = begin(&home, &["acme", "account", "rollover"]);
    ca.hangs();
    daemon.kill();
    asking.join().unwrap();
    let _daemon = home.start();
    let shown = show(&home);
    assert_eq!((ca.accounts(), &shown["key"]), (1, &ca.thumbprint().into()));
    assert_eq!(shown["account"], format!("{}/acct/0", ca.base()));
}

/// The request arrives when we have long given up: the key that it brings must still be there.
#[test]
fn a_key_that_the_ca_may_still_take_is_not_thrown_away() {
    let ca = StandIn::start(ResponsePolicy::default());
    let home = Home::new(&ca.settings());
    let daemon = home.start();
    show(&home);
    ca.fault("/key-change", What::Refuse(500, "serverInternal", None));
    home.run_err(&["acme", "account", "rollover"]);
    let file = || {
        let folder = std::fs::read_dir(home.path().join("acme")).unwrap();
        let paths: Vec<_> = folder.map(|entry| entry.unwrap().path()).collect();
        std::fs::read_to_string(&paths[0]).unwrap()
    };
    assert!(file().contains("next-key"), "both keys are kept");
    let key = show(&home)["key"].clone();
    assert_eq!(key, ca.thumbprint(), "and the rollover is finished when the account is next used");
    assert!(!file().contains("next-key"));
    // A clear no leaves the old key.
    ca.fault("/key-change", What::Refuse(403, "unauthorized", None));
    let (_, said) = home.run_err(&["acme", "account", "rollover"]);
    assert!(said.contains("the stand-in says unauthorized"), "{said}");
    assert_eq!(show(&home)["key"], key);
    drop(daemon);
}

#[test]
fn an_order_is_gone_on_with() {
    for (path, done) in [("/finalize", false), ("/finalize", true), ("/certificate", false), ("/challenge", true)] {
        let ca = StandIn::start(ResponsePolicy::default());
        let home = Home::new(&ca.settings().with("api.tls", "mode = \"acme\""));
        ca.fault(path, What::Hang { done });
        let daemon = home.start();
        ca.hangs();
        daemon.kill();
        assert!(!home.path().join("acme/api.pem").exists());

        let daemon = home.start();
        until("the certificate is there", || home.path().join("acme/api.pem").exists());
        assert_eq!(ca.orders(), 1, "{path} {done}");
        assert!(daemon.log().contains("resuming an order"));
    }
}

/// Lives so short that the daemon is always about to issue or to renew; each ends somewhere in the middle.
const LIVES: u32 = 20;

#[test]
fn at_random_moments_the_file_always_holds_a_pair() {
    let Some(pebble) = Pebble::start(&Options { resolver: Some(free_port()), validity: 2, ..Options::default() })
    else {
        return;
    };
    let home = Home::new(&pebble.settings().with("api.tls", "mode = \"acme\""));
    let file = home.path().join("acme/api.pem");
    let (daemon, start) = (home.start(), Instant::now());
    until("the first certificate is there", || file.exists());
    // A second or so, unless the machine is busy.
    let whole = start.elapsed();
    daemon.kill();
    let mut serials = HashSet::new();
    for life in 0..LIVES {
        let daemon = home.start();
        // Evenly spread over the time that an order takes and a little more, in an order that jumps about.
        std::thread::sleep(whole * 5 / 4 * (life * 7 % LIVES) / LIVES);
        daemon.kill();
        if let Ok(pem) = std::fs::read_to_string(&file) {
            let chain = Chain::from_pem(&pem).unwrap_or_else(|error| panic!("life {life}: {error}"));
            serials.insert(chain.info.serial);
        }
    }
    assert!(serials.len() > 2, "too few certificates to mean anything: {serials:?}");
    let daemon = home.start();
    until("it has gone on", || connect(daemon.api(), trusting(pebble.issuing_root(), &[]), ZONE).is_ok());
    // What such a death leaves behind is cleared away by the next life.
    let stray = home.path().join("acme/api.pem.new-1");
    std::fs::write(&stray, "half a key").unwrap();
    daemon.kill();
    let daemon = home.start();
    assert!(!stray.exists());
    until("it has gone on", || connect(daemon.api(), trusting(pebble.issuing_root(), &[]), ZONE).is_ok());
    let left: Vec<_> =
        std::fs::read_dir(home.path().join("acme")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    println!("kill -9: lives={LIVES} certificates={} files={left:?}", serials.len());
}
