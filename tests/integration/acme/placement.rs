//! Where a name's challenge leads, as the daemon sees it from where it stands.

use std::net::SocketAddr;

use crate::harness::ca_lab::CaLab;
use crate::harness::ports::free_port;
use crate::harness::resolver::Resolver;
use crate::harness::standin::{ResponsePolicy, StandIn};
use crate::harness::{Account, Home};

use super::managed::pair;

/// Has the daemon ask another resolver than the CA, from its next start on.
fn inside(lab: &CaLab<StandIn>, home: &Home, resolver: SocketAddr) {
    let text = lab.settings.text().replace(&lab.resolver.address.to_string(), &resolver.to_string());
    std::fs::write(home.config(), text).unwrap();
}

/// As behind a NAT that sends nothing back inside.
#[test]
fn a_cname_that_leads_here_is_seen_where_the_resolver_cannot_reach_this_server() {
    let lab = CaLab::new(ResponsePolicy::default());
    let home = Home::new(&lab.settings);
    let elsewhere = Resolver::start(free_port());
    inside(&lab, &home, elsewhere.address);
    let _daemon = home.start();
    home.run_err(&["cert", "issue", "--name", "a.example.com"]);
    for record in lab.add_missing(&home, "a.example.com") {
        elsewhere.add(&record);
    }
    home.run_ok(&["cert", "renew", "a.example.com"]);
    assert!(pair(&home, "a.example.com").is_some());
}

/// A CNAME may lead to the label of an account, where an ACME client was before the daemon.
#[test]
fn a_renewal_that_cannot_look_up_a_name_publishes_where_it_led_before() {
    let lab = CaLab::new(ResponsePolicy::default());
    let home = Home::new(&lab.settings);
    let daemon = home.start();
    let account = Account::register(daemon.api());
    lab.resolver.add(&format!("_acme-challenge.a.example.com. CNAME {}.", account.fulldomain));
    home.run_ok(&["cert", "issue", "--name", "a.example.com"]);
    let (dns, before) = (daemon.dns(), pair(&home, "a.example.com").unwrap().info.serial);
    daemon.kill();

    // It refuses to look at anything but its own zone.
    inside(&lab, &home, dns);
    let _daemon = home.start();
    home.run_ok(&["cert", "renew", "a.example.com"]);
    assert_ne!(pair(&home, "a.example.com").unwrap().info.serial, before);

    // One of its names was never proven: nobody knows where that leads.
    let orders = lab.ca.orders();
    let (_, said) = home.run_err(&["cert", "issue", "--name", "a.example.com", "--name", "b.example.com"]);
    assert!(said.contains("_acme-challenge.b.example.com") && said.contains("could not look up"), "{said}");
    assert!(!said.contains("_acme-challenge.a.example.com"), "{said}");
    assert_eq!(lab.ca.orders(), orders);
}
