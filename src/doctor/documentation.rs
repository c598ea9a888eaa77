//! The documentation of the doctor, from the tables of its checks.

use crate::delegation::finding::Assessment;

use super::check::{Check, Group};
use super::fault::Fault;
use super::registry::checks;
use super::run::{LIMIT, UNFINISHED};

/// All checks and faults as a page in Markdown.
pub fn markdown() -> String {
    let mut out = introduction();
    for group in [Group::Machine, Group::Delegation, Group::Names, Group::Vantage] {
        out += &format!("\n## {}\n", group.title());
        checks().filter(|check| check.group == group).for_each(|check| out += &of_check(check));
    }
    out
}

fn introduction() -> String {
    format!(
        "# The doctor\n\n\
         <!-- Generated: `txtgate doctor --list > docs/doctor.md`. A test compares this page with the checks. -->\n\n\
         `txtgate doctor [NAME...]` examines the set-up: the machine, the daemon, the delegation of each zone from the root \
         down, the\ngiven names, and what resolvers elsewhere see. The running daemon examines itself; without one the \
         command examines what it can\nsee. All checks run side by side, within {limit} seconds even where servers do not \
         answer.\n\n\
         Each check has a line: `✓` as it should be, `!` works or unknown, `✗` a CA finds nothing or something wrong. Below \
         it stand the\nfindings, each with a code from the tables here and what to do. A finding that follows from an earlier \
         one says so; the last line\nnames the one to begin with. `--verbose` also shows what was asked and what came back, \
         and `--json` prints all of it.\nExit codes: 0 nothing is wrong, 1 there are findings, 2 the command line or the \
         configuration is wrong.\n\n\
         The daemon examines itself after its start and once a day, and logs what is wrong: \
         [`[doctor]`](configuration.md#doctor).\n`GET /doctor` of the admin API has the last report, and `POST /doctor` \
         makes a new one.\n\n\
         `--hints ADDR:PORT` begins at a private root, whose port then is that of every nameserver below it. `--resolver` \
         asks a\nrecursive resolver elsewhere for a value that the daemon publishes for the purpose, and compares. Nobody \
         beyond the nameservers\nof your own names, the root's and the CA is asked unless you name them.\n\n\
         Any check that does not end in time reports `{unfinished}`: {meaning}.\n",
        limit = LIMIT.as_secs(),
        unfinished = UNFINISHED.code,
        meaning = UNFINISHED.meaning,
    )
}

fn of_check(check: &Check) -> String {
    let mut out = format!("\n### {}\n\n{}", check.title, check.looks_at);
    if !check.after.is_empty() {
        let before: Vec<String> = check.after.iter().map(|id| format!("`{id}`")).collect();
        out += &format!(" Comes after {}.", before.join(", "));
    }
    out += &format!(" Its name in reports is `{}`.\n", check.id);
    if !check.faults.is_empty() {
        out += "\n| | code | what it means | what to do |\n|---|---|---|---|\n";
        check.faults.iter().for_each(|fault| out += &row(fault));
    }
    out
}

fn row(fault: &Fault) -> String {
    let mark = match fault.assessment {
        Assessment::Fault => "✗",
        Assessment::Warning | Assessment::Unknown => "!",
        Assessment::Good => "✓",
    };
    format!("| {mark} | `{}` | {} | {} |\n", fault.code, cell(fault.meaning), cell(fault.mend))
}

/// A text within a row: a bar would end the cell.
fn cell(text: &str) -> String {
    let mut letters = text.replace('|', "\\|");
    if let Some(first) = letters.get(..1).map(str::to_uppercase).filter(|_| !letters.starts_with('`')) {
        letters.replace_range(..1, &first);
    }
    letters
}
