//! The console's pages of the daemon's state: overview, certificates, doctor and queries.

use std::net::{SocketAddr, UdpSocket};

use serde_json::Value;
use txtgate::delegation::roots::Roots;

use crate::harness::account::Account;
use crate::harness::dns::{ask, query};
use crate::harness::http::{Reply, send};
use crate::harness::standin::{ResponsePolicy, StandIn, What};
use crate::harness::{Process, Settings, ZONE, until, value};

/// The most bytes of a page.
const WEIGHT: usize = 100 * 1024;
const PAGES: [&str; 4] = ["/", "/certificates", "/doctor", "/queries"];
const TXT: u16 = 16;

fn with_console(settings: Settings) -> Settings {
    settings.more("[console]\nlisten = [\"127.0.0.1:0\"]")
}

/// A browser without JavaScript that is signed in.
struct Browser {
    server: SocketAddr,
    cookie: String,
}

impl Browser {
    fn sign_in(daemon: &Process, scope: &str) -> Self {
        let link = daemon.home().run_ok(&["console", "login", "--json", "--scope", scope]);
        let link: Value = serde_json::from_str(&link).unwrap();
        let url = link["url"].as_str().unwrap().strip_prefix("http://").unwrap();
        let (server, path) = url.split_once('/').unwrap();
        let server = server.parse().unwrap();
        let reply = send(server, "POST", &format!("/{path}"), &["Origin: http://localhost"], "");
        assert_eq!(reply.status, 303, "{reply:?}");
        let cookie = reply.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
        Self { server, cookie }
    }

    fn open(&self, path: &str) -> Reply {
        let reply = send(self.server, "GET", path, &[&format!("Cookie: {}", self.cookie)], "");
        assert!(reply.body.len() < WEIGHT, "{path} has {} bytes", reply.body.len());
        reply
    }

    /// A page that is there.
    fn page(&self, path: &str) -> String {
        let reply = self.open(path);
        assert_eq!(reply.status, 200, "{path}: {reply:?}");
        reply.body
    }

    /// Sends a form. The fields are encoded already.
    fn send(&self, path: &str, fields: &str) -> Reply {
        let page = self.page("/sessions");
        let csrf = page.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        let headers = [
            &format!("Cookie: {}", self.cookie),
            "Origin: http://localhost",
            "Content-Type: application/x-www-form-urlencoded",
        ];
        send(self.server, "POST", path, &headers, &format!("csrf={csrf}&{fields}"))
    }
}

/// As a page has it: without markup of its own, and with commands as code.
fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    let parts = text.split('`').enumerate();
    parts.map(|(index, part)| if index % 2 == 1 { format!("<code>{part}</code>") } else { part.to_owned() }).collect()
}

fn status(daemon: &Process) -> Value {
    serde_json::from_str(&daemon.home().run_ok(&["status", "--json"])).unwrap()
}

#[test]
fn the_first_start_leads_to_the_first_account_and_reading_changes_nothing() {
    let daemon = Process::start(&with_console(Settings::default()));
    let (all, read) = (Browser::sign_in(&daemon, "all"), Browser::sign_in(&daemon, "read"));
    let page = all.page("/");
    assert!(page.contains("href=\"/accounts/new\"") && page.contains("all is well"), "{page}");
    assert!(page.contains("aria-label=\"no updates in the last hour\""), "the chart in words: {page}");
    let page = read.page("/");
    assert!(!page.contains("/accounts/new") && page.contains("txtgate account create"), "{page}");
    for path in PAGES {
        let page = read.page(path);
        // Sign-out alone.
        assert_eq!(page.matches("method=\"post\"").count(), 1, "{path}: {page}");
        assert!(!page.contains(" style=") && !page.contains("<script>"), "{path}: {page}");
    }
    assert!(all.page("/doctor").contains("action=\"/doctor\""));
    for (path, fields) in
        [("/doctor", "names="), ("/certificates/a/renew", ""), ("/certificates/a/revoke", "reason=unspecified")]
    {
        let refused = read.send(path, fields);
        assert!(refused.status == 403 && refused.body.contains("scope <code>all</code>"), "{path}: {refused:?}");
    }
    assert_eq!(read.open("/certificates/a/revoke").status, 403);
    Account::register(daemon.api());
    assert!(!all.page("/").contains("/accounts/new"));
}

