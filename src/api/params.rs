//! Parameters in the URL.

use std::collections::HashMap;
use std::str::FromStr;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;

use super::error::Failure;

/// The query's parameters.
#[derive(Debug)]
pub struct Params(HashMap<String, String>);

impl Params {
    /// The parameters, if all of them are `known`. A misspelt `dry_run` must not carry out what it was to rehearse.
    pub fn only(self, known: &[&str]) -> Result<Self, Failure> {
        match self.0.keys().find(|name| !known.contains(&name.as_str())) {
            None => Ok(self),
            Some(unknown) => {
                let message = format!("there is no parameter {unknown:?} here; there is {}", known.join(", "));
                Err(Failure::field("bad_parameter", "parameters", message))
            }
        }
    }

    /// A parameter; absent and empty are the same.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// A parameter as a value. The error says what is expected, in the words of the value's type.
    pub fn explained<T: FromStr<Err: std::fmt::Display>>(&self, name: &'static str) -> Result<Option<T>, Failure> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let value =
            text.parse().map_err(|error| Failure::field("bad_parameter", name, format!("`{name}`: {error}")))?;
        Ok(Some(value))
    }

    /// A parameter as a value.
    pub fn parsed<T: FromStr>(&self, name: &'static str) -> Result<Option<T>, Failure> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let value = text.parse().map_err(|_| {
            Failure::field(
                "bad_parameter",
                name,
                format!("the parameter `{name}` cannot be {text:?}; docs/api.md has its values"),
            )
        })?;
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

#[cfg(test)]
mod tests {
    use super::*;

    async fn params(uri: &str) -> Params {
        let (mut parts, ()) = axum::http::Request::get(uri).body(()).unwrap().into_parts();
        Params::from_request_parts(&mut parts, &()).await.unwrap()
    }

    #[tokio::test]
    async fn a_misspelt_parameter_is_refused() {
        let known = ["dry_run", "skip_conflicts"];
        assert!(params("/transfer/import?dry_run=true").await.only(&known).is_ok());
        assert!(params("/transfer/import").await.only(&known).is_ok());
        for wrong in ["dryrun=true", "dry_run=true&skip-conflicts=true", "DRY_RUN=true"] {
            let refused = params(&format!("/transfer/import?{wrong}")).await.only(&known).unwrap_err();
            assert!(refused.to_string().contains("there is dry_run, skip_conflicts"), "{wrong}: {refused}");
        }
    }

    #[tokio::test]
    async fn a_wrong_value_is_quoted() {
        let refused = params("/accounts/x?now=yes").await.parsed::<bool>("now").unwrap_err();
        assert!(refused.to_string().contains("\"yes\""), "{refused}");
    }
}
