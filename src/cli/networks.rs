//! Networks on the command line.

use crate::model::account::AllowFrom;

use super::error::{CliError, Result};

/// The networks of all `--allowfrom` together.
pub fn networks(texts: &[String]) -> Result<AllowFrom> {
    AllowFrom::parse(texts).map_err(|error| CliError::Usage(format!("--allowfrom: {error}")))
}
