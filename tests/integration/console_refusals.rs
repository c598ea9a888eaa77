//! What the console refuses, and the page that says so: forms from elsewhere, foreign hosts, sessions that have ended, what is
//! unknown or belongs to others, and too many guesses.

use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::harness::account::Account;
use crate::harness::browser::{Browser, SETTINGS, console, exchange, form, link, request, token};
use crate::harness::http::{Reply, Wire, connect};
use crate::harness::{Process, Settings, until, value};

/// What can be done with an account: the end of the path, and fields that would do.
const ACTIONS: [(&str, &[(&str, &str)]); 13] = [
    ("edit", &[("note", "n"), ("networks", "")]),
    ("rotate", &[("grace", "1h")]),
    ("disable", &[]),
    ("enable", &[]),
    ("delete", &[]),
    ("publish", &[("name", "s.auth.test"), ("txt", "LHDhK3oGRvkiefQnx7OOczTY5Tic_xZ6HcMOc_gmtoM")]),
    ("retire", &[("value", "s.auth.test LHDhK3oGRvkiefQnx7OOczTY5Tic_xZ6HcMOc_gmtoM")]),
    ("tsig", &[("algorithm", "hmac-sha256")]),
    ("tsig/delete", &[]),
    ("aliases", &[("alias", "_acme-challenge.a.example"), ("name", "")]),
    ("aliases/remove", &[("alias", "_acme-challenge.a.example")]),
    ("subdomains", &[("subdomain", "another")]),
    ("subdomains/remove", &[("name", "s.auth.test")]),
];
const NOBODY: &str = "00000000-0000-4000-8000-000000000000";
const MARKUP: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>";

fn daemon() -> Process {
    Process::start(&Settings::default().more(SETTINGS))
}

/// That a reply is a page for people with a way on.
fn assert_is_page(reply: &Reply, status: u16, part: &str) {
    assert_eq!(reply.status, status, "{reply:?}");
    assert!(reply.header("content-type").is_some_and(|kind| kind.starts_with("text/html")), "{reply:?}");
    assert!(reply.body.contains("<h1>") && reply.body.contains("<a href=\"/"), "{reply:?}");
    assert!(reply.body.contains(part), "{part:?}: {reply:?}");
}

#[test]
fn a_form_needs_the_secret_of_its_own_session() {
    let daemon = daemon();
    let (browser, other) = (Browser::operator(&daemon, "all"), Browser::operator(&daemon, "all"));
    let guess = "x".repeat(browser.csrf().len());
    for csrf in ["", &guess, &other.csrf()] {
        let reply = exchange(browser.console, "POST", "/sign-out", &[browser.cookie_line()], &form(&[("csrf", csrf)]));
        assert_is_page(&reply, 403, "form belongs to another session");
    }
    let reply = exchange(browser.console, "POST", "/sign-out", &[browser.cookie_line()], "");
    assert_is_page(&reply, 403, "form belongs to another session");
    browser.page("/sessions");
    let done = browser.post("/sign-out", &[]);
    assert_eq!((done.status, done.header("location")), (303, Some("/sign-in")), "{done:?}");
}

#[test]
fn a_form_from_a_page_elsewhere_has_no_effect() {
    let daemon = daemon();
    let browser = Browser::operator(&daemon, "all");
    let console = browser.console;
    let host = format!("Host: {console}");
    let body = form(&[("csrf", &browser.csrf())]);
    let neighbour = format!("Origin: http://127.0.0.1:{}", console.port() ^ 1);
    let own = format!("Origin: http://{console}");
    for lines in [
        vec![],
        vec!["Origin: null"],
        vec!["Origin: http://evil.example"],
        vec![neighbour.as_str()],
        vec![own.as_str(), "Sec-Fetch-Site: cross-site"],
        vec![own.as_str(), "Sec-Fetch-Site: same-site"],
    ] {
        let mut headers = vec![host.clone(), browser.cookie_line()];
        headers.extend(lines.iter().map(|line| (*line).to_owned()));
        for path in ["/sign-out", "/sign-in", "/accounts"] {
            let reply = connect(console).exchange(request("POST", path, &headers, &body));
            assert_is_page(&reply, 403, "form was sent by a page elsewhere");
        }
    }
    browser.page("/sessions");
}

