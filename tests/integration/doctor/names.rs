//! Names whose records are wrong in many ways, all of them in one internet and one examination: each has its own right first
//! finding, and the records that would be right. Names that are sound have none.

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use serde_json::{Value, json};

use crate::harness::lab::{DAEMON, Lab, PARENT, ROOT, TLD, USER, parent, root, tld, zone_at};
use crate::harness::nameserver::{Fault, Zone};
use crate::harness::signer::Signer;
use crate::harness::standin::{ResponsePolicy, StandIn};
use crate::harness::{Home, Process, ZONE};

use super::Examined;

/// A second nameserver of some domains, with other records.
const SECOND: &str = "127.0.1.5";
/// A nameserver without any zone.
const LAME: &str = "127.0.1.6";
/// One that answers nothing.
const SILENT: &str = "127.0.1.8";
/// One that fails for CAA.
const CAA_FAILS: &str = "127.0.1.9";
/// One that does not answer for CAA.
const CAA_SILENT: &str = "127.0.1.10";

/// What the mend has to say.
enum Mend {
    /// To add the CNAME from the domain's challenge to its account.
    Cname,
    /// This.
    Says(String),
}

/// A name and what the doctor has to find first; `None`: nothing.
struct Expected {
    name: String,
    found: Option<(&'static str, Mend)>,
}

/// The domains below com, which are built one by one.
struct World {
    com: String,
    ds: Vec<hickory_proto::rr::Record>,
    zones: Vec<(&'static str, Zone)>,
    expected: Vec<Expected>,
}

/// The label of the account for a domain.
fn label(domain: &str) -> String {
    domain.trim_start_matches("xn--").replace('.', "-")
}

fn fulldomain(domain: &str) -> String {
    format!("{}.{ZONE}", label(domain))
}

/// The record that is right.
fn cname(domain: &str) -> String {
    format!("_acme-challenge CNAME {}.", fulldomain(domain))
}

impl World {
    fn new() -> Self {
        Self { com: String::new(), ds: Vec::new(), zones: Vec::new(), expected: Vec::new() }
    }

    fn expect(&mut self, name: &str, code: &'static str, mend: Mend) {
        self.expected.push(Expected { name: name.to_owned(), found: Some((code, mend)) });
    }

