//! Shows the progress of a certificate's names: moving lines on a terminal, plain lines elsewhere.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rustix::termios::tcgetwinsize;

use crate::api::types::certificates::ManagedCertificateView;
use crate::certificates::progress::{NameProgress, NameState};

use crate::cli::error::Result;
use crate::cli::output::print;
use crate::cli::table::printable;

/// Rows and columns of a terminal that does not report its size.
const USUAL: (usize, usize) = (24, 80);
const SPINNER: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/// An order as it is shown.
pub struct Progress {
    /// The certificate's name.
    title: String,
    seen: ShownProgress,
    /// The moving lines; hidden if the output is not a terminal, or a dumb one.
    bar: ProgressBar,
    is_coloured: bool,
    turn: usize,
}

/// What was last shown.
#[derive(Debug, Default)]
struct ShownProgress {
    stage: Option<String>,
    progress: Vec<NameProgress>,
}

impl Progress {
    /// Nothing is shown yet.
    pub fn new(title: &str) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stdout());
        // Of one line or several, as `frame` gives it; the fallback is for a template that does not read.
        bar.set_style(ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner()));
        // https://no-color.org: whatever it is set to, but for nothing.
        let is_coloured = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { title: title.to_owned(), seen: ShownProgress::default(), bar, is_coloured, turn: 0 }
    }

    /// Shows the changes in the daemon's view of the certificate.
    pub fn update(&mut self, now: &ManagedCertificateView) -> Result<()> {
        let now = ShownProgress { stage: now.report.stage.clone(), progress: now.progress.clone() };
        if self.bar.is_hidden() {
            self.print_news(&now)?
        } else {
            self.draw(&now)
        }
        self.seen = now;
        Ok(())
    }

    /// Removes the moving lines.
    pub fn end(&self) {
        let steps = &self.seen.progress;
        if self.is_long(steps.len()) {
            let worst = steps.iter().map(|step| step.state).find(|state| *state != NameState::Proven);
            let mark = self.mark(worst.unwrap_or(NameState::Proven));
            self.bar.println(format!("{mark} {}: {}", self.title, counted(steps)));
        }
        self.bar.finish_and_clear();
    }

    fn print_news(&self, now: &ShownProgress) -> Result<()> {
        if let Some(stage) = now.stage.as_ref().filter(|_| now.stage != self.seen.stage) {
            print(&format!("{}: {}", self.title, printable(stage)))?;
        }
        news(&self.seen.progress, &now.progress).try_for_each(|step| print(&format!("{}: {}", self.title, line(step))))
    }

    fn draw(&mut self, now: &ShownProgress) {
        let stage = now.stage.as_ref().or(self.seen.stage.as_ref()).map(|stage| printable(stage)).unwrap_or_default();
        let spinner = SPINNER[self.turn % SPINNER.len()];
        // First of all: what ends now has no line among those that move when its last one is printed above them.
        self.bar.set_message(frame(spinner, &self.title, &stage, &now.progress, size()));
        for step in news(&self.seen.progress, &now.progress).filter(|step| step.state.is_final()) {
            if step.state != NameState::Proven || !self.is_long(now.progress.len()) {
                self.bar.println(format!("{} {}", self.mark(step.state), line(step)));
            }
        }
        self.turn += 1;
    }

    /// Whether the terminal has too few lines for the names. Then names that are proven are only counted.
    fn is_long(&self, names: usize) -> bool {
        names > room(size())
    }

    fn mark(&self, state: NameState) -> &'static str {
        match (state, self.is_coloured) {
            (NameState::Proven, true) => "\x1b[32m✓\x1b[0m",
            (NameState::Proven, false) => "✓",
            (_, true) => "\x1b[31m✗\x1b[0m",
            (_, false) => "✗",
        }
    }
}

/// The names whose state has changed. A name that waits is no news.
fn news<'a>(before: &'a [NameProgress], now: &'a [NameProgress]) -> impl Iterator<Item = &'a NameProgress> {
    let is_known = |step: &NameProgress| before.iter().any(|old| old.name == step.name && old.state == step.state);
    now.iter().filter(move |step| step.state != NameState::Waiting && !is_known(step))
}

