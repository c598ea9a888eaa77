//! Secondaries: who may transfer, what comes over the wire, and that it is what queries get.

mod admission;
mod catalog;
mod client;
mod incremental;
mod notify;
mod whole;

use crate::harness::{Home, Settings};

/// Lets every address of the loopback transfer.
const ANYBODY: &str = "[[secondary]]\nname = \"ns2\"\nnetworks = [\"127.0.0.0/8\"]\n";

fn open() -> Settings {
    Settings::default().more(ANYBODY)
}

/// A home whose secondary has lines of its own.
fn home_with(lines: &str) -> Home {
    let home = Home::new(&Settings::default());
    home.write(&Settings::default().more(&format!("{ANYBODY}{lines}\n")));
    home
}
