//! Sign-in with an operator's token, an account's key or a link of `txtgate console login`; and sign-out.

use std::time::{Duration, Instant};

use axum::Extension;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use serde::Deserialize;
use tracing::{info, warn};

use crate::api::credentials::Denied;
use crate::model::secret::PresentedSecret;
use crate::net::rate_limiter::Rule;

use super::client::{Client, Guesser};
use super::document;
use super::error::PageError;
use super::form::{Fields, Submitted};
use super::guard::{agent, cookie};
use super::state::{Console, Shared};
use super::visitor::Visitor;

/// The rate of failed sign-ins of one [`Guesser`].
pub const WRONG_SIGN_INS: Rule = Rule {
    free: 5,
    first: Duration::from_secs(1),
    longest: Duration::from_secs(60),
    quiet: Duration::from_secs(15 * 60),
};

/// A stranger hears the same of secrets that never were, have ended, or belong elsewhere.
const WRONG: &str =
    "These credentials are unknown, have expired or been revoked, or may not be used from this address.";

/// Where a sign-in leads.
#[derive(Debug, Deserialize)]
pub struct Destination {
    #[serde(default)]
    next: String,
}

/// Shows the form.
pub async fn show(Query(Destination { next }): Query<Destination>) -> Response {
    document::bare("Sign in", &form(&next, None)).into_response()
}

fn form(next: &str, problem: Option<&str>) -> Markup {
    html! {
        @if let Some(problem) = problem { p.notice.bad role="alert" { (problem) } }
        form.stack method="post" action="/sign-in" {
            input type="hidden" name="next" value=(next);
            h2 { "As an operator" }
            label {
                "Token"
                input name="token" type="password" autocomplete="off" maxlength="200" autofocus;
            }
            p.hint { code { "txtgate admin token create --scope read" } " on the server prints one; "
                code { "txtgate console login" } " prints a link that needs no token." }
            button { "Sign in" }
        }
        form.stack method="post" action="/sign-in" {
            input type="hidden" name="next" value=(next);
            h2 { "As the holder of an account" }
            label { "Username" input name="username" autocomplete="username" maxlength="100"; }
            label { "Password" input name="password" type="password" autocomplete="current-password" maxlength="200"; }
            p.hint { "Username and password are those that the registration has shown." }
            button { "Sign in" }
        }
    }
}

/// Signs in with a token, or with an account's username and password.
pub async fn sign_in(
    State(console): State<Shared>,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
    fields: Fields,
) -> Result<Response, PageError> {
    let guesser = client.guesser();
    let next = fields.text("next");
    if let Err(wait) = console.wrong.try_now(&guesser, Instant::now()) {
        return Ok(too_often(next, &guesser, wait));
    }
    let visitor = match fields.text("token") {
        "" => by_account(&console, &fields, client.address).await,
        token => by_token(&console, token, client.address).await,
    };
    match visitor {
        Ok(visitor) => begin(&console, visitor, &client, &headers, next),
        Err(Denied::Forbidden) => {
            console.wrong.failed(&guesser, Instant::now());
            Ok((StatusCode::UNAUTHORIZED, document::bare("Sign in", &form(next, Some(WRONG)))).into_response())
        }
        Err(Denied::TooOften { retry_after } | Denied::Busy { retry_after }) => {
            Ok(too_often(next, &guesser, retry_after))
        }
        Err(Denied::Fault(error)) => Err(PageError::Store(error.to_string())),
    }
}

fn too_often(next: &str, guesser: &Guesser, wait: Duration) -> Response {
    let seconds = wait.as_secs() + 1;
    let problem = format!("Too many attempts {guesser}; try again in {seconds} seconds.");
    let page = document::bare("Sign in", &form(next, Some(&problem)));
    (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, seconds.to_string())], page).into_response()
}

async fn by_token(console: &Console, token: &str, address: std::net::IpAddr) -> Result<Visitor, Denied> {
    let Ok(token) = token.parse::<PresentedSecret>() else { return Err(Denied::Forbidden) };
    let (hash, publisher) = (token.hash(), console.publisher.clone());
    let found = tokio::task::spawn_blocking(move || {
        let found = publisher.admin_token_of(&hash)?;
        let now = publisher.moment().running;
        let valid = found.filter(|token| !token.is_expired(now) && token.allows_from(address));
        Ok::<_, Denied>(valid.map(|token| Visitor::Token { id: token.id, scope: token.terms.scope, hash }))
    });
    let busy = |_| Denied::Busy { retry_after: Duration::from_secs(1) };
    found.await.map_err(busy)??.ok_or(Denied::Forbidden)
}

