//! `watch NAME`: the queries for one name, as they arrive.

use clap::Args;

use crate::api::types::watch::WatchedMessage;
use crate::config::Config;

use super::error::Result;
use super::operator::{Operator, encoded};
use super::output::{Output, print};
use super::table::{cell, printable};

/// `watch NAME`
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// A subdomain, a fulldomain or any name in a zone
    name: String,
    #[command(flatten)]
    output: Output,
}

/// Prints a line for each message until the user ends it.
pub fn watch(wanted: &WatchArgs, config: &Config) -> Result<()> {
    let operator = Operator::of_daemon(config)?;
    if !wanted.output.json {
        print(&format!("queries for {}, as they arrive; end with Ctrl-C", wanted.name))?;
    }
    operator.follow(&format!("/watch?name={}", encoded(&wanted.name)), |line| {
        if wanted.output.json {
            return print(line);
        }
        // A daemon of another version may say what this one does not know.
        let Ok(message) = serde_json::from_str(line) else { return print(line) };
        print(&line_of(&message))
    })
}

/// One message for people: what was sent, and what became of the reply where that was not the answer itself.
fn line_of(message: &WatchedMessage) -> String {
    let mut cells = vec![
        cell(&message.time),
        cell(&message.source),
        cell(&message.transport),
        cell(&message.rtype),
        cell(&message.rcode),
    ];
    if message.verdict != "sent" {
        cells.push(cell(&message.verdict));
    } else if message.truncated {
        cells.push("truncated".into());
    }
    cells.push(cell(&message.values));
    if let Some(ede) = message.ede.as_ref().filter(|ede| !ede.text.is_empty()) {
        cells.push(format!("({})", printable(&ede.text)));
    }
    cells.join("  ")
}