fn line(step: &NameProgress) -> String {
    let problem = step.problem.as_ref().map(|problem| format!(": {}", printable(problem))).unwrap_or_default();
    format!("{}: {}{problem}", printable(&step.name), step.state)
}

fn counted(steps: &[NameProgress]) -> String {
    let is = |state: NameState| steps.iter().filter(|step| step.state == state).count();
    let failed = is(NameState::Failed) + is(NameState::RecordMissing);
    let failed = if failed > 0 { format!(", {failed} failed") } else { String::new() };
    format!("{} of {} names proven{failed}", is(NameState::Proven), steps.len())
}

/// The moving lines: the overall progress, and the names that are not done, as many as there is room for.
fn frame(spinner: char, title: &str, stage: &str, steps: &[NameProgress], size: (usize, usize)) -> String {
    let count = if steps.is_empty() { String::new() } else { format!("{}; ", counted(steps)) };
    let mut lines = vec![format!("{spinner} {title}: {count}{stage}")];
    let open: Vec<&NameProgress> = steps.iter().filter(|step| !step.state.is_final()).collect();
    lines.extend(open.iter().take(room(size)).map(|step| format!("  {spinner} {}", line(step))));
    if open.len() > room(size) {
        lines.push(format!("    and {} more", open.len() - room(size)));
    }
    let cut = |line: &String| line.chars().take(size.1.saturating_sub(1)).collect::<String>();
    lines.iter().map(cut).collect::<Vec<_>>().join("\n")
}

/// The lines for names: all except the first line, the line for names left out, and the cursor's line.
fn room((rows, _): (usize, usize)) -> usize {
    rows.saturating_sub(3).max(1)
}

fn size() -> (usize, usize) {
    let size = tcgetwinsize(std::io::stdout()).map(|size| (size.ws_row.into(), size.ws_col.into()));
    size.ok().filter(|(rows, columns)| *rows > 0 && *columns > 0).unwrap_or(USUAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(states: impl IntoIterator<Item = NameState>) -> Vec<NameProgress> {
        let step = |(number, state)| NameProgress { name: format!("n{number}.example"), state, problem: None };
        states.into_iter().enumerate().map(step).collect()
    }

    #[test]
    fn a_hundred_names_fit_into_a_terminal_and_are_counted() {
        let some = |state, count| std::iter::repeat_n(state, count);
        let all = some(NameState::Proven, 30).chain(some(NameState::Failed, 2)).chain(some(NameState::Answered, 68));
        let frame = frame('*', "cert", "proving 100 names", &steps(all), (24, 50));
        let lines: Vec<&str> = frame.lines().collect();
        assert_eq!(lines.len(), 23, "{frame}");
        assert_eq!(lines[0], "* cert: 30 of 100 names proven, 2 failed; proving");
        assert_eq!((lines[1], lines[22]), ("  * n32.example: the CA is looking", "    and 47 more"));
    }

    #[test]
    fn a_few_names_have_a_line_each_until_they_end() {
        let steps = steps([NameState::Published, NameState::Proven, NameState::Waiting]);
        let expected = "* a: 1 of 3 names proven; b\n  * n0.example: value published\n  * n2.example: waiting";
        assert_eq!(frame('*', "a", "b", &steps, (24, 80)), expected);
        assert_eq!(frame('*', "a", "b", &[], (0, 80)), "* a: b");
    }

    #[test]
    fn only_what_has_changed_is_news() {
        let before = steps([NameState::Published, NameState::Waiting, NameState::Proven]);
        let mut now = steps([NameState::Failed, NameState::Waiting, NameState::Proven]);
        now[0].problem = Some("no\u{1b}[2J".into());
        let lines: Vec<String> = news(&before, &now).map(line).collect();
        assert_eq!(lines, ["n0.example: failed: no?[2J"]);
        assert_eq!(news(&[], &before).count(), 2);
        assert_eq!(counted(&now), "1 of 3 names proven, 1 failed");
    }
}
