//! `account tsig ...`: the key with which an account signs DNS UPDATEs.

use axum::http::Method;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::cli::operator::{Operator, encoded};
use crate::cli::table::cell;
use crate::cli::{Result, print};

use super::{Who, path, shown};

/// `account tsig ...`
#[derive(Debug, Subcommand)]
pub enum Tsig {
    /// Give an account a key, in place of the one it may have; prints it in the form of nsupdate -k
    Create(Create),
    /// Take an account's key away
    Delete(Who),
}

/// `account tsig create WHO`
#[derive(Debug, Args)]
pub struct Create {
    #[command(flatten)]
    who: Who,
    /// hmac-sha256, hmac-sha384, hmac-sha512 or hmac-sha1; hmac-md5 where the configuration allows it
    #[arg(long, default_value = "hmac-sha256")]
    algorithm: String,
}

pub fn tsig(operator: &Operator, wanted: &Tsig) -> Result<()> {
    match wanted {
        Tsig::Create(wanted) => {
            let key = create(operator, &wanted.who.who, &wanted.algorithm)?;
            print(&if wanted.who.output.json { key.to_string() } else { key_file(&key) })
        }
        Tsig::Delete(who) => shown(who.output, &operator.call(Method::DELETE, &path(who, "/tsig"), None)?),
    }
}

/// Gives an account a key: its `name`, `algorithm` and `secret`.
pub fn create(operator: &Operator, who: &str, algorithm: &str) -> Result<Value> {
    let path = format!("/accounts/{}/tsig", encoded(who));
    operator.call(Method::POST, &path, Some(&json!({ "algorithm": algorithm })))
}

/// As BIND's tools take a key from a file.
fn key_file(key: &Value) -> String {
    let [name, algorithm, secret] = ["name", "algorithm", "secret"].map(|field| cell(&key[field]));
    format!("key \"{name}\" {{\n\talgorithm {algorithm};\n\tsecret \"{secret}\";\n}};")
}