#[test]
fn a_host_that_is_not_the_consoles_is_refused() {
    let daemon = daemon();
    let browser = Browser::operator(&daemon, "all");
    for host in ["evil.example", "127.0.0.1.evil.example", "127.0.0.2", "localhost.evil.example:80", ""] {
        let headers = [format!("Host: {host}"), browser.cookie_line(), format!("Origin: http://{host}")];
        for (method, path) in [("GET", "/sessions"), ("GET", "/assets/console.css"), ("POST", "/sign-out")] {
            let reply = connect(browser.console).exchange(request(method, path, &headers, ""));
            // HTTP itself forbids a request without a host.
            let is_refused = reply.status == 421 || (host.is_empty() && reply.status == 400);
            assert!(is_refused && !reply.body.contains("<form"), "{host} {path}: {reply:?}");
        }
    }
    let known = [format!("Host: LOCALHOST:{}", browser.console.port()), browser.cookie_line()];
    assert_eq!(connect(browser.console).exchange(request("GET", "/sessions", &known, "")).status, 200);
}

#[test]
fn every_reply_forbids_frames_scripts_of_others_and_storing() {
    let daemon = daemon();
    let browser = Browser::operator(&daemon, "all");
    let foreign = ["Host: evil.example".to_owned()];
    let style = browser
        .page("/")
        .split("href=\"")
        .find(|part| part.starts_with("/assets/") && part.contains(".css"))
        .unwrap()
        .to_owned();
    let style = style.split('"').next().unwrap().to_owned();
    let replies = [
        browser.get("/"),
        browser.get("/nowhere"),
        browser.get(&style),
        browser.post("/accounts", &[("domain", "no domain")]),
        exchange(browser.console, "GET", "/sign-in", &[], ""),
        exchange(browser.console, "GET", "/accounts", &[], ""),
        exchange(browser.console, "POST", "/sign-in", &[], &form(&[("token", "wrong")])),
        connect(browser.console).exchange(request("GET", "/", &foreign, "")),
    ];
    let statuses: Vec<u16> = replies.iter().map(|reply| reply.status).collect();
    assert_eq!(statuses, [200, 404, 200, 400, 200, 303, 401, 421]);
    for reply in &replies {
        let policy = reply.header("content-security-policy").unwrap_or_else(|| panic!("{reply:?}"));
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "frame-ancestors 'none'",
            "form-action 'self'",
            "base-uri 'none'",
        ] {
            assert!(policy.contains(part), "{part}: {policy}");
        }
        assert!(!["unsafe", "*", "http", "data:"].iter().any(|word| policy.contains(word)), "{policy}");
        assert_eq!(reply.header("x-frame-options"), Some("DENY"), "{reply:?}");
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{reply:?}");
        assert_eq!(reply.header("referrer-policy"), Some("same-origin"), "{reply:?}");
        let is_stored = reply.status == 200 && reply.header("content-type").unwrap().starts_with("text/css");
        assert_eq!(reply.header("cache-control") == Some("no-store"), !is_stored, "{reply:?}");
    }
}

#[test]
fn the_cookie_is_out_of_reach_of_scripts_and_other_sites_and_new_with_each_sign_in() {
    let daemon = daemon();
    let console = console(&daemon);
    let planted = ["Cookie: txtgate=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa".to_owned()];
    let reply = exchange(console, "POST", &link(&daemon, "all"), &planted, "");
    let cookie = reply.header("set-cookie").unwrap();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert!(!cookie.contains("aaaaaaaa") && !cookie.contains("Domain"), "{cookie}");
    assert_eq!(exchange(console, "GET", "/", &planted, "").status, 303);
}