#[test]
fn an_account_sees_none_of_these_pages() {
    let daemon = Process::start(&with_console(Settings::default()));
    let account = Account::register(daemon.api());
    let operator = Browser::sign_in(&daemon, "read");
    let form = format!("username={}&password={}", account.username, account.password);
    let headers = ["Origin: http://localhost", "Content-Type: application/x-www-form-urlencoded"];
    let reply = send(operator.server, "POST", "/sign-in", &headers, &form);
    let cookie = reply.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let holder = Browser { server: operator.server, cookie };
    assert_eq!(holder.open("/").status, 303);
    for path in ["/certificates", "/doctor", "/queries", "/queries?name=a", "/queries/events", "/certificates/a/revoke"]
    {
        let reply = holder.open(path);
        assert_eq!(reply.status, 403, "{path}: {reply:?}");
    }
}

#[test]
fn a_database_that_is_gone_is_the_first_thing_with_its_mend() {
    let daemon = Process::start(&with_console(Settings::default()));
    let browser = Browser::sign_in(&daemon, "read");
    std::fs::remove_file(daemon.home().database()).unwrap();
    until("the daemon knows", || status(&daemon)["database_problem"].is_string());
    let problem = status(&daemon)["database_problem"].as_str().unwrap().to_owned();
    let page = browser.page("/");
    let mend = page.find(&escaped(&problem[1..])).unwrap_or_else(|| panic!("no {problem:?} in {page}"));
    assert!(page[..mend].contains("The database") && page[..mend].contains("problem"), "{page}");
    assert!(mend < page.find("Certificates by expiry").unwrap(), "problems come first: {page}");
    assert!(!page.contains("all is well"), "{page}");
}

#[test]
fn a_certificate_that_fails_is_shown_with_its_mend_and_is_renewed_and_revoked() {
    let ca = StandIn::start(ResponsePolicy { knows_names: true, ..ResponsePolicy::default() });
    ca.fault("/new-order", What::Refuse(403, "rejectedIdentifier", None));
    let settings = ca.settings().more(&format!("[[certificate]]\nname = \"zone\"\nnames = [\"{ZONE}\"]"));
    let daemon = Process::start(&with_console(settings));
    let browser = Browser::sign_in(&daemon, "all");
    let view =
        || -> Value { serde_json::from_str(&daemon.home().run_ok(&["cert", "show", "zone", "--json"])).unwrap() };
    until("it has failed", || view()["problem"].is_string());
    let problem = view()["problem"].as_str().unwrap().to_owned();
    assert!(problem.contains("rejectedIdentifier"), "{problem}");
    for path in ["/", "/certificates/zone"] {
        let page = browser.page(path);
        assert!(page.contains(&escaped(&problem[1..])) && page.contains("next attempt"), "{path}: {page}");
    }
    assert!(browser.page("/certificates").contains("failed"));

    let reply = browser.send("/certificates/zone/renew", "");
    assert_eq!((reply.status, reply.header("location")), (303, Some("/certificates/zone")), "{reply:?}");
    until("it is issued", || view()["shown"].is_object());
    let page = browser.page("/certificates/zone");
    let serial = view()["shown"]["serial"].as_str().unwrap().to_owned();
    assert!(page.contains(&serial) && page.contains("two thirds of its lifetime"), "{page}");
    assert!(browser.page("/").contains("href=\"/certificates/zone\""));

    let page = browser.page("/certificates/zone/revoke");
    assert!(page.contains("cannot be undone") && page.contains("value=\"key-compromise\""), "{page}");
    assert_eq!(browser.send("/certificates/zone/revoke", "reason=boredom").status, 400);
    assert_eq!(browser.send("/certificates/zone/revoke", "reason=superseded").status, 303);
    assert_eq!(view()["revoked"], true);
    let page = browser.page("/certificates/zone");
    assert!(page.contains("revoked") && !page.contains("Revoke\u{2026}"), "{page}");
    assert_eq!(browser.open("/certificates/none").status, 404);
}

#[test]
fn an_examination_runs_behind_a_page_that_loads_itself_again() {
    // The root's servers are silent, so that nobody outside is asked, and the examination takes a while.
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let sink = silent.local_addr().unwrap();
    let roots = Roots::default();
    let detours: Vec<String> = roots.servers().iter().map(|root| format!("{root}={sink}")).collect();
    let settings = Settings::default().top(&format!("resolvers = [\"{sink}\"]\ndetours = {detours:?}"));
    let daemon = Process::start(&with_console(settings));
    let browser = Browser::sign_in(&daemon, "all");
    assert!(browser.page("/doctor").contains("has not examined its set-up"));
    let wrong = browser.send("/doctor", "names=192.0.2.1%3Cb%3E");
    assert!(wrong.status == 400 && wrong.body.contains("value=\"192.0.2.1&lt;b&gt;\""), "{wrong:?}");
    let begun = browser.send("/doctor", "names=a.example.com");
    assert_eq!((begun.status, begun.header("location")), (303, Some("/doctor")), "{begun:?}");
    let mut seen_running = false;
    until("the report is there", || {
        let page = browser.page("/doctor");
        let is_running = page.contains("http-equiv=\"refresh\"");
        assert_eq!(is_running, page.contains("<progress"), "{page}");
        seen_running |= is_running;
        page.contains("Examined") && !is_running
    });
    assert!(seen_running, "a walk from the root takes longer than a request");
    let page = browser.page("/doctor");
    for part in ["with a.example.com", "Begin with", "What to do: ", "As it should be"] {
        assert!(page.contains(part), "{part}: {page}");
    }
}

