//! Forms that the console's own pages have sent.

use std::collections::BTreeMap;

use axum::RequestExt;
use axum::extract::{Form, FromRequest, Request};
use axum::http::StatusCode;

use super::error::PageError;
use super::signed_in::SignedIn;
use super::state::Shared;

/// The field with the session's secret for forms.
pub const CSRF: &str = "csrf";

/// The fields of a form. A field that is missing reads as empty.
#[derive(Debug, Clone, Default)]
pub struct Fields(BTreeMap<String, String>);

impl Fields {
    /// A field, without the white space around it.
    pub fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", |text| text.trim())
    }

    /// Whether a box is checked.
    pub fn is_checked(&self, name: &str) -> bool {
        !self.text(name).is_empty()
    }
}

impl<S: Send + Sync> FromRequest<S> for Fields {
    type Rejection = PageError;

    async fn from_request(request: Request, state: &S) -> Result<Self, PageError> {
        let form = Form::<BTreeMap<String, String>>::from_request(request, state).await;
        form.map(|Form(fields)| Self(fields)).map_err(|error| match error.status() {
            StatusCode::PAYLOAD_TOO_LARGE => PageError::Unreadable(error.status(), error.to_string()),
            _ => PageError::Form(error.to_string()),
        })
    }
}

/// A form of whoever is signed in, with the secret of their session.
#[derive(Debug)]
pub struct Submitted(pub SignedIn, pub Fields);

impl FromRequest<Shared> for Submitted {
    type Rejection = PageError;

    async fn from_request(mut request: Request, state: &Shared) -> Result<Self, PageError> {
        let signed_in: SignedIn = request.extract_parts_with_state(state).await?;
        let fields = Fields::from_request(request, state).await?;
        use subtle::ConstantTimeEq;
        let is_own = fields.text(CSRF).as_bytes().ct_eq(signed_in.session.csrf.as_bytes());
        if bool::from(is_own) { Ok(Self(signed_in, fields)) } else { Err(PageError::Csrf) }
    }
}
