//! Notifications: what needs attention is reported once when it begins and once when it is over, over every channel.

mod alarm;
mod channels;
mod flapping;
mod overdue;

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;

use rusqlite::Connection;
use serde_json::Value;

use crate::harness::receiver::secret;
use crate::harness::{Home, Settings};

/// Has the daemon, which does not run, have run for so many days more.
fn run_for(home: &Home, days: u32) {
    let sql = format!("UPDATE last_commit SET running = running + {}", days * 86_400);
    assert_eq!(Connection::open(home.database()).unwrap().execute(&sql, []).unwrap(), 1);
}

/// More free space than any disk has: the disk of a daemon with this is nearly full.
const FULL: &str = "disk-free-mib = 1000000000000";

/// A home whose daemon notifies a webhook at once.
fn home(settings: Settings, receiver: SocketAddr, notify: &str) -> Home {
    let home = Home::new(&told(settings, receiver, notify));
    let path = home.path().join("secret");
    std::fs::write(&path, secret()).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    home
}

fn told(settings: Settings, receiver: SocketAddr, notify: &str) -> Settings {
    let webhook = format!("webhook = \"http://{receiver}/hook?token=1\"\nwebhook-secret-file = \"secret\"");
    settings.more(&format!("[notify]\n{webhook}\ntimeout = \"1s\"\ngrace = \"0s\"\n{notify}"))
}

/// What `status` says of notifications.
fn report(home: &Home) -> Value {
    let status: Value = serde_json::from_str(&home.run_ok(&["status", "--json"])).unwrap();
    status["notifications"].clone()
}

/// How many matters are reported and open.
fn open(home: &Home) -> usize {
    let report = report(home);
    report["matters"].as_array().unwrap().iter().filter(|matter| matter["reported"] == true).count()
}
