//! Whether a firewall of this machine is switched on that may close port 53.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;

use crate::delegation::finding::Assessment;

use super::super::check::{Check, Group};
use super::super::examination::Examination;
use super::super::fault::Fault;
use super::super::findings::Findings;

/// Whether ufw is on.
const UFW: &str = "/etc/ufw/ufw.conf";
/// Its rules for IPv4, and for IPv6.
const RULES_V4: &str = "/etc/ufw/user.rules";
const RULES_V6: &str = "/etc/ufw/user6.rules";
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
    let settings = std::fs::read_to_string(UFW).unwrap_or_default();
    if settings.lines().any(|line| line.trim() == "ENABLED=yes") {
        for (path, ports) in ports_by_rules(&examination.config.dns.listen) {
            judge(path, std::fs::read_to_string(path).ok().as_deref(), &ports, findings);
        }
    }
    if Path::new(FIREWALLD).exists() {
        let answer = "it runs; `firewall-cmd --list-all` shows whether the service dns is let in";
        findings.good("firewalld", "whether firewalld runs", answer);
    }
}

/// The ports of DNS that others reach, by the file with the rules for their family of addresses.
fn ports_by_rules(listen: &[SocketAddr]) -> BTreeMap<&'static str, BTreeSet<u16>> {
    let mut ports: BTreeMap<_, BTreeSet<u16>> = BTreeMap::new();
    for address in listen.iter().filter(|address| !address.ip().is_loopback()) {
        let path = if address.is_ipv4() { RULES_V4 } else { RULES_V6 };
        ports.entry(path).or_default().insert(address.port());
    }
    ports
}

fn judge(path: &str, rules: Option<&str>, ports: &BTreeSet<u16>, findings: &mut Findings) {
    let Some(rules) = rules else {
        let answer = "it is on, and its rules cannot be read; `ufw status` shows them";
        return findings.good("ufw", format!("the rules of ufw in {path}"), answer);
    };
    for port in ports.iter().filter(|port| !mentions(rules, **port)) {
        let question = format!("a rule for port {port} in {path}");
        let advice = format!("let queries in: `ufw allow {port}`, which means UDP and TCP");
        findings.add(UFW_CLOSED.found("ufw", question, "there is none").advice(advice));
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

    /// A listener on IPv6 alone was looked for in the rules for IPv4.
    #[test]
    fn each_port_is_looked_for_once_in_the_rules_of_its_family() {
        let listen = ["[::]:53", "0.0.0.0:5353", "[::]:5353", "[2001:db8::1]:53", "127.0.0.1:54"];
        let ports = ports_by_rules(&listen.map(|address| address.parse().unwrap()));
        let expected = [(RULES_V4, BTreeSet::from([5353])), (RULES_V6, BTreeSet::from([53, 5353]))];
        assert_eq!(ports, BTreeMap::from(expected));
        let mut findings = Findings::default();
        let rules = "-A ufw6-user-input -p udp --dport 53 -j ACCEPT\n";
        judge(RULES_V6, Some(rules), &ports[RULES_V6], &mut findings);
        let found = findings.into_vec();
        assert!(found.len() == 1 && found[0].finding.question.contains("port 5353"), "{found:?}");
    }

    #[test]
    fn rules_of_ufw_are_read() {
        let rules =
            "*filter\n### tuple ### allow any 53\n-A ufw-user-input -p tcp -m multiport --dports 80,53 -j ACCEPT\n";
        assert!(mentions(rules, 53) && mentions(rules, 80) && !mentions(rules, 443));
        assert!(!mentions("-A ufw-user-input -p tcp --sport 53 -j ACCEPT", 53));
    }
}
