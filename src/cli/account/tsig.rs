//! `account tsig ...`: the key with which an account signs DNS UPDATEs.

use axum::http::Method;
use clap::{Args, Subcommand};

use crate::api::types::tsig::{CreateTsigKey, TsigKeyReply};
use crate::cli::error::Result;
use crate::cli::operator::{Operator, encoded};
use crate::model::tsig::Algorithm;

use super::shown::print_account;
use super::who::Who;

/// `account tsig ...`
#[derive(Debug, Subcommand)]
pub enum Tsig {
    /// Give an account a key, in place of the one it may have; prints it in the form of nsupdate -k
    Create(CreateKey),
    /// Take an account's key away
    Delete(Who),
}

/// `account tsig create WHO`
#[derive(Debug, Args)]
pub struct CreateKey {
    #[command(flatten)]
    who: Who,
    /// hmac-sha256, hmac-sha384, hmac-sha512 or hmac-sha1; hmac-md5 where the configuration allows it
    #[arg(long, default_value = "hmac-sha256")]
    algorithm: Algorithm,
}

/// Runs a command.
pub fn tsig(operator: &Operator, wanted: &Tsig) -> Result<()> {
    match wanted {
        Tsig::Create(wanted) => {
            let key = create(operator, &wanted.who.who, wanted.algorithm)?;
            wanted.who.output.print(&key, key_file)
        }
        Tsig::Delete(who) => print_account(who.output, &operator.ask(Method::DELETE, &who.path("/tsig"))?),
    }
}

/// Gives an account a key.
pub fn create(operator: &Operator, who: &str, algorithm: Algorithm) -> Result<TsigKeyReply> {
    let path = format!("/accounts/{}/tsig", encoded(who));
    operator.send(Method::POST, &path, &CreateTsigKey { algorithm: Some(algorithm) })
}

/// The key as BIND's tools take it from a file.
fn key_file(key: &TsigKeyReply) -> String {
    let TsigKeyReply { name, algorithm, secret } = key;
    format!("key \"{name}\" {{\n\talgorithm {algorithm};\n\tsecret \"{}\";\n}};", secret.as_str())
}