#[test]
fn a_session_ends_with_its_sign_out_from_the_list_and_with_what_it_stands_on() {
    let daemon = daemon();
    let operator = Browser::operator(&daemon, "all");
    let account = Account::register(daemon.api());
    let left = Browser::operator(&daemon, "read");
    let thief = Browser { console: left.console, cookie: left.cookie.clone() };
    assert_eq!(left.post("/sign-out", &[]).status, 303);
    let ended = Browser::with_token(&daemon, "read");
    let page = operator.page("/sessions");
    let number = page.split("token 1 (read)").nth(1).unwrap().split("/sessions/").nth(1).unwrap();
    let number = number.split('/').next().unwrap().to_owned();
    assert_eq!(operator.post(&format!("/sessions/{number}/end"), &[]).status, 303);
    let revoked = Browser::with_token(&daemon, "read");
    daemon.home().run_ok(&["admin", "token", "revoke", "2"]);
    let rotated = Browser::holder(&daemon, &account);
    daemon.home().run_ok(&["account", "rotate", &account.username]);
    for (how, browser) in [("sign-out", thief), ("the list", ended), ("its token", revoked), ("its key", rotated)] {
        let reply = browser.get("/sessions");
        assert_eq!(
            (reply.status, reply.header("location")),
            (303, Some("/sign-in?next=%2Fsessions")),
            "{how}: {reply:?}"
        );
    }
    let link = link(&daemon, "all");
    Browser::sign_in(operator.console, &link, &[]);
    let again = exchange(operator.console, "POST", &link, &[], "");
    assert_is_page_of_sign_in(&again, "unknown, too old, or has been used");
}

fn assert_is_page_of_sign_in(reply: &Reply, part: &str) {
    assert!(
        reply.status == 401 && reply.body.contains("action=\"/sign-in\"") && reply.body.contains(part),
        "{reply:?}"
    );
}

#[test]
fn a_form_of_a_session_that_has_ended_changes_nothing_and_leads_back_to_its_page() {
    let daemon = daemon();
    let account = Account::register(daemon.api());
    let browser = Browser::operator(&daemon, "all");
    let place = format!("/accounts/{}", account.username);
    let csrf = browser.csrf();
    browser.post("/sign-out", &[]);
    let referer = format!("Referer: http://{}{place}?client=lego", browser.console);
    let headers = [browser.cookie_line(), referer];
    for (rest, fields) in ACTIONS {
        let fields = [fields, &[("csrf", csrf.as_str())]].concat();
        let reply = exchange(browser.console, "POST", &format!("{place}/{rest}"), &headers, &form(&fields));
        assert_is_page(&reply, 401, "session has ended");
        let back =
            format!("href=\"/sign-in?next=%2Faccounts%2F{}%3Fclient%3Dlego\"", account.username.replace('-', "%2D"));
        assert!(reply.body.contains(&back), "{back}: {reply:?}");
    }
    for path in ["/sessions/1/end", "/certificates/a/renew", "/doctor", "/accounts", "/sign-out"] {
        let reply = exchange(browser.console, "POST", path, &headers[..1], &form(&[("csrf", &csrf)]));
        assert_is_page(&reply, 401, "href=\"/sign-in\"");
    }
    account.publish(daemon.api(), &value(1));
}

