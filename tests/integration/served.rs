//! `wait=served`: a reply only when every nameserver of the delegation serves the value, and what comes back if one does
//! not.

use std::process::{Command, Output};
use std::time::Instant;

use hickory_proto::op::ResponseCode;
use serde_json::{Value, json};

use crate::harness::dns::{Change, Udp, txts};
use crate::harness::follower::{Follower, Mode};
use crate::harness::http::{Reply, connect, get};
use crate::harness::lab::{Lab, PARENT, parent};
use crate::harness::ports::free_port;
use crate::harness::process::BINARY;
use crate::harness::resolver::Resolver;
use crate::harness::tsig::Key;
use crate::harness::update::Update;
use crate::harness::{Account, GRACE, PATIENCE, Process, Settings, ZONE, until, value};

/// The addresses in the delegation, which lead to servers of the test.
const NS1: &str = "192.0.2.1";
const NS2: &str = "192.0.2.9";
/// The waits of one account.
const MAX_WAITS: usize = 32;

/// A daemon, the parent zone, and a second nameserver.
struct Site {
    daemon: Process,
    account: Account,
    second: Follower,
    resolver: Resolver,
    /// The parent zone's nameserver.
    lab: Option<Lab>,
}

impl Site {
    /// One where the parent zone delegates to the daemon alone, or also to the second nameserver.
    fn new(mode: Option<Mode>) -> Self {
        Self::of(Settings::default(), mode)
    }

    fn of(settings: Settings, mode: Option<Mode>) -> Self {
        let (dns, mut lab) = (free_port(), Lab::empty());
        let mut records = format!("auth NS ns1.auth\nns1.auth A {NS1}\n");
        if mode.is_some() {
            records += &format!("auth NS ns2.auth\nns2.auth A {NS2}\n");
        }
        lab.serve(PARENT, vec![parent(&records)], &[]);
        let resolver = Resolver::start(dns);
        resolver.add("example.org. NS ns.example.org.");
        resolver.add(&format!("ns.example.org. A {PARENT}"));
        let second = Follower::start(mode.unwrap_or(Mode::Silent));
        let detours = [(NS1, dns), (NS2, second.address), (PARENT, lab.at(PARENT))];
        let detours: Vec<String> = detours.iter().map(|(told, way)| format!("\"{told}={way}\"")).collect();
        let settings = settings
            .top(&format!("resolvers = [\"{}\"]\ndetours = [{}]", resolver.address, detours.join(", ")))
            .with("dns", &format!("listen = [\"{dns}\"]"))
            .own_records(&format!("ns1 A {NS1}"));
        let daemon = Process::start(&settings);
        let account = Account::register(daemon.api());
        Self { daemon, account, second, resolver, lab: Some(lab) }
    }

    fn update(&self, parameters: &str, txt: &str) -> Reply {
        self.send("/update", parameters, &self.account.body(txt))
    }

    fn send(&self, path: &str, parameters: &str, body: &str) -> Reply {
        self.account.send(self.daemon.api(), "POST", &format!("{path}?{parameters}"), body)
    }

    fn served(&self) -> Vec<String> {
        txts(self.daemon.dns(), &self.account.fulldomain)
    }

    /// Lets the second nameserver follow the daemon once it has been asked more often.
    fn follow_soon(&self) {
        let before = self.second.asked();
        until("the second nameserver is asked again", || self.second.asked() > before + 2);
        self.second.set(Mode::Follows(self.daemon.dns()));
    }

    /// The evidence of a request that waits in vain, once each address has answered in time to be seen.
    fn evidence(&self, is_whole: impl Fn(&Value) -> bool) -> Value {
        let mut found = Value::Null;
        until("each address has said what it has to say", || {
            let reply = self.update("wait=served&timeout=1s", &value(2));
            reply.assert_error(504, "not_served");
            found = reply.json();
            is_whole(&found["served"]["addresses"])
        });
        found
    }
}

fn plain(txt: &str) -> String {
    format!("{{\"txt\": \"{txt}\"}}")
}

