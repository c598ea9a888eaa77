//! `/bulk/accounts`: the operator creates many accounts at once, all of them or none.
//!
//! Hashing thousands of keys takes longer than a request may. So the rows are checked first, in a transaction that is
//! undone; then the reply begins, and tells how many keys are ready; then one transaction stores all accounts.

use std::sync::Arc;
use std::thread::available_parallelism;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use tokio::sync::mpsc::{Sender, channel};
use tokio::task::JoinSet;

use crate::crypto::key_issuer::{IssuedKey, KeyIssuer};
use crate::crypto::keyring::Keyring;
use crate::model::account::Account;
use crate::model::actor::Actor;
use crate::model::prefix::Prefix;
use crate::model::secret::{ApiKey, ApiKeyHash};
use crate::publisher::{Abort, BulkError, Choice, OwnerRequest, Publisher, Registration};

use super::super::error::Failure;
use super::super::json_body::parsed;
use super::super::stream;
use super::super::types::accounts::{AccountCredentials, CreateAccount};
use super::super::types::bulk::{BulkLine, MAX_BULK};
use super::tsig;

/// Lines that wait for the client.
const LINES: usize = 64;
/// The client hears of every so many keys.
const PROGRESS: usize = 100;
/// The most wrong rows that a reply names.
const MAX_REFUSED: usize = 50;

/// Creates an account for each line of the body.
pub async fn create(
    State(publisher): State<Publisher>,
    Extension(actor): Extension<Actor>,
    State(keys): State<KeyIssuer>,
    State(keyring): State<Keyring>,
    body: Bytes,
) -> Result<Response, Failure> {
    let requests = requests(&body)?;
    // A real hash, for the check alone: the keys of the accounts are made after it.
    let placeholder = keys.issue(ApiKey::random()?, Prefix::of(actor.limited_address())).await?;
    let wanted = registrations(requests, &placeholder.hash, &keyring).await?;
    publisher.check_all(actor, Arc::new(wanted.clone())).await.map_err(refused)?;
    let (lines, reader) = channel(LINES);
    let bulk = BulkCreation { publisher, actor, keys, keyring, lines };
    tokio::spawn(bulk.run(wanted));
    Ok(stream::of_lines(reader))
}

fn requests(body: &[u8]) -> Result<Vec<CreateAccount>, Failure> {
    let mut requests = Vec::new();
    let mut wrong = Vec::new();
    for (index, line) in body.trim_ascii_end().split(|&byte| byte == b'\n').enumerate() {
        if index == MAX_BULK {
            return Err(Failure::Conflict(format!("one request creates at most {MAX_BULK} accounts; send several")));
        }
        match parsed(line) {
            Ok(request) => requests.push(request),
            Err(failure) => wrong.push(failure.of_row(index + 1)),
        }
        if wrong.len() == MAX_REFUSED {
            break;
        }
    }
    if wrong.is_empty() { Ok(requests) } else { Err(Failure::Rows(wrong)) }
}

/// The registrations that are asked for, still with one hash for all of them.
async fn registrations(
    requests: Vec<CreateAccount>,
    placeholder: &ApiKeyHash,
    keyring: &Keyring,
) -> Result<Vec<Registration>, Failure> {
    let mut registrations = Vec::with_capacity(requests.len());
    for (index, request) in requests.into_iter().enumerate() {
        let derivation = match request.tsig {
            Some(algorithm) => tsig::derivation(keyring, algorithm, "tsig").await.map(Some),
            None => Ok(None),
        };
        let choice = Choice { zone: request.zone, subdomain: request.subdomain, enrolment: None };
        registrations.push(Registration {
            name: OwnerRequest::of_operator(choice),
            allow_from: request.allowfrom.unwrap_or_default(),
            note: request.note.unwrap_or_default(),
            key: placeholder.clone(),
            tsig: derivation.map_err(|failure| Failure::Rows(vec![failure.of_row(index + 1)]))?,
            alias: request.alias,
        });
    }
    Ok(registrations)
}

fn refused(abort: Abort<BulkError>) -> Failure {
    match abort {
        Abort::Store(error) => error.into(),
        Abort::Refused(BulkError::Rehearsed) => Failure::Rows(Vec::new()),
        Abort::Refused(BulkError::Rows(rows)) => {
            let rows = rows.into_iter().map(|(index, error)| Failure::from(error).of_row(index + 1));
            Failure::Rows(rows.collect())
        }
    }
}

/// Why the creation ends early.
enum Stop {
    Failed(Failure),
    /// The client has gone: nobody would hear the keys.
    Gone,
}

impl<F: Into<Failure>> From<F> for Stop {
    fn from(failure: F) -> Self {
        Self::Failed(failure.into())
    }
}

struct BulkCreation {
    publisher: Publisher,
    actor: Actor,
    keys: KeyIssuer,
    keyring: Keyring,
    lines: Sender<String>,
}

impl BulkCreation {
    async fn run(self, wanted: Vec<Registration>) {
        let last = match self.create(wanted).await {
            Ok(created) => BulkLine::Created(created),
            Err(Stop::Failed(failure)) => BulkLine::Refused(failure.into_refusal()),
            Err(Stop::Gone) => return,
        };
        _ = self.say(&last).await;
    }

    async fn create(&self, mut wanted: Vec<Registration>) -> Result<usize, Stop> {
        let issued = self.issue(wanted.len()).await?;
        for (registration, issued) in wanted.iter_mut().zip(&issued) {
            registration.key = issued.hash.clone();
        }
        if self.lines.is_closed() {
            return Err(Stop::Gone);
        }
        let accounts = self.publisher.register_all(self.actor, Arc::new(wanted)).await.map_err(refused)?;
        for (account, issued) in accounts.iter().zip(&issued) {
            let credentials = self.credentials(account, issued)?;
            self.say(&BulkLine::Account(Box::new(credentials))).await?;
        }
        Ok(accounts.len())
    }

    /// Issues so many keys on all hashing threads. No more of them wait there than the threads can take, so that others'
    /// keys come in turn.
    async fn issue(&self, count: usize) -> Result<Vec<IssuedKey>, Stop> {
        let prefix = Prefix::of(self.actor.limited_address());
        let at_once = 2 * available_parallelism().map_or(1, usize::from);
        let mut running = JoinSet::new();
        let mut issued = Vec::with_capacity(count);
        while issued.len() < count {
            while running.len() < at_once && issued.len() + running.len() < count {
                let keys = self.keys.clone();
                let key = ApiKey::random()?;
                running.spawn(async move { keys.issue(key, prefix).await });
            }
            // invariant: one is running, since fewer are issued than asked for
            let Some(done) = running.join_next().await else { break };
            let done = done.map_err(|error| Failure::Fault { code: "internal_error", reason: error.to_string() })?;
            issued.push(done?);
            if issued.len().is_multiple_of(PROGRESS) {
                self.say(&BulkLine::Hashed(issued.len())).await?;
            }
        }
        Ok(issued)
    }

    fn credentials(&self, account: &Account, issued: &IssuedKey) -> Result<AccountCredentials, Failure> {
        let mut credentials = AccountCredentials::of(account, &issued.key);
        if let Some(derivation) = &account.tsig {
            credentials.tsig = Some(tsig::key_reply(&self.keyring, account.username, derivation)?);
        }
        Ok(credentials)
    }

    async fn say(&self, line: &BulkLine) -> Result<(), Stop> {
        // invariant: no line has a map with keys that are not strings, the one thing that fails here
        let text = serde_json::to_string(line).unwrap_or_default();
        self.lines.send(text).await.map_err(|_| Stop::Gone)
    }
}
