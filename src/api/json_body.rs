//! Typed requests: a JSON object read into the type that the command line wrote it from.
//!
//! Keys may have any case, `null` counts as absent, and unknown members are ignored, as everywhere in this API. An error
//! names the member and says what to write. It never repeats a value of the wrong kind, which may be a secret in the
//! wrong place.

use std::collections::btree_map;
use std::fmt;

use axum::extract::{FromRequest, Request};
use serde::de::value::{MapAccessDeserializer, MapDeserializer, SeqDeserializer};
use serde::de::{self, DeserializeOwned, DeserializeSeed, Expected, IntoDeserializer, MapAccess, Unexpected, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::Value;

use super::error::Failure;
use super::fields::Fields;

/// Members of requests: the code of the failure where one is wrong, and what to write where one is missing.
const MEMBERS: [(&str, &str, &str); 21] = [
    ("accounts", "bad_field", "write a list of names"),
    ("algorithm", "bad_algorithm", "write an algorithm, like hmac-sha256"),
    ("alias", "bad_alias", "write the alias, like `_acme-challenge.example.com`"),
    ("allowfrom", "invalid_allowfrom_cidr", "write a list of networks"),
    ("contact", "bad_field", "write a list of URLs, like `mailto:you@example.org`"),
    ("grace", "bad_grace", "write a span of time, like 1h"),
    ("hints", "bad_hints", "write a list of addresses with ports, like 192.0.2.1:53"),
    ("labels", "bad_labels", "write a list of labels"),
    ("lifetime", "bad_lifetime", "write a span of time, like 24h"),
    ("name", "bad_name", "write a domain, a label, a fulldomain, or `_acme-challenge`"),
    ("names", "bad_names", "write a list of names, like example.com"),
    ("note", "bad_note", "write a remark"),
    ("reason", "bad_reason", "write a reason, like `superseded`"),
    ("resolvers", "bad_resolvers", "write a list of resolvers, like udp:192.0.2.1"),
    ("scope", "bad_scope", "write `read`, `accounts` or `all`"),
    ("subdomain", "bad_subdomain", "write the account's subdomain"),
    ("tsig", "bad_algorithm", "write an algorithm, like hmac-sha256"),
    ("txt", "bad_txt", "write the value, 43 characters of base64url"),
    ("uses", "bad_uses", "write a number"),
    ("value", "bad_value", "write the value, `<issuer>; accounturi=<account URL>`"),
    ("zone", "bad_zone", "write the zone, like `auth.example.org`"),
];

/// A request's body as a `T`.
#[derive(Debug)]
pub struct JsonBody<T>(pub T);

impl<S: Sync, T: DeserializeOwned> FromRequest<S> for JsonBody<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let fields = Fields::from_request(request, state).await?;
        Ok(Self(typed(fields)?))
    }
}

/// A JSON object as a `T`, by the same rules.
pub fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    Ok(typed(Fields::parse(body)?)?)
}

fn typed<T: DeserializeOwned>(fields: Fields) -> Result<T, MemberError> {
    let members = Members { rest: fields.into_members().into_iter(), current: None };
    T::deserialize(MapAccessDeserializer::new(members))
}

/// A member that is not what the request's type asks for.
#[derive(Debug)]
struct MemberError {
    /// `None` until the member that holds the value is known.
    member: Option<String>,
    message: String,
}

impl fmt::Display for MemberError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for MemberError {}

impl de::Error for MemberError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self { member: None, message: message.to_string() }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format!("write {}; found {}", wanted(expected), kind(found)))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn missing_field(member: &'static str) -> Self {
        let advice = MEMBERS.iter().find(|known| known.0 == member).map_or("it is missing", |known| known.2);
        Self { member: Some(member.to_owned()), message: advice.to_owned() }
    }
}

impl From<MemberError> for Failure {
    fn from(error: MemberError) -> Self {
        let known = MEMBERS.iter().find(|known| error.member.as_deref() == Some(known.0));
        match known {
            Some(&(member, code, _)) => Self::field(code, member, error.message),
            None => Self::Malformed(error.message),
        }
    }
}

/// What serde expects, in the words of JSON.
fn wanted(expected: &dyn Expected) -> String {
    match expected.to_string().as_str() {
        "a sequence" => "a list".to_owned(),
        "i64" | "u32" | "u64" => "a whole number".to_owned(),
        other => other.to_owned(),
    }
}

