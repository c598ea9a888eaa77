//! `watch NAME`: the queries for one name, as they arrive.

use axum::http::Method;
use clap::Args;

use crate::api::types::accounts::AccountView;
use crate::api::types::watch::WatchedMessage;
use crate::model::name::idn::both_ways;

use super::error::Result;
use super::operator::{Operator, encoded};
use super::output::{Output, print};
use super::table::{cell, printable};
use super::target::Target;

/// `watch NAME`
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// An account's domain, label or fulldomain, or any other name
    name: String,
    #[command(flatten)]
    output: Output,
}

/// Prints a line for each message until the user ends it.
pub fn watch(wanted: &WatchArgs, target: &Target) -> Result<()> {
    let operator = Operator::of_daemon(target)?;
    if !wanted.output.json {
        print(&format!("queries for {}, as they arrive; end with Ctrl-C", subject(&operator, &wanted.name)))?;
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

/// What is watched: the names of the account for a domain, or the name as it was typed.
fn subject(operator: &Operator, name: &str) -> String {
    match operator.ask::<AccountView>(Method::GET, &format!("/accounts/{}", encoded(name))) {
        Ok(account) if !account.fulldomains.iter().any(|own| own == name) => {
            format!("{} ({})", both_ways(name), account.fulldomains.join(", "))
        }
        _ => both_ways(name).into_owned(),
    }
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
    if message.outcome != "sent" {
        cells.push(cell(&message.outcome));
    } else if message.truncated {
        cells.push("truncated".into());
    }
    cells.push(cell(&message.values));
    if let Some(ede) = message.ede.as_ref().filter(|ede| !ede.text.is_empty()) {
        cells.push(format!("({})", printable(&ede.text)));
    }
    cells.join("  ")
}
