//! Whether the certificate authority of the daemon's own certificates can be reached.

use crate::acme::AcmeError;
use crate::config::Certificate;
use crate::delegation::finding::Assessment;

use super::super::check::{Check, Group};
use super::super::examination::Examination;
use super::super::fault::Fault;
use super::super::findings::Findings;

pub static CHECK: Check = Check {
    id: "ca",
    group: Group::Machine,
    title: "Certificate authority",
    looks_at: "Whether the directory of the CA in [acme] can be fetched over TLS; only where the daemon gets certificates \
               itself. No account is opened, and nothing is ordered.",
    after: &[],
    faults: &[&UNREACHABLE, &NOT_ACME],
    run: |examination, findings| Box::pin(run(examination, findings)),
};

const UNREACHABLE: Fault = Fault {
    code: "ca-unreachable",
    assessment: Assessment::Fault,
    meaning: "the daemon cannot get or renew certificates",
    mend: "try `curl -v` with the URL from this machine; look at its resolver, at firewalls, and for a CA of your own at \
           `ca-root` in [acme]",
};

const NOT_ACME: Fault = Fault {
    code: "ca-no-directory",
    assessment: Assessment::Fault,
    meaning: "the daemon cannot get or renew certificates",
    mend: "write the URL of the CA's directory to `directory` in [acme], as the CA's documentation names it",
};

async fn run(examination: &Examination, findings: &mut Findings) {
    if !is_used(examination) {
        return;
    }
    let url = &examination.config.acme.directory;
    let question = format!("the directory {url}");
    match examination.reached_authority().await {
        Ok(reached) => {
            let terms = reached.directory.meta.terms_of_service.as_deref().unwrap_or("none");
            findings.good("the CA", question, format!("it can be reached; its terms are {terms}"));
        }
        Err(error @ AcmeError::NotAcme { .. }) => findings.add(NOT_ACME.found("the CA", question, error)),
        Err(error) => findings.add(UNREACHABLE.found("the CA", question, error)),
    }
}

/// Whether the daemon gets certificates itself. Nobody else's CA is asked.
pub(super) fn is_used(examination: &Examination) -> bool {
    let config = &examination.config;
    let is_wanted = matches!(config.api.tls, Some(Certificate::Own(_))) || !config.certificates.is_empty();
    is_wanted || config.acme.state.is_dir()
}
