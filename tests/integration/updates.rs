//! DNS UPDATE with TSIG: by hand, and from the clients that people use.

mod captured;
mod clients;
mod durable;
mod random;
mod rules;
mod signatures;
mod virtual_zones;

use serde_json::Value;

use crate::harness::dns::txts;
use crate::harness::tsig::Key;
use crate::harness::{Account, Home, Process, Settings};

/// A daemon, and an account with a key.
struct Site {
    daemon: Process,
    account: Account,
    key: Key,
}

impl Site {
    fn new() -> Self {
        Self::of(&Settings::default())
    }

    fn of(settings: &Settings) -> Self {
        let daemon = Process::start(settings);
        let (account, key) = account_with_key(daemon.home(), "hmac-sha256");
        Self { daemon, account, key }
    }

    fn name(&self) -> &str {
        &self.account.fulldomain
    }

    /// What DNS tells of the account's name, newest first.
    fn served(&self) -> Vec<String> {
        txts(self.daemon.dns(), self.name())
    }
}

fn json_of(home: &Home, arguments: &[&str]) -> Value {
    let text = home.run_ok(&[arguments, &["--json"]].concat());
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn account_with_key(home: &Home, algorithm: &str) -> (Account, Key) {
    let account = Account::of(&json_of(home, &["account", "create", "example.com"]));
    let key = key_of(home, &account, algorithm);
    (account, key)
}

fn key_of(home: &Home, account: &Account, algorithm: &str) -> Key {
    Key::of(&json_of(home, &["account", "tsig", "create", &account.username, "--algorithm", algorithm]))
}
