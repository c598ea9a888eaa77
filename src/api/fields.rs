//! The JSON body of a request. Any Content-Type is accepted, keys may have any case, `null` counts as absent, and unknown
//! keys are ignored.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use axum::extract::{FromRequest, Request};
use serde_json::Value;

use crate::model::account::{AllowFrom, Note};
use crate::model::name::owner::OwnerText;
use crate::model::name::{Alias, Name, ZoneName};
use crate::model::time::Span;
use crate::model::txt::persist::PersistValue;
use crate::model::txt::{KeyAuthorization, TxtValue};
use crate::publisher::Choice;

use super::body::MAX_BODY;
use super::error::Failure;

/// The members of a JSON object by their names in lower case. Empty if there is no body, or if it is `null`.
#[derive(Debug, Default)]
pub struct Fields(BTreeMap<String, Value>);

impl<S: Sync> FromRequest<S> for Fields {
    type Rejection = Failure;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failure> {
        // `body::whole` has applied the limit already. This one is for a router without that layer.
        let body = axum::body::to_bytes(request.into_body(), MAX_BODY).await;
        Self::parse(&body.map_err(|_| Failure::TooLarge { limit: MAX_BODY })?)
    }
}

impl Fields {
    /// The members, for a typed request.
    pub fn into_members(self) -> BTreeMap<String, Value> {
        self.0
    }

    /// Parses a body.
    pub fn parse(body: &[u8]) -> Result<Self, Failure> {
        if body.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        match serde_json::from_slice(body) {
            Ok(Value::Null) => Ok(Self::default()),
            Ok(Value::Object(members)) => {
                Ok(Self(members.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect()))
            }
            Ok(other) => Err(Failure::Malformed(format!("found {}; write {{...}}", kind(&other)))),
            Err(error) => Err(Failure::Malformed(error.to_string())),
        }
    }