#[test]
fn queries_are_shown_as_they_arrive_and_by_name() {
    let daemon = Process::start(&with_console(Settings::default()));
    let account = Account::register(daemon.api());
    account.publish(daemon.api(), &value(1));
    let browser = Browser::sign_in(&daemon, "read");
    assert!(browser.page("/queries").contains("No such query since"));
    ask(daemon.dns(), &query(&account.fulldomain, TXT));
    ask(daemon.dns(), &query(&format!("nothing.{ZONE}"), TXT));
    ask(daemon.dns(), &query("elsewhere.example", TXT));
    until("all have arrived", || browser.page("/queries").matches("<time").count() == 3);
    let page = browser.page("/queries");
    for part in [&value(1), "NOERROR", "NXDOMAIN", "REFUSED", "elsewhere.example", "udp", "127.0.0.1"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    let page = browser.page("/queries?outcome=problem");
    assert!(page.contains("REFUSED") && !page.contains("NXDOMAIN"), "{page}");
    assert!(browser.page("/queries?type=A").contains("may be too narrow"));
    let by_name = format!("/queries?name={}", account.subdomain);
    until("the log has it", || browser.page(&by_name).contains(&value(1)));
    assert!(!browser.page(&by_name).contains("elsewhere.example"));
    let unknown = browser.open("/queries?name=nobody%3Cb%3E");
    assert!(unknown.status == 404 && !unknown.body.contains("<b>"), "{unknown:?}");
    for number in 0..150 {
        ask(daemon.dns(), &query(&format!("n{number}.{ZONE}"), TXT));
    }
    until("the last has arrived", || browser.page("/queries").contains("n149."));
    assert_eq!(browser.page("/queries").matches("<time").count(), 100);
}

#[test]
fn an_accounts_page_does_not_wait_for_a_silent_resolver() {
    let resolver = UdpSocket::bind("127.0.0.1:0").unwrap();
    let settings = Settings::default().top(&format!("resolvers = [\"{}\"]", resolver.local_addr().unwrap()));
    let daemon = Process::start(&with_console(settings));
    let account = daemon.home().run_ok(&["account", "create", "slow.example.com", "--json"]);
    let account: Value = serde_json::from_str(&account).unwrap();
    let browser = Browser::sign_in(&daemon, "read");
    let path = format!("/accounts/{}", account["username"].as_str().unwrap());
    let page = browser.page(&path);
    assert!(page.contains("the DNS is being asked") && page.contains(">Look again</a>"), "{page}");
    assert!(page.contains(&format!("data-events=\"{path}/events?domain=\"")), "its events wait for the answer: {page}");
    let mut question = [0; 512];
    resolver.recv_from(&mut question).expect("the page has begun the look-up");
    until("the resolver counts as silent", || browser.page(&path).contains("no answer in time"));
}

#[test]
fn the_overview_tells_the_last_publication_of_accounts_that_come_and_go() {
    let daemon = Process::start(&with_console(Settings::default()));
    let create = |name: &str| {
        Account::of(&serde_json::from_str(&daemon.home().run_ok(&["account", "create", name, "--json"])).unwrap())
    };
    let (early, late) = (create("early.example.com"), create("late.example.com"));
    let last = || status(&daemon)["last_publish"]["note"].clone();
    assert_eq!(last(), Value::Null);
    early.publish(daemon.api(), &value(1));
    assert_eq!(last(), "early.example.com");
    late.publish(daemon.api(), &value(2));
    assert_eq!(last(), "late.example.com");
    assert!(Browser::sign_in(&daemon, "read").page("/").contains("late.example.com"));
    // Neither account has a value any more, and then the later one is gone.
    for account in [&early, &late] {
        daemon.home().run_ok(&["txt", "retire", &account.fulldomain]);
    }
    assert_eq!(last(), "late.example.com");
    daemon.home().run_ok(&["account", "delete", &late.username, "--now"]);
    assert_eq!(last(), "early.example.com");
    let home = daemon.home().clone();
    assert!(daemon.terminate().0.success());
    assert_eq!(status(&home.start())["last_publish"]["note"], "early.example.com");
}