#[test]
fn forms_for_what_is_unknown_or_of_others_say_so() {
    let daemon = daemon();
    let (account, other) = (Account::register(daemon.api()), Account::register(daemon.api()));
    let operator = Browser::operator(&daemon, "all");
    for (rest, fields) in ACTIONS {
        assert_is_page(&operator.post(&format!("/accounts/{NOBODY}/{rest}"), fields), 404, NOBODY);
    }
    for path in ["/certificates/none/renew", "/certificates/none/revoke"] {
        assert_is_page(&operator.post(path, &[("reason", "superseded")]), 404, "none");
    }
    for id in ["x", "999", "-1", "18446744073709551616", "%3Cb%3E"] {
        let reply = operator.post(&format!("/sessions/{id}/end"), &[]);
        assert_is_page(&reply, 404, "no such session");
        assert!(reply.body.contains("href=\"/sessions\"") && !reply.body.contains("<b>"), "{reply:?}");
    }
    let own = format!("/accounts/{}", account.username);
    for (rest, fields) in [
        ("subdomains/remove", &[("name", "none.auth.test")]),
        ("retire", &[("value", "none.auth.test LHDhK3oGRvkiefQnx7OOczTY5Tic_xZ6HcMOc_gmtoM")]),
    ] {
        let reply = operator.post(&format!("{own}/{rest}"), fields);
        assert!(matches!(reply.status, 400 | 404), "{rest}: {reply:?}");
        assert!(reply.body.contains("role=\"alert\"") && reply.body.contains("none."), "{rest}: {reply:?}");
    }
    let (holder, reader) = (Browser::holder(&daemon, &account), Browser::operator(&daemon, "read"));
    let foreign = format!("/accounts/{}", other.username);
    for (rest, fields) in ACTIONS {
        for (browser, place) in [(&holder, &foreign), (&reader, &own)] {
            let reply = browser.post(&format!("{place}/{rest}"), fields);
            assert_eq!(reply.status, 403, "{rest}: {reply:?}");
            assert!(reply.body.contains("<h1>") && !reply.body.contains(&other.fulldomain), "{rest}: {reply:?}");
        }
    }
    let sessions = operator.page("/sessions");
    let own_row = sessions.split("(this one)").nth(1).unwrap();
    let of_operator = own_row.split("/sessions/").nth(1).unwrap().split('/').next().unwrap();
    for browser in [&holder, &reader] {
        assert_is_page(&browser.post(&format!("/sessions/{of_operator}/end"), &[]), 404, "no such session");
    }
    for account in [&account, &other] {
        account.publish(daemon.api(), &value(1));
    }
}

#[test]
fn what_cannot_be_read_gets_a_page_as_well() {
    let daemon = daemon();
    let browser = Browser::operator(&daemon, "all");
    for path in
        ["/accounts?search=a&search=b", "/queries?name=a&name=b", "/doctor?whole=maybe", "/sign-in?next=a&next=b"]
    {
        assert_is_page(&browser.get(path), 400, "cannot be read");
    }
    assert_is_page(&browser.get("/accounts/%ff"), 404, "no such page");
    assert_is_page(&browser.get("/sign-out"), 405, "does not take such a request");
    let headers =
        [format!("Host: {}", browser.console), format!("Origin: http://{}", browser.console), browser.cookie_line()];
    let text = request("POST", "/sign-out", &headers, "csrf=%zz&a=b&a=c").replace("x-www-form-urlencoded", "json");
    assert_is_page(&connect(browser.console).exchange(text), 400, "form cannot be read");
}

#[test]
fn markup_in_whatever_others_fill_in_is_text() {
    let daemon = daemon();
    let account = Account::register(daemon.api());
    let browser = Browser::operator(&daemon, "all");
    let place = format!("/accounts/{}", account.username);
    let probe = form(&[("x", MARKUP)]).split_off(2);
    browser.submit(&format!("{place}/edit"), &[("note", MARKUP), ("networks", "")]);
    exchange(browser.console, "POST", &link(&daemon, "read"), &[format!("User-Agent: {MARKUP}")], "");
    account.publish(daemon.api(), &value(1));
    let paths = [
        "/".to_owned(),
        "/accounts".to_owned(),
        "/sessions".to_owned(),
        place.clone(),
        format!("{place}/delete"),
        format!("{place}?domain={probe}&client={probe}"),
        format!("/accounts?search={probe}&zone={probe}&sort={probe}"),
        format!("/accounts/{probe}"),
        format!("/certificates/{probe}"),
        format!("/queries?name={probe}"),
        format!("/sign-in?next={probe}"),
        format!("/link/{probe}"),
        format!("/{probe}"),
    ];
    for path in &paths {
        let page = browser.get(path).body;
        assert!(page.contains("<h1>") && !page.contains("<script>") && !page.contains("<img"), "{path}: {page}");
    }
    for path in ["/accounts", "/sessions", &place] {
        assert!(browser.page(path).contains("&lt;script&gt;alert(1)"), "{path}");
    }
    let typed = browser.post("/accounts", &[("domain", MARKUP), ("networks", MARKUP), ("client", MARKUP)]);
    assert!(typed.status == 400 && typed.body.contains("value=\"&lt;script&gt;"), "{typed:?}");
    assert!(!typed.body.contains("<script>") && !typed.body.contains("<img"), "{typed:?}");
}

