//! The `txtgate` command: see the library's documentation for the architecture.

use std::process::ExitCode;

use clap::Parser;
use txtgate::cli::{Cli, run};

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("txtgate: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