/// What a value is, without its content.
fn kind(found: Unexpected<'_>) -> &'static str {
    match found {
        Unexpected::Bool(_) => "a boolean",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => "a number",
        Unexpected::Str(_) | Unexpected::Char(_) => "a string",
        Unexpected::Seq => "a list",
        Unexpected::Map => "an object",
        Unexpected::Unit | Unexpected::Option => "null",
        _ => "something else",
    }
}

/// The members of a body, one after the other.
struct Members {
    rest: btree_map::IntoIter<String, Value>,
    current: Option<(String, Value)>,
}

impl<'de> MapAccess<'de> for Members {
    type Error = MemberError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, MemberError> {
        self.current = self.rest.by_ref().find(|(_, value)| !value.is_null());
        let Some((member, _)) = &self.current else { return Ok(None) };
        seed.deserialize(member.clone().into_deserializer()).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, MemberError> {
        // invariant: serde asks for a value after its key
        let (member, value) = self.current.take().unwrap_or_default();
        seed.deserialize(JsonNode(value)).map_err(|error| MemberError { member: Some(member), ..error })
    }
}

/// A value whose errors are [`MemberError`]s.
struct JsonNode(Value);

impl IntoDeserializer<'_, MemberError> for JsonNode {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> de::Deserializer<'de> for JsonNode {
    type Error = MemberError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, MemberError> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(value),
            Value::String(text) => visitor.visit_string(text),
            Value::Array(items) => visitor.visit_seq(SeqDeserializer::new(items.into_iter().map(JsonNode))),
            Value::Object(members) => {
                let members = members.into_iter().map(|(name, value)| (name, JsonNode(value)));
                visitor.visit_map(MapDeserializer::new(members))
            }
            Value::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(number), _) => visitor.visit_u64(number),
                (None, Some(number)) => visitor.visit_i64(number),
                (None, None) => visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN)),
            },
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, MemberError> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, MemberError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, MemberError> {
        match self.0 {
            Value::String(text) => visitor.visit_enum(text.into_deserializer()),
            other => JsonNode(other).deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use crate::api::types::accounts::CreateAccount;
    use crate::api::types::names::{AddAlias, RemoveSubdomain};
    use crate::api::types::values::PublishPersistent;

    use super::*;

    fn read<T: DeserializeOwned>(body: &str) -> Result<T, (&'static str, &'static str, String)> {
        typed(Fields::parse(body.as_bytes()).unwrap()).map_err(|error| match Failure::from(error) {
            Failure::Field { code, field, message } => (code, field, message),
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn keys_come_in_any_case_and_null_and_empty_names_are_absent() {
        let body = r#"{"SubDomain":"","ALLOWFROM":["10.0.0.0/8"],"zone":null,"note":null,"other":[1]}"#;
        let read: CreateAccount = read(body).unwrap();
        assert!(read.subdomain.is_none() && read.zone.is_none() && read.note.is_none());
        assert_eq!(read.allowfrom.unwrap().networks().len(), 1);
    }

    #[test]
    fn an_error_names_the_member_and_keeps_its_value_to_itself() {
        let number = read::<AddAlias>(r#"{"alias":1234567890}"#).unwrap_err();
        assert_eq!(number, ("bad_alias", "alias", "write a string; found a number".to_owned()));
        let text = read::<CreateAccount>(r#"{"allowfrom":"10.0.0.0/8"}"#).unwrap_err();
        assert_eq!(text, ("invalid_allowfrom_cidr", "allowfrom", "write a list; found a string".to_owned()));
        let item = read::<CreateAccount>(r#"{"allowfrom":[null]}"#).unwrap_err();
        assert_eq!(item, ("invalid_allowfrom_cidr", "allowfrom", "write a string; found null".to_owned()));
        let missing = read::<RemoveSubdomain>("{}").unwrap_err();
        assert_eq!(missing, ("bad_subdomain", "subdomain", "write the account's subdomain".to_owned()));
        let (code, field, message) = read::<RemoveSubdomain>(r#"{"subdomain":"-"}"#).unwrap_err();
        assert!((code, field) == ("bad_subdomain", "subdomain") && message.contains("one label"), "{message}");
    }

    #[test]
    fn what_is_written_reads_as_the_same() {
        let body = r#"{"name":"shop","value":"ca.test; accounturi=https://ca.test/1","lifetime":"2h"}"#;
        let written = serde_json::to_string(&read::<PublishPersistent>(body).unwrap()).unwrap();
        let again: PublishPersistent = read(&written).unwrap();
        assert_eq!(again.lifetime.unwrap().0.as_secs(), 7_200);
    }

    #[test]
    fn numbers_lists_and_words_are_read() {
        #[derive(Debug, Deserialize)]
        struct Sample {
            uses: Option<i64>,
            labels: Vec<String>,
        }
        let wanted: Sample = read(r#"{"uses":-1,"labels":["a"]}"#).unwrap();
        assert_eq!((wanted.uses, wanted.labels), (Some(-1), vec!["a".to_owned()]));
        assert_eq!(
            read::<Sample>(r#"{"uses":1.5,"labels":[]}"#).unwrap_err().2,
            "write a whole number; found a number"
        );
    }
}
