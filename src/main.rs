//! The `txtgate` command: see the library's documentation for the architecture.

use std::process::ExitCode;

use txtgate::cli::{CliError, parse, run, tell};

fn main() -> ExitCode {
    match run(parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !matches!(error, CliError::Closed) {
                tell(&error);
            }
            ExitCode::from(error.exit_code())
        }
    }
}
