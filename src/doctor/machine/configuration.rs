//! Whether the file of the configuration is what the daemon runs with.

use std::path::PathBuf;

use crate::config::Config;
use crate::delegation::finding::Assessment;

use super::super::check::{Check, Group};
use super::super::examination::{Examination, read_digest};
use super::super::fault::Fault;
use super::super::findings::Findings;

pub static CHECK: Check = Check {
    id: "configuration",
    group: Group::Machine,
    title: "Configuration",
    looks_at: "Whether the file of the configuration can be read, and is what the daemon runs with.",
    after: &[],
    faults: &[&BROKEN, &RESTART, &RELOAD],
    run: |examination, findings| Box::pin(run(examination, findings)),
};

const BROKEN: Fault = Fault {
    code: "config-broken",
    assessment: Assessment::Fault,
    meaning: "the daemon goes on with what it has read before, and does not start again with this file",
    mend: "correct the lines that `txtgate config check` names",
};

const RESTART: Fault = Fault {
    code: "config-needs-restart",
    assessment: Assessment::Warning,
    meaning: "keys of the file differ from those in use, and take effect only at a start",
    mend: "restart the daemon: `systemctl restart txtgate`",
};

const RELOAD: Fault = Fault {
    code: "config-needs-reload",
    assessment: Assessment::Warning,
    meaning: "the file has changed since the daemon has read it",
    mend: "have the daemon read it again: `systemctl reload txtgate`",
};

async fn run(examination: &Examination, findings: &mut Findings) {
    let path = examination.config.path.clone();
    let shown = path.display().to_string();
    // The configuration may come from standard input or from the environment alone.
    if !path.is_file() {
        return findings.good("the configuration", "where the configuration is", "it is not in a file");
    }
    let question = format!("the configuration in {shown}");
    let read = tokio::task::spawn_blocking(move || Config::read(&path)).await;
    let new = match read {
        Ok(Ok(new)) => new,
        Ok(Err(error)) => return findings.add(BROKEN.found(&shown, question, first_line(&error.to_string()))),
        // The runtime ends.
        Err(_) => return,
    };
    if examination.daemon.is_none() {
        return findings.good(&shown, question, "it can be read");
    }
    let restart = examination.config.needing_restart(&new);
    if !restart.is_empty() {
        let keys = restart.join(", ");
        findings.add(RESTART.found(&shown, question, format!("changed since the start: {keys}")));
    } else if is_changed(examination.config.path.clone(), examination.config_digest).await {
        findings.add(RELOAD.found(&shown, question, "changed since the daemon has read it"));
    } else {
        findings.good(&shown, question, "it is what the daemon runs with");
    }
}

async fn is_changed(path: PathBuf, known: Option<[u8; 32]>) -> bool {
    let now = read_digest(path).await;
    known.is_some() && now.is_some() && known != now
}

fn first_line(text: &str) -> String {
    let count = text.lines().count();
    let first = text.lines().next().unwrap_or_default();
    if count > 1 { format!("{first} (and {} more lines)", count - 1) } else { first.to_owned() }
}