    fn delegate(&mut self, domain: &str, servers: &[&'static str]) {
        let name = domain.strip_suffix(".com").unwrap();
        for (number, server) in servers.iter().enumerate() {
            self.com += &format!("{name} NS ns{number}.{name}\nns{number}.{name} A {server}\n");
        }
    }

    /// A zone on one nameserver.
    fn zone(&mut self, domain: &str, server: &'static str, records: &str) {
        self.zones.push((server, zone_at(domain, server, records)));
    }

    /// A domain on the usual nameserver with these records, and what is found.
    fn broken(&mut self, domain: &str, records: &str, code: &'static str, mend: Mend) {
        self.delegate(domain, &[USER]);
        self.zone(domain, USER, records);
        self.expect(domain, code, mend);
    }

    /// The same for CAA records, and a name that this server gets certificates for.
    fn broken_caa(&mut self, name: &str, records: &str, code: &'static str, says: &str) {
        let domain = name.trim_start_matches("*.");
        self.delegate(domain, &[USER]);
        self.zone(domain, USER, &format!("{}\n{records}", cname("sound.com")));
        self.expect(name, code, Mend::Says(says.to_owned()));
    }

    /// A domain whose zone is signed like this; its parent has these DS records.
    fn signed(&mut self, domain: &str, ds: Option<&Signer>, signer: Option<&Signer>) {
        self.delegate(domain, &[USER]);
        let zone = zone_at(domain, USER, &cname(domain));
        self.zones.push((
            USER,
            match signer {
                Some(signer) => zone.signed(signer),
                None => zone,
            },
        ));
        self.ds.extend(ds.map(|signer| signer.ds(&format!("{domain}."))));
    }

    fn sound(&mut self, name: &str, records: &str) {
        let domain = name.trim_start_matches("*.");
        self.delegate(domain, &[USER]);
        self.zone(domain, USER, records);
        self.is_sound(name);
    }

    fn is_sound(&mut self, name: &str) {
        self.expected.push(Expected { name: name.to_owned(), found: None });
    }

    /// The nameservers of everything.
    fn serve(self, lab: &mut Lab) -> Vec<Expected> {
        let mut com = Zone::new("com.", &format!("@ NS ns\nns A {TLD}\n{}", self.com));
        for ds in self.ds {
            com = com.with(ds);
        }
        // A chain of trust has to begin at the root.
        let (top, below) = (Signer::new(), Signer::new());
        let com = com.signed(&below);
        lab.serve(ROOT, vec![root("").with(below.ds("com.")).signed(&top)], &[]);
        lab.serve(TLD, vec![tld("org", PARENT), com, tld("net", USER)], &[]);
        lab.serve(PARENT, vec![parent(&format!("auth NS ns1.auth\nns1.auth A {DAEMON}"))], &[]);
        let mut zones = self.zones;
        zones.push((USER, zone_at("example.net", USER, "there A 192.0.2.1")));
        for (server, faults) in [
            (USER, &[][..]),
            (SECOND, &[]),
            (LAME, &[]),
            (SILENT, &[Fault::Silent]),
            (CAA_FAILS, &[Fault::RcodeFor(RecordType::CAA, ResponseCode::ServFail)]),
            (CAA_SILENT, &[Fault::SilentFor(RecordType::CAA)]),
        ] {
            let own = zones.extract_if(.., |(address, _)| *address == server).map(|(_, zone)| zone).collect();
            lab.serve(server, own, faults);
        }
        self.expected
    }
}

/// Records of the challenge itself.
fn challenges(world: &mut World) {
    use Mend::{Cname, Says};
    world.broken("missing.com", "www A 192.0.2.1", "challenge-missing", Cname);
    let target = fulldomain("target-dot.com");
    let says = format!("closing dot, as `{target}.`");
    world.broken("target-dot.com", &format!("_acme-challenge CNAME {target}"), "target-doubled", Says(says));
    let doubled = format!("_acme-challenge.owner-dot.com CNAME {}.", fulldomain("owner-dot.com"));
    world.broken("owner-dot.com", &doubled, "challenge-name-doubled", Cname);
    let misspelt = format!("acme-challenge CNAME {}.", fulldomain("underscore.com"));
    let says = "rename the record acme-challenge.underscore.com to _acme-challenge.underscore.com";
    world.broken("underscore.com", &misspelt, "challenge-name-misspelt", Says(says.into()));
    world.broken("txt.com", "_acme-challenge TXT left-over", "challenge-txt-in-place-of-cname", Cname);
    let beside = format!("{}\n_acme-challenge TXT left-over", cname("beside.com"));
    world.broken("beside.com", &beside, "challenge-txt-beside-cname", Says("remove the TXT records".into()));
    world.broken("loop.com", "_acme-challenge CNAME a\na CNAME b\nb CNAME a", "challenge-loop", Cname);
    let chain: Vec<String> = (1..20).map(|at| format!("c{at} CNAME c{}", at + 1)).collect();
    let endless = format!("_acme-challenge CNAME c1\n{}", chain.join("\n"));
    world.broken("endless.com", &endless, "challenge-endless", Cname);
    world.broken("wildcard.com", "* CNAME www\nwww A 192.0.2.1", "challenge-wildcard", Cname);
    world.broken("wildcard-txt.com", "* TXT v=spf1", "challenge-wildcard", Cname);
    world.delegate("differs.com", &[USER, SECOND]);
    world.zone("differs.com", USER, &cname("differs.com"));
    world.zone("differs.com", SECOND, "www A 192.0.2.1");
    world.expect("differs.com", "challenge-differs", Says(format!("wait until ns1.differs.com ({SECOND}) has")));
    world.broken("ns-lame.com", &format!("_acme-challenge NS lame\nlame A {LAME}"), "challenge-ns-lame", Cname);
    let to_us = format!("_acme-challenge NS ns1.{ZONE}.");
    world.broken("ns-here.com", &to_us, "challenge-ns-in-place-of-cname", Cname);
    world.broken("ns-other.com", &format!("_acme-challenge NS o\no A {SECOND}"), "challenge-ns-elsewhere", Cname);
    world.zone("_acme-challenge.ns-other.com", SECOND, "@ TXT x");
}

/// Where CNAMEs lead.
fn targets(world: &mut World) {
    use Mend::{Cname, Says};
    for (domain, target, code) in [
        ("gone.com", fulldomain("gone.com.former"), "target-deleted"),
        ("unknown.com", format!("nobody.{ZONE}"), "target-unknown"),
        ("apex.com", ZONE.to_owned(), "target-apex"),
        ("static.com", format!("ns1.{ZONE}"), "target-static"),
        ("deep.com", format!("_acme-challenge.{}", fulldomain("deep.com")), "target-deep"),
        ("zone.com", format!("{}.auth.example.net", label("zone.com")), "target-other-zone"),
        ("elsewhere.com", "there.example.net".to_owned(), "target-elsewhere"),
        ("nowhere.com", "nothing.example.net".to_owned(), "target-missing"),
        ("to-dead.com", "x.dead.com".to_owned(), "target-dead"),
        ("to-forgotten.com", "to-forgotten-com.acme.forgotten.com".to_owned(), "target-zone-unconfigured"),
    ] {
        world.broken(domain, &format!("_acme-challenge CNAME {target}."), code, Cname);
    }
    let says = Says("txtgate account enable".into());
    world.broken("disabled.com", &cname("disabled.com"), "target-disabled", says);
}

/// The zones of names.
fn zones(world: &mut World) {
    use Mend::Says;
    world.expect("unregistered.com", "name-unregistered", Says("register or renew".into()));
    world.delegate("dead.com", &[LAME]);
    world.expect("dead.com", "name-zone-dead", Says("have ns0.dead.com serve the zone dead.com".into()));
    // The zones above delegate these to the daemon, whose configuration does not have them.
    world.com += &format!("ours NS ns1.{ZONE}.\nforgotten NS ns.forgotten\nns.forgotten A {USER}\n");
    world.expect("ours.com", "name-zone-unconfigured", Says("a [[zone]] with `name = \\\"ours.com\\\"`".into()));
    world.zone("forgotten.com", USER, &format!("{}\nacme NS ns9.acme\nns9.acme A {DAEMON}", cname("forgotten.com")));
    world.is_sound("forgotten.com");
    world.delegate("half-ours.com", &[USER, DAEMON]);
    world.zone("half-ours.com", USER, &cname("half-ours.com"));
    world.expect("half-ours.com", "name-server-lame", Says("this server does not have the zone half-ours.com".into()));
    for (domain, other, code, says) in [
        ("half-lame.com", LAME, "name-server-lame", "have it serve the zone"),
        ("half-silent.com", SILENT, "name-server-silent", "start it or open its port 53"),
    ] {
        world.delegate(domain, &[USER, other]);
        world.zone(domain, USER, &cname(domain));
        world.expect(domain, code, Says(says.to_owned()));
    }
    world.com += &format!("no-glue NS ns0.no-glue\nno-glue NS ns1.no-glue\nns0.no-glue A {USER}\n");
    world.zone("no-glue.com", USER, &cname("no-glue.com"));
    world.expect("no-glue.com", "name-server-without-address", Says("ns1.no-glue.com".into()));
}

fn caa(world: &mut World, account: &str) {
    use Mend::Says;
    let bound = "CAA 0 issue \\\"ca.test; accounturi=";
    world.broken_caa("caa-issuer.com", "@ CAA 0 issue \"other.test\"", "caa-issuer", bound);
    let other = "@ CAA 0 issue \"ca.test; accounturi=https://ca.test/other\"";
    world.broken_caa("caa-account.com", other, "caa-account", account);
    let http = "@ CAA 0 issue \"ca.test; validationmethods=http-01\"";
    world.broken_caa("caa-method.com", http, "caa-method", "validationmethods=dns-01");
    let wild = "@ CAA 0 issue \"ca.test\"\n@ CAA 0 issuewild \";\"";
    world.broken_caa("*.caa-wild.com", wild, "caa-wildcard", "CAA 0 issuewild \\\"ca.test");
    world.broken_caa("caa-critical.com", "@ CAA 128 tbs \"x\"", "caa-critical", "critical flag");
    // The client of an account may use another CA, but it needs one.
    world.broken(
        "no-ca.com",
        &format!("{}\n@ CAA 0 issue \";\"", cname("no-ca.com")),
        "caa-issuer",
        Says("the client".into()),
    );
    for (domain, server) in [("caa-fails.com", CAA_FAILS), ("caa-silent.com", CAA_SILENT)] {
        world.delegate(domain, &[server]);
        world.zone(domain, server, &cname("sound.com"));
        world.expect(domain, "caa-failed", Says("questions for CAA".into()));
    }
}

fn dnssec(world: &mut World) {
    use Mend::Says;
    let (signer, other) = (Signer::new(), Signer::new());
    let registrar = || Says("DS records at the registrar".into());
    world.signed("ds-other.com", Some(&other), Some(&signer));
    world.expect("ds-other.com", "name-ds-mismatch", registrar());
    world.signed("ds-alone.com", Some(&signer), None);
    world.expect("ds-alone.com", "name-keys-missing", registrar());
    world.signed("expired.com", Some(&signer), Some(&signer.clone().expired()));
    world.expect("expired.com", "name-signature-expired", Says("sign the zone again".into()));
    world.signed("forged.com", Some(&signer), Some(&signer.clone().forging()));
    world.expect("forged.com", "name-signature-wrong", Says("sign the zone again".into()));
    world.signed("unproven.com", Some(&signer), Some(&signer.clone().without_proofs()));
    world.expect("unproven.com", "name-denial-unproven", Says("with NSEC or NSEC3 records".into()));
    for (domain, signer) in [("vague.com", signer.clone().without_proofs()), ("clear.com", signer.clone())] {
        let sub = format!("sub.{domain}");
        world.delegate(domain, &[USER]);
        let records = format!("{}\nsub NS ns.sub\nns.sub A {SECOND}", cname(domain));
        world.zones.push((USER, zone_at(domain, USER, &records).signed(&signer)));
        world.ds.push(signer.ds(&format!("{domain}.")));
        world.zone(&sub, SECOND, &cname(&sub));
    }
    world.expect("sub.vague.com", "name-denial-unproven", Says("with NSEC or NSEC3 records".into()));
    world.is_sound("sub.clear.com");
    world.signed("sound-signed.com", Some(&signer), Some(&signer));
    world.is_sound("sound-signed.com");
}

fn sound(world: &mut World, account: &str) {
    world.sound("sound.com", &cname("sound.com"));
    world.sound("*.sound-wild.com", &cname("sound-wild.com"));
    world.sound("sound-chain.com", "_acme-challenge CNAME c.sound-end.com.");
    world.sound("sound-end.com", &format!("{}\nc CNAME {}.", cname("sound-end.com"), fulldomain("sound-chain.com")));
    world.sound("sound-beside.com", &format!("{}\n* CNAME www\nwww A 192.0.2.1", cname("sound-beside.com")));
    world.sound("sound-ns.com", &format!("_acme-challenge NS ns1.{ZONE}."));
    let bound = format!("@ CAA 0 issue \"ca.test; accounturi={account}; validationmethods=dns-01\"");
    world.sound("sound-caa.com", &format!("{}\n{bound}", cname("sound.com")));
    let others = "@ CAA 0 issue \"other.test; accounturi=https://other.test/7; validationmethods=dns-01\"";
    world.sound("sound-client.com", &format!("{}\n{others}", cname("sound-client.com")));
    world.sound("xn--bcher-kva.com", &cname("xn--bcher-kva.com"));
    world.sound("sound-sub.com", &format!("{}\nsub NS ns.sub\nns.sub A {SECOND}", cname("sound-sub.com")));
    // The zone above and its nameserver are the same: nobody refers.
    world.sound("sound-same.com", &cname("sound-same.com"));
    let same = format!("_acme-challenge CNAME {}.", fulldomain("sub.sound-same.com"));
    world.zone("sub.sound-same.com", USER, &same);
    world.is_sound("sub.sound-same.com");
    let below = format!("_acme-challenge.www CNAME {}.", fulldomain("www.sub.sound-sub.com"));
    world.zone("sub.sound-sub.com", SECOND, &below);
    world.is_sound("www.sub.sound-sub.com");
}

/// An account for each domain, with the domain as its label. One domain has had another account before.
fn create_accounts(home: &Home, expected: &[Expected]) {
    let mut list = "domain,subdomain\ngone.com,gone-com-former\ngone.com,gone-com\n".to_owned();
    for Expected { name, .. } in expected.iter().filter(|expected| expected.name != "gone.com") {
        let domain = name.trim_start_matches("*.");
        // Certificates for these are the server's own.
        if domain.starts_with("caa-") || domain == "sound-caa.com" || domain == "sound-ns.com" {
            continue;
        }
        let label = label(domain);
        list += &format!("{domain},{label}\n");
    }
    std::fs::write(home.path().join("list.csv"), list).unwrap();
    home.run_ok(&["account", "create", "--from", "list.csv", "--json"]);
    home.run_ok(&["account", "create", "sound-ns.com", "--zone", "_acme-challenge.sound-ns.com"]);
    home.run_ok(&["account", "delete", "gone-com-former", "--now"]);
    home.run_ok(&["account", "disable", "disabled-com"]);
}

/// The daemon, as a CA's client with a method, and its account's URL there.
fn start(lab: &Lab, method: &str) -> (StandIn, Process, String) {
    let directory = json!({ "meta": { "caaIdentities": ["ca.test"], "issuerDomainNames": ["ca.test"] } });
    let ca = StandIn::start(ResponsePolicy { directory, ..ResponsePolicy::default() });
    let delegated = format!(
        "[[zone]]\nname = \"_acme-challenge.sound-ns.com\"\nns = [\"ns1.{ZONE}\"]\ncontact = \"a@example.com\""
    );
    let acme = format!("directory = \"{}/dir\"\nterms-agreed = true\nchallenge = \"{method}\"", ca.base());
    let daemon = Process::start(&lab.settings().with("acme", &acme).more(&delegated));
    let shown = daemon.home().run_ok(&["acme", "account", "show", "--json"]);
    let account: Value = serde_json::from_str(&shown).unwrap();
    let url = account["account"].as_str().unwrap().to_owned();
    (ca, daemon, url)
}

/// What is wrong with a name by itself, the worst first.
fn findings<'a>(examined: &'a Examined, name: &str) -> Vec<&'a Value> {
    let own = |finding: &&Value| finding["name"] == name && finding["follows_from"].is_null();
    let mut found: Vec<&Value> = examined.findings().into_iter().filter(own).collect();
    found.sort_by_key(|finding| ["fault", "warning", "unknown"].iter().position(|kind| finding["assessment"] == *kind));
    found
}

/// What is wrong with the report about a name.
fn problem(examined: &Examined, expected: &Expected) -> Option<String> {
    let Expected { name, found } = expected;
    let findings = findings(examined, name);
    let Some((code, mend)) = found else {
        return (!findings.is_empty()).then(|| format!("{name} is sound: {findings:#?}"));
    };
    let Some(first) = findings.first().filter(|first| first["code"] == *code) else {
        return Some(format!("{name}: no {code} first: {findings:#?}"));
    };
    let is_right = match mend {
        Mend::Says(part) => first.to_string().contains(part),
        Mend::Cname => {
            first["needed"]["name"] == format!("_acme-challenge.{name}")
                && first["needed"]["target"] == fulldomain(name)
        }
    };
    (!is_right).then(|| format!("{name}: not the right mend: {first:#}"))
}

#[test]
fn each_broken_name_has_its_first_finding_and_sound_names_have_none() {
    let mut lab = Lab::empty();
    let (_ca, daemon, account) = start(&lab, "dns-01");
    let mut world = World::new();
    challenges(&mut world);
    targets(&mut world);
    zones(&mut world);
    caa(&mut world, &account);
    dnssec(&mut world);
    sound(&mut world, &account);
    let expected = world.serve(&mut lab);
    create_accounts(daemon.home(), &expected);
    let mut problems = Vec::new();
    // One examination takes 50 names.
    for part in expected.chunks(40) {
        let names: Vec<&str> = part.iter().map(|expected| &*expected.name).collect();
        let examined = Examined::in_lab(&daemon, &lab, &names);
        problems.extend(part.iter().filter_map(|expected| problem(&examined, expected)));
        assert!(!examined.has("check-unfinished"), "{:#}", examined.finding("check-unfinished"));
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    // Without names the doctor examines those of the accounts, the one first that published last.
    daemon.home().run_ok(&["txt", "publish", "missing-com", &"x".repeat(43)]);
    let examined = Examined::in_lab(&daemon, &lab, &[]);
    let known: Vec<&str> = examined.report["names"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(known.len() > 40 && known[0] == "missing.com" && !known.contains(&"disabled.com"), "{known:?}");
}

/// What the server proves itself is looked for at other names with other methods.
#[test]
fn other_methods_have_records_of_their_own() {
    let says = |account: &str| format!("ca.test; accounturi={account}");
    for method in ["dns-account-01", "dns-persist-01"] {
        let mut lab = Lab::empty();
        let (_ca, daemon, account) = start(&lab, method);
        let shown: Value = serde_json::from_str(&daemon.home().run_ok(&["acme", "account", "show", "--json"])).unwrap();
        let label = format!("{}._acme-challenge", shown["label"].as_str().unwrap());
        let mut world = World::new();
        let cname = cname("owner.com");
        if method == "dns-account-01" {
            world.broken("bare.com", &cname, "challenge-missing", Mend::Says(format!("{label}.bare.com")));
            world.sound("right.com", &cname.replace("_acme-challenge", &label));
        } else {
            world.broken("bare.com", &cname, "persist-missing", Mend::Says(says(&account)));
            let other = format!("_validation-persist TXT \"{}\"", says("https://ca.test/other"));
            world.broken("other.com", &other, "persist-missing", Mend::Says("another account".into()));
            world.sound("right.com", &format!("_validation-persist TXT \"{}\"", says(&account)));
        }
        // The client of an account proves its name by dns-01 as ever.
        world.sound("owner.com", &cname);
        let expected = world.serve(&mut lab);
        daemon.home().run_ok(&["account", "create", "owner.com", "--subdomain", "owner-com"]);
        let names: Vec<&str> = expected.iter().map(|expected| &*expected.name).collect();
        let examined = Examined::in_lab(&daemon, &lab, &names);
        let problems: Vec<String> = expected.iter().filter_map(|expected| problem(&examined, expected)).collect();
        assert!(problems.is_empty(), "{method}: {}", problems.join("\n"));
    }
}
