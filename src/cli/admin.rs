//! `admin token ...`: tokens with which the operator's commands work from elsewhere.

use axum::http::Method;
use clap::{Args, Subcommand};

use crate::api::types;
use crate::api::types::admin_tokens::{AdminTokenView, CreateAdminToken, CreatedAdminToken, RevokedAdminToken};
use crate::model::account::Note;
use crate::model::admin_token::{AdminScope, AdminTokenId};
use crate::model::time::Span;

use super::error::Result;
use super::networks::networks;
use super::operator::Operator;
use super::output::Output;
use super::table::{cell, table};
use super::target::Target;

/// `admin ...`
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Tokens with which the operator's commands work from other machines
    #[command(subcommand)]
    Token(TokenCommand),
}

/// `admin token ...`
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Create a token; it is printed only now
    Create(CreateTokenArgs),
    /// List tokens: what they are good for, and until when
    List(Output),
    /// Revoke a token
    Revoke(RevokeTokenArgs),
}

/// `admin token create`
#[derive(Debug, Args)]
pub struct CreateTokenArgs {
    /// What the token is good for: read, accounts (also change accounts, values and enrolment tokens) or all
    #[arg(long)]
    scope: AdminScope,
    /// How long the token is valid, like 12h
    #[arg(long, value_name = "SPAN", default_value = "30d")]
    lifetime: Span,
    /// A network from which the token may be used; may be repeated
    #[arg(long, value_name = "CIDR")]
    allowfrom: Vec<String>,
    /// A remark, like who has the token
    #[arg(long)]
    note: Option<Note>,
    #[command(flatten)]
    output: Output,
}

/// `admin token revoke ID`
#[derive(Debug, Args)]
pub struct RevokeTokenArgs {
    /// The token's id, as the list shows it
    id: AdminTokenId,
    #[command(flatten)]
    output: Output,
}

/// Runs a command.
pub fn run(Command::Token(command): Command, target: &Target) -> Result<()> {
    match command {
        TokenCommand::Create(wanted) => create(&wanted, target),
        TokenCommand::List(output) => list(output, &Operator::connect(target)?.ask(Method::GET, "/admin-tokens")?),
        TokenCommand::Revoke(RevokeTokenArgs { id, output }) => {
            let operator = Operator::connect(target)?;
            let reply: RevokedAdminToken = operator.ask(Method::DELETE, &format!("/admin-tokens/{id}"))?;
            output.print(&reply, |reply| format!("{} revoked", reply.revoked))
        }
    }
}

fn create(wanted: &CreateTokenArgs, target: &Target) -> Result<()> {
    let body = CreateAdminToken {
        scope: wanted.scope,
        lifetime: Some(wanted.lifetime),
        allowfrom: Some(networks(&wanted.allowfrom)?),
        note: wanted.note.clone(),
    };
    let reply: CreatedAdminToken = Operator::connect(target)?.send(Method::POST, "/admin-tokens", &body)?;
    let listens = matches!(target, Target::Local(config) if !config.admin.listen.is_empty());
    wanted.output.print(&reply, |reply| instructions(reply, listens))
}

/// What to do with a new token.
fn instructions(reply: &CreatedAdminToken, listens: bool) -> String {
    let token = reply.token.as_str();
    let AdminTokenView { id, scope, expires, .. } = &reply.details;
    let note = if listens {
        ""
    } else {
        "\n\nThe daemon does not listen for tokens yet: set `listen` in [admin] of its configuration, and restart it."
    };
    format!(
        "token:   {token}\nid:      {id}\nscope:   {scope}\nexpires: {expires}\n\n\
         Put the token into a file of mode 0600 on the other machine, and there run\n\
         `txtgate --server https://HOST:PORT --token-file FILE status`, or any other command of the operator.\n\
         It is not stored and not shown again.{note}"
    )
}

fn list(output: Output, reply: &types::list::List<AdminTokenView>) -> Result<()> {
    output.print(reply, |list| {
        if list.items.is_empty() {
            return "no tokens; `txtgate admin token create --scope read` creates one".to_owned();
        }
        let rows: Vec<_> = list.items.iter().map(list_row).collect();
        table(&["id", "scope", "expires", "state", "allowfrom", "note"], &rows)
    })
}

fn list_row(token: &AdminTokenView) -> Vec<String> {
    vec![
        cell(&token.id),
        cell(&token.scope),
        cell(&token.expires),
        cell(&token.state),
        cell(&token.allowfrom),
        cell(&token.note),
    ]
}
