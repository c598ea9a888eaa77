//! What the daemon's query log has of a rehearsed name, which is what an operator sees of a real validation.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use axum::http::Method;

use crate::api::types::accounts::AccountView;
use crate::api::types::queries::{QueryList, QueryView};
use crate::cli::operator::Operator;
use crate::model::account::Username;
use crate::model::network::QueryNetwork;
use crate::model::txt::TxtValue;

use super::report::QueryLogReport;

/// How long the log may take to show what was answered.
const PATIENCE: Duration = Duration::from_secs(2);
/// The time between two looks.
const ROUND: Duration = Duration::from_millis(20);
/// The most queries to look at.
const LIMIT: usize = 200;

/// What the log makes of the values of an account, each sentence once: what an operator reads of a real validation.
pub fn verdicts(operator: &Operator, username: Username) -> Vec<String> {
    let found = operator.ask::<AccountView>(Method::GET, &format!("/accounts/{username}"));
    let owners = found.map(|account| account.owners).unwrap_or_default();
    let values = owners.into_iter().flat_map(|owner| owner.values);
    let texts = values.filter_map(|value| value.verdict).map(|verdict| verdict.text);
    texts.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Waits until the log shows at least `expected` queries that got all the values; `None` if there is no log.
pub fn seen(operator: &Operator, subdomain: &str, values: &[TxtValue], expected: u64) -> Option<QueryLogReport> {
    let start = Instant::now();
    loop {
        let path = format!("/queries?name={subdomain}&limit={LIMIT}");
        let list: QueryList = operator.ask(Method::GET, &path).ok()?;
        let report = report(&list, values);
        if report.queries >= expected || start.elapsed() > PATIENCE {
            return Some(report);
        }
        std::thread::sleep(ROUND);
    }
}

fn report(list: &QueryList, values: &[TxtValue]) -> QueryLogReport {
    let got_all = |query: &&QueryView| values.iter().all(|value| query.values.iter().any(|got| got == value.as_str()));
    let served: Vec<&QueryView> = list.items.iter().filter(got_all).collect();
    let networks: BTreeSet<QueryNetwork> = served.iter().map(|query| query.network).collect();
    QueryLogReport {
        queries: served.iter().map(|query| 1 + u64::from(query.repeats)).sum(),
        networks: networks.iter().map(ToString::to_string).collect(),
        verdicts: Vec::new(),
    }
}
