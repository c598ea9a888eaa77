//! The forms of an account, sent to the admin API.

use std::fmt::Display;
use std::str::FromStr;

use axum::RequestExt;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequest, Path, Request};
use axum::http::Method;
use axum::response::Response;
use serde::Serialize;
use serde_json::Value;
use thiserror::Error;

use crate::api::types::accounts::{AccountCredentials, AccountView, EditAccount, RotateKey};
use crate::api::types::names::{AddAlias, AddSubdomain, RemoveAlias, RemoveSubdomain};
use crate::api::types::revealed::RevealedSecret;
use crate::api::types::tsig::{CreateTsigKey, TsigKeyReply};
use crate::api::types::values::{PublishValue, RetireValue};
use crate::model::account::AllowFrom;
use crate::model::admin_token::AdminScope;

use super::super::admin::Refusal;
use super::super::error::PageError;
use super::super::form::{Fields, Submitted};
use super::super::session::NewCredentials;
use super::super::sign_in::redirect;
use super::super::signed_in::SignedIn;
use super::super::state::{Console, Shared};
use super::content;
use super::loaded::path;

/// A form that was sent for an account.
pub struct AccountForm {
    console: Shared,
    who: String,
    signed_in: SignedIn,
    fields: Fields,
}

impl FromRequest<Shared> for AccountForm {
    type Rejection = PageError;

    async fn from_request(mut request: Request, console: &Shared) -> Result<Self, PageError> {
        // A path that is not text names no account.
        let Path(who) = request.extract_parts().await.map_err(|_: PathRejection| PageError::NotFound)?;
        let Submitted(signed_in, fields) = Submitted::from_request(request, console).await?;
        // Who may change no account is told that, whatever the fields hold. The admin API refuses holders of others.
        let visitor = &signed_in.session.visitor;
        if visitor.account().is_none() && !visitor.may(AdminScope::Accounts) {
            return Err(PageError::Scope("accounts"));
        }
        Ok(Self { console: console.clone(), who, signed_in, fields })
    }
}

