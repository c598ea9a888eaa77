//! The `txtgate` command: see the library's documentation for the architecture.

use std::process::ExitCode;

use txtgate::cli::{parse, run};

fn main() -> ExitCode {
    match run(parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("txtgate: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
