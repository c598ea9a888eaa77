//! The methods beside dns-01: dns-account-01 and dns-persist-01, at a CA that offers them, or does not.

use serde_json::{Value, json};

use crate::harness::ca_lab::{CaLab, cname};
use crate::harness::dns::{TXT, ask, query, txts};
use crate::harness::standin::{ISSUER, ResponsePolicy, StandIn, What, label};
use crate::harness::{Home, ZONE, until};

use super::managed::{pair, show};
use super::own::report;

const ALL: [&str; 3] = ["dns-01", "dns-account-01", "dns-persist-01"];

/// A CA that says beforehand by which name records know it.
fn lab(method: &str) -> CaLab<StandIn> {
    lab_with(method, json!({ "meta": { "caaIdentities": [ISSUER] } }))
}

fn lab_with(method: &str, directory: Value) -> CaLab<StandIn> {
    let mut lab = CaLab::new(ResponsePolicy { methods: ALL.into(), directory, ..ResponsePolicy::default() });
    lab.settings = lab.settings.with("acme", &format!("challenge = \"{method}\""));
    lab
}

/// The URL of the first account.
fn account_of(lab: &CaLab<StandIn>) -> String {
    format!("{}/account/0", lab.ca.base())
}

/// What is missing for a certificate, the one record.
fn missing(home: &Home, name: &str) -> Value {
    show(home, name)["missing"][0].clone()
}

fn text(record: &Value, key: &str) -> String {
    record[key].as_str().unwrap_or_else(|| panic!("{key} in {record}")).to_owned()
}

