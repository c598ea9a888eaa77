//! `/transfer`: accounts move between two txtgates, with hashes, names, values, tokens and what clients store.

mod reading;
mod writing;

use std::time::Duration;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{Sender, channel};
use tokio::time::{Instant, timeout_at};
use tracing::{error, info, warn};

use crate::crypto::keyring::Keyring;
use crate::model::account::{AccountStatus, Username};
use crate::model::actor::Actor;
use crate::publisher::{Abort, Publisher, Transfer, TransferError, TransferReport};
use crate::store::StoreError;

use super::super::error::Failure;
use super::super::json_body::JsonBody;
use super::super::params::Params;
use super::super::stream;
use super::super::types::bulk::RowRefusal;
use super::super::types::transfer::{
    ExportAccounts, FORMAT, ImportCounts, ImportReply, TransferHead, TransferLine, VERSION,
};
use super::who;

/// Lines that wait for the client.
const LINES: usize = 256;
/// How long a client may take to receive an export. It shows one moment's state, for which the WAL cannot shrink meanwhile.
const EXPORT_TIME: Duration = Duration::from_secs(5 * 60);

/// Writes the accounts that are named, or everything, as lines.
pub async fn export(
    State(publisher): State<Publisher>,
    State(keyring): State<Keyring>,
    Extension(actor): Extension<Actor>,
    JsonBody(request): JsonBody<ExportAccounts>,
) -> Result<Response, Failure> {
    let mut accounts = Vec::with_capacity(request.accounts.len());
    for name in request.accounts {
        let account = who::account(&publisher, name.clone()).await?;
        if let AccountStatus::Deleted { .. } = account.status {
            return Err(Failure::Conflict(format!("{name} is deleted; `txtgate account enable {name}` restores it")));
        }
        accounts.push(account.username);
    }
    let keyring = request.tsig_secrets.then_some(keyring);
    info!(accounts = accounts.len(), tsig_secrets = keyring.is_some(), %actor, "exporting");
    let (lines, reader) = channel(LINES);
    let out = Lines { lines, runtime: Handle::current(), deadline: Instant::now() + EXPORT_TIME };
    tokio::task::spawn_blocking(move || match write_lines(&publisher, &accounts, keyring.as_ref(), &out) {
        Ok(()) | Err(Ended::Gone) => {}
        // The reply ends without its last line, by which the client knows.
        Err(Ended::Store(problem)) => error!("an export broke off: {problem}"),
        Err(Ended::Slow) => {
            warn!("an export broke off: its client took over {} s to receive it", EXPORT_TIME.as_secs())
        }
    });
    Ok(stream::of_lines(reader))
}

/// Why an export ends early.
enum Ended {
    Store(StoreError),
    /// The client has gone.
    Gone,
    /// The client takes too long.
    Slow,
}

impl From<StoreError> for Ended {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Where an export's lines go. For threads that may block.
struct Lines {
    lines: Sender<String>,
    runtime: Handle,
    deadline: Instant,
}

impl Lines {
    fn write(&self, line: &TransferLine) -> Result<(), Ended> {
        // invariant: no line has a map with keys that are not strings, the one thing that fails here
        let text = serde_json::to_string(line).unwrap_or_default();
        match self.runtime.block_on(timeout_at(self.deadline, self.lines.send(text))) {
            Ok(sent) => sent.map_err(|_| Ended::Gone),
            Err(_) => Err(Ended::Slow),
        }
    }
}

fn write_lines(
    publisher: &Publisher,
    accounts: &[Username],
    keyring: Option<&Keyring>,
    out: &Lines,
) -> Result<(), Ended> {
    let zones = publisher.zones().load();
    out.write(&TransferLine::Head(TransferHead {
        format: FORMAT.to_owned(),
        version: VERSION,
        made: publisher.now().to_string(),
        zones: zones.iter().map(|zone| zone.name.clone()).collect(),
    }))?;
    drop(zones);
    let mut count = 0;
    publisher.each_moved(accounts, |moved| {
        count += 1;
        out.write(&writing::line(moved, keyring, publisher.moment()))
    })?;
    out.write(&TransferLine::End(count))
}

/// Takes over what the lines of the body hold, all of it or nothing. With `dry_run=true` nothing changes; with
/// `skip_conflicts=true` what is in conflict stays behind.
pub async fn import(
    State(publisher): State<Publisher>,
    State(keyring): State<Keyring>,
    Extension(actor): Extension<Actor>,
    params: Params,
    body: Bytes,
) -> Result<Response, Failure> {
    let params = params.only(&["dry_run", "skip_conflicts"])?;
    let is_rehearsal: bool = params.parsed("dry_run")?.unwrap_or(false);
    let skips_conflicts: bool = params.parsed("skip_conflicts")?.unwrap_or(false);
    let now = publisher.moment();
    let read = tokio::task::spawn_blocking(move || reading::read(&body, &keyring, now)).await;
    let (items, mut left) =
        read.map_err(|error| Failure::Fault { code: "internal_error", reason: error.to_string() })??;
    let (lines, reader) = channel(1);
    // The transaction may take longer than a reply may take to begin.
    tokio::spawn(async move {
        let transfer = Transfer { items, skips_conflicts, is_rehearsal };
        let reply = match publisher.transfer(actor, transfer).await {
            Ok(report) => {
                let mut counts = counts(report);
                left.append(&mut counts.left);
                ImportReply::Done(ImportCounts { left, ..counts })
            }
            Err(abort) => ImportReply::Refused(refused(abort).into_refusal()),
        };
        // A client that has gone can repeat the import, which then changes nothing.
        _ = lines.send(serde_json::to_string(&reply).unwrap_or_default()).await;
    });
    Ok(stream::of_lines(reader))
}

fn refused(abort: Abort<TransferError>) -> Failure {
    match abort {
        Abort::Store(error) => error.into(),
        Abort::Refused(TransferError::Rehearsed(_)) => Failure::Rows(Vec::new()),
        Abort::Refused(TransferError::Conflicts(conflicts)) => {
            Failure::Rows(conflicts.into_iter().map(|(line, why)| of_line(line, why)).collect())
        }
    }
}

fn counts(report: TransferReport) -> ImportCounts {
    let TransferReport { accounts, known, values, enrolments, stored, left } = report;
    let left = left.into_iter().map(|(line, why)| of_line(line, why)).collect();
    ImportCounts { accounts, known, values, enrolments, stored, left }
}

fn of_line(row: usize, message: String) -> RowRefusal {
    RowRefusal { row, field: None, error: "conflict".to_owned(), message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_export_ends_with_its_client_and_for_a_client_that_takes_nothing() {
        let (lines, reader) = channel(1);
        let runtime = Handle::current();
        let slow = Lines { lines: lines.clone(), runtime: runtime.clone(), deadline: Instant::now() };
        let patient = Lines { lines, runtime, deadline: Instant::now() + EXPORT_TIME };
        let ended = tokio::task::spawn_blocking(move || {
            assert!(patient.write(&TransferLine::End(0)).is_ok(), "there is room for one line");
            let is_slow = matches!(slow.write(&TransferLine::End(0)), Err(Ended::Slow));
            drop(reader);
            is_slow && matches!(patient.write(&TransferLine::End(0)), Err(Ended::Gone))
        });
        assert!(ended.await.unwrap());
    }
}
