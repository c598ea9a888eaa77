//! `queries WHO`: who has asked for an account's names, and what each got.

use axum::http::Method;
use clap::Args;

use crate::api::types::queries::{QueryList, QueryView};
use crate::model::time::{Clock, Timestamp};

use super::error::Result;
use super::operator::{Operator, encoded};
use super::output::{Output, print, print_json, tell};
use super::table::{is_terminal, list, printable};
use super::target::Target;

/// `queries WHO`
#[derive(Debug, Args)]
pub struct QueriesArgs {
    /// An account's domain, label, fulldomain or username
    who: String,
    /// Go on with queries as they arrive; end with Ctrl-C
    #[arg(long, short)]
    follow: bool,
    /// The most queries to show, the newest; 1 to 1000
    #[arg(long, short = 'n', default_value_t = 20)]
    limit: usize,
    /// Leave out older ones: a time like 2026-11-24T02:03:04Z
    #[arg(long)]
    since: Option<Timestamp>,
    #[command(flatten)]
    output: Output,
}

/// Prints the last queries, and further ones as they arrive if wanted.
pub fn queries(wanted: &QueriesArgs, target: &Target) -> Result<()> {
    let operator = Operator::of_daemon(target)?;
    let path = format!("/queries?name={}", encoded(&wanted.who));
    let since = wanted.since.map(|since| format!("&since={}", encoded(&since.to_string()))).unwrap_or_default();
    let found: QueryList = operator.ask(Method::GET, &format!("{path}&limit={}{since}", wanted.limit))?;
    match (wanted.output.json, wanted.follow) {
        (true, false) => return print_json(&found),
        (true, true) => {
            found.items.iter().try_for_each(|query| print(&serde_json::to_string(query).unwrap_or_default()))?
        }
        (false, false) => return print(&report(&found, wanted)),
        (false, true) => {
            found.items.iter().try_for_each(|query| print(&line(query)))?;
            tell(&"queries as they arrive; end with Ctrl-C");
        }
    }
    operator.follow(&format!("{path}&follow=true"), |text| {
        if wanted.output.json {
            return print(text);
        }
        // A daemon of another version may say what this one does not know.
        let Ok(query) = serde_json::from_str(text) else { return print(text) };
        print(&line(&query))
    })
}

fn report(found: &QueryList, wanted: &QueriesArgs) -> String {
    let since = found.complete_since.seconds();
    let rows: Vec<Vec<String>> = found.items.iter().map(row).collect();
    let empty = format!("nobody has asked since {since}");
    let mut out = list(&["TIME (UTC)", "SOURCE", "TYPE", "REPLY", "VALUES", "VIA", "ASKED"], &rows, &empty);
    // In a file or a pipe each line is a query.
    if !is_terminal() || rows.is_empty() {
        return out;
    }
    if found.truncated {
        out += &format!("\n\n(there are older ones: --limit {})", wanted.limit.saturating_mul(10).min(1_000));
    } else {
        out += &format!("\n\n(nothing is missing since {since})");
    }
    out
}

/// The columns, most important first. All but the last fit 80 columns in most cases.
fn row(query: &QueryView) -> Vec<String> {
    vec![
        time(query),
        source(query),
        printable(&query.rtype),
        printable(&query.reply()),
        values(query),
        query.transport.as_str().to_owned(),
        printable(&query.asked),
    ]
}

fn line(query: &QueryView) -> String {
    let [time, source, rtype, reply, values] =
        [time(query), source(query), query.rtype.clone(), printable(&query.reply()), values(query)];
    format!("{time:<12}  {source:<15}  {:<4}  {reply:<9}  {values}", printable(&rtype)).trim_end().to_owned()
}

/// The time of day, with the date where it is not today's.
fn time(query: &QueryView) -> String {
    let text = query.time.to_string();
    let today = Clock::start(None).now().to_string();
    let (date, time) = text.split_once('T').unwrap_or(("", &text));
    let time = time.trim_end_matches('Z');
    let time = if today.starts_with(date) { time.to_owned() } else { format!("{date} {time}") };
    if query.repeats == 0 { time } else { format!("{time} x{}", u64::from(query.repeats) + 1) }
}

fn source(query: &QueryView) -> String {
    if query.own { format!("{} (self)", query.source) } else { query.source.to_string() }
}

/// The beginnings of the values: enough to tell them apart.
fn values(query: &QueryView) -> String {
    if query.values.is_empty() {
        return if query.below { "- (below the name)".to_owned() } else { "-".to_owned() };
    }
    let start = |value: &String| printable(value).chars().take(8).collect::<String>() + "\u{2026}";
    let shown: Vec<String> = query.values.iter().take(2).map(start).collect();
    let more = query.values.len().saturating_sub(shown.len());
    let more = if more > 0 { format!(" +{more}") } else { String::new() };
    shown.join(" ") + &more
}
