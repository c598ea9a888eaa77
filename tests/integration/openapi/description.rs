//! `docs/openapi.json`.

use std::collections::BTreeSet;

use serde_json::Value;

use super::schema::Schemas;

/// A method of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Operation {
    /// As the router has it, like `/v1/storage/{domain}`.
    pub path: String,
    /// In lower case.
    pub method: String,
}

impl Operation {
    pub fn new(method: &str, path: &str) -> Self {
        Self { path: path.to_owned(), method: method.to_owned() }
    }
}

/// The document.
pub struct Description(Value);

impl Description {
    pub fn read() -> Self {
        let text = include_str!("../../../docs/openapi.json");
        let document: Value = serde_json::from_str(text).expect("JSON");
        assert_eq!(document["openapi"], "3.1.0");
        assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
        Self(document)
    }

    /// Takes a path out.
    pub fn remove(&mut self, path: &str) {
        let paths = self.0["paths"].as_object_mut().expect("paths");
        assert!(paths.remove(path).is_some(), "{path}");
    }

    pub fn operations(&self) -> BTreeSet<Operation> {
        let paths = self.0["paths"].as_object().expect("paths");
        let mut found = BTreeSet::new();
        for (path, item) in paths {
            let methods = item.as_object().expect("methods").keys();
            found.extend(methods.map(|method| Operation::new(method, path)));
        }
        found
    }

    /// The statuses of success that an operation may have.
    pub fn successes(&self, operation: &Operation) -> BTreeSet<u16> {
        let responses = self.operation(operation)["responses"].as_object().expect("responses");
        let statuses = responses.keys().map(|status| status.parse().expect("a status"));
        statuses.filter(|status| (200..300).contains(status)).collect()
    }

    /// The codes that an error may have.
    pub fn error_codes(&self) -> BTreeSet<String> {
        let codes = self.0["components"]["schemas"]["Error"]["properties"]["error"]["enum"].as_array().expect("codes");
        codes.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// What is wrong with a reply.
    pub fn problems(&self, method: &str, path: &str, status: u16, body: &Value) -> Vec<String> {
        let responses = &self.operation(&Operation::new(method, path))["responses"];
        let schemas = Schemas(&self.0);
        let response = schemas.resolve(&responses[status.to_string()]);
        if response.is_null() {
            return vec![format!("{method} {path}: the status {status} is not described: {body}")];
        }
        match (&response["content"]["application/json"]["schema"], body) {
            (Value::Null, Value::Null) => Vec::new(),
            (Value::Null, body) => vec![format!("{method} {path}: {status} is described without a body: {body}")],
            (schema, body) => schemas.problems(schema, body, &format!("{method} {path} {status}: body")),
        }
    }

    /// What is wrong with a request's body.
    pub fn request_problems(&self, method: &str, path: &str, body: &Value) -> Vec<String> {
        let request = &self.operation(&Operation::new(method, path))["requestBody"];
        match &request["content"]["application/json"]["schema"] {
            Value::Null => vec![format!("{method} {path} is described without a body")],
            schema => Schemas(&self.0).problems(schema, body, &format!("{method} {path}: request")),
        }
    }

    fn operation(&self, operation: &Operation) -> &Value {
        &self.0["paths"][&operation.path][&operation.method]
    }
}