/// Why a form has no effect.
#[derive(Debug, Error)]
enum ActionError {
    #[error("{0}: {1}")]
    Field(&'static str, String),
    #[error(transparent)]
    Refused(#[from] Refusal),
}

fn parsed<T: FromStr<Err: Display>>(field: &'static str, text: &str) -> Result<T, ActionError> {
    text.parse().map_err(|error: T::Err| ActionError::Field(field, error.to_string()))
}

impl AccountForm {
    /// A field that has to be there.
    fn needed<T: FromStr<Err: Display>>(&self, field: &'static str) -> Result<T, ActionError> {
        parsed(field, self.fields.text(field))
    }

    /// A field that may be empty.
    fn optional<T: FromStr<Err: Display>>(&self, field: &'static str) -> Result<Option<T>, ActionError> {
        if self.fields.text(field).is_empty() { Ok(None) } else { self.needed(field).map(Some) }
    }

    async fn send(&self, method: Method, rest: &str, body: &impl Serialize) -> Result<(), ActionError> {
        let path = path(&self.who, rest);
        self.console.admin.send::<Value>(&self.signed_in, method, &path, body).await?;
        Ok(())
    }

    async fn act(&self, method: Method, rest: &str) -> Result<(), ActionError> {
        self.console.admin.act::<Value>(&self.signed_in, method, &path(&self.who, rest)).await?;
        Ok(())
    }

    fn reveal(&self, account: AccountCredentials) {
        let credentials = NewCredentials { account, domain: String::new() };
        self.console.sessions.reveal(self.signed_in.session.id, credentials);
    }

    /// Leads to the account's page, or shows it with what is wrong.
    async fn end(self, result: Result<(), ActionError>, place: &str) -> Result<Response, PageError> {
        let refusal = match result {
            Ok(()) => return Ok(redirect(&path(&self.who, place), None)),
            Err(ActionError::Field(field, problem)) => Refusal::of_field(field, &problem),
            Err(ActionError::Refused(refusal)) => refusal,
        };
        let console: &Console = &self.console;
        content::refused(console, &self.signed_in, &self.who, refusal, &self.fields).await
    }
}

/// Changes the note and the networks.
pub async fn edit(form: AccountForm) -> Result<Response, PageError> {
    let result = change(&form).await;
    form.end(result, "").await
}

async fn change(form: &AccountForm) -> Result<(), ActionError> {
    let is_separator = |c: char| c.is_whitespace() || c == ',';
    let networks: Vec<&str> =
        form.fields.text("networks").split(is_separator).filter(|text| !text.is_empty()).collect();
    let allowfrom = AllowFrom::parse(&networks).map_err(|error| ActionError::Field("networks", error.to_string()))?;
    let request = EditAccount { allowfrom: Some(allowfrom), note: Some(form.needed("note")?) };
    form.send(Method::PATCH, "", &request).await
}

/// Makes a new key, which the page then shows once.
pub async fn rotate(form: AccountForm) -> Result<Response, PageError> {
    let result = new_key(&form).await;
    form.end(result, "").await
}

async fn new_key(form: &AccountForm) -> Result<(), ActionError> {
    let request = RotateKey { grace: form.optional("grace")? };
    let path = path(&form.who, "/rotate");
    let account = form.console.admin.send(&form.signed_in, Method::POST, &path, &request).await?;
    form.reveal(account);
    Ok(())
}

/// Disables the account.
pub async fn disable(form: AccountForm) -> Result<Response, PageError> {
    let result = form.act(Method::POST, "/disable").await;
    form.end(result, "").await
}

/// Enables a disabled account, or restores a deleted one.
pub async fn enable(form: AccountForm) -> Result<Response, PageError> {
    let result = form.act(Method::POST, "/enable").await;
    form.end(result, "").await
}

/// Deletes the account, for good if the form says so.
pub async fn delete(form: AccountForm) -> Result<Response, PageError> {
    let is_for_good = form.fields.is_checked("now");
    let result = form.act(Method::DELETE, if is_for_good { "?now=true" } else { "" }).await;
    if is_for_good && result.is_ok() {
        return Ok(redirect("/accounts", None));
    }
    form.end(result, "").await
}

/// Publishes a value.
pub async fn publish(form: AccountForm) -> Result<Response, PageError> {
    let result = publish_value(&form).await;
    form.end(result, "#validations").await
}

async fn publish_value(form: &AccountForm) -> Result<(), ActionError> {
    let request = PublishValue { name: own_name(form, form.fields.text("name")).await?, txt: form.needed("txt")? };
    form.console.admin.send::<Value>(&form.signed_in, Method::POST, "/txt", &request).await?;
    Ok(())
}

/// Retires a value, which the form names as `fulldomain value`.
pub async fn retire(form: AccountForm) -> Result<Response, PageError> {
    let result = retire_value(&form).await;
    form.end(result, "#validations").await
}

async fn retire_value(form: &AccountForm) -> Result<(), ActionError> {
    let (name, txt) = form.fields.text("value").split_once(' ').unwrap_or_default();
    let txt = parsed("value", txt)?;
    let request = RetireValue { name: own_name(form, name).await?, txt: Some(txt) };
    form.console.admin.send::<Value>(&form.signed_in, Method::DELETE, "/txt", &request).await?;
    Ok(())
}

/// A name of the account: a form of one account changes no other.
async fn own_name(form: &AccountForm, name: &str) -> Result<String, ActionError> {
    let account: AccountView = form.console.admin.get(&form.signed_in, &path(&form.who, "")).await?;
    if account.fulldomains.iter().any(|own| own == name) {
        return Ok(name.to_owned());
    }
    Err(ActionError::Field("name", format!("{name:?} is not a name of this account; choose one from the list")))
}

/// Makes a TSIG key, which the page then shows once.
pub async fn create_tsig(form: AccountForm) -> Result<Response, PageError> {
    let result = new_tsig(&form).await;
    form.end(result, "").await
}

async fn new_tsig(form: &AccountForm) -> Result<(), ActionError> {
    let request = CreateTsigKey { algorithm: form.optional("algorithm")? };
    let account: AccountView = form.console.admin.get(&form.signed_in, &path(&form.who, "")).await?;
    let path = path(&form.who, "/tsig");
    let key: TsigKeyReply = form.console.admin.send(&form.signed_in, Method::POST, &path, &request).await?;
    form.reveal(AccountCredentials {
        username: account.username,
        // The key of the API is as before, and unknown here.
        password: RevealedSecret::new(""),
        fulldomain: String::new(),
        subdomain: String::new(),
        allowfrom: account.allowfrom,
        tsig: Some(key),
    });
    Ok(())
}

/// Removes the TSIG key.
pub async fn delete_tsig(form: AccountForm) -> Result<Response, PageError> {
    let result = form.act(Method::DELETE, "/tsig").await;
    form.end(result, "").await
}

/// Adds an alias.
pub async fn add_alias(form: AccountForm) -> Result<Response, PageError> {
    let result = new_alias(&form).await;
    form.end(result, "").await
}

async fn new_alias(form: &AccountForm) -> Result<(), ActionError> {
    let request = AddAlias { alias: form.needed("alias")?, subdomain: form.optional("name")?, zone: None };
    form.send(Method::POST, "/aliases", &request).await
}

/// Removes an alias.
pub async fn remove_alias(form: AccountForm) -> Result<Response, PageError> {
    let result = delete_alias(&form).await;
    form.end(result, "").await
}

async fn delete_alias(form: &AccountForm) -> Result<(), ActionError> {
    let request = RemoveAlias { alias: form.needed("alias")? };
    form.send(Method::DELETE, "/aliases", &request).await
}

/// Adds a name.
pub async fn add_subdomain(form: AccountForm) -> Result<Response, PageError> {
    let result = new_subdomain(&form).await;
    form.end(result, "").await
}

async fn new_subdomain(form: &AccountForm) -> Result<(), ActionError> {
    let request = AddSubdomain { subdomain: form.optional("subdomain")?, zone: None };
    form.send(Method::POST, "/subdomains", &request).await
}

/// Removes a name.
pub async fn remove_subdomain(form: AccountForm) -> Result<Response, PageError> {
    let result = delete_subdomain(&form).await;
    form.end(result, "").await
}

async fn delete_subdomain(form: &AccountForm) -> Result<(), ActionError> {
    let request = RemoveSubdomain { subdomain: form.needed("name")?, zone: None };
    form.send(Method::DELETE, "/subdomains", &request).await
}