fn issue(home: &Home, more: &[&str]) -> (Option<i32>, String, String) {
    let output = home.run(&[&["cert", "issue", "--name"], more].concat());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// The persistent authorizations that are published, with their names.
fn published(home: &Home) -> Vec<(String, String)> {
    let list: Value = serde_json::from_str(&home.run_ok(&["persist", "list", "--json"])).unwrap();
    let values = list["items"].as_array().unwrap_or_else(|| panic!("{list}"));
    values.iter().map(|value| (text(value, "name"), text(value, "value"))).collect()
}

fn values(home: &Home) -> usize {
    let list: Value = serde_json::from_str(&home.run_ok(&["txt", "list", "--json"])).unwrap();
    list["items"].as_array().unwrap().len()
}

#[test]
fn an_accounts_label_stands_beside_somebody_elses_cname() {
    let lab = lab("dns-account-01");
    let home = Home::new(&lab.settings);
    let daemon = home.start();
    lab.resolver.add("_acme-challenge.a.example.com. CNAME elsewhere.test.");
    let (code, out, said) = issue(&home, &["a.example.com", "--name", "*.a.example.com"]);
    let record = missing(&home, "a.example.com");
    let looked_at = format!("{}._acme-challenge.a.example.com", label(&account_of(&lab)));
    assert_eq!((code, text(&record, "name")), (Some(3), looked_at.clone()), "{said}");
    assert!(out.contains(&format!("\n{looked_at}. CNAME {}.\n", text(&record, "target"))), "{out}");
    assert_eq!(lab.ca.orders(), 0, "nothing is ordered before");
    let account: Value = serde_json::from_str(&home.run_ok(&["acme", "account", "show", "--json"])).unwrap();
    assert_eq!(account["label"], label(&account_of(&lab)));

    lab.resolver.add(&format!("{looked_at}. CNAME {}.", text(&record, "target")));
    lab.resolver.add("example.com. CAA 0 issue \"ca.test; validationmethods=dns-01\"");
    let (_, said) = home.run_err(&["cert", "renew", "a.example.com"]);
    assert!(
        said.contains("CAA records forbid this CA") && said.contains("validationmethods=dns-account-01\"`"),
        "{said}"
    );
    lab.resolver.add("example.com. CAA 0 issue \"ca.test; validationmethods=dns-account-01\"");
    home.run_ok(&["cert", "renew", "a.example.com"]);
    assert_eq!(pair(&home, "a.example.com").unwrap().info.names.len(), 2);
    assert_eq!((values(&home), lab.ca.asked("/challenge")), (0, 2), "values are retired");
    assert!(show(&home, "a.example.com")["caa"].as_str().unwrap().contains("validationmethods=dns-account-01"));

    // Another certificate of the same daemon may be proven otherwise.
    let (code, _, _) = issue(&home, &["b.example.com", "--challenge", "dns-01"]);
    let record = missing(&home, "b.example.com");
    assert_eq!((code, text(&record, "name").as_str()), (Some(3), "_acme-challenge.b.example.com"));
    lab.resolver.add(&format!("_acme-challenge.b.example.com. CNAME {}.", text(&record, "target")));
    lab.resolver.add("example.com. CAA 0 issue \"ca.test\"");
    home.run_ok(&["cert", "renew", "b.example.com"]);
    let (code, _, said) = issue(&home, &["c.example.com", "--challenge", "http-01"]);
    assert!(code == Some(2) && said.contains("http-01") && said.contains("dns-persist-01"), "{said}");
    drop(daemon);
}

#[test]
fn the_apis_name_is_proven_below_the_daemons_own_challenges() {
    let policy = || ResponsePolicy { methods: ALL.into(), ..ResponsePolicy::default() };
    let own = |ca: &StandIn| {
        let names = format!("mode = \"acme\"\nnames = [\"{ZONE}\", \"*.{ZONE}\"]");
        ca.settings().with("api.tls", &names).with("acme", "challenge = \"dns-account-01\"")
    };
    for done in [false, true] {
        let ca = StandIn::start(policy());
        let home = Home::new(&own(&ca));
        ca.fault("/challenge", What::Hang { done });
        let daemon = home.start();
        ca.hangs();
        let name = format!("{}._acme-challenge.{ZONE}", label(&format!("{}/account/0", ca.base())));
        assert_eq!(txts(daemon.dns(), &name).len(), 2, "a value for the name, and one for the wildcard");
        for other in [format!("{}.{ZONE}", &name[..17]), format!("x.{name}"), format!("_acme-challenge.{name}")] {
            assert_eq!(txts(daemon.dns(), &other), [""; 0], "{other}");
        }
        daemon.kill();
        let daemon = home.start();
        until("the certificate is there", || home.path().join("acme/api.pem").exists());
        until("it is told of", || report(&home)["self_signed"] == false);
        assert_eq!(ca.orders(), 1, "the order is gone on with");
        let left = txts(daemon.dns(), &name);
        // Where the CA has heard of one of them already, that is not published again by the second life; it expires.
        assert_eq!(left.len(), usize::from(done), "{left:?}");
        if left.is_empty() {
            let reply = ask(daemon.dns(), &query(&name, TXT));
            reply.assert_negative(hickory_proto::op::ResponseCode::NXDomain);
        }
    }
}

#[test]
fn delegated_challenge_zones_need_no_cname() {
    let ca = StandIn::start(ResponsePolicy { methods: ALL.into(), ..ResponsePolicy::default() });
    let zone = |name: &str| format!("[[zone]]\nname = {name:?}\nns = [\"ns1.{ZONE}\"]\ncontact = \"a@example.com\"");
    let settings = ca.settings().with("acme", "challenge = \"dns-account-01\"").with("values", "persist = true");
    let both = ["_acme-challenge.example.com", "_validation-persist.example.net"].map(zone).join("\n");
    let home = Home::new(&settings.more(&both));
    let _daemon = home.start();
    let (code, _, said) = issue(&home, &["example.com"]);
    assert!(code == Some(1) && said.contains("nobody owns _acme-challenge.example.com"), "{said}");
    home.run_ok(&["account", "create", "example.com", "--zone", "_acme-challenge.example.com"]);
    home.run_ok(&["cert", "renew", "example.com"]);
    assert_eq!(values(&home), 0);

    // The same of a zone that is looked at for persistent authorizations.
    let (code, _, said) = issue(&home, &["example.net", "--challenge", "dns-persist-01"]);
    assert!(code == Some(1) && said.contains("nobody owns _validation-persist.example.net"), "{said}");
    home.run_ok(&["account", "create", "example.net", "--zone", "_validation-persist.example.net"]);
    home.run_ok(&["cert", "renew", "example.net"]);
    assert_eq!(published(&home)[0].0, "_validation-persist.example.net");
}

#[test]
fn what_a_ca_does_not_offer_is_an_error_and_nothing_else_is_tried() {
    let ca = StandIn::start(ResponsePolicy::default());
    let settings = ca.settings().with("api.tls", "mode = \"acme\"").with("acme", "challenge = \"dns-account-01\"");
    let home = Home::new(&settings);
    let daemon = home.start();
    until("it has failed", || report(&home)["failures"] != 0);
    let problem = report(&home)["problem"].as_str().unwrap().to_owned();
    let said =
        format!("the CA offers no dns-account-01 for {ZONE}; it offers http-01, dns-01; set another `challenge`");
    assert!(problem.starts_with(&said), "{problem}");
    assert_eq!(ca.asked("/challenge"), 0);
    daemon.kill();
    home.write(&settings.with("acme", "challenge = \"dns-01\""));
    let _daemon = home.start();
    until("the certificate is there", || home.path().join("acme/api.pem").exists());
}

#[test]
fn a_persistent_authorization_is_published_once_and_stays() {
    let lab = lab("dns-persist-01");
    let settings = lab.settings.clone().with("values", "persist = true");
    let home = Home::new(&settings);
    let daemon = home.start();
    let (code, out, said) = issue(&home, &["a.example.com"]);
    let record = missing(&home, "a.example.com");
    let (target, plain) = (text(&record, "target"), format!("{ISSUER}; accounturi={}", account_of(&lab)));
    assert!(
        code == Some(3) && said.contains("persistent authorizations are missing: _validation-persist.a.example.com: "),
        "{said}"
    );
    let looked_at = "_validation-persist.a.example.com";
    let either = format!("\n{looked_at}. CNAME {target}.\nor, in place of it,\n{looked_at}. TXT \"{plain}\"\n");
    assert!(out.contains(&either), "{out}");
    assert_eq!((published(&home).len(), lab.ca.orders()), (0, 0), "nothing is granted, nor ordered");

    lab.resolver.add(&format!("{looked_at}. CNAME {target}."));
    lab.ca.fault("/challenge", What::Hang { done: false });
    let renewing = {
        let home = home.clone();
        std::thread::spawn(move || _ = home.run(&["cert", "renew", "a.example.com"]))
    };
    lab.ca.hangs();
    daemon.kill();
    renewing.join().unwrap();
    let daemon = home.start();
    until("the order is gone on with", || pair(&home, "a.example.com").is_some());
    assert_eq!((lab.ca.orders(), values(&home)), (1, 0));
    assert_eq!(published(&home), [(target.clone(), plain.clone())]);
    home.run_ok(&["cert", "renew", "a.example.com"]);
    assert_eq!(published(&home), [(target.clone(), plain.clone())], "the same serves again");

    // The operator sees it, and may take it away; the next certificate brings it back.
    home.run_ok(&["persist", "retire", &target]);
    assert_eq!(published(&home), []);
    home.run_ok(&["cert", "renew", "a.example.com"]);
    assert_eq!(published(&home).len(), 1);

    // A wildcard needs more; what it covers goes.
    let all = format!("{plain}; policy=wildcard");
    let (code, _, said) = issue(&home, &["a.example.com", "--name", "*.a.example.com"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(published(&home), [(target.clone(), all.clone())]);
    daemon.kill();
    let daemon = home.start();
    assert_eq!(txts(daemon.dns(), &target), [all.as_str()], "it has survived");

    // Another certificate relies on it as well.
    let (code, _, said) = issue(&home, &["a.example.com", "--cert-name", "second"]);
    assert_eq!(code, Some(0), "{said}");
    let out = home.run_ok(&["cert", "delete", "second"]);
    assert!(!out.contains("withdrawn") && published(&home).len() == 1, "{out}");
    let out = home.run_ok(&["cert", "delete", "a.example.com"]);
    assert!(out.contains(&format!("are withdrawn:\n{looked_at}. TXT \"{all}\"")), "{out}");
    assert_eq!((published(&home), txts(daemon.dns(), &target)), (Vec::new(), Vec::new()));
}

#[test]
fn a_grant_that_is_not_needed_any_more_is_withdrawn() {
    let lab = lab("dns-persist-01");
    let home =
        Home::new(&lab.settings.clone().with("values", "persist = true").with("acme", "persist-lifetime = \"90d\""));
    let _daemon = home.start();
    issue(&home, &["a.example.com"]);
    let target = text(&missing(&home, "a.example.com"), "target");
    for name in ["_validation-persist", "_acme-challenge"] {
        lab.resolver.add(&format!("{name}.a.example.com. CNAME {target}."));
    }
    home.run_ok(&["cert", "renew", "a.example.com"]);
    let until: u64 = published(&home)[0].1.rsplit_once("; persistUntil=").unwrap().1.parse().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    assert!((now + 89 * 86_400..=now + 90 * 86_400).contains(&until), "{until}");
    let (code, _, said) = issue(&home, &["a.example.com", "--challenge", "dns-01"]);
    assert_eq!((code, published(&home).len()), (Some(0), 1), "no other certificate was needed: {said}");
    home.run_ok(&["cert", "renew", "a.example.com"]);
    assert_eq!(published(&home), []);
}

#[test]
fn a_record_in_somebody_elses_zone_is_looked_at() {
    let lab = lab("dns-persist-01");
    let home = Home::new(&lab.settings);
    let _daemon = home.start();
    let at = "_validation-persist.a.example.com";
    let plain = format!("{ISSUER}; accounturi={}", account_of(&lab));
    let (code, out, _) = issue(&home, &["*.a.example.com"]);
    assert!(code == Some(3) && out.contains(&format!("\n{at}. TXT \"{plain}; policy=wildcard\"\n")), "{out}");
    assert!(!out.contains("CNAME"), "nothing may be published here: {out}");
    for (wrong, what) in [
        (format!("{plain}; policy=wildcard;"), "is malformed"),
        (plain.clone(), "has no policy=wildcard"),
        (format!("x.test; accounturi={}", account_of(&lab)), "is for another CA"),
        (format!("{plain}0; policy=wildcard"), "is for another account"),
        (format!("{plain}; policy=wildcard; persistUntil=1"), "has expired by its persistUntil"),
    ] {
        lab.resolver.add(&format!("{at}. TXT \"{wrong}\""));
        let (code, said) = home.run_err(&["cert", "renew", "a.example.com"]);
        assert!(code == Some(3) && said.contains(&format!("its TXT \"{wrong}\" {what}")), "{wrong}: {said}");
    }
    assert_eq!(lab.ca.orders(), 0, "nothing was ordered");
    lab.resolver.add(&format!("{at}. TXT \"{plain}; policy=wildcard\""));
    home.run_ok(&["cert", "renew", "a.example.com"]);
    let out = home.run_ok(&["cert", "delete", "a.example.com"]);
    assert!(out.contains(&format!("delete them yourself:\n{at}. TXT \"{plain}; policy=wildcard\"")), "{out}");

    // A CNAME that leads here is of no use as long as nothing is published here.
    let label = home.run_ok(&["account", "create", "b.example.com", "--json"]);
    let fulldomain = text(&serde_json::from_str(&label).unwrap(), "fulldomain");
    lab.resolver.add(&format!("_validation-persist.b.example.com. CNAME {fulldomain}."));
    let (code, _, said) = issue(&home, &["b.example.com"]);
    assert!(code == Some(1) && said.contains("`persist = true` in [values]"), "{said}");
    assert_eq!(lab.ca.orders(), 1, "that of the certificate before");
}

/// For a renewal; a first certificate is not ordered then.
#[test]
fn what_cannot_be_looked_up_is_taken_to_be_as_before() {
    let lab = lab("dns-persist-01");
    let settings = lab.settings.clone().with("values", "persist = true");
    let home = Home::new(&settings);
    let daemon = home.start();
    issue(&home, &["a.example.com"]);
    let target = text(&missing(&home, "a.example.com"), "target");
    lab.resolver.add(&format!("_validation-persist.a.example.com. CNAME {target}."));
    lab.resolver.add(&format!("_validation-persist.b.example.com. TXT \"{ISSUER}; accounturi={}\"", account_of(&lab)));
    home.run_ok(&["cert", "renew", "a.example.com"]);
    issue(&home, &["b.example.com"]);
    let (_, _, said) = issue(&home, &["c.example.com", "--challenge", "dns-account-01"]);
    assert!(said.contains("does not exist"), "{said}");
    let record = missing(&home, "c.example.com");
    lab.resolver.add(&cname(&record));
    home.run_ok(&["cert", "renew", "c.example.com"]);
    let dns = daemon.dns();
    daemon.kill();

    // It refuses to look at anything but its own zone.
    let refusing = settings.text().replace(&lab.resolver.address.to_string(), &dns.to_string());
    std::fs::write(home.config(), refusing).unwrap();
    let _daemon = home.start();
    for name in ["a.example.com", "b.example.com", "c.example.com"] {
        let before = pair(&home, name).unwrap().info.serial;
        home.run_ok(&["cert", "renew", name]);
        assert_ne!(pair(&home, name).unwrap().info.serial, before, "{name}");
    }
    assert_eq!(published(&home).len(), 1, "that of a.example.com");
    let orders = lab.ca.orders();
    for method in ["dns-account-01", "dns-persist-01"] {
        let (code, _, said) = issue(&home, &["d.example.com", "--challenge", method]);
        // Nobody is told to add a record that may be there.
        assert!(code == Some(1) && said.contains("could not look up what the CA will see: "), "{said}");
        assert!(said.contains("the resolver could not look up"), "{said}");
        assert_eq!(show(&home, "d.example.com")["missing"], json!([]));
    }
    assert_eq!(lab.ca.orders(), orders);
}

/// As the draft has it since its version -02: accounts are named by a hash of domain, key and URL.
#[test]
fn a_ca_that_wants_accounts_hashed_gets_them_hashed() {
    let meta = |names: Value| json!({ "meta": { "caaIdentities": names, "issuerDomainNames": names, "accountHashPrefix": "https://ca.test/hash/" } });
    let lab = lab_with("dns-persist-01", meta(json!([ISSUER])));
    let home = Home::new(&lab.settings.clone().with("values", "persist = true"));
    let _daemon = home.start();
    let (_, _, said) = issue(&home, &["a.example.com"]);
    assert!(!said.contains(&account_of(&lab)), "{said}");
    let target = text(&missing(&home, "a.example.com"), "target");
    lab.resolver.add(&format!("_validation-persist.a.example.com. CNAME {target}."));
    home.run_ok(&["cert", "renew", "a.example.com"]);
    let before = published(&home);
    let is_hashed = before[0].1.starts_with(&format!("{ISSUER}; accounturi=https://ca.test/hash/sha-256/"));
    assert!(is_hashed && before.len() == 1, "{before:?}");
    home.run_ok(&["acme", "account", "rollover"]);
    home.run_ok(&["cert", "renew", "a.example.com"]);
    let after = published(&home);
    assert!(after.len() == 1 && after[0].1 != before[0].1, "another key has another hash: {after:?}");

    let lab = lab_with("dns-persist-01", meta(json!([ISSUER, "other.test"])));
    let home = Home::new(&lab.settings.clone().with("values", "persist = true"));
    let _daemon = home.start();
    issue(&home, &["a.example.com"]);
    let target = text(&missing(&home, "a.example.com"), "target");
    lab.resolver.add(&format!("_validation-persist.a.example.com. CNAME {target}."));
    let (_, said) = home.run_err(&["cert", "renew", "a.example.com"]);
    let malformed = "challenge is malformed: it lacks a name that the directory has";
    assert!(said.contains(malformed) && published(&home).is_empty(), "{said}");
}

/// Only its challenges say by which name records know it.
#[test]
fn a_ca_that_does_not_say_who_it_is_is_asked_by_an_order() {
    let lab = lab_with("dns-persist-01", Value::Null);
    let home = Home::new(&lab.settings);
    let daemon = home.start();
    let (code, out, _) = issue(&home, &["a.example.com", "--name", "*.a.example.com"]);
    let record = format!(
        "_validation-persist.a.example.com. TXT \"{ISSUER}; accounturi={}; policy=wildcard\"",
        account_of(&lab)
    );
    assert!(code == Some(3) && out.matches(&record).count() == 1, "{out}");
    assert_eq!((lab.ca.orders(), lab.ca.asked("/challenge")), (1, 0));
    lab.resolver.add(&record);
    daemon.kill();
    let _daemon = home.start();
    until("the order is gone on with", || pair(&home, "a.example.com").is_some());
    assert_eq!(lab.ca.orders(), 1);
}

#[test]
fn the_apis_name_is_granted_in_its_own_zone() {
    let ca = StandIn::start(ResponsePolicy { methods: ALL.into(), ..ResponsePolicy::default() });
    let settings = ca.settings().with("api.tls", "mode = \"acme\"").with("acme", "challenge = \"dns-persist-01\"");
    let home = Home::new(&settings);
    let daemon = home.start();
    until("it has failed", || report(&home)["failures"] != 0);
    let problem = report(&home)["problem"].as_str().unwrap().to_owned();
    assert!(problem.contains("`persist = true` in [values]"), "{problem}");
    assert_eq!(ca.orders(), 0);
    daemon.kill();
    let allowed = settings.clone().with("values", "persist = true");
    home.write(&allowed);
    let daemon = home.start();
    until("the certificate is there", || home.path().join("acme/api.pem").exists());
    let (at, value) = (format!("_validation-persist.{ZONE}"), format!("{ISSUER}; accounturi={}/account/0", ca.base()));
    assert_eq!(published(&home), [(at.clone(), value.clone())]);
    assert_eq!(txts(daemon.dns(), &at), [value.as_str()]);
    home.run_ok(&["persist", "retire", &at]);
    ask(daemon.dns(), &query(&at, TXT)).assert_negative(hickory_proto::op::ResponseCode::NXDomain);
    daemon.kill();

    // What is written in the configuration is the operator's, and serves as well.
    std::fs::remove_file(home.path().join("acme/api.pem")).unwrap();
    home.write(&settings.records(&format!("_validation-persist TXT \"{value}\"")));
    let daemon = home.start();
    until("the certificate is there", || home.path().join("acme/api.pem").exists());
    assert_eq!((txts(daemon.dns(), &at), published(&home).len()), (vec![value], 0));
    drop(daemon);
}