/// A sign-in over the console's Unix socket.
fn guess(socket: &Path, headers: &[&str], token: &str) -> Reply {
    let mut lines = vec!["Host: console.test".to_owned(), "Origin: https://console.test".to_owned()];
    lines.extend(headers.iter().map(|line| (*line).to_owned()));
    let mut wire = Wire(UnixStream::connect(socket).unwrap());
    wire.exchange(request("POST", "/sign-in", &lines, &form(&[("token", token)])))
}

fn with_socket(api: &str) -> (Process, SocketAddr, String) {
    let more = "[console]\nlisten = [\"unix:console.sock\", \"127.0.0.1:0\"]\nhosts = [\"console.test\"]\n\
                user-header = \"X-User\"\nuser-scope = \"read\"";
    let daemon = Process::start(&Settings::default().with("api", api).more(more));
    let (console, token) = (console(&daemon), token(&daemon, "all"));
    (daemon, console, token)
}

/// Whether wrong tokens are delayed at last, where each guess has these headers.
fn is_delayed(socket: &Path, headers: impl Fn(u8) -> String) -> bool {
    (0..100).any(|number| guess(socket, &[headers(number).as_str()], &"w".repeat(43)).status == 429)
}

#[test]
fn who_guesses_through_a_proxy_delays_nobody_else() {
    let listen = "listen = [\"127.0.0.1:0\"]\n";
    let proxies = "trusted-proxies = [\"unix\"]\nclient-ip-header = \"X-Real-IP\"";
    // Open registration: the proxy is before the console alone.
    let (daemon, console, token) = with_socket(&format!("{listen}{proxies}\nregistration = \"open\""));
    let socket = daemon.home().path().join("console.sock");
    for (guesser, neighbour, other, whose) in [
        ("X-User: mallory", &["X-User: mallory", "X-Real-IP: 192.0.2.7"][..], "X-User: alice", "by mallory"),
        ("X-Real-IP: 192.0.2.1", &["X-Real-IP: 192.0.2.200"][..], "X-Real-IP: 198.51.100.1", "from your network"),
    ] {
        // A delay may be over before the next request; each further guess doubles it.
        until("the right token is delayed as well", || {
            assert!(is_delayed(&socket, |_| guesser.to_owned()), "{guesser}");
            let reply = guess(&socket, neighbour, &token);
            let is_told = reply.body.contains(&format!("Too many attempts {whose}"));
            assert!(reply.status == 303 || (is_told && reply.header("retry-after").is_some()), "{reply:?}");
            reply.status == 429
        });
        assert_eq!(guess(&socket, &[other], &token).status, 303, "{other}");
    }
    assert_eq!(guess(&socket, &[], &token).status, 303, "without a name and an address");
    assert_eq!(exchange(console, "POST", "/sign-in", &[], &form(&[("token", &token)])).status, 303, "over the network");
    assert!(daemon.log().contains("198.51.100.1"), "the log has the browser's address: {}", daemon.log());
}

#[test]
fn an_address_in_a_header_counts_only_where_the_configuration_says_so() {
    let (daemon, console, _) = with_socket("listen = [\"127.0.0.1:0\"]\n");
    let socket = daemon.home().path().join("console.sock");
    assert!(is_delayed(&socket, |number| format!("X-Real-IP: 192.0.{number}.1")), "no header makes another guesser");
    let wrong = form(&[("token", &"w".repeat(43))]);
    let is_delayed_over_network = (0..100).any(|number| {
        let line = format!("X-User: user{number}");
        exchange(console, "POST", "/sign-in", &[line], &wrong).status == 429
    });
    assert!(is_delayed_over_network, "nor does a user's name over the network");
}
