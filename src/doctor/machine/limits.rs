//! Limits of the process and the machine: open files, memory.

use rustix::process::{Resource, getrlimit};

use crate::delegation::finding::Assessment;

use super::super::check::{Check, Group};
use super::super::examination::Examination;
use super::super::fault::Fault;
use super::super::findings::Findings;

/// Fewer open files than this are a warning: the listeners alone admit more connections.
const FEW_FILES: u64 = 1_024;
/// Less available memory than this, in KiB, is a warning.
const LITTLE_MEMORY: u64 = 64 << 10;

pub static CHECK: Check = Check {
    id: "limits",
    group: Group::Machine,
    title: "Limits",
    looks_at: "How many files and connections the daemon may have open at once (RLIMIT_NOFILE), and how much memory the \
               machine has left.",
    after: &[],
    faults: &[&FILES, &MEMORY],
    run: |examination, findings| Box::pin(run(examination, findings)),
};

const FILES: Fault = Fault {
    code: "few-descriptors",
    assessment: Assessment::Warning,
    meaning: "in a flood of connections the daemon refuses some that its own limits would admit",
    mend: "raise the limit: `LimitNOFILE=65536` in the unit, or `ulimit -n 65536` before `txtgate serve`",
};

const MEMORY: Fault = Fault {
    code: "little-memory",
    assessment: Assessment::Warning,
    meaning: "the kernel may end the daemon to get memory",
    mend: "find what takes it: `ps aux --sort=-rss | head`; or give the machine more",
};

async fn run(examination: &Examination, findings: &mut Findings) {
    if examination.daemon.is_some() {
        // No limit at all counts as the largest.
        let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let question = "the limit of open files (RLIMIT_NOFILE)";
        match files {
            few if few < FEW_FILES => findings.add(FILES.found("the daemon", question, few)),
            enough => findings.good("the daemon", question, enough),
        }
    }
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let Some(available) = available(&text) else { return };
    let question = "the memory that is available (MemAvailable)";
    let answer = format!("{} MiB", available >> 10);
    match available {
        little if little < LITTLE_MEMORY => findings.add(MEMORY.found("the machine", question, answer)),
        _ => findings.good("the machine", question, answer),
    }
}

/// The available memory in KiB.
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_memory_line_is_read() {
        assert_eq!(available("MemTotal:  8 kB\nMemAvailable:   7654321 kB\n"), Some(7_654_321));
        assert_eq!(available("MemTotal:  8 kB\n"), None);
    }
}
