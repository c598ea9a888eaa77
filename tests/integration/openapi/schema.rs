//! The part of JSON Schema that the description uses.

use serde_json::{Map, Value};

/// Keywords that say something about values, each of which is checked below.
const CHECKED: [&str; 11] = [
    "$ref",
    "type",
    "properties",
    "required",
    "additionalProperties",
    "items",
    "enum",
    "minimum",
    "minLength",
    "maxLength",
    "maxItems",
];
/// Keywords for readers.
const FOR_READERS: [&str; 4] = ["description", "examples", "format", "pattern"];

/// A document, in which schemas refer to others.
pub struct Schemas<'d>(pub &'d Value);

impl Schemas<'_> {
    /// What a reference like `#/components/schemas/Error` leads to.
    pub fn resolve<'v>(&'v self, value: &'v Value) -> &'v Value {
        let Some(reference) = value["$ref"].as_str() else { return value };
        let path = reference.strip_prefix('#').unwrap_or_else(|| panic!("{reference} leads out of the document"));
        self.0.pointer(path).unwrap_or_else(|| panic!("{reference} leads nowhere"))
    }

    /// What is wrong with a value; `at` is its place in the document that it is from.
    pub fn problems(&self, schema: &Value, value: &Value, at: &str) -> Vec<String> {
        let schema = self.resolve(schema);
        let members = schema.as_object().unwrap_or_else(|| panic!("expected a schema, found {schema}"));
        let unknown =
            members.keys().find(|key| !CHECKED.contains(&key.as_str()) && !FOR_READERS.contains(&key.as_str()));
        assert_eq!(unknown, None, "a keyword that nothing here checks");
        if let Some(problem) = wrong_type(&schema["type"], value) {
            return vec![format!("{at} {problem}")];
        }
        let mut found = wrong_value(schema, value, at);
        match value {
            Value::Object(object) => found.extend(self.members(schema, object, at)),
            Value::Array(items) => {
                let of_items = items.iter().enumerate().map(|(index, item)| (format!("{at}[{index}]"), item));
                found.extend(of_items.flat_map(|(at, item)| self.problems(&schema["items"], item, &at)));
            }
            _ => {}
        }
        found
    }

    fn members(&self, schema: &Value, object: &Map<String, Value>, at: &str) -> Vec<String> {
        let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let missing = required.filter(|name| !object.contains_key(*name));
        let mut found: Vec<String> = missing.map(|name| format!("{at}.{name} is missing")).collect();
        for (name, value) in object {
            let at = format!("{at}.{name}");
            match (&schema["properties"][name], &schema["additionalProperties"]) {
                (Value::Null, Value::Bool(false)) => found.push(format!("{at} is not described")),
                (Value::Null, other @ Value::Object(_)) => found.extend(self.problems(other, value, &at)),
                (Value::Null, _) => {}
                (described, _) => found.extend(self.problems(described, value, &at)),
            }
        }
        found
    }
}

/// One type, or a list of those that are allowed.
fn wrong_type(allowed: &Value, value: &Value) -> Option<String> {
    let names: Vec<&str> = match allowed {
        Value::Null => return None,
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        name => name.as_str().into_iter().collect(),
    };
    if names.iter().any(|name| is_of(name, value)) {
        None
    } else {
        Some(format!("expected {}, found {value}", names.join(" or ")))
    }
}

fn is_of(name: &str, value: &Value) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("the type {other} is none of JSON Schema's that occur here"),
    }
}

fn wrong_value(schema: &Value, value: &Value, at: &str) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        found.push(format!("{at} is none of {}: {value}", schema["enum"]));
    }
    if let (Some(least), Some(number)) = (schema["minimum"].as_i64(), value.as_i64())
        && number < least
    {
        found.push(format!("{at} is below {least}: {number}"));
    }
    let length = value.as_str().map(|text| text.chars().count() as u64);
    let count = value.as_array().map(|items| items.len() as u64);
    if is_over(&schema["maxLength"], length) || is_over(&schema["maxItems"], count) {
        found.push(format!("{at} is too long: {value}"));
    }
    if schema["minLength"].as_u64().zip(length).is_some_and(|(least, length)| length < least) {
        found.push(format!("{at} is too short: {value}"));
    }
    found
}

fn is_over(limit: &Value, size: Option<u64>) -> bool {
    limit.as_u64().zip(size).is_some_and(|(most, size)| size > most)
}