#[test]
fn with_one_node_the_reply_comes_at_once_and_is_that_of_acme_dns() {
    let site = Site::new(None);
    let reply = site.update("wait=served", &value(1));
    assert_eq!((reply.status, reply.body.as_str()), (200, plain(&value(1)).as_str()), "{reply:?}");
    assert_eq!(reply.header("txtgate-served"), Some("1"), "{reply:?}");
    // The delegation is known now: neither the resolvers nor the parent zone are asked again.
    site.resolver.clear();
    let body = format!(r#"{{"subdomain":"{}","txt":"{}"}}"#, site.account.subdomain, value(2));
    let reply = site.send("/v1/txt", "wait=served", &body).json();
    let served = &reply["served"];
    assert_eq!((&reply["txt"], &served["served"]), (&json!(value(2)), &json!(true)), "{reply}");
    let address = &served["addresses"][0];
    let ns1 = format!("ns1.{ZONE}");
    assert_eq!((&address["nameserver"], &address["address"]), (&json!(ns1), &json!(NS1)), "{reply}");
    assert!(address["rtt_us"].is_u64() && address["serial"].is_u64() && address["at"].is_string(), "{reply}");
    let present = format!(r#"{{"fqdn":"{}.","value":"{}"}}"#, site.account.fulldomain, value(3));
    let reply = site.send("/present", "wait=served", &present);
    assert_eq!((reply.status, reply.header("txtgate-served")), (200, Some("1")), "{reply:?}");
    // Nobody who does not ask for it waits, or sees anything of it.
    for parameters in ["", "timeout=1s", "x=1&waiting=served"] {
        let reply = site.update(parameters, &value(4));
        assert_eq!((reply.status, reply.body.as_str()), (200, plain(&value(4)).as_str()), "{parameters}: {reply:?}");
        assert_eq!(reply.header("txtgate-served"), None, "{reply:?}");
    }
}

#[test]
fn parameters_that_make_no_sense_publish_nothing() {
    let site = Site::new(None);
    for (parameters, parts) in [
        ("wait=seen", ["wait=served", "seen"]),
        ("wait=", ["wait=served", "cannot be waited for"]),
        ("wait=served&timeout=5", ["timeout", "a number and a unit"]),
        ("wait=served&timeout=0s", ["1s to 30s", "wait-limit"]),
        ("wait=served&timeout=31s", ["1s to 30s", "wait-limit"]),
    ] {
        let reply = site.update(parameters, &value(1));
        reply.assert_error(400, "bad_parameter");
        assert!(parts.iter().all(|part| reply.body.contains(part)), "{parameters}: {reply:?}");
    }
    assert!(site.served().is_empty());
    let home = site.daemon.home().clone();
    drop(site);
    let (code, said) = home.run_err(&["txt", "publish", "_acme-challenge", &value(1), "--wait", "served"]);
    assert!(code == Some(1) && said.contains("no daemon runs"), "{said}");
}

#[test]
fn a_nameserver_that_gets_the_value_later_is_waited_for() {
    let site = Site::new(Some(Mode::Stale(value(9))));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| site.update("wait=served", &value(1)));
        until("the daemon itself serves the value", || site.served() == [value(1)]);
        site.follow_soon();
        let reply = waiting.join().unwrap();
        assert_eq!((reply.status, reply.header("txtgate-served")), (200, Some("2")), "{reply:?}");
    });
    let text = site.daemon.home().run_ok(&["txt", "publish", &site.account.fulldomain, &value(2), "--wait", "served"]);
    assert!(text.contains("served by every nameserver") && text.contains(NS2), "{text}");
    let row = text.lines().find(|line| line.contains(NS2)).unwrap();
    assert!(row.len() <= 80 && row.contains(" ms ") && row.ends_with("2 TXT records"), "{text}");
}

#[test]
fn a_nameserver_that_does_not_serve_the_value_is_named_with_its_answer() {
    let site = Site::new(Some(Mode::Silent));
    let state = |addresses: &Value, at: usize| addresses[at]["state"].as_str().unwrap_or_default().to_owned();
    for (mode, expected, answer) in [
        (Mode::Silent, "unreachable", "no answer"),
        (Mode::Rcode(ResponseCode::ServFail), "lacking", "Server Failure"),
        (Mode::Rcode(ResponseCode::Refused), "lacking", "Refused"),
        (Mode::Stale(value(9)), "lacking", "1 TXT records without"),
    ] {
        site.second.set(mode.clone());
        let is_whole = |addresses: &Value| state(addresses, 0) == "served" && state(addresses, 1) == expected;
        let reply = site.evidence(is_whole);
        let second = &reply["served"]["addresses"][1];
        assert_eq!(
            (&second["address"], &second["nameserver"]),
            (&json!(NS2), &json!(format!("ns2.{ZONE}"))),
            "{reply}"
        );
        assert!(second["answer"].as_str().unwrap().contains(answer), "{mode:?}: {reply}");
        let message = reply["message"].as_str().unwrap();
        assert!(message.contains(NS2) && message.contains("published here and stays"), "{message}");
    }
    assert_eq!(site.served(), [value(2)], "it stays published");
    let metrics = get(site.daemon.metrics(), "/metrics").body;
    let waits = |result: &str| {
        let series = format!("txtgate_nameserver_waits_total{{result=\"{result}\"}} ");
        let line = metrics.lines().find_map(|line| line.strip_prefix(&series));
        line.unwrap_or_else(|| panic!("{series} in {metrics}")).parse::<u64>().unwrap()
    };
    assert!(waits("served") == 0 && waits("not-served") >= 4 && waits("refused") == 0, "{metrics}");
    assert!(metrics.contains("\ntxtgate_faults_total 0\n"), "the nameservers of others are not our fault: {metrics}");
}

