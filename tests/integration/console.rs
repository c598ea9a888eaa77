//! The console over HTTP, as a browser without JavaScript uses it: the page of one account, its forms, and who may use them.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use serde_json::Value;

use crate::harness::account::Account;
use crate::harness::http::{Reply, Wire, connect_from};
use crate::harness::{Process, Settings, until, value};

const SETTINGS: &str = "[console]\nlisten = [\"127.0.0.1:0\"]";

/// A browser that has signed in.
struct Browser {
    console: SocketAddr,
    cookie: String,
}

fn console(daemon: &Process) -> SocketAddr {
    let line = daemon.lines().iter().find_map(|line| line.strip_prefix("console http://"));
    line.unwrap_or_else(|| panic!("no console in {:?}", daemon.lines())).parse().unwrap()
}

fn exchange(console: SocketAddr, method: &str, path: &str, headers: &[String], body: &str) -> Reply {
    let mut wire: Wire<TcpStream> = connect_from(Ipv4Addr::LOCALHOST, console);
    let mut text = format!("{method} {path} HTTP/1.1\r\nHost: {console}\r\n");
    headers.iter().for_each(|line| text.push_str(&format!("{line}\r\n")));
    if method == "POST" {
        text.push_str(&format!(
            "Origin: http://{console}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n",
            body.len()
        ));
    }
    wire.exchange(text + "\r\n" + body)
}

/// A form's fields, percent-encoded.
fn form(fields: &[(&str, &str)]) -> String {
    let encoded = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    let pairs: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    pairs.join("&")
}

impl Browser {
    /// Signs in with what a form of the console takes.
    fn sign_in(console: SocketAddr, path: &str, fields: &[(&str, &str)]) -> Self {
        let reply = exchange(console, "POST", path, &[], &form(fields));
        assert_eq!(reply.status, 303, "{reply:?}");
        let cookie = reply.header("set-cookie").expect("a cookie").split(';').next().unwrap().to_owned();
        Self { console, cookie }
    }

    /// The operator, by a link of the command line.
    fn operator(daemon: &Process, scope: &str) -> Self {
        let printed = daemon.home().run_ok(&["console", "login", "--scope", scope]);
        let at = printed.find("/link/").unwrap_or_else(|| panic!("{printed}"));
        let path = printed[at..].split_whitespace().next().unwrap();
        Self::sign_in(console(daemon), path, &[])
    }

    /// An operator with a token.
    fn with_token(daemon: &Process, scope: &str) -> Self {
        let made = daemon.home().run_ok(&["admin", "token", "create", "--json", "--scope", scope]);
        let token = serde_json::from_str::<Value>(&made).unwrap()["token"].as_str().unwrap().to_owned();
        Self::sign_in(console(daemon), "/sign-in", &[("token", &token)])
    }

    fn holder(daemon: &Process, account: &Account) -> Self {
        let fields = [("username", account.username.as_str()), ("password", account.password.as_str())];
        Self::sign_in(console(daemon), "/sign-in", &fields)
    }

    fn get(&self, path: &str) -> Reply {
        exchange(self.console, "GET", path, &[format!("Cookie: {}", self.cookie)], "")
    }

    fn page(&self, path: &str) -> String {
        let reply = self.get(path);
        assert_eq!(reply.status, 200, "{path}: {reply:?}");
        assert!(reply.body.len() < 100 * 1024, "{path}: {} bytes", reply.body.len());
        reply.body
    }

    /// Sends a form with the secret that the page `/sessions` has.
    fn post(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let page = self.page("/sessions");
        let csrf = page.split("name=\"csrf\" value=\"").nth(1).expect("a form").split('"').next().unwrap();
        let fields: Vec<(&str, &str)> = fields.iter().copied().chain([("csrf", csrf)]).collect();
        exchange(self.console, "POST", path, &[format!("Cookie: {}", self.cookie)], &form(&fields))
    }

    /// Sends a form that must succeed, and returns the page that it leads to.
    fn submit(&self, path: &str, fields: &[(&str, &str)]) -> String {
        let reply = self.post(path, fields);
        assert_eq!(reply.status, 303, "{path}: {reply:?}");
        self.page(reply.header("location").unwrap().split('#').next().unwrap())
    }
}

