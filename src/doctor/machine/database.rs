//! Whether the database takes changes.

use crate::delegation::finding::Assessment;

use super::super::check::{Check, Group};
use super::super::examination::Examination;
use super::super::fault::Fault;
use super::super::findings::Findings;

pub static CHECK: Check = Check {
    id: "database",
    group: Group::Machine,
    title: "Database",
    looks_at: "Whether the database is in place and whole, and the last write and read succeeded in time.",
    after: &["disk"],
    faults: &[&UNWELL, &CLOSED],
    run: |examination, findings| Box::pin(run(examination, findings)),
};

const UNWELL: Fault = Fault {
    code: "database-unhealthy",
    assessment: Assessment::Fault,
    meaning: "changes are refused; DNS goes on with what was loaded",
    mend: "see docs/operations.md, \"Disk full, database locked or gone\"",
};

const CLOSED: Fault = Fault {
    code: "database-closed",
    assessment: Assessment::Fault,
    meaning: "accounts and values are not known",
    mend: "see docs/operations.md, \"Disk full, database locked or gone\"",
};

async fn run(examination: &Examination, findings: &mut Findings) {
    let path = examination.config.database.display();
    let question = format!("the state of {path}");
    let Some(publisher) = &examination.publisher else {
        match &examination.database_problem {
            Some(problem) => findings.add(CLOSED.found(path, question, problem)),
            None => findings.good(path, question, "there is none yet; the first start creates it"),
        }
        return;
    };
    let store = publisher.store().clone();
    match tokio::task::spawn_blocking(move || store.problem()).await {
        Ok(None) => findings.good(path, question, "changes can be stored"),
        Ok(Some(problem)) => findings.add(UNWELL.found(path, question, problem)),
        // The runtime ends.
        Err(_) => {}
    }
}
