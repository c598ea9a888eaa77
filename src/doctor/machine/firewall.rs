//! Whether a firewall of this machine is switched on that may close port 53.

use std::path::Path;

use crate::delegation::finding::Assessment;

use super::super::check::{Check, Group};
use super::super::examination::Examination;
use super::super::fault::Fault;
use super::super::findings::Findings;

/// Whether ufw is on, and its rules.
const UFW: [&str; 3] = ["/etc/ufw/ufw.conf", "/etc/ufw/user.rules", "/etc/ufw/user6.rules"];
/// Where firewalld says that it runs.
const FIREWALLD: &str = "/run/firewalld";

pub static CHECK: Check = Check {
    id: "firewall",
    group: Group::Machine,
    title: "Firewall",
    looks_at: "Whether ufw is on without a rule for the port of DNS, as far as its files can be read; whether firewalld \
               runs. Firewalls elsewhere, and rules of others, show only in the checks of the delegation.",
    after: &[],
    faults: &[&UFW_CLOSED],
    run: |examination, findings| Box::pin(run(examination, findings)),
};

const UFW_CLOSED: Fault = Fault {
    code: "firewall-closed",
    assessment: Assessment::Warning,
    meaning: "ufw is on and has no rule for the port, so queries from outside are dropped",
    mend: "let queries in: `ufw allow 53`, which means UDP and TCP",
};

async fn run(examination: &Examination, findings: &mut Findings) {
    let [settings, rules, _] = UFW.map(|path| std::fs::read_to_string(path).ok());
    let is_on = settings.is_some_and(|text| text.lines().any(|line| line.trim() == "ENABLED=yes"));
    let ports = || examination.config.dns.listen.iter().filter(|address| !address.ip().is_loopback());
    let mut closed: Vec<u16> = ports().map(|address| address.port()).collect();
    closed.dedup();
    if is_on && let Some(rules) = &rules {
        for port in closed.into_iter().filter(|port| !mentions(rules, *port)) {
            let question = format!("a rule for port {port} in {}", UFW[1]);
            findings.add(
                UFW_CLOSED
                    .found("ufw", question, "there is none")
                    .advice(format!("let queries in: `ufw allow {port}`, which means UDP and TCP")),
            );
        }
    } else if is_on {
        findings.good("ufw", "the rules of ufw", "it is on, and its rules cannot be read; `ufw status` shows them");
    }
    if Path::new(FIREWALLD).exists() {
        let answer = "it runs; `firewall-cmd --list-all` shows whether the service dns is let in";
        findings.good("firewalld", "whether firewalld runs", answer);
    }
}

/// Whether a rule names the port, alone or in a list.
fn mentions(rules: &str, port: u16) -> bool {
    let port = port.to_string();
    let lines = rules.lines().filter(|line| line.starts_with("-A ") && line.contains("dport"));
    lines.flat_map(|line| line.split([' ', ','])).any(|word| word == port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_of_ufw_are_read() {
        let rules =
            "*filter\n### tuple ### allow any 53\n-A ufw-user-input -p tcp -m multiport --dports 80,53 -j ACCEPT\n";
        assert!(mentions(rules, 53) && mentions(rules, 80) && !mentions(rules, 443));
        assert!(!mentions("-A ufw-user-input -p tcp --sport 53 -j ACCEPT", 53));
    }
}
