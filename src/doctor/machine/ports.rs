//! Whether the addresses of DNS are free for a daemon that does not run.

use std::net::SocketAddr;

use crate::delegation::finding::Assessment;
use crate::net::bind::{self, BindError};
use crate::net::inherited::Inherited;

use super::super::check::{Check, Group};
use super::super::examination::Examination;
use super::super::fault::Fault;
use super::super::findings::Findings;

pub static CHECK: Check = Check {
    id: "ports",
    group: Group::Machine,
    title: "Ports",
    looks_at: "Where no daemon runs: whether the addresses of `dns.listen` exist and are free, over UDP and TCP, and who \
               holds those that are not.",
    after: &["configuration"],
    faults: &[&TAKEN, &ABSENT],
    run: |examination, findings| Box::pin(run(examination, findings)),
};

const TAKEN: Fault = Fault {
    code: "port-taken",
    assessment: Assessment::Fault,
    meaning: "the daemon cannot start, and another program answers in its place",
    mend: "stop the other program, or have it listen elsewhere",
};

const ABSENT: Fault = Fault {
    code: "address-absent",
    assessment: Assessment::Fault,
    meaning: "the daemon cannot start",
    mend: "write an address of this machine to `dns.listen`, or 0.0.0.0 for all",
};

async fn run(examination: &Examination, findings: &mut Findings) {
    if examination.daemon.is_some() {
        return;
    }
    for &address in &examination.config.dns.listen {
        let tried =
            tokio::task::spawn_blocking(move || bind::udp_and_tcp(address, 1, &mut Inherited::default()).map(drop));
        // An error says that the runtime ends.
        if let Ok(tried) = tried.await {
            judge(address, tried, findings);
        }
    }
}

/// A port that needs a privilege says nothing here: the daemon has it, and who types may not.
fn judge(address: SocketAddr, tried: Result<(), BindError>, findings: &mut Findings) {
    let question = format!("whether {address} is free for UDP and TCP");
    match tried {
        Ok(()) => findings.good(address, question, "it is free"),
        Err(BindError::Permission { .. }) => findings.good(address, question, "only the daemon's user may try"),
        Err(BindError::InUse { protocol, holder, advice, .. }) => {
            let answer = format!("{protocol} {address} is in use by {holder}");
            findings.add(TAKEN.found(address, question, answer).advice(advice));
        }
        Err(error) => findings.add(ABSENT.found(address, question, error)),
    }
}
