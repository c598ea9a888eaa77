//! `--wait served`: until every nameserver of the delegation serves a value.

use clap::{Args, ValueEnum};

use crate::api::types::served::{ServedAddress, ServedView};
use crate::model::time::Span;

use super::error::{CliError, Result};
use super::table::{cell, table};

/// What to wait for.
#[derive(Debug, Args)]
pub struct WaitArgs {
    /// Wait until every nameserver of the delegation serves the value, as the daemon finds out
    #[arg(long, value_enum)]
    wait: Option<WaitKind>,
    /// The longest wait, like 10s [default: `wait-limit` of the daemon]
    #[arg(long, value_name = "TIME", requires = "wait")]
    timeout: Option<Span>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum WaitKind {
    /// Every nameserver of the delegation serves the value
    Served,
}

impl WaitArgs {
    /// A path with the parameters for the daemon.
    pub fn path(&self, path: &str) -> Result<String> {
        match (self.wait, self.timeout) {
            (None, _) => Ok(path.to_owned()),
            (Some(WaitKind::Served), None) => Ok(format!("{path}?wait=served")),
            (Some(WaitKind::Served), Some(Span(timeout))) if timeout.is_zero() => {
                Err(CliError::Usage("--timeout: write 1s or more".into()))
            }
            (Some(WaitKind::Served), Some(Span(timeout))) => {
                Ok(format!("{path}?wait=served&timeout={}s", timeout.as_secs()))
            }
        }
    }
}

/// What has been published, and below it what each address serves.
pub fn with_served(text: String, served: Option<&ServedView>) -> String {
    let Some(served) = served else { return text };
    let rows: Vec<Vec<String>> = served.addresses.iter().map(row).collect();
    let notes: String = served.notes.iter().map(|note| format!("\nnote: {}", cell(note))).collect();
    let waited = format!("served by every nameserver after {} ms", served.waited_ms);
    format!("{text}\n{waited}\n\n{}{notes}", table(&["nameserver", "address", "rtt", "serial", "answer"], &rows))
}

fn row(address: &ServedAddress) -> Vec<String> {
    let none = || "-".to_owned();
    vec![
        cell(&address.nameserver),
        address.address.map_or_else(none, |address| address.to_string()),
        address.rtt_us.map_or_else(none, |rtt| format!("{:.1} ms", rtt as f64 / 1_000.0)),
        address.serial.map_or_else(none, |serial| serial.to_string()),
        cell(&address.answer),
    ]
}
