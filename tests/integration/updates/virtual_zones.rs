//! Aliases as zones of their own, for clients that look for the zone of `_acme-challenge.example.com` where there is
//! only a CNAME.

use hickory_proto::op::ResponseCode::*;

use super::{Site, account_with_key};
use crate::harness::dns::{A, ANY, NS, SOA, TXT, ask, query};
use crate::harness::http::request;
use crate::harness::update::{ANY_CLASS, NONE, Update, record};
use crate::harness::{Settings, ZONE, value};

const ALIAS: &str = "_acme-challenge.example.com";

fn open() -> Settings {
    Settings::default().with("dns", "open-virtual-zones = true")
}

impl Site {
    fn with_alias(settings: &Settings) -> Self {
        let site = Self::of(settings);
        site.daemon.home().run_ok(&["account", "alias", "add", &site.account.username, ALIAS]);
        site
    }

    fn rcode(&self, update: &Update) -> hickory_proto::op::ResponseCode {
        self.key.ask(self.daemon.dns(), &update.bytes()).rcode()
    }
}

#[test]
fn an_alias_is_a_zone_for_its_account() {
    let site = Site::with_alias(&Settings::default());
    for name in [ALIAS, "_ACME-Challenge.Example.COM"] {
        let reply = site.key.ask(site.daemon.dns(), &query(name, SOA));
        assert_eq!((reply.rcode(), reply.is_authoritative(), reply.of_type(SOA)), (NoError, true, 1));
        assert!(reply.answers()[0].name.to_ascii().eq_ignore_ascii_case(&format!("{ALIAS}.")), "{reply:?}");
    }
    assert_eq!(site.rcode(&Update::of(ALIAS).add(ALIAS, &value(1))), NoError);
    assert_eq!(site.served(), [value(1)], "it is stored where the alias leads");
    assert_eq!(site.rcode(&Update::of(&ALIAS.to_uppercase()).add(&ALIAS.to_uppercase(), &value(2))), NoError);
    assert_eq!(site.rcode(&Update::of(ALIAS).delete(ALIAS, &value(1))), NoError);
    assert_eq!(site.served(), [value(2)]);
    assert_eq!(site.rcode(&Update::of(ALIAS).clear(ALIAS, ANY)), NoError);
    assert_eq!(site.served(), [""; 0]);
}

#[test]
fn beside_the_soa_nothing_is_there() {
    let site = Site::with_alias(&open());
    site.account.publish(site.daemon.api(), &value(1));
    for rtype in [TXT, A, NS, ANY] {
        assert_eq!(site.key.ask(site.daemon.dns(), &query(ALIAS, rtype)).rcode(), Refused, "{rtype}");
        assert_eq!(ask(site.daemon.dns(), &query(ALIAS, rtype)).rcode(), Refused, "{rtype}");
    }
    for name in ["example.com", "_acme-challenge.www.example.com", &format!("x.{ALIAS}"), "com"] {
        assert_eq!(site.key.ask(site.daemon.dns(), &query(name, SOA)).rcode(), Refused, "{name}");
        assert_eq!(ask(site.daemon.dns(), &query(name, SOA)).rcode(), Refused, "{name}");
    }
    for (update, rcode) in [
        (Update::of("example.com").add(ALIAS, &value(2)), NotAuth),
        (Update::of("_acme-challenge.www.example.com").add("_acme-challenge.www.example.com", &value(2)), NotAuth),
        (Update::of(ALIAS).add("example.com", &value(2)), NotZone),
        (Update::of(ALIAS).add(site.name(), &value(2)), NotZone),
        (Update::of(ALIAS).add(&format!("x.{ALIAS}"), &value(2)), Refused),
        (Update::of(ZONE).add(ALIAS, &value(2)), NotZone),
        (Update::of(ALIAS).then(record(ALIAS, A, 1, 60, &[192, 0, 2, 1])), Refused),
    ] {
        assert_eq!(site.rcode(&update), rcode, "{update:?}");
    }
    assert_eq!(site.served(), [value(1)]);
}

/// RFC 2136 section 2.4 at such an apex: it holds a SOA always, and the account's values.
#[test]
fn prerequisites_see_the_values_behind_the_alias() {
    let site = Site::with_alias(&Settings::default());
    let when = |rtype, class| Update::of(ALIAS).when(record(ALIAS, rtype, class, 0, &[]));
    assert_eq!(site.rcode(&when(TXT, NONE).add(ALIAS, &value(1))), NoError);
    for (update, rcode) in [
        (when(TXT, NONE), YXRRSet),
        (when(TXT, ANY_CLASS), NoError),
        (when(SOA, ANY_CLASS), NoError),
        (when(ANY, NONE), YXDomain),
        (when(ANY, ANY_CLASS), NoError),
    ] {
        assert_eq!(site.rcode(&update), rcode, "{update:?}");
    }
}

/// Nobody can squat a name: whose key signs is who is meant, and nobody hears of the others.
#[test]
fn each_account_has_an_alias_for_itself() {
    let site = Site::with_alias(&Settings::default());
    let (other, other_key) = account_with_key(site.daemon.home(), "hmac-sha256");
    let soa = query(ALIAS, SOA);
    let update = |number| Update::of(ALIAS).add(ALIAS, &value(number)).bytes();
    assert_eq!(other_key.ask(site.daemon.dns(), &soa).rcode(), Refused, "it is somebody else's");
    assert_eq!(other_key.ask(site.daemon.dns(), &update(1)).rcode(), NotAuth);
    assert_eq!(ask(site.daemon.dns(), &soa).rcode(), Refused, "the configuration does not say otherwise");
    let [user, key] = other.headers();
    let body = format!(r#"{{"alias":"{ALIAS}"}}"#);
    let added = crate::harness::http::connect(site.daemon.api()).exchange(request(
        "POST",
        "/v1/aliases",
        &[&user, &key],
        &body,
    ));
    assert_eq!(added.status, 200, "{added:?}");
    assert_eq!(other_key.ask(site.daemon.dns(), &soa).of_type(SOA), 1);
    assert_eq!(other_key.ask(site.daemon.dns(), &update(1)).rcode(), NoError);
    assert_eq!(site.key.ask(site.daemon.dns(), &update(2)).rcode(), NoError);
    assert_eq!(site.served(), [value(2)]);
    assert_eq!(crate::harness::dns::txts(site.daemon.dns(), &other.fulldomain), [value(1)]);
    site.daemon.home().run_ok(&["account", "alias", "remove", &other.username, ALIAS]);
    assert_eq!(other_key.ask(site.daemon.dns(), &update(3)).rcode(), NotAuth);
    assert_eq!(other_key.ask(site.daemon.dns(), &soa).rcode(), Refused);
}

#[test]
fn an_unsigned_question_is_answered_where_the_configuration_says_so() {
    let site = Site::with_alias(&open());
    let soa = |name: &str| ask(site.daemon.dns(), &query(name, SOA));
    let reply = soa(ALIAS);
    assert_eq!((reply.rcode(), reply.is_authoritative(), reply.of_type(SOA)), (NoError, true, 1));
    site.daemon.home().run_ok(&["account", "alias", "remove", &site.account.username, ALIAS]);
    assert_eq!(soa(ALIAS).rcode(), Refused);
    site.daemon.home().run_ok(&["account", "alias", "add", &site.account.username, ALIAS]);
    assert_eq!(soa(ALIAS).rcode(), NoError);
    site.daemon.home().run_ok(&["account", "tsig", "delete", &site.account.username]);
    assert_eq!(soa(ALIAS).rcode(), Refused, "without a key nobody can send an UPDATE");
}