#[test]
fn a_lost_parent_leaves_what_it_has_said_or_the_configuration() {
    let mut site = Site::new(Some(Mode::Silent));
    site.lab = None;
    // The parent was never asked: `ns` of the configuration names the daemon alone.
    let body = site.account.body(&value(1));
    let reply = site.send("/v1/txt", "wait=served", &body);
    let served = &reply.json()["served"];
    assert_eq!((reply.status, served["addresses"].as_array().map(Vec::len)), (200, Some(1)), "{reply:?}");
    let note = served["notes"][0].as_str().unwrap();
    assert!(note.contains("the nameservers of the configuration"), "{note}");

    let site = Site::new(Some(Mode::Rcode(ResponseCode::ServFail)));
    site.evidence(|addresses| addresses[1]["state"] == "lacking");
    site.resolver.clear();
    let reply = site.update("wait=served&timeout=1s", &value(1));
    assert_eq!(reply.json()["served"]["addresses"].as_array().map(Vec::len), Some(2), "{reply:?}");
}

#[test]
fn a_zone_without_a_delegation_is_served_nowhere() {
    let site = Site::new(None);
    let mut lab = Lab::empty();
    lab.serve(PARENT, vec![parent("")], &[]);
    let detours = format!("detours = [\"{PARENT}={}\"]", lab.at(PARENT));
    let settings = Settings::default().top(&format!("resolvers = [\"{}\"]\n{detours}", site.resolver.address));
    let daemon = Process::start(&settings);
    let account = Account::register(daemon.api());
    let reply = account.send(daemon.api(), "POST", "/update?wait=served&timeout=5s", &account.body(&value(1)));
    reply.assert_error(504, "not_served");
    assert!(reply.body.contains("does not delegate") && reply.body.contains("add NS records"), "{reply:?}");
    assert_eq!(txts(daemon.dns(), &account.fulldomain), [value(1)]);
}

/// An account has so many waits. A client that hangs up ends its own.
#[test]
fn waits_are_bounded_and_end_with_their_clients() {
    let site = Site::new(Some(Mode::Silent));
    let request = site.account.request("POST", "/update?wait=served", &site.account.body(&value(1)));
    let start = |_| {
        let mut wire = connect(site.daemon.api());
        wire.send(&request);
        wire
    };
    let mut waiting: Vec<_> = (0..MAX_WAITS).map(start).collect();
    let mut refused = None;
    until("all of them wait", || {
        let reply = site.update("wait=served&timeout=1s", &value(2));
        let is_refused = reply.status == 429;
        if !is_refused {
            // This request had the place of one of them, which was refused then.
            waiting.push(start(0));
        }
        refused = Some(reply);
        is_refused
    });
    let refused = refused.unwrap();
    refused.assert_error(429, "too_many_requests");
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    site.account.publish(site.daemon.api(), &value(3));
    // Some of them may have been refused, whose end frees no place.
    until("a place is free", || {
        drop(waiting.pop());
        site.update("wait=served&timeout=1s", &value(4)).status == 504
    });
    // Those who wait neither hold up the end of the daemon nor are cut off.
    let Site { daemon, .. } = site;
    let (status, took, log) = daemon.terminate();
    assert!(status.success() && took < GRACE, "{took:?}\n{log}");
    let replies: Vec<Reply> = waiting.iter_mut().map(|wire| wire.receive()).collect();
    let waited: Vec<&Reply> = replies.iter().filter(|reply| reply.status != 429).collect();
    assert!(!waited.is_empty(), "{replies:?}");
    waited.iter().for_each(|reply| reply.assert_error(504, "not_served"));
}

