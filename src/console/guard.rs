//! What each request passes first: the host, the origin, the session; and the headers of each reply.

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use percent_encoding::percent_decode_str;

use crate::api::peer::Peer;
use crate::model::secret::PresentedSecret;

use super::client::Client;
use super::error::{PageError, as_page, page_of_form};
use super::origin;
use super::state::{Console, Shared};
use super::visitor::Visitor;

pub use super::signed_in::SignedIn;

/// Pages load nothing from elsewhere, run no script but the console's file, and stand in no frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The name of the session's cookie over TLS: `__Host-` binds it to this host and to TLS.
const SECURE_COOKIE: &str = "__Host-txtgate";
/// The name over plain HTTP, which the console speaks on loopback alone.
const PLAIN_COOKIE: &str = "txtgate";

impl FromRequestParts<Shared> for SignedIn {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, PageError> {
        let signed_in = parts.extensions.get::<Self>().cloned();
        signed_in.ok_or_else(|| match parts.method {
            Method::GET | Method::HEAD => PageError::SignIn(parts.uri.clone()),
            // The path of a form is no page to come back to.
            _ => PageError::SignedOut(page_of_form(&parts.headers)),
        })
    }
}

/// Admits a request, and completes its reply.
pub async fn guard(State(console): State<Shared>, mut request: Request, next: Next) -> Response {
    let Some(host) = console.hosts.of_request(request.uri(), request.headers()) else {
        return with_headers(PageError::Host.into_response());
    };
    if !origin::is_from_own_page(request.method(), request.headers(), &host) {
        return with_headers(PageError::Origin.into_response());
    }
    // What is no text names no page; handlers would say so in a line of their own.
    if percent_decode_str(request.uri().path()).decode_utf8().is_err() {
        return with_headers(PageError::NotFound.into_response());
    }
    let client = match console.entrance.client(request.extensions().get::<Peer>(), request.headers()) {
        Ok(client) => client,
        Err(error) => return with_headers(error.into_response()),
    };
    let is_page = *request.method() == Method::GET && !is_event_stream(request.headers());
    let signed_in = match signed_in(&console, request.headers(), &client).await {
        Ok(signed_in) => signed_in,
        Err(error) => return with_headers(error.into_response()),
    };
    if let Some(signed_in) = &signed_in {
        request.extensions_mut().insert(signed_in.clone());
    }
    let is_over_tls = client.is_over_tls;
    request.extensions_mut().insert(client);
    let mut response = with_headers(as_page(next.run(request).await).await);
    // A handler that has set a cookie has begun or ended a session.
    if let Some(SignedIn { session, .. }) = signed_in
        && is_page
        && !session.visitor.is_of_proxy()
        && !response.headers().contains_key(header::SET_COOKIE)
        && let Some(secret) = console.sessions.rotate(session.id)
        && let Ok(cookie) = cookie(&secret, is_over_tls)
    {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    headers.get(header::ACCEPT).is_some_and(|accept| accept == "text/event-stream")
}

/// The session of the cookie, or else of the user whom the proxy names.
async fn signed_in(console: &Console, headers: &HeaderMap, client: &Client) -> Result<Option<SignedIn>, PageError> {
    let address = client.address;
    let date = console.publisher.moment().date;
    let found = presented(headers, client.is_over_tls).and_then(|secret| console.sessions.find(&secret, date));
    let Some(session) = found else {
        let (Some(user), Some(users)) = (client.user, &console.entrance.proxy_users) else { return Ok(None) };
        let visitor = Visitor::Proxy { user, scope: users.scope };
        let session = console.sessions.of_user(visitor, address, agent(headers), date);
        let session = session.map_err(|error| PageError::Store(error.to_string()))?;
        return Ok(Some(SignedIn { session, address }));
    };
    let (visitor, publisher) = (session.visitor.clone(), console.publisher.clone());
    let checked = tokio::task::spawn_blocking(move || visitor.is_valid(&publisher, address)).await;
    match checked {
        Ok(Ok(true)) => Ok(Some(SignedIn { session, address })),
        Ok(Ok(false)) => {
            console.sessions.end(session.id);
            Ok(None)
        }
        Ok(Err(error)) => Err(PageError::Store(error.to_string())),
        Err(error) => Err(PageError::Store(error.to_string())),
    }
}

/// What the browser says of itself.
pub fn agent(headers: &HeaderMap) -> &str {
    headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default()
}

/// The secret of the session's cookie.
fn presented(headers: &HeaderMap, is_secure: bool) -> Option<PresentedSecret> {
    let name = cookie_name(is_secure);
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(found, _)| *found == name).and_then(|(_, secret)| secret.parse().ok())
}

fn cookie_name(is_secure: bool) -> &'static str {
    if is_secure { SECURE_COOKIE } else { PLAIN_COOKIE }
}

/// The cookie with a session's secret; an empty secret removes it. It ends with the browser, or with the session.
pub fn cookie(secret: &str, is_secure: bool) -> Result<HeaderValue, PageError> {
    let name = cookie_name(is_secure);
    let secure = if is_secure { "; Secure" } else { "" };
    let ended = if secret.is_empty() { "; Max-Age=0" } else { "" };
    let text = format!("{name}={secret}; Path=/; HttpOnly; SameSite=Strict{secure}{ended}");
    HeaderValue::from_str(&text).map_err(|error| PageError::Store(error.to_string()))
}

/// Adds the headers of every reply. Pages are not stored; files of the console say how long they may be.
fn with_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        // With `no-referrer` browsers would send `Origin: null` with forms.
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
