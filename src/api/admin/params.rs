//! Parameters in the URL.

use std::collections::HashMap;
use std::str::FromStr;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;

use super::super::error::Failure;

/// The query's parameters.
#[derive(Debug)]
pub struct Params(HashMap<String, String>);

impl Params {
    /// A parameter; absent and empty are the same.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// A parameter as a value.
    pub fn parsed<T: FromStr>(&self, name: &'static str) -> Result<Option<T>, Failure> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let value = text
            .parse()
            .map_err(|_| Failure::field("bad_parameter", name, format!("cannot read the parameter `{name}`")))?;
        Ok(Some(value))
    }
}

impl<S: Sync> FromRequestParts<S> for Params {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(params)) => Ok(Self(params)),
            Err(error) => Err(Failure::Malformed(error.to_string())),
        }
    }
}
