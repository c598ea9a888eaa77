//! Other ways to be delegated: a domain's own `_acme-challenge` by NS, and several zones in one daemon.

use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hickory_proto::op::ResponseCode;
use serde_json::{Value, json};

use crate::harness::dns::{A, ANY, CAA, Change, NS, Reply, SOA, TXT, ask, query, txts};
use crate::harness::http::post;
use crate::harness::{Account, Home, Process, Settings, ZONE, skip, until, value};

const APEX: &str = "_acme-challenge.example.com";
/// An ACME account's label (dns-account-01).
const LABEL: &str = "_ujmmovf2vn55tgye";

fn zone(name: &str, more: &str) -> String {
    format!("[[zone]]\nname = \"{name}\"\nns = [\"ns1.{ZONE}\"]\ncontact = \"a@example.com\"\n{more}")
}

fn settings() -> Settings {
    Settings::default().more(&zone(APEX, ""))
}

fn json_of(home: &Home, arguments: &[&str]) -> Value {
    let text = home.run_ok(&[arguments, &["--json"]].concat());
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// An account that owns the apex.
fn owner_of_the_apex(home: &Home) -> Account {
    Account::of(&json_of(home, &["account", "create", "example.com", "--zone", APEX]))
}

/// Publishes at an owner by its whole name or its label.
fn publish_at(daemon: &Process, account: &Account, owner: &str, txt: &str) -> crate::harness::http::Reply {
    account.send(daemon.api(), "POST", "/update", &format!(r#"{{"subdomain":"{owner}","txt":"{txt}"}}"#))
}

fn restarted(daemon: Process) -> Process {
    let home = daemon.home().clone();
    assert!(daemon.terminate().0.success());
    home.start()
}

fn ask_for(daemon: &Process, name: &str, rtype: u16) -> Reply {
    ask(daemon.dns(), &query(name, rtype))
}

#[test]
fn an_apex_is_a_real_zone_with_its_accounts_values() {
    let daemon = Process::start(&settings());
    let account = owner_of_the_apex(daemon.home());
    assert_eq!((account.subdomain.as_str(), account.fulldomain.as_str()), (APEX, APEX));
    let nothing = ask(daemon.dns(), &query(APEX, TXT).edns(1_232));
    nothing.assert_negative(ResponseCode::NoError);
    assert_eq!(nothing.ede(), Some(0), "no value published");
    account.publish(daemon.api(), &value(1));
    account.publish(daemon.api(), &value(2));
    for name in [APEX, "_ACME-challenge.Example.COM"] {
        let reply = ask_for(&daemon, name, TXT);
        assert_eq!(reply.txts(), [value(2), value(1)]);
        assert!(reply.is_authoritative() && reply.bytes[12..].starts_with(&query(name, TXT)[12..]), "{reply:?}");
    }
    for (rtype, count) in [(SOA, 1), (NS, 1), (ANY, 1)] {
        let reply = ask_for(&daemon, APEX, rtype);
        assert_eq!((reply.rcode(), reply.answers().len()), (ResponseCode::NoError, count), "{reply:?}");
    }
    for rtype in [A, CAA] {
        ask_for(&daemon, APEX, rtype).assert_negative(ResponseCode::NoError);
    }
    for below in ["x", "@", LABEL, "_acme-challenge", "*"] {
        ask_for(&daemon, &format!("{below}.{APEX}"), TXT).assert_negative(ResponseCode::NXDomain);
    }
    let daemon = restarted(daemon);
    assert_eq!(txts(daemon.dns(), APEX), [value(2), value(1)]);
    account.publish(daemon.api(), &value(3));
    assert_eq!(txts(daemon.dns(), APEX), [value(3), value(2), value(1)]);
}

#[test]
fn whose_an_apex_is_nobody_decides_but_the_operator() {
    let daemon = Process::start(&settings());
    for body in [format!(r#"{{"zone":"{APEX}"}}"#), r#"{"zone":"_ACME-challenge.example.com."}"#.to_owned()] {
        let reply = post(daemon.api(), "/register", &[], &body);
        reply.assert_error(400, "bad_zone");
        assert!(reply.body.contains("operator"), "{reply:?}");
    }
    let (owner, stranger) = (owner_of_the_apex(daemon.home()), Account::register(daemon.api()));
    owner.publish(daemon.api(), &value(1));
    let below = format!("{LABEL}.{APEX}");
    for name in [APEX, &below] {
        publish_at(&daemon, &stranger, name, &value(2)).assert_error(401, "forbidden");
    }
    let (code, said) = daemon.home().run_err(&["account", "create", "example.com", "--zone", APEX]);
    assert!(code == Some(1) && said.contains("belongs to an account already"), "{said}");
    let (code, said) = daemon.home().run_err(&["account", "grant", &stranger.username, APEX]);
    assert!(code == Some(1) && said.contains("belongs to an account already"), "{said}");
    assert_eq!(txts(daemon.dns(), APEX), [value(1)]);
}

#[test]
fn an_apex_is_granted_to_an_account_and_revoked() {
    let daemon = Process::start(&settings());
    let (home, account) = (daemon.home().clone(), Account::register(daemon.api()));
    account.publish(daemon.api(), &value(1));
    publish_at(&daemon, &account, APEX, &value(2)).assert_error(401, "forbidden");
    let granted = json_of(&home, &["account", "grant", &account.username, APEX]);
    assert_eq!((&granted["fulldomain"], &granted["subdomain"]), (&json!(APEX), &json!(APEX)));
    let shown = json_of(&home, &["account", "show", APEX]);
    assert_eq!(shown["fulldomains"], json!([account.fulldomain, APEX]));
    assert_eq!(home.run_err(&["account", "grant", &account.username, ZONE]).0, Some(2), "no challenge zone");
    // The account was remembered with what it owned before.
    for name in [APEX, "_Acme-Challenge.EXAMPLE.com.", &format!("{LABEL}.{APEX}")] {
        assert_eq!(publish_at(&daemon, &account, name, &value(2)).status, 200, "{name}");
    }
    account.publish(daemon.api(), &value(3));
    assert_eq!(txts(daemon.dns(), &account.fulldomain), [value(3), value(1)]);
    let rotated = Account::of(&json_of(&home, &["account", "rotate", &account.username]));
    assert_eq!(rotated.fulldomain, account.fulldomain, "the first owner is the one that clients know");
    let revoked = json_of(&home, &["account", "revoke", APEX, APEX]);
    assert_eq!(revoked["fulldomains"], json!([account.fulldomain]));
    publish_at(&daemon, &rotated, APEX, &value(4)).assert_error(401, "forbidden");
    ask_for(&daemon, APEX, TXT).assert_negative(ResponseCode::NoError);
    ask_for(&daemon, &format!("{LABEL}.{APEX}"), TXT).assert_negative(ResponseCode::NXDomain);
    let daemon = restarted(daemon);
    assert!(txts(daemon.dns(), APEX).is_empty());
    let other = owner_of_the_apex(daemon.home());
    other.publish(daemon.api(), &value(5));
    let (code, said) = daemon.home().run_err(&["account", "revoke", &other.username, APEX]);
    assert!(code == Some(1) && said.contains("delete the account"), "{said}");
}

#[test]
fn acme_accounts_publish_at_their_labels_below_an_apex() {
    let daemon = Process::start(&settings());
    let account = owner_of_the_apex(daemon.home());
    let below = format!("{LABEL}.{APEX}");
    for (written, number) in [(LABEL.to_uppercase(), 1), (format!("{LABEL}.{APEX}."), 2), (below.to_uppercase(), 3)] {
        assert_eq!(publish_at(&daemon, &account, &written, &value(number)).status, 200, "{written}");
    }
    assert_eq!(ask_for(&daemon, &below, TXT).txts(), [value(3), value(2), value(1)]);
    assert_eq!(ask_for(&daemon, &below.to_uppercase(), TXT).txts().len(), 3);
    ask_for(&daemon, &below, A).assert_negative(ResponseCode::NoError);
    ask_for(&daemon, APEX, TXT).assert_negative(ResponseCode::NoError);
    ask_for(&daemon, &format!("x.{below}"), TXT).assert_negative(ResponseCode::NXDomain);
    for other in ["_ujmmovf2vn55tgy", "_ujmmovf2vn55tgy1", "x", "_dmarc"] {
        publish_at(&daemon, &account, &format!("{other}.{APEX}"), &value(4)).assert_error(401, "forbidden");
    }
    let daemon = restarted(daemon);
    assert_eq!(txts(daemon.dns(), &below).len(), 3);
    let shown = account.send(daemon.api(), "GET", "/v1/account", "").json();
    assert_eq!(shown["fulldomains"], json!([APEX, below]));
    assert_eq!(shown["owners"][1]["subdomain"], json!(below), "what /update takes");
    let body = format!(r#"{{"subdomain":"{below}"}}"#);
    assert_eq!(account.send(daemon.api(), "DELETE", "/v1/txt", &body).json(), json!({"retired": 3}));
    ask_for(&daemon, &below, TXT).assert_negative(ResponseCode::NXDomain);
    let shown = account.send(daemon.api(), "GET", "/v1/account", "").json();
    assert_eq!(shown["fulldomains"], json!([APEX]), "a label without values is not a name any more");
}

#[test]
fn a_challenge_zone_comes_and_goes_with_a_reload_and_keeps_what_it_holds() {
    let daemon = Process::start(&Settings::default());
    let home = daemon.home().clone();
    let (code, said) = home.run_err(&["account", "create", "example.com", "--zone", APEX]);
    assert!(code == Some(2) && said.contains("no zone"), "{said}");
    let reload = |settings: &Settings, rcode: ResponseCode| {
        home.write(settings);
        daemon.signal(rustix::process::Signal::HUP);
        until("the reload", || ask_for(&daemon, APEX, TXT).rcode() == rcode);
    };
    reload(&settings(), ResponseCode::NoError);
    let account = owner_of_the_apex(&home);
    account.publish(daemon.api(), &value(1));
    reload(&Settings::default(), ResponseCode::Refused);
    account.update(daemon.api(), &value(2)).assert_error(400, "bad_zone");
    reload(&settings(), ResponseCode::NoError);
    assert_eq!(txts(daemon.dns(), APEX), [value(1)]);
    account.publish(daemon.api(), &value(2));
}

/// Whoever owns an apex makes names below it as he likes: only so many hold values at a time.
#[test]
fn labels_below_an_apex_are_bounded() {
    let daemon = Process::start(&settings());
    let account = owner_of_the_apex(daemon.home());
    let label = |number: u8| format!("_ujmmovf2vn55tg{}{}", char::from(b'a' + number), 'x');
    for number in 0..16 {
        assert_eq!(publish_at(&daemon, &account, &label(number), &value(1)).status, 200, "{number}");
    }
    publish_at(&daemon, &account, &label(16), &value(1)).assert_error(409, "conflict");
    assert_eq!(publish_at(&daemon, &account, &label(3), &value(2)).status, 200);
    account.publish(daemon.api(), &value(1));
    let body = format!(r#"{{"subdomain":"{}"}}"#, label(7));
    assert_eq!(account.send(daemon.api(), "DELETE", "/v1/txt", &body).status, 200);
    assert_eq!(publish_at(&daemon, &account, &label(16), &value(1)).status, 200);
}

#[test]
fn a_label_in_two_zones_is_ambiguous_and_a_whole_name_is_not() {
    let other = "_acme-challenge.example.net";
    let daemon = Process::start(&settings().more(&zone(other, "")));
    let account = owner_of_the_apex(daemon.home());
    daemon.home().run_ok(&["account", "grant", &account.username, other]);
    let reply = publish_at(&daemon, &account, LABEL, &value(1));
    reply.assert_error(400, "bad_subdomain");
    for name in [APEX, other] {
        assert!(reply.body.contains(&format!("{LABEL}.{name}")), "{reply:?}");
    }
    assert_eq!(publish_at(&daemon, &account, &format!("{LABEL}.{other}"), &value(1)).status, 200);
    assert_eq!(txts(daemon.dns(), &format!("{LABEL}.{other}")), [value(1)]);
    let body = format!(r#"{{"subdomain":"{LABEL}","zone":"{APEX}","txt":"{}"}}"#, value(2));
    assert_eq!(account.send(daemon.api(), "POST", "/update", &body).status, 200);
    assert_eq!(txts(daemon.dns(), &format!("{LABEL}.{APEX}")), [value(2)]);
    let (code, said) = daemon.home().run_err(&["txt", "publish", LABEL, &value(3)]);
    assert!(code == Some(2) && said.contains(&format!("{LABEL}.{other}")), "{said}");
}

#[test]
fn the_operator_publishes_at_an_apex_and_below_it_once_it_is_somebodys() {
    let daemon = Process::start(&settings());
    let (home, below) = (daemon.home(), format!("{LABEL}.{APEX}"));
    for name in [APEX, &below] {
        assert_eq!(home.run_err(&["txt", "publish", name, &value(1)]).0, Some(1), "{name}");
    }
    let account = owner_of_the_apex(home);
    for name in [APEX, &below] {
        home.run_ok(&["txt", "publish", name, &value(1)]);
        assert_eq!(json_of(home, &["txt", "list", &name.to_uppercase()])["items"][0]["txt"], json!(value(1)));
        assert_eq!(json_of(home, &["account", "show", name])["username"], json!(account.username));
    }
    assert_eq!(json_of(home, &["txt", "list"])["items"].as_array().map(Vec::len), Some(2));
    let found = json_of(home, &["account", "list", "--search", "challenge.Example.com"]);
    assert_eq!(found["items"][0]["username"], json!(account.username), "{found}");
    home.run_ok(&["txt", "retire", &below]);
    assert_eq!((txts(daemon.dns(), APEX).len(), txts(daemon.dns(), &below).len()), (1, 0));
}

#[test]
fn a_disabled_account_hides_its_apex_and_its_labels_and_keeps_them() {
    let daemon = Process::start(&settings());
    let (account, below) = (owner_of_the_apex(daemon.home()), format!("{LABEL}.{APEX}"));
    for name in [APEX, &below] {
        assert_eq!(publish_at(&daemon, &account, name, &value(1)).status, 200);
    }
    let served = || [APEX, &below].map(|name| txts(daemon.dns(), name).len());
    daemon.home().run_ok(&["account", "disable", APEX]);
    assert_eq!(served(), [0, 0]);
    daemon.home().run_ok(&["account", "enable", APEX]);
    assert_eq!(served(), [1, 1]);
    daemon.home().run_ok(&["account", "delete", "--now", APEX]);
    assert_eq!(served(), [0, 0]);
    owner_of_the_apex(daemon.home()).publish(daemon.api(), &value(2));
}

#[test]
fn registrations_get_the_first_zone_that_has_subdomains() {
    let text = settings().text();
    let home = Home::new(&Settings::default());
    // The challenge zone stands first.
    let (head, ordinary) = text.split_at(text.find("[[zone]]").unwrap());
    let (ordinary, challenge) = ordinary.split_at(ordinary.rfind("[[zone]]").unwrap());
    std::fs::write(home.config(), format!("{head}{challenge}\n{ordinary}")).unwrap();
    let daemon = home.start();
    let account = Account::register(daemon.api());
    assert_eq!(account.fulldomain, format!("{}.{ZONE}", account.subdomain));
    daemon.home().run_ok(&["txt", "publish", "_acme-challenge", &value(1)]);
    assert_eq!(txts(daemon.dns(), &format!("_acme-challenge.{ZONE}")), [value(1)]);
    drop(daemon);
    std::fs::write(home.config(), format!("{head}{challenge}")).unwrap();
    let daemon = home.start();
    let reply = post(daemon.api(), "/register", &[], "");
    reply.assert_error(400, "bad_zone");
    assert!(reply.body.contains("challenge zones only"), "{reply:?}");
    owner_of_the_apex(&home).publish(daemon.api(), &value(1));
    assert_eq!(txts(daemon.dns(), APEX), [value(1)]);
}

#[test]
fn httpreq_names_an_apex_and_the_labels_below_it() {
    let daemon = Process::start(&settings());
    let account = owner_of_the_apex(daemon.home());
    let present = |body: String| account.send(daemon.api(), "POST", "/present", &body).status;
    for (name, number) in [(format!("{APEX}."), 1), (format!("{LABEL}.{APEX}."), 2)] {
        assert_eq!(present(format!(r#"{{"fqdn":"{name}","value":"{}"}}"#, value(number))), 200);
        assert_eq!(txts(daemon.dns(), &name), [value(number)]);
    }
    let raw = r#"{"domain":"*.example.com","token":"t","keyAuth":"t.thumb"}"#;
    assert_eq!(present(raw.into()), 200, "the label below is no second name");
    daemon.home().run_ok(&["account", "add-subdomain", &account.username]);
    assert_eq!(present(raw.into()), 200, "the domain's own name");
    assert_eq!(txts(daemon.dns(), APEX).len(), 2);
}

#[test]
fn a_new_accounts_apex_is_printed_as_a_delegation() {
    let daemon = Process::start(&settings());
    let text = daemon.home().run_ok(&["account", "create", "*.example.com", "--zone", APEX]);
    assert!(text.ends_with(&format!("\n\n{APEX}. NS ns1.{ZONE}.\n")) && !text.contains("CNAME"), "{text}");
    let (code, said) =
        daemon.home().run_err(&["account", "create", "example.com", "--zone", APEX, "--subdomain", "shop"]);
    assert!(code == Some(2) && said.contains("no subdomains"), "{said}");
}

#[test]
fn records_that_would_hide_an_accounts_values_are_refused() {
    for (records, part) in [("@ TXT x", "account"), (&format!("a.{LABEL} A 192.0.2.1"), "ACME account")] {
        let home = Home::new(&Settings::default().more(&zone(APEX, &format!("records = \"{records}\""))));
        let (code, said) = home.run_err(&["config", "check"]);
        assert!(code == Some(2) && said.contains("zone[1].records") && said.contains(part), "{said}");
    }
    let records = format!("records = '''\n@ CAA 0 issue \"ca.test\"\nwww CNAME {APEX}.\n'''");
    let daemon = Process::start(&Settings::default().more(&zone(APEX, &records)));
    owner_of_the_apex(daemon.home()).publish(daemon.api(), &value(1));
    assert_eq!(ask_for(&daemon, APEX, CAA).of_type(CAA), 1);
    let alias = ask_for(&daemon, &format!("www.{APEX}"), TXT);
    assert_eq!(alias.txts(), [value(1)], "{alias:?}");
}

/// The apex of a signed challenge zone: each answer that there can be, judged by delv.
#[test]
fn a_signed_apex_validates_before_and_after_a_value() {
    let home = Home::new(&Settings::default().more(&zone(APEX, "dnssec-key = \"zone.key\"")));
    home.run_ok(&["dnssec", "init", APEX]);
    let daemon = home.start();
    let account = owner_of_the_apex(&home);
    let below = format!("{LABEL}.{APEX}");
    let validated = || {
        let kinds = [(APEX, "TXT"), (APEX, "CAA"), (APEX, "SOA"), (&below, "TXT"), (&below, "A"), (APEX, "DNSKEY")];
        kinds.map(|(name, rtype)| delv(&daemon, name, rtype))
    };
    let (found, missing) = (Some("; fully validated"), Some("; negative response, fully validated"));
    let before = validated();
    if before[0].is_none() {
        return skip("validation", "delv does not run");
    }
    let before = before.each_ref().map(Option::as_deref);
    assert_eq!(before, [missing, missing, found, missing, missing, found]);
    account.publish(daemon.api(), &value(1));
    assert_eq!(publish_at(&daemon, &account, &below, &value(2)).status, 200);
    let after = validated();
    assert_eq!(after.each_ref().map(Option::as_deref), [found, missing, found, found, missing, found]);
    assert_eq!(ask(daemon.dns(), &query(APEX, TXT).opt(1_232, 0, 0x8000, &[])).answers().len(), 2, "TXT and RRSIG");
}

/// What delv says of a question, with the zone's own key as its anchor; `None` where there is no delv.
fn delv(daemon: &Process, name: &str, rtype: &str) -> Option<String> {
    let asked = query(APEX, 48);
    // One record, which ends the message: a pointer, type, class, TTL and length, then flags, protocol and algorithm.
    let key = ask(daemon.dns(), &asked).bytes.split_off(asked.len() + 12);
    let (head, public) = key.split_at(4);
    let public = STANDARD.encode(public);
    let anchor = format!("trust-anchors {{ \"{APEX}\" static-key 257 3 {} \"{public}\"; }};\n", head[3]);
    let file = daemon.home().path().join("anchor");
    std::fs::write(&file, anchor).unwrap();
    let port = daemon.dns().port().to_string();
    let mut command = Command::new("delv");
    command.args(["@127.0.0.1", "-p", &port, "-a"]).arg(&file).args([&format!("+root={APEX}"), name, rtype]);
    let output = command.output().ok()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    said.lines().find(|line| line.contains("validated") || line.contains("failed")).map(str::to_owned).or(Some(said))
}

/// One daemon, two zones: the same label is two names, with values, serials and accounts of their own.
#[test]
fn two_zones_are_kept_apart() {
    let second = "second.test";
    let secret = "registration = \"secret\"\nregistration-secrets-file = \"secrets\"";
    let home = Home::new(&Settings::default().with("api", secret).more(&zone(second, "")));
    std::fs::write(home.path().join("secrets"), "a-secret-of-many-letters-and-digits\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(home.path().join("secrets"), mode).unwrap();
    let daemon = home.start();
    let register = |body: &str| {
        let bearer = "Authorization: Bearer a-secret-of-many-letters-and-digits";
        Account::of(&post(daemon.api(), "/register", &[bearer], body).json())
    };
    let first = register(r#"{"subdomain":"shop"}"#);
    let other = register(r#"{"subdomain":"shop","zone":"Second.TEST."}"#);
    let made = Account::of(&json_of(&home, &["account", "create", "example.com", "--zone", second]));
    let names = [(&first, ZONE), (&other, second), (&made, second)];
    for ((account, zone), number) in names.iter().zip(1..) {
        assert_eq!(account.fulldomain, format!("{}.{zone}", account.subdomain));
        account.publish(daemon.api(), &value(number));
    }
    publish_at(&daemon, &first, &other.fulldomain, &value(9)).assert_error(401, "forbidden");
    let (code, said) = home.run_err(&["account", "show", "shop"]);
    assert!(code == Some(2) && said.contains(&other.fulldomain), "{said}");
    let daemon = restarted(daemon);
    for ((account, zone), number) in names.iter().zip(1..) {
        assert_eq!(txts(daemon.dns(), &account.fulldomain), [value(number)]);
        assert_eq!(ask_for(&daemon, zone, SOA).of_type(SOA), 1);
    }
}
