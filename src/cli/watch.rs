//! `watch NAME`: who asks for one name, as it happens.

use clap::Args;
use serde_json::Value;

use crate::config::Config;

use super::operator::{Operator, encoded};
use super::table::{cell, printable};
use super::{Output, Result, print};

/// `watch NAME`
#[derive(Debug, Args)]
pub struct Watch {
    /// A subdomain, a fulldomain or any name in a zone
    name: String,
    #[command(flatten)]
    output: Output,
}

/// Prints a line for each query until it is ended.
pub fn watch(wanted: &Watch, config: &Config) -> Result<()> {
    let operator = Operator::of_daemon(config)?;
    if !wanted.output.json {
        print(&format!("queries for {}, as they come; end with Ctrl-C", wanted.name))?;
    }
    operator.follow(&format!("/watch?name={}", encoded(&wanted.name)), |line| {
        if wanted.output.json {
            return print(line);
        }
        let Ok(query) = serde_json::from_str::<Value>(line) else { return print(line) };
        print(&line_of(&query))
    })
}

/// One event for people: what was sent, and what became of it where that was not the answer itself.
fn line_of(event: &Value) -> String {
    let mut cells = ["time", "source", "transport", "type", "rcode"].map(|key| cell(&event[key])).to_vec();
    if event["verdict"] != "sent" {
        cells.push(cell(&event["verdict"]));
    } else if event["truncated"] == true {
        cells.push("truncated".into());
    }
    cells.push(cell(&event["values"]));
    if let Some(explanation) = event["ede"]["text"].as_str() {
        cells.push(format!("({})", printable(explanation)));
    }
    cells.join("  ")
}
