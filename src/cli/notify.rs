//! `notify test`: whether notifications arrive.

use axum::http::Method;
use clap::Subcommand;

use crate::api::types::list::List;
use crate::notify::report::TestResult;

use super::error::{CliError, Result};
use super::operator::Operator;
use super::output::{Output, print_json};
use super::table::printable;
use super::target::Target;

/// `notify ...`
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Send a test message over every channel of the configuration, and show what becomes of it
    Test(Output),
}

/// Runs a command.
pub fn run(Command::Test(output): Command, target: &Target) -> Result<()> {
    let operator = Operator::of_daemon(target)?;
    let results: List<TestResult> = operator.ask(Method::POST, "/notify/test")?;
    if results.items.is_empty() {
        let problem = "the running daemon has no channel; add `webhook`, `command` or `mail-to` to [notify] of its \
                       configuration, and restart it";
        return Err(CliError::Refused(problem.into()));
    }
    if output.json {
        print_json(&results)?;
    } else {
        super::output::print(&report(&results.items))?;
    }
    match results.items.iter().filter(|result| result.problem.is_some()).count() {
        0 => Ok(()),
        failed => Err(CliError::Refused(format!("{failed} of {} channels failed", results.items.len()))),
    }
}

/// A line for each channel.
fn report(results: &[TestResult]) -> String {
    let line = |result: &TestResult| {
        let TestResult { channel, target, milliseconds, problem } = result;
        match problem {
            None => format!("\u{2713} {channel} to {target}: delivered in {milliseconds} ms"),
            Some(problem) => format!("\u{2717} {channel} to {target}: {problem}"),
        }
    };
    results.iter().map(|result| printable(&line(result))).collect::<Vec<_>>().join("\n")
}
