//! Pages that say what went wrong, and what to do.

use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use maud::html;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use thiserror::Error;

use super::admin::Refusal;
use super::document;
use super::text::prose;

/// Why a page cannot be shown.
#[derive(Debug, Clone, Error)]
pub enum PageError {
    /// Nobody is signed in; the sign-in leads back here.
    #[error("sign in first")]
    SignIn(Uri),
    /// A form was sent by nobody who is signed in; the path of the page with the form.
    #[error("your session has ended, and the form has changed nothing; sign in, and send it once more")]
    SignedOut(String),
    /// Whoever is signed in has this page in place of the one that was asked for.
    #[error("see {0}")]
    Elsewhere(String),
    #[error("the request's host is not one of the console's; add it to `hosts` in [console] of the configuration")]
    Host,
    #[error("the form was sent by a page elsewhere; open the console itself, and send it there")]
    Origin,
    #[error("the form belongs to another session; go back, load the page again, and send the form once more")]
    Csrf,
    #[error("the form cannot be read: {0}")]
    Form(String),
    #[error("{name}: {problem}")]
    Field { name: &'static str, problem: String },
    #[error(
        "the proxy's header {0} must name one user, by 1 to 64 printable ASCII characters; see `user-header` in [console] of \
         the configuration"
    )]
    ProxyUser(String),
    #[error("there is no such page; start at the overview")]
    NotFound,
    #[error("there is no such session: it has ended already, or is not yours to end; the list has those that are open")]
    NoSession,
    #[error("the address or the form cannot be read: {0}; go back, and use the links and forms of the pages")]
    Unreadable(StatusCode, String),
    #[error("the page does not take such a request; go back, and use its buttons")]
    Method,
    #[error("the sign-in does not reach that far: it needs the scope `{0}`; sign in with another token")]
    Scope(&'static str),
    #[error("the database cannot be read at the moment: {0}; `txtgate status` says more")]
    Store(String),
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl PageError {
    /// A field with a wrong value.
    pub fn field(name: &'static str, problem: impl ToString) -> Self {
        Self::Field { name, problem: problem.to_string() }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::SignIn(_) | Self::Elsewhere(_) => StatusCode::SEE_OTHER,
            Self::Host => StatusCode::MISDIRECTED_REQUEST,
            Self::Origin | Self::Csrf | Self::Scope(_) => StatusCode::FORBIDDEN,
            Self::Form(_) | Self::Field { .. } | Self::ProxyUser(_) => StatusCode::BAD_REQUEST,
            Self::NotFound | Self::NoSession => StatusCode::NOT_FOUND,
            Self::SignedOut(_) => StatusCode::UNAUTHORIZED,
            Self::Unreadable(status, _) => *status,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Refused(refusal) => refusal.status,
        }
    }

    fn title(&self) -> &'static str {
        match self.status() {
            _ if matches!(self, Self::SignedOut(_)) => "Signed out",
            StatusCode::NOT_FOUND => "Not found",
            StatusCode::FORBIDDEN => "Not allowed",
            StatusCode::SERVICE_UNAVAILABLE => "Not now",
            StatusCode::INTERNAL_SERVER_ERROR => "The daemon failed",
            _ => "That did not work",
        }
    }

    /// Where to go on.
    fn way_on(&self) -> (String, &'static str) {
        match self {
            Self::SignedOut(page) => (sign_in_and_return(page), "Sign in"),
            Self::NoSession => ("/sessions".to_owned(), "Go to the sessions"),
            _ => ("/".to_owned(), "Go to the overview"),
        }
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        if let Self::SignIn(uri) = &self {
            let page = uri.path_and_query().map_or("/", |path| path.as_str());
            return (StatusCode::SEE_OTHER, [(header::LOCATION, sign_in_and_return(page))]).into_response();
        }
        if let Self::Elsewhere(place) = self {
            return (StatusCode::SEE_OTHER, [(header::LOCATION, place)]).into_response();
        }
        let (place, name) = self.way_on();
        let content = html! {
            p.lead { (prose(&self.to_string())) "." }
            p { a href=(place) { (name) } }
        };
        (self.status(), document::bare(self.title(), &content)).into_response()
    }
}

/// The sign-in page that leads back to a page.
fn sign_in_and_return(page: &str) -> String {
    match page {
        "/" => "/sign-in".to_owned(),
        path => format!("/sign-in?next={}", utf8_percent_encode(path, NON_ALPHANUMERIC)),
    }
}

/// The path of the page from which a form was sent. The policy of referrers has browsers send it to the console alone.
pub fn page_of_form(headers: &HeaderMap) -> String {
    let page = headers.get(header::REFERER).and_then(|page| page.to_str().ok()?.parse::<Uri>().ok());
    page.and_then(|page| Some(page.path_and_query()?.to_string())).unwrap_or_else(|| "/".to_owned())
}

/// Puts a page in place of the line of text with which axum refuses what it cannot read.
pub async fn as_page(response: Response) -> Response {
    let is_text = |kind: &HeaderValue| kind.as_bytes().starts_with(b"text/plain");
    let status = response.status();
    if !status.is_client_error() || !response.headers().get(header::CONTENT_TYPE).is_some_and(is_text) {
        return response;
    }
    let body = response.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    PageError::Unreadable(status, String::from_utf8_lossy(&body).into_owned()).into_response()
}

/// Any path that is not a page.
pub async fn no_such_page() -> PageError {
    PageError::NotFound
}

/// A page that is asked for with another method.
pub async fn method_not_allowed() -> PageError {
    PageError::Method
}
