//! `console login`: a link that signs a browser in to the web console.

use axum::http::Method;
use clap::{Args, Subcommand};

use crate::api::types::console::{CreateConsoleLink, CreatedConsoleLink};
use crate::model::admin_token::AdminScope;
use crate::model::time::relative::span;

use super::error::Result;
use super::operator::Operator;
use super::output::Output;
use super::target::Target;

/// `console ...`
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print a link that signs one browser in, once, within five minutes
    Login(LoginArgs),
}

/// `console login`
#[derive(Debug, Args)]
pub struct LoginArgs {
    /// What the session may do: read, accounts (also change accounts and values) or all
    #[arg(long, default_value = "all")]
    scope: AdminScope,
    #[command(flatten)]
    output: Output,
}

/// Runs a command.
pub fn run(command: Command, target: &Target) -> Result<()> {
    let Command::Login(LoginArgs { scope, output }) = command;
    let body = CreateConsoleLink { scope: Some(scope) };
    let reply: CreatedConsoleLink =
        Operator::of_daemon(target)?.quietly().send(Method::POST, "/console/links", &body)?;
    output.print(&reply, |reply| format!("{}\n\nOpen it within {}. It works once.", reply.url, span(reply.seconds)))
}
