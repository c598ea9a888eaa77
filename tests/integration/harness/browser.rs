//! A browser without JavaScript that is signed in to the console.

use std::net::{Ipv4Addr, SocketAddr};

use serde_json::Value;

use super::Process;
use super::account::Account;
use super::http::{Reply, connect_from};

/// A console on loopback.
pub const SETTINGS: &str = "[console]\nlisten = [\"127.0.0.1:0\"]";
/// The most bytes of a page.
const WEIGHT: usize = 100 * 1024;

pub struct Browser {
    pub console: SocketAddr,
    /// `name=secret`
    pub cookie: String,
}

/// Where the console listens.
pub fn console(daemon: &Process) -> SocketAddr {
    let line = daemon.lines().iter().find_map(|line| line.strip_prefix("console http://"));
    line.unwrap_or_else(|| panic!("no console in {:?}", daemon.lines())).parse().unwrap()
}

/// The path of a link that signs in.
pub fn link(daemon: &Process, scope: &str) -> String {
    let printed = daemon.home().run_ok(&["console", "login", "--scope", scope]);
    let at = printed.find("/link/").unwrap_or_else(|| panic!("{printed}"));
    printed[at..].split_whitespace().next().unwrap().to_owned()
}

/// A token of the admin API.
pub fn token(daemon: &Process, scope: &str) -> String {
    let made = daemon.home().run_ok(&["admin", "token", "create", "--json", "--scope", scope]);
    serde_json::from_str::<Value>(&made).unwrap()["token"].as_str().unwrap().to_owned()
}

/// A request with exactly these headers, and the length of the body.
pub fn request(method: &str, path: &str, headers: &[String], body: &str) -> String {
    let mut text = format!("{method} {path} HTTP/1.1\r\n");
    headers.iter().for_each(|line| text.push_str(&format!("{line}\r\n")));
    if method == "POST" {
        text.push_str("Content-Type: application/x-www-form-urlencoded\r\n");
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    text + "\r\n" + body
}

/// A request as a browser at a page of the console sends it.
pub fn exchange(console: SocketAddr, method: &str, path: &str, headers: &[String], body: &str) -> Reply {
    let own = [format!("Host: {console}"), format!("Origin: http://{console}")];
    let own = &own[..if method == "POST" { 2 } else { 1 }];
    let headers = [own, headers].concat();
    connect_from(Ipv4Addr::LOCALHOST, console).exchange(request(method, path, &headers, body))
}

/// A form's fields, percent-encoded.
pub fn form(fields: &[(&str, &str)]) -> String {
    let encoded = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    let pairs: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    pairs.join("&")
}

impl Browser {
    /// Signs in with what a form of the console takes.
    pub fn sign_in(console: SocketAddr, path: &str, fields: &[(&str, &str)]) -> Self {
        let reply = exchange(console, "POST", path, &[], &form(fields));
        assert_eq!(reply.status, 303, "{reply:?}");
        let cookie = reply.header("set-cookie").expect("a cookie").split(';').next().unwrap().to_owned();
        Self { console, cookie }
    }

    /// The operator, by a link of the command line.
    pub fn operator(daemon: &Process, scope: &str) -> Self {
        Self::sign_in(console(daemon), &link(daemon, scope), &[])
    }

    /// An operator with a token.
    pub fn with_token(daemon: &Process, scope: &str) -> Self {
        Self::sign_in(console(daemon), "/sign-in", &[("token", &token(daemon, scope))])
    }

    /// The holder of an account.
    pub fn holder(daemon: &Process, account: &Account) -> Self {
        let fields = [("username", account.username.as_str()), ("password", account.password.as_str())];
        Self::sign_in(console(daemon), "/sign-in", &fields)
    }

    /// The line with the cookie.
    pub fn cookie_line(&self) -> String {
        format!("Cookie: {}", self.cookie)
    }

    pub fn get(&self, path: &str) -> Reply {
        exchange(self.console, "GET", path, &[self.cookie_line()], "")
    }

    pub fn page(&self, path: &str) -> String {
        let reply = self.get(path);
        assert_eq!(reply.status, 200, "{path}: {reply:?}");
        assert!(reply.body.len() < WEIGHT, "{path}: {} bytes", reply.body.len());
        reply.body
    }

    /// The secret of the session's forms, as the page `/sessions` has it.
    pub fn csrf(&self) -> String {
        let page = self.page("/sessions");
        page.split("name=\"csrf\" value=\"").nth(1).expect("a form").split('"').next().unwrap().to_owned()
    }

    /// Sends a form.
    pub fn post(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let csrf = self.csrf();
        let fields: Vec<(&str, &str)> = fields.iter().copied().chain([("csrf", csrf.as_str())]).collect();
        exchange(self.console, "POST", path, &[self.cookie_line()], &form(&fields))
    }

    /// Sends a form that must succeed, and returns the page that it leads to.
    pub fn submit(&self, path: &str, fields: &[(&str, &str)]) -> String {
        let reply = self.post(path, fields);
        assert_eq!(reply.status, 303, "{path}: {reply:?}");
        self.page(reply.header("location").unwrap().split('#').next().unwrap())
    }
}
