//! Whether a daemon runs.

use crate::delegation::finding::Assessment;

use super::super::check::{Check, Group};
use super::super::examination::Examination;
use super::super::fault::Fault;
use super::super::findings::Findings;

pub static CHECK: Check = Check {
    id: "daemon",
    group: Group::Machine,
    title: "Daemon",
    looks_at: "Whether a daemon runs with this configuration.",
    after: &["configuration", "database", "ports"],
    faults: &[&DOWN],
    run: |examination, findings| Box::pin(run(examination, findings)),
};

const DOWN: Fault = Fault {
    code: "daemon-down",
    assessment: Assessment::Fault,
    meaning: "nobody answers for the zones",
    mend: "start the daemon: `systemctl start txtgate`, or `txtgate serve` with the same --config",
};

async fn run(examination: &Examination, findings: &mut Findings) {
    let socket = examination.config.admin_socket.display();
    let question = format!("a daemon on {socket}");
    match &examination.daemon {
        Some(daemon) => {
            let answer = format!("it has run for {} s", daemon.started.elapsed().as_secs());
            findings.good("the daemon", question, answer);
        }
        None => findings.add(DOWN.found("the daemon", question, format!("no daemon answers on {socket}"))),
    }
}
