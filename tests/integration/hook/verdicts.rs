//! The hook tells what the server saw of the CA's queries.

use crate::harness::dns::{TXT, Udp, query};
use crate::harness::ports::free_port;
use crate::harness::resolver::Resolver;
use crate::harness::{Account, Process, Settings, value};

use super::{Machine, with_account};

#[test]
fn a_client_that_cleans_up_reads_who_has_asked() {
    let (daemon, machine, account) = with_account();
    for (number, words) in [["deploy_challenge", "clean_challenge"], ["begin", "failed"]].into_iter().enumerate() {
        let txt = value(number as u64);
        let call = |word| match word {
            "begin" | "failed" => vec![word, "dns-01", "example.com", "t", txt.as_str()],
            _ => vec![word, "example.com", "t", txt.as_str()],
        };
        let said = machine.run_ok(&call(words[0]));
        assert!(!said.err.contains("asked"), "{said:?}");
        for network in 1..=3 {
            let resolver = Udp::from(&format!("127.0.{network}.1"), daemon.dns());
            resolver.ask(&query(&account.fulldomain, TXT));
        }
        let said = machine.run_ok(&call(words[1]));
        assert!(said.err.starts_with("txtgate: example.com: 3 networks asked within "), "{said:?}");
        assert!(said.err.trim_end().ends_with("of publication, each got this value"), "{said:?}");
    }
}

#[test]
fn a_client_reads_that_the_cname_leads_to_another_account() {
    let dns = free_port();
    let resolver = Resolver::start(dns);
    let settings = Settings::default().top(&format!("resolvers = [\"{}\"]", resolver.address));
    let daemon = Process::start(&settings.with("dns", &format!("listen = [\"{dns}\"]")));
    let machine = Machine::at(&format!("http://{}", daemon.api()));
    let machine = machine.with("TXTGATE_RESOLVER", resolver.address.to_string());
    machine.run_ok(&["register", "example.com"]);
    let own = Account::of(&machine.accounts()["example.com"]);
    let other = Account::register(daemon.api());
    resolver.add(&format!("_acme-challenge.example.com. CNAME {}.", other.fulldomain));
    machine.run_ok(&["begin", "dns-01", "example.com", "t", &value(1)]);
    let said = machine.run_ok(&["failed", "dns-01", "example.com", "t", &value(1)]);
    let expected = format!(
        "txtgate: example.com: nobody has asked here: _acme-challenge.example.com leads to {}, which is another account's \
         name; let its CNAME lead to {}",
        other.fulldomain, own.fulldomain
    );
    assert!(said.err.contains(&expected), "{expected} in {said:?}");
}

#[test]
fn a_wait_that_runs_out_ends_with_what_the_server_has_seen() {
    let (_daemon, machine, _) = with_account();
    let resolver = Resolver::start(free_port());
    let machine = machine.with("TXTGATE_RESOLVER", resolver.address.to_string()).with("TXTGATE_WAIT", "1s".to_owned());
    machine.run_err(&["setup", "example.com", &value(1)], 3, &["the server has seen this: nobody has asked"]);
}