async fn by_account(console: &Console, fields: &Fields, address: std::net::IpAddr) -> Result<Visitor, Denied> {
    let verified = console.credentials.verify(fields.text("username"), fields.text("password"), address).await?;
    // As in the API: the key before a rotation only publishes.
    if verified.by_former_key {
        return Err(Denied::Forbidden);
    }
    Ok(Visitor::Account { username: verified.account.username, key: verified.account.key.clone() })
}

/// Shows a button for a link: opening a link must not use it up, because mail scanners and previews open links.
pub async fn show_link(Path(secret): Path<String>) -> Response {
    let content = html! {
        p.lead { "This link signs this browser in, once." }
        form.stack method="post" action={ "/link/" (secret) } { button autofocus { "Sign in" } }
    };
    document::bare("Sign in", &content).into_response()
}

/// Signs in with a link.
pub async fn use_link(
    State(console): State<Shared>,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
    Path(secret): Path<String>,
) -> Result<Response, PageError> {
    let guesser = client.guesser();
    if let Err(wait) = console.wrong.try_now(&guesser, Instant::now()) {
        return Ok(too_often("", &guesser, wait));
    }
    let scope = secret.parse().ok().and_then(|secret| console.links.take(&secret));
    let Some(scope) = scope else {
        console.wrong.failed(&guesser, Instant::now());
        let problem = "This link is unknown, too old, or has been used; `txtgate console login` prints another.";
        return Ok((StatusCode::UNAUTHORIZED, document::bare("Sign in", &form("", Some(problem)))).into_response());
    };
    begin(&console, Visitor::Link { scope }, &client, &headers, "")
}

fn begin(
    console: &Console,
    visitor: Visitor,
    client: &Client,
    headers: &HeaderMap,
    next: &str,
) -> Result<Response, PageError> {
    let address = client.address;
    info!(actor = %visitor.actor(address), "console sign-in");
    let place = match visitor.account() {
        Some(username) => format!("/accounts/{username}"),
        None => destination(next).to_owned(),
    };
    let date = console.publisher.moment().date;
    let secret = console.sessions.begin(visitor, address, agent(headers), date).map_err(|error| {
        warn!(%error, "console sign-in failed");
        PageError::Store(error.to_string())
    })?;
    Ok(redirect(&place, Some(cookie(&secret, client.is_over_tls)?)))
}

/// A path of the console. Anything else would lead whoever signs in to another site: browsers read a backslash as a slash,
/// and leave out tabs and line breaks.
fn destination(next: &str) -> &str {
    let is_path = next.starts_with('/') && !next.starts_with("//");
    let is_path = is_path && !next.contains(|c: char| c == '\\' || c.is_ascii_control());
    if is_path { next } else { "/" }
}

/// Leads the browser on after a form.
pub fn redirect(place: &str, cookie: Option<axum::http::HeaderValue>) -> Response {
    let mut response = (StatusCode::SEE_OTHER, [(header::LOCATION, place.to_owned())]).into_response();
    if let Some(cookie) = cookie {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// Ends the session, and removes its cookie.
pub async fn sign_out(
    State(console): State<Shared>,
    Extension(client): Extension<Client>,
    Submitted(signed_in, _): Submitted,
) -> Result<Response, PageError> {
    console.sessions.end(signed_in.session.id);
    info!(actor = %signed_in.actor(), "console sign-out");
    Ok(redirect("/sign-in", Some(cookie("", client.is_over_tls)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_in_leads_to_pages_of_the_console_alone() {
        for (next, place) in [
            ("/accounts?search=a&page=2", "/accounts?search=a&page=2"),
            ("", "/"),
            ("https://evil.example/", "/"),
            ("//evil.example/", "/"),
            ("/\\evil.example", "/"),
            ("/a\r\nset-cookie: b=c", "/"),
            ("/\t/evil.example/", "/"),
        ] {
            assert_eq!(destination(next), place, "{next:?}");
        }
    }
}