    fn value(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    pub fn parsed<T>(&self, field: &'static str, code: &'static str) -> Result<Option<T>, Failure>
    where
        T: FromStr,
        T::Err: Display,
    {
        match self.value(field) {
            None => Ok(None),
            Some(Value::String(text)) => text.parse().map(Some).map_err(|error| Failure::field(code, field, error)),
            Some(other) => Err(Failure::field(code, field, format!("write a string; found {}", kind(other)))),
        }
    }

    /// Reads a field that has to be there; `advice` says what to write.
    fn required<T>(&self, field: &'static str, code: &'static str, advice: &str) -> Result<T, Failure>
    where
        T: FromStr,
        T::Err: Display,
    {
        self.parsed(field, code)?.ok_or_else(|| Failure::field(code, field, advice))
    }

    /// Reads a field, and counts an empty string as absent: some clients send every field that they know.
    fn parsed_unless_empty<T>(&self, field: &'static str, code: &'static str) -> Result<Option<T>, Failure>
    where
        T: FromStr,
        T::Err: Display,
    {
        if self.value(field).is_some_and(|value| value == "") { Ok(None) } else { self.parsed(field, code) }
    }

    /// The owner that the request is about: its subdomain, or its whole name.
    pub fn owner(&self) -> Result<OwnerText, Failure> {
        self.required("subdomain", "bad_subdomain", "write the account's subdomain")
    }

    /// The owner, if the request names one.
    pub fn some_owner(&self) -> Result<Option<OwnerText>, Failure> {
        self.parsed("subdomain", "bad_subdomain")
    }

    /// The subdomain that a registration asks for.
    pub fn choice(&self) -> Result<Choice, Failure> {
        let subdomain = self.parsed_unless_empty("subdomain", "bad_subdomain")?;
        Ok(Choice { zone: self.zone()?, subdomain, enrolment: None })
    }

    /// The alias that the request is about.
    pub fn alias(&self) -> Result<Alias, Failure> {
        self.required("alias", "bad_alias", "write the alias, like `_acme-challenge.example.com`")
    }

    /// The zone, if the request names one.
    pub fn zone(&self) -> Result<Option<ZoneName>, Failure> {
        self.parsed_unless_empty("zone", "bad_zone")
    }

    /// The TXT value to publish.
    pub fn txt(&self) -> Result<TxtValue, Failure> {
        self.required("txt", "bad_txt", "write the value, 43 characters of base64url")
    }

    /// The TXT value, if the request names one.
    pub fn some_txt(&self) -> Result<Option<TxtValue>, Failure> {
        self.parsed("txt", "bad_txt")
    }

    /// The persistent authorization to publish.
    pub fn persistent(&self) -> Result<PersistValue, Failure> {
        self.required("value", "bad_value", "write the value, `<issuer>; accounturi=<account URL>`")
    }

    /// The persistent authorization, if the request names one.
    pub fn some_persistent(&self) -> Result<Option<PersistValue>, Failure> {
        self.parsed("value", "bad_value")
    }

    /// The lifetime, if the request sets one.
    pub fn lifetime(&self) -> Result<Option<Duration>, Failure> {
        Ok(self.parsed::<Span>("lifetime", "bad_lifetime")?.map(|span| span.0))
    }

    /// The TXT value that `httpreq` sends.
    pub fn presented(&self) -> Result<TxtValue, Failure> {
        self.required("value", "bad_txt", "write the value, 43 characters of base64url")
    }

    /// The name that `httpreq` sends a value for, if it sends one.
    pub fn fqdn(&self) -> Result<Option<Name>, Failure> {
        self.parsed("fqdn", "bad_fqdn")
    }

    /// The domain that `httpreq` sends a challenge for. A wildcard is proven at the name below it.
    pub fn domain(&self) -> Result<Name, Failure> {
        let Some(text) = self.text("domain")? else {
            return Err(Failure::field("bad_domain", "domain", "write the domain, like `example.com`"));
        };
        let domain = text.strip_prefix("*.").unwrap_or(&text).parse();
        domain.map_err(|error| Failure::field("bad_domain", "domain", error))
    }

    /// The key authorization, if `httpreq` sends one. It has to begin with the token.
    pub fn key_authorization(&self) -> Result<Option<KeyAuthorization>, Failure> {
        let found: Option<KeyAuthorization> = self.parsed("keyauth", "bad_keyauth")?;
        match (&found, self.text("token")?) {
            (Some(found), Some(token)) if found.token() != token => {
                Err(Failure::field("bad_keyauth", "keyauth", "the key authorization does not begin with the token"))
            }
            _ => Ok(found),
        }
    }

    /// The remark, if the request has one.
    pub fn note(&self) -> Result<Option<Note>, Failure> {
        self.parsed("note", "bad_note")
    }

    /// The grace time, if the request sets one.
    pub fn grace(&self) -> Result<Option<Duration>, Failure> {
        Ok(self.parsed::<Span>("grace", "bad_grace")?.map(|span| span.0))
    }

    /// The networks, if the request has a list of them.
    pub fn allow_from(&self) -> Result<Option<AllowFrom>, Failure> {
        let code = "invalid_allowfrom_cidr";
        let Some(texts) = self.list("allowfrom", code)? else { return Ok(None) };
        AllowFrom::parse(&texts).map(Some).map_err(|error| Failure::field(code, "allowfrom", error))
    }

    /// A list of strings, if the field is there.
    fn list(&self, field: &'static str, code: &'static str) -> Result<Option<Vec<String>>, Failure> {
        let list = match self.value(field) {
            None => return Ok(None),
            Some(Value::Array(list)) => list,
            Some(other) => {
                return Err(Failure::field(code, field, format!("write a list of strings; found {}", kind(other))));
            }
        };
        let mut texts = Vec::with_capacity(list.len());
        for value in list {
            let Value::String(text) = value else {
                return Err(Failure::field(code, field, format!("write each as a string; found {}", kind(value))));
            };
            texts.push(text.clone());
        }
        Ok(Some(texts))
    }

    /// A field with any text.
    pub fn text(&self, field: &'static str) -> Result<Option<String>, Failure> {
        self.parsed(field, "bad_field")
    }
}

/// The kind of a JSON value in words. Never its content, which may be a secret in the wrong place.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(body: &str) -> Fields {
        Fields::parse(body.as_bytes()).unwrap()
    }

    #[test]
    fn no_body_null_and_an_empty_object_are_the_same() {
        for body in ["", " \r\n", "null\n", "{}"] {
            assert_eq!(fields(body).0.len(), 0, "{body:?}");
        }
        for body in ["[]", "1", "\"x\"", "{", "a=b", "{\"a\":1}x"] {
            assert!(matches!(Fields::parse(body.as_bytes()), Err(Failure::Malformed(_))), "{body:?}");
        }
        assert!(Fields::parse(b"{\"a\":\"\xff\"}").is_err());
    }

    #[test]
    fn keys_come_in_any_case_and_null_is_absent() {
        let body = fields(r#"{"SubDomain":"Shop","ALLOWFROM":["10.0.0.0/8"],"zone":null,"other":[1]}"#);
        assert_eq!(body.owner().unwrap(), "shop".parse().unwrap());
        assert_eq!(body.allow_from().unwrap().unwrap().networks().len(), 1);
        assert_eq!(body.zone().unwrap(), None);
    }

    #[test]
    fn wrong_types_name_the_field() {
        let body = fields(r#"{"txt":1234567890,"allowfrom":"10.0.0.0/8","subdomain":{}}"#);
        for (failure, code) in [
            (body.txt().unwrap_err(), "bad_txt"),
            (body.allow_from().unwrap_err(), "invalid_allowfrom_cidr"),
            (body.owner().unwrap_err(), "bad_subdomain"),
        ] {
            assert!(matches!(failure, Failure::Field { code: found, .. } if found == code), "{failure:?}");
        }
        assert!(fields(r#"{"allowfrom":[""]}"#).allow_from().is_err());
        assert!(fields(r#"{"allowfrom":[null]}"#).allow_from().is_err());
    }
}
