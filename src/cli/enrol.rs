//! `enrol ...`: tokens that let others register, with a count, a lifetime and networks.

use axum::http::Method;
use clap::{Args, Subcommand};

use crate::api::types;
use crate::api::types::enrolments::{CreateEnrolment, CreatedEnrolment, EnrolmentView, RevokedEnrolment};
use crate::api::types::server::ServerSettings;
use crate::model::account::Note;
use crate::model::enrolment::{AllowedLabel, EnrolmentId};
use crate::model::time::Span;

use super::error::Result;
use super::networks::networks;
use super::numbers::whole_number;
use super::operator::Operator;
use super::output::Output;
use super::table::{cell, list};
use super::target::Target;
use crate::model::time::relative::{relative, with_relative};

/// `enrol ...`
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create a token; it is printed only now
    Create(CreateEnrolmentArgs),
    /// List tokens: what they allow, and how often they were used
    List(Output),
    /// Revoke a token; accounts that were registered with it stay
    Revoke(RevokeEnrolmentArgs),
}

/// `enrol create`
#[derive(Debug, Args)]
pub struct CreateEnrolmentArgs {
    /// The number of registrations; 0 allows only lego's storage
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = whole_number)]
    count: u32,
    /// How long the token is valid, like 24h
    #[arg(long, value_name = "SPAN", default_value = "7d")]
    lifetime: Span,
    /// A network from which the token may be used; may be repeated
    #[arg(long, value_name = "CIDR")]
    allowfrom: Vec<String>,
    /// A label that the token gives, or, with a star at the end, labels to choose from; may be repeated [default: random ones]
    #[arg(long, value_name = "LABEL")]
    label: Vec<AllowedLabel>,
    /// A remark
    #[arg(long)]
    note: Option<Note>,
    #[command(flatten)]
    output: Output,
}

/// `enrol revoke ID`
#[derive(Debug, Args)]
pub struct RevokeEnrolmentArgs {
    /// The token's id, as the list shows it
    id: EnrolmentId,
    #[command(flatten)]
    output: Output,
}

/// Runs a command.
pub fn run(command: Command, target: &Target) -> Result<()> {
    let operator = Operator::connect(target)?;
    match command {
        Command::Create(wanted) => create(&operator, &wanted),
        Command::List(output) => {
            let reply: types::list::List<EnrolmentView> = operator.ask(Method::GET, "/enrolments")?;
            output.print(&reply, show_list)
        }
        Command::Revoke(RevokeEnrolmentArgs { id, output }) => {
            let reply: RevokedEnrolment = operator.ask(Method::DELETE, &format!("/enrolments/{id}"))?;
            output.print(&reply, |reply| format!("{} revoked", reply.revoked))
        }
    }
}

fn create(operator: &Operator, wanted: &CreateEnrolmentArgs) -> Result<()> {
    let body = CreateEnrolment {
        uses: Some(wanted.count),
        lifetime: Some(wanted.lifetime),
        allowfrom: Some(networks(&wanted.allowfrom)?),
        labels: wanted.label.clone(),
        note: wanted.note.clone(),
    };
    let reply: CreatedEnrolment = operator.send(Method::POST, "/enrolments", &body)?;
    let is_open = operator.ask::<ServerSettings>(Method::GET, "/server")?.is_open;
    wanted.output.print(&reply, |reply| instructions(reply, is_open))
}

/// What to do with a new token.
fn instructions(reply: &CreatedEnrolment, is_open: bool) -> String {
    let token = reply.token.as_str();
    let id = reply.enrolment.id;
    let expires = with_relative(&reply.enrolment.expires);
    let note =
        if is_open { "\n\nRegistration is open here: nobody needs a token, except for lego's storage." } else { "" };
    format!(
        "token:   {token}\nid:      {id}\nexpires: {expires}\n\n\
         Give the token to those who may register. A client sends it in one of three ways:\n\
         password in the URL  https://txtgate:{token}@HOST\n\
         path of the URL      https://HOST/{token}\n\
         header               Authorization: Bearer {token}\n\
         It is not stored and not shown again.{note}"
    )
}

fn show_list(reply: &types::list::List<EnrolmentView>) -> String {
    let rows: Vec<_> = reply.items.iter().map(list_row).collect();
    let empty = "there are no enrolment tokens; `txtgate enrol create` creates one";
    list(&["id", "state", "used", "ends", "note", "labels", "allowfrom"], &rows, empty)
}

fn list_row(enrolment: &EnrolmentView) -> Vec<String> {
    vec![
        cell(&enrolment.id),
        cell(&enrolment.state),
        format!("{} of {}", enrolment.used, enrolment.uses),
        relative(&enrolment.expires),
        cell(&enrolment.note),
        cell(&enrolment.labels),
        cell(&enrolment.allowfrom),
    ]
}
