use crate::config::Method;
use crate::delegation::issuer::IssuerIdentity;
use crate::delegation::tests::{zone, zone_named};
use crate::net::dns_client::tests::Resolver;

use super::*;

async fn search(method: ValidationMethod) -> (Resolver, TargetSearch) {
    let resolver = Resolver::start().await;
    let search = TargetSearch {
        zones: Zones::new(vec![zone(), zone_named("_acme-challenge.example.com", "")]),
        client: resolver.client(),
        method,
        proven_before: ProvenTargets::new(),
        now: Timestamp::from_unix(1_000),
    };
    (resolver, search)
}

fn persistent() -> ValidationMethod {
    let issuer = IssuerIdentity {
        caa_identities: vec!["ca.test".into()],
        issuer_domain_names: Vec::new(),
        account: "https://ca.test/acct/1".parse().unwrap(),
        account_hash: None,
        method: Method::DnsPersist01,
        caa_record: None,
    };
    ValidationMethod::DnsPersist01(PersistRequirement::new(&issuer, None))
}

async fn check(search: &TargetSearch, name: &str) -> TargetCheck {
    search.check(&[name.parse().unwrap()]).await.remove(0)
}

fn owner(search: &TargetSearch, name: &str) -> Owner {
    owner_at(&search.zones, &name.parse().unwrap()).unwrap()
}

#[tokio::test]
async fn a_cname_must_lead_to_an_owner_that_is_served() {
    let (resolver, search) = search(ValidationMethod::Dns01).await;
    resolver.cname("_acme-challenge.a.test.", "alias.test.");
    resolver.cname("alias.test.", "shop.auth.example.org.");
    resolver.cname("_acme-challenge.b.test.", "off.auth.example.org.");
    resolver.cname("_acme-challenge.c.test.", "nobody.auth.example.org.");
    resolver.cname("_acme-challenge.d.test.", "_acme-challenge.d.test.");
    resolver.tell("_acme-challenge.e.test.", &[]);
    resolver.cname("_acme-challenge.g.test.", "shop.auth.example.org.g.test.");
    let found = check(&search, "*.a.test").await;
    assert_eq!(found.location, Location::Owner(owner(&search, "shop.auth.example.org")));
    for (name, answer) in [
        ("b.test", "it leads to off.auth.example.org"),
        ("c.test", "it leads to nobody.auth.example.org"),
        ("d.test", "the CNAMEs from _acme-challenge.d.test on form a loop"),
        ("e.test", "it is not a CNAME"),
        ("f.test", "the name _acme-challenge.f.test does not exist"),
        ("g.test", "it leads to shop.auth.example.org.g.test: a closing dot is missing behind `shop.auth.example.org`"),
    ] {
        let check = check(&search, name).await;
        assert!(check.location == Location::Absent && check.finding.is_fault(), "{check:?}");
        assert!(check.finding.answer.starts_with(answer), "{check:?}");
        assert_eq!(check.finding.needed.unwrap().name, format!("_acme-challenge.{name}"));
    }
}

/// A resolver that fails does not show that there is no CNAME.
#[tokio::test]
async fn a_cname_that_cannot_be_looked_up_is_unknown_and_not_missing() {
    for method in [ValidationMethod::Dns01, persistent()] {
        let (resolver, mut search) = search(method).await;
        resolver.fail();
        let unknown = check(&search, "a.test").await;
        assert!(unknown.location == Location::Absent && unknown.finding.is_unknown(), "{unknown:?}");
        assert!(unknown.finding.answer.contains("the resolver could not look up "), "{unknown:?}");

        // It is assumed to lead where it led for the last certificate, if that is an owner still.
        let looked_at = unknown.looked_at.to_string();
        search.proven_before.insert(looked_at.clone(), "shop.auth.example.org".into());
        let assumed = check(&search, "a.test").await;
        assert_eq!(assumed.location, Location::Owner(owner(&search, "shop.auth.example.org")));
        assert!(assumed.finding.is_unknown(), "{assumed:?}");
        search.proven_before.insert(looked_at, "off.auth.example.org".into());
        assert!(matches!(check(&search, "a.test").await.location, Location::Absent | Location::Foreign));
    }
}

#[tokio::test]
async fn a_persistent_authorization_in_another_zone_is_assumed_to_be_there_still() {
    let (resolver, mut search) = search(persistent()).await;
    let missing = check(&search, "a.test").await;
    assert!(missing.location == Location::Absent && missing.finding.is_fault(), "{missing:?}");
    let txt = missing.finding.needed.unwrap().txt.unwrap();
    assert_eq!(txt, "\"ca.test; accounturi=https://ca.test/acct/1\"");
    resolver.fail();
    let at = missing.looked_at.to_string();
    search.proven_before.insert(at.clone(), at);
    let assumed = check(&search, "a.test").await;
    assert!(assumed.location == Location::Foreign && assumed.finding.is_unknown(), "{assumed:?}");
}

#[tokio::test]
async fn names_in_zones_of_this_server_need_no_cname() {
    let (resolver, search) = search(ValidationMethod::Dns01).await;
    resolver.fail();
    let own = check(&search, "auth.example.org").await;
    assert_eq!(own.location, Location::Owner(owner(&search, "_acme-challenge.auth.example.org")));
    let below = check(&search, "x.auth.example.org").await;
    assert_eq!(below.location, Location::Impossible);
    let cover = "x.auth.example.org: it lies in this server's zone auth.example.org; ask for auth.example.org and \
                 *.auth.example.org, which cover it";
    assert_eq!(below.finding.to_string(), cover);
    let unowned = check(&search, "example.com").await;
    assert_eq!(
        (unowned.location, &*unowned.finding.answer),
        (Location::Impossible, "nobody owns _acme-challenge.example.com")
    );
    let zones = search.zones.load();
    zones[1].live.put("", Some(OwnerState::Empty));
    let owned = check(&search, "example.com").await;
    assert_eq!(owned.location, Location::Owner(owner(&search, "_acme-challenge.example.com")));
}
