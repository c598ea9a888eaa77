//! `account tsig ...`: the key that an account signs DNS UPDATEs with.

use axum::http::Method;
use clap::{Args, Subcommand};

use crate::api::types::tsig::{CreateTsigKey, TsigKeyReply};
use crate::cli::error::Result;
use crate::cli::operator::Operator;
use crate::model::tsig::Algorithm;

use super::shown::print_account;
use super::who::Who;

/// `account tsig ...`
#[derive(Debug, Subcommand)]
pub enum TsigCommand {
    /// Give an account a key in place of any former one; prints it in the form of nsupdate -k
    Create(CreateTsigKeyArgs),
    /// Remove an account's key
    Delete(Who),
}

/// `account tsig create WHO`
#[derive(Debug, Args)]
pub struct CreateTsigKeyArgs {
    #[command(flatten)]
    who: Who,
    /// hmac-sha256, hmac-sha384, hmac-sha512 or hmac-sha1; hmac-md5 if the configuration allows it
    #[arg(long, default_value = "hmac-sha256")]
    algorithm: Algorithm,
}

/// Runs a command.
pub fn tsig(operator: &Operator, wanted: &TsigCommand) -> Result<()> {
    match wanted {
        TsigCommand::Create(wanted) => {
            let body = CreateTsigKey { algorithm: Some(wanted.algorithm) };
            let key: TsigKeyReply = operator.send(Method::POST, &wanted.who.path("/tsig"), &body)?;
            wanted.who.output.print(&key, key_file)
        }
        TsigCommand::Delete(who) => print_account(who.output, &operator.ask(Method::DELETE, &who.path("/tsig"))?),
    }
}

/// The key as BIND's tools take it from a file.
fn key_file(key: &TsigKeyReply) -> String {
    let TsigKeyReply { name, algorithm, secret } = key;
    format!("key \"{name}\" {{\n\talgorithm {algorithm};\n\tsecret \"{}\";\n}};", secret.as_str())
}