#[test]
fn the_page_of_an_account_shows_a_validation_and_what_the_account_needs() {
    let daemon = Process::start(&Settings::default().more(SETTINGS));
    let account = Account::register(daemon.api());
    let browser = Browser::operator(&daemon, "read");
    let place = format!("/accounts/{}", account.username);
    let page = browser.page(&place);
    assert!(page.contains("No value has been published yet"), "{page}");
    assert!(page.contains(&format!("CNAME {}.", account.fulldomain)), "{page}");
    assert!(!page.contains("<form class=\"stack\" method=\"post\""), "no forms for this scope: {page}");
    account.publish(daemon.api(), &value(1));
    assert_eq!(crate::harness::dns::txts(daemon.dns(), &account.fulldomain), [value(1)]);
    until("the query is on the page", || browser.page(&place).contains("got this value"));
    let page = browser.page(&place);
    assert!(page.contains("<svg") && page.contains("<title id=\"validation-0-title\">"), "{page}");
    assert!(page.contains("127.0.0.0/24") && page.contains(&value(1)), "{page}");
    let settings = browser.page(&format!("{place}?client=acme-sh&domain=shop.example"));
    assert!(
        settings.contains("export ACMEDNS_USERNAME") && settings.contains("dns_acmedns -d shop.example"),
        "{settings}"
    );
    for (who, status) in [("00000000-0000-4000-8000-000000000000", 404), ("nothing.example", 404)] {
        assert_eq!(browser.get(&format!("/accounts/{who}")).status, status);
    }
}

