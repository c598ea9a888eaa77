//! A line that moves while the checks run.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::api::types::doctor::Progress;

/// How often the line moves.
const TURN: Duration = Duration::from_millis(100);

/// A line on standard error, if that is a terminal.
pub struct Bar(ProgressBar);

impl Bar {
    /// A line that says that something is under way.
    pub fn new() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{spinner} examining: {pos} of {len} checks have ended");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        bar.enable_steady_tick(TURN);
        Self(bar)
    }

    /// Shows what has happened.
    pub fn tell(&self, progress: &Progress) {
        match progress {
            Progress::Started(checks) => self.0.set_length(u64::try_from(*checks).unwrap_or(u64::MAX)),
            Progress::Ended(_) => self.0.inc(1),
        }
    }

    /// Removes the line.
    pub fn end(&self) {
        self.0.finish_and_clear();
    }
}
