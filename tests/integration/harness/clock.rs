//! A machine whose clock is wrong.

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use super::Launch;

/// A library that a daemon loads before its own, and that moves the machine's clock for it.
pub struct WrongClock {
    folder: TempDir,
}

impl WrongClock {
    /// Builds the library; `None` where there is no C compiler.
    pub fn build() -> Option<Self> {
        let built = Self { folder: tempfile::tempdir().unwrap() };
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/integration/harness/clock.c");
        let compiler = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(built.library()).arg(source).output();
        match compiler {
            Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr)),
            Err(error) => {
                super::skip("a wrong clock", &format!("it needs a C compiler, and cc does not run: {error}"));
                return None;
            }
        }
        Some(built)
    }

    fn library(&self) -> PathBuf {
        self.folder.path().join("clock.so")
    }

    /// Starts a daemon whose clock is so many seconds ahead, or behind where they are negative.
    pub fn ahead(&self, seconds: i64) -> Launch {
        let library = format!("LD_PRELOAD={}", self.library().display());
        let offset = format!("CLOCK_OFFSET={seconds}");
        Launch { wrapper: vec!["env".to_owned(), library, offset], ..Launch::default() }
    }
}