#[test]
fn an_update_waits_if_the_configuration_says_so() {
    let settings = Settings::default().more("[updates]\nwait = \"served\"\nwait-limit = \"5s\"");
    let site = Site::of(settings, Some(Mode::Stale(value(9))));
    let name = &site.account.fulldomain;
    let key: Value = {
        let text = site.daemon.home().run_ok(&["account", "tsig", "create", &site.account.username, "--json"]);
        serde_json::from_str(&text).unwrap()
    };
    let key = Key::of(&key);
    let update = |number: u64| Update::of(ZONE).add(name, &value(number)).bytes().edns(1_232);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| key.ask(site.daemon.dns(), &update(1)));
        until("the daemon itself serves the value", || site.served() == [value(1)]);
        site.follow_soon();
        assert_eq!(waiting.join().unwrap().rcode(), ResponseCode::NoError);
    });
    site.second.set(Mode::Rcode(ResponseCode::ServFail));
    let reply = key.ask(site.daemon.dns(), &update(2));
    assert_eq!((reply.rcode(), reply.ede()), (ResponseCode::ServFail, Some(0)), "{reply:?}");
    assert_eq!(site.served(), [value(2), value(1)], "it stays published");
    // Nothing is published by an UPDATE that only deletes, so nothing is waited for.
    let start = Instant::now();
    let deletion = Update::of(ZONE).delete(name, &value(2)).bytes();
    assert_eq!(key.ask(site.daemon.dns(), &deletion).rcode(), ResponseCode::NoError);
    assert!(start.elapsed() < PATIENCE, "{:?}", start.elapsed());
    assert_eq!(site.served(), [value(1)]);
}

/// The hook, as lego calls it with the name to which the CNAME leads.
fn hook(site: &Site, server: &str, txt: &str) -> Output {
    let folder = site.daemon.home().path();
    let Account { username, password, subdomain, fulldomain } = &site.account;
    let account = json!({"username": username, "password": password, "subdomain": subdomain, "fulldomain": fulldomain});
    let file = folder.join("accounts.json");
    std::fs::write(&file, json!({"example.com": account}).to_string()).unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::write(folder.join("hook.toml"), format!("server = \"{server}\"\nwait = \"served\"\n")).unwrap();
    let mut command = Command::new(BINARY);
    command
        .env_clear()
        .env("XDG_CONFIG_HOME", "/nonexistent")
        .arg("hook")
        .arg("--config")
        .arg(folder.join("hook.toml"));
    command.args(["--resolver", &site.resolver.address.to_string()]);
    command.args(["present", &format!("{fulldomain}."), txt]).output().unwrap()
}

#[test]
fn the_hook_waits_and_prints_what_each_nameserver_says() {
    let settings = Settings::default().more("[updates]\nwait-limit = \"2s\"");
    let site = Site::of(settings, Some(Mode::Rcode(ResponseCode::ServFail)));
    let server = format!("http://{}", site.daemon.api());
    let failed = hook(&site, &server, &value(1));
    let said = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert_eq!(failed.status.code(), Some(1), "{said}");
    assert!(said.contains(NS2) && said.contains("Server Failure") && said.contains("stays"), "{said}");
    assert_eq!(site.served(), [value(1)]);
    site.second.set(Mode::Follows(site.daemon.dns()));
    let done = hook(&site, &server, &value(2));
    assert!(done.status.success() && done.stderr.is_empty(), "{done:?}");
}

/// Questions to the nameservers come from sockets of their own: the daemon's listeners answer as ever.
#[test]
fn dead_nameservers_hold_up_nobody_else() {
    let site = Site::new(Some(Mode::Silent));
    let request = site.account.request("POST", "/update?wait=served", &site.account.body(&value(1)));
    let waiting: Vec<_> = (0..MAX_WAITS)
        .map(|_| {
            let mut wire = connect(site.daemon.api());
            wire.send(&request);
            wire
        })
        .collect();
    until("they wait", || site.second.asked() >= MAX_WAITS);
    for number in 2..20 {
        site.account.publish(site.daemon.api(), &value(number));
        let reply = Udp::to(site.daemon.dns()).ask(&crate::harness::dns::query(&site.account.fulldomain, 16));
        assert!(!reply.is_empty());
    }
    drop(waiting);
}
