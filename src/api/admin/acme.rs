//! `/acme/...`: what the operator asks of the daemon's ACME client.
//!
//! The API knows nothing of that client: whoever starts both gives the router an [`Acme`].

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;

use super::super::fields::Fields;
use super::super::reply;
use super::Failure;

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// The account, as the CA sees it.
    Account,
    /// Another key for it.
    Rollover,
    /// Its end.
    Deactivate,
    /// Other contacts, as URLs.
    Contact(Vec<String>),
    /// How the daemon's own certificates are; nothing is asked of the CA.
    Certificates,
    /// How all managed certificates are.
    List,
    /// How one of them is.
    Show(String),
    /// Another one, in the words of the configuration.
    Issue(Value),
    /// One of them anew.
    Renew(String),
    /// The end of one before its time, and why.
    Revoke(String, Option<String>),
    /// The end of its files.
    Delete(String),
}

/// Why there is no answer, in a sentence that says what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// What was asked for is not there.
    Unknown(String),
    /// It cannot be done to this one.
    Conflict(String),
    /// What was written is wrong.
    Wrong(String),
    /// It has failed, mostly at the CA.
    Failed(String),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unknown(said) => Self::NotFound(said),
            Refusal::Conflict(said) => Self::Conflict(said),
            Refusal::Wrong(said) => Self::field("bad_certificate", "certificate", said),
            Refusal::Failed(said) => Self::Authority(said),
        }
    }
}

/// An answer, or why there is none.
type Answer = Pin<Box<dyn Future<Output = Result<Value, Refusal>> + Send>>;

/// The ACME client, as the operator sees it.
#[derive(Clone)]
pub struct Acme(Arc<dyn Fn(Ask) -> Answer + Send + Sync>);

impl Acme {
    /// A hook to ask with.
    pub fn new(ask: impl Fn(Ask) -> Answer + Send + Sync + 'static) -> Self {
        Self(Arc::new(ask))
    }

    /// Asks.
    pub(super) async fn ask(&self, ask: Ask) -> Result<Value, Failure> {
        Ok((self.0)(ask).await?)
    }
}

impl fmt::Debug for Acme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Acme")
    }
}

pub async fn account(State(acme): State<Option<Acme>>) -> Result<Response, Failure> {
    answered(acme, Ask::Account).await
}

pub async fn rollover(State(acme): State<Option<Acme>>) -> Result<Response, Failure> {
    answered(acme, Ask::Rollover).await
}

pub async fn deactivate(State(acme): State<Option<Acme>>) -> Result<Response, Failure> {
    answered(acme, Ask::Deactivate).await
}

pub async fn contact(State(acme): State<Option<Acme>>, fields: Fields) -> Result<Response, Failure> {
    answered(acme, Ask::Contact(fields.texts("contact")?)).await
}

pub(super) async fn answered(acme: Option<Acme>, ask: Ask) -> Result<Response, Failure> {
    let none = || Failure::NotFound("no daemon runs here that could ask the CA".into());
    Ok(reply::json(StatusCode::OK, &acme.ok_or_else(none)?.ask(ask).await?))
}