#[test]
fn an_operator_changes_an_account_and_the_log_names_the_operator() {
    let daemon = Process::start(&Settings::default().more(SETTINGS));
    let account = Account::register(daemon.api());
    let browser = Browser::with_token(&daemon, "accounts");
    let place = format!("/accounts/{}", account.username);
    let path = |rest: &str| format!("{place}{rest}");
    // HTML in notes is text.
    let note = "<script>alert(1)</script>\"'&";
    let page = browser.submit(&path("/edit"), &[("note", note), ("networks", "127.0.0.0/8\n2001:db8::/32")]);
    assert!(!page.contains("<script>alert") && page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{page}");
    assert!(page.contains("127.0.0.0/8") && page.contains("2001:db8::/32"), "{page}");
    let refused = browser.post(&path("/edit"), &[("form", "edit"), ("note", "n"), ("networks", "nonsense")]);
    assert_eq!(refused.status, 400);
    assert!(refused.body.contains("nonsense") && refused.body.contains("role=\"alert\""), "{refused:?}");
    let name = account.fulldomain.as_str();
    let page = browser.submit(&path("/publish"), &[("name", name), ("txt", &value(7))]);
    assert!(page.contains(&value(7)), "{page}");
    browser.submit(&path("/retire"), &[("value", &format!("{name} {}", value(7)))]);
    assert!(crate::harness::dns::txts(daemon.dns(), name).is_empty());
    let other = Account::register(daemon.api());
    let foreign = browser.post(&path("/publish"), &[("name", &other.fulldomain), ("txt", &value(8))]);
    assert_eq!(foreign.status, 400, "a form of one account changes no other: {foreign:?}");
    let page = browser.submit(&path("/rotate"), &[("grace", "0s")]);
    let password = page.split("id=\"new-key\"").nth(1).expect("the new key").split("<code>").nth(2).unwrap();
    let password = password.split('<').next().unwrap().to_owned();
    assert!(!browser.page(&place).contains(&password), "shown once");
    assert_eq!(account.update(daemon.api(), &value(2)).status, 401);
    let renewed = Account { password, ..account };
    renewed.publish(daemon.api(), &value(2));
    let page = browser.submit(&path("/tsig"), &[("algorithm", "hmac-sha512")]);
    assert!(page.contains("hmac-sha512") && page.contains("TSIG secret"), "{page}");
    browser.submit(&path("/tsig/delete"), &[]);
    let page = browser.submit(&path("/aliases"), &[("alias", "_acme-challenge.shop.example"), ("name", "")]);
    assert!(page.contains("_acme-challenge.shop.example"), "{page}");
    browser.submit(&path("/aliases/remove"), &[("alias", "_acme-challenge.shop.example")]);
    let page = browser.submit(&path("/subdomains"), &[("subdomain", "second")]);
    let second = format!("second.{}", renewed.fulldomain.split_once('.').unwrap().1);
    assert!(page.contains(&second), "{page}");
    browser.submit(&path("/subdomains/remove"), &[("name", &second)]);
    let page = browser.submit(&path("/disable"), &[]);
    assert!(page.contains("This account is disabled."), "{page}");
    browser.submit(&path("/enable"), &[]);
    assert!(browser.page(&path("/delete")).contains("Delete the account?"));
    let page = browser.submit(&path("/delete"), &[]);
    assert!(page.contains("This account is deleted.") && page.contains("Restore"), "{page}");
    browser.submit(&path("/enable"), &[]);
    until("the last changes are listed", || browser.page(&place).contains("account enabled"));
    let page = browser.page(&place);
    for change in [
        "networks or note changed",
        "value published",
        "value retired",
        "key rotated",
        "TSIG key changed",
        "name removed",
    ] {
        assert!(page.contains(change), "{change}: {page}");
    }
    let actor = "the operator (console, admin token 1, 127.0.0.1)";
    assert!(page.contains(actor), "{page}");
    assert!(daemon.log().contains(actor), "{}", daemon.log());
    assert_eq!(browser.post(&path("/delete"), &[("now", "true")]).header("location"), Some("/accounts"));
    assert_eq!(browser.get(&place).status, 404);
}

#[test]
fn an_account_sees_and_changes_itself_alone() {
    let daemon = Process::start(&Settings::default().more(SETTINGS));
    let (account, other) = (Account::register(daemon.api()), Account::register(daemon.api()));
    let browser = Browser::holder(&daemon, &account);
    let (own, foreign) = (format!("/accounts/{}", account.username), format!("/accounts/{}", other.username));
    assert!(browser.page(&own).contains(&account.fulldomain));
    for path in ["/accounts", "/certificates", "/doctor", "/queries", &foreign, &format!("{foreign}/delete")] {
        let reply = browser.get(path);
        assert!(reply.status == 403 || reply.status == 303, "{path}: {reply:?}");
        assert!(!reply.body.contains(&other.fulldomain), "{path}: {reply:?}");
    }
    browser.submit(&format!("{own}/edit"), &[("note", "mine"), ("networks", "127.0.0.0/8")]);
    let wider = browser.post(&format!("{own}/edit"), &[("note", "mine"), ("networks", "0.0.0.0/0")]);
    assert!(wider.status >= 400 && wider.body.contains("role=\"alert\""), "{wider:?}");
    for rest in
        ["disable", "enable", "publish", "retire", "tsig", "tsig/delete", "aliases", "aliases/remove", "subdomains"]
    {
        let fields = [
            ("name", account.fulldomain.as_str()),
            ("txt", &value(1)),
            ("value", &format!("{} {}", account.fulldomain, value(1))),
            ("alias", "_acme-challenge.shop.example"),
        ];
        let reply = browser.post(&format!("{own}/{rest}"), &fields);
        assert_eq!(reply.status, 403, "{rest}: {reply:?}");
    }
    for rest in ["edit", "rotate", "disable", "delete", "tsig"] {
        let reply = browser.post(&format!("{foreign}/{rest}"), &[("note", "theirs"), ("networks", "")]);
        assert_eq!(reply.status, 403, "{rest}: {reply:?}");
    }
    assert_eq!(browser.post(&format!("{own}/delete"), &[("now", "true")]).status, 403, "for good: the operator alone");
    other.publish(daemon.api(), &value(3));
    assert_eq!(browser.post(&format!("{own}/delete"), &[]).status, 303);
    assert_eq!(browser.get(&own).status, 303, "the sign-in ends with the account");
    let page = Browser::operator(&daemon, "read").page(&own);
    assert!(
        page.contains("This account is deleted.") && page.contains(&format!("account {} (console", account.username)),
        "{page}"
    );
}
