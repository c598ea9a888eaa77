//! `status`: what the running daemon serves.

use axum::http::Method;

use crate::api::types::status::Status;
use crate::config::Config;

use super::details::details;
use super::error::Result;
use super::operator::Operator;
use super::output::Output;

/// Prints the daemon's status.
pub fn status(output: Output, config: &Config) -> Result<()> {
    let status: Status = Operator::connect(config)?.ask(Method::GET, "/status")?;
    output.print(&status, details)
}
