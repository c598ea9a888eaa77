//! The account of a rehearsal: made at its beginning, and removed at its end whatever happens in between.

use axum::http::Method;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom, SystemRandom};

use crate::api::types::accounts::{AccountCredentials, AccountView, CreateAccount, RemovedAccount};
use crate::cli::error::{CliError, Result};
use crate::cli::operator::{Operator, encoded};
use crate::cli::output::tell;
use crate::model::name::{Name, ZoneName};
use crate::model::txt::TxtValue;

/// The note by which an operator recognizes an account that a rehearsal could not remove.
const NOTE: &str = "txtgate rehearse, to be removed";

/// An account that is removed when this is dropped.
pub struct TemporaryAccount<'a> {
    operator: &'a Operator,
    /// Its name and key.
    pub credentials: AccountCredentials,
}

impl<'a> TemporaryAccount<'a> {
    /// Creates an account in a zone.
    pub fn create(operator: &'a Operator, zone: &ZoneName) -> Result<Self> {
        let note = NOTE.parse().map_err(|error| CliError::Usage(format!("{NOTE}: {error}")))?;
        let request = CreateAccount { zone: Some(zone.clone()), note: Some(note), ..CreateAccount::default() };
        let credentials = operator.send(Method::POST, "/accounts", &request)?;
        Ok(Self { operator, credentials })
    }

    /// The name at which it publishes.
    pub fn fulldomain(&self) -> Result<Name> {
        let text = &self.credentials.fulldomain;
        text.parse().map_err(|error| CliError::Refused(format!("the daemon's reply has the name {text:?}: {error}")))
    }
}

impl Drop for TemporaryAccount<'_> {
    fn drop(&mut self) {
        let username = self.credentials.username;
        let path = format!("/accounts/{username}?now=true");
        if let Err(error) = self.operator.ask::<RemovedAccount>(Method::DELETE, &path) {
            tell(&format!(
                "the account of the rehearsal is still there: {error}; remove it with `txtgate account delete {username} \
                 --now`"
            ));
        }
    }
}

/// The name of the account that a domain has already.
pub fn existing(operator: &Operator, domain: &Name) -> Option<String> {
    let found: Result<AccountView> = operator.ask(Method::GET, &format!("/accounts/{}", encoded(&domain.to_string())));
    found.ok()?.fulldomains.first().cloned()
}

/// A value like those of challenges, from 32 random bytes.
pub fn random_value() -> Result<TxtValue> {
    let mut bytes = [0; 32];
    let unmade = |problem: String| CliError::Refused(format!("no value to publish: {problem}"));
    SystemRandom::new().fill(&mut bytes).map_err(|_| unmade("the system's random number generator failed".into()))?;
    URL_SAFE_NO_PAD.encode(bytes).parse().map_err(|error: crate::model::txt::TxtValueError| unmade(error.to_string()))
}
