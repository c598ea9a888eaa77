//! The hook goes where a CNAME leads.

use crate::harness::dns::txts;
use crate::harness::resolver::Resolver;
use crate::harness::{Account, Process, Settings, value};

use super::Machine;

/// A daemon, a resolver in front of it, and a machine with an account for `apex.test`, whose CNAME is there.
fn with_apex() -> (Process, Resolver, Machine, Account) {
    let daemon = Process::start(&Settings::default());
    let resolver = Resolver::start(daemon.dns());
    let machine = Machine::at(&format!("http://{}", daemon.api()));
    let machine = machine.with("TXTGATE_RESOLVER", resolver.address.to_string());
    machine.run_ok(&["register", "apex.test"]);
    let account = Account::of(&machine.accounts()["apex.test"]);
    resolver.add(&format!("_acme-challenge.apex.test. CNAME {}.", account.fulldomain));
    (daemon, resolver, machine, account)
}

#[test]
fn the_account_to_which_a_chain_of_cnames_leads_is_used() {
    let (daemon, resolver, machine, account) = with_apex();
    resolver.add("_acme-challenge.oib.apex.test. CNAME _acme-challenge.apex.test.");
    resolver.add("_acme-challenge.far.test. CNAME alias.other.test.");
    resolver.add("alias.other.test. CNAME _acme-challenge.oib.apex.test.");
    resolver.add(&format!("_acme-challenge.direct.test. CNAME {}.", account.fulldomain.to_uppercase()));
    let before = machine.accounts();
    for domain in ["oib.apex.test", "*.oib.apex.test", "far.test", "*.direct.test", "OIB.Apex.test."] {
        machine.run_ok(&["deploy_challenge", domain, "t", &value(1)]);
        assert_eq!(txts(daemon.dns(), &account.fulldomain), [value(1)], "{domain}");
        machine.run_ok(&["clean_challenge", domain, "t", &value(1)]);
        assert_eq!(txts(daemon.dns(), &account.fulldomain), [""; 0], "{domain}");
    }
    let said = machine.run_ok(&["register", "oib.apex.test"]);
    assert!(said.out.contains(&format!("CNAME {}.", account.fulldomain)), "{said:?}");
    assert_eq!(machine.accounts(), before, "nothing is registered beside it");
}

/// Registered by a hook that did not look, or before the CNAME was changed.
#[test]
fn the_cname_decides_where_the_file_has_another_account_for_the_domain() {
    let (daemon, resolver, machine, account) = with_apex();
    machine.run_ok(&["register", "oib.test"]);
    let own = Account::of(&machine.accounts()["oib.test"]);
    machine.run_ok(&["setup", "oib.test", &value(1)]);
    assert_eq!(txts(daemon.dns(), &own.fulldomain), [value(1)], "without a CNAME the file decides");
    resolver.add("_acme-challenge.oib.test. CNAME _acme-challenge.apex.test.");
    machine.run_ok(&["setup", "oib.test", &value(2)]);
    assert_eq!(txts(daemon.dns(), &account.fulldomain), [value(2)]);
    assert_eq!(txts(daemon.dns(), &own.fulldomain), [value(1)]);
    // It leads to nobody's name: the value goes where it went, and the user is told.
    resolver.add("_acme-challenge.oib.test. CNAME elsewhere.test.");
    let said = machine.run_ok(&["setup", "oib.test", &value(3)]);
    assert_eq!(txts(daemon.dns(), &own.fulldomain), [value(3), value(1)]);
    assert!(said.err.contains("_acme-challenge.oib.test leads to elsewhere.test by CNAME"), "{said:?}");
}

/// The record that is missing is that of the domain at the end of the chain.
#[test]
fn a_chain_that_ends_at_another_domains_challenge_registers_that_domain() {
    let (daemon, resolver, machine, _) = with_apex();
    resolver.add("_acme-challenge.www.late.test. CNAME _acme-challenge.late.test.");
    let said = machine.run(&["setup", "www.late.test", &value(1)]);
    let account = Account::of(&machine.accounts()["late.test"]);
    let record = format!("_acme-challenge.late.test. CNAME {}.", account.fulldomain);
    assert!(said.code == Some(3) && said.err.contains(&record), "{record} in {said:?}");
    assert!(machine.accounts()["www.late.test"].is_null());
    machine.run_ok(&["setup", "www.late.test", &value(1)]);
    assert_eq!(txts(daemon.dns(), &account.fulldomain), [value(1)]);
}

#[test]
fn a_cname_that_leads_to_nobody_in_the_file_registers_nothing() {
    let (_daemon, resolver, machine, _) = with_apex();
    resolver.add("_acme-challenge.moved.test. CNAME label.auth.elsewhere.test.");
    let before = machine.accounts();
    machine.run_err(
        &["setup", "moved.test", &value(1)],
        1,
        &[
            "_acme-challenge.moved.test leads to label.auth.elsewhere.test by CNAME",
            "accounts.json",
            "delete the CNAME",
        ],
    );
    assert_eq!(machine.accounts(), before);
    // Somebody who asks for an account gets one, to put its CNAME in the place of the other.
    let said = machine.run_ok(&["register", "moved.test"]);
    let account = Account::of(&machine.accounts()["moved.test"]);
    assert!(said.out.contains(&format!("_acme-challenge.moved.test. CNAME {}.", account.fulldomain)), "{said:?}");
}

#[test]
fn where_no_resolver_answers_the_file_decides() {
    let (daemon, _, machine, account) = with_apex();
    // The daemon is not a resolver: it refuses.
    let machine = machine.with("TXTGATE_RESOLVER", daemon.dns().to_string());
    machine.run_ok(&["setup", "apex.test", &value(1)]);
    assert_eq!(txts(daemon.dns(), &account.fulldomain), [value(1)]);
    let said = machine.run(&["setup", "new.test", &value(2)]);
    assert!(said.code == Some(3) && said.err.contains("_acme-challenge.new.test. CNAME"), "{said:?}");
}
