//! What a running daemon replies, beside what is described.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::dns::{TXT, ask, query};
use crate::harness::http::{Reply, send};
use crate::harness::ports::free_port;
use crate::harness::resolver::Resolver;
use crate::harness::{Account, Process, Settings, value};

use super::description::{Description, Operation};

/// A registration secret, and its hash.
const SECRET: &str = "a-registration-secret-of-tests";
const AUTHORIZATION: &str = "ca.example; accounturi=https://ca.example/acct/1; policy=wildcard";

/// A daemon, and what has been seen of it.
struct Session {
    description: Description,
    daemon: Process,
    resolver: Resolver,
    seen: BTreeSet<(Operation, u16)>,
}

/// Whom a request is from.
#[derive(Clone, Copy)]
enum By<'a> {
    Nobody,
    Secret,
    Account(&'a Account),
}

impl Session {
    fn start() -> Self {
        let resolver = Resolver::start(free_port());
        let settings = Settings::default()
            .top(&format!("resolvers = [\"{}\"]", resolver.address))
            .with("values", "persist = true")
            .with("api", "registration = \"secret\"\nregistration-secrets-file = \"secrets\"");
        let home = crate::harness::Home::new(&settings);
        let file = home.path().join("secrets");
        std::fs::write(&file, format!("{SECRET}\n")).unwrap();
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let daemon = home.start();
        Self { description: Description::read(), daemon, resolver, seen: BTreeSet::new() }
    }

    /// Sends a request, which must have this status and a body as described.
    fn call(&mut self, by: By<'_>, method: &str, path: &str, body: Value, status: u16) -> Value {
        if status < 300 && !body.is_null() {
            let problems = self.description.request_problems(method, &template(path), &body);
            assert!(problems.is_empty(), "{problems:?}");
        }
        let text = if body.is_null() { String::new() } else { body.to_string() };
        self.raw(by, method, path, &text, status)
    }

    fn raw(&mut self, by: By<'_>, method: &str, path: &str, body: &str, status: u16) -> Value {
        let lines: Vec<String> = match by {
            By::Nobody => Vec::new(),
            By::Secret => vec![format!("Authorization: Bearer {SECRET}")],
            By::Account(account) => {
                let bearer = format!("Authorization: Bearer {SECRET}");
                account.headers().into_iter().chain([bearer]).collect()
            }
        };
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let reply = send(self.daemon.api(), &method.to_uppercase(), path, &lines, body);
        assert_eq!(reply.status, status, "{method} {path} {body}: {reply:?}");
        self.compare(method, path, &reply)
    }

    fn compare(&mut self, method: &str, path: &str, reply: &Reply) -> Value {
        let body = if reply.body.is_empty() { Value::Null } else { reply.json() };
        let problems = self.description.problems(method, &template(path), reply.status, &body);
        assert!(problems.is_empty(), "{problems:#?}");
        self.seen.insert((Operation::new(method, &template(path)), reply.status));
        body
    }

    fn register(&mut self, body: Value) -> Account {
        Account::of(&self.call(By::Secret, "post", "/register", body, 201))
    }
}

/// The described path of a real one.
fn template(path: &str) -> String {
    let path = path.split('?').next().unwrap_or_default();
    match path.strip_prefix("/v1/storage/") {
        Some(_) => "/v1/storage/{domain}".to_owned(),
        None => path.to_owned(),
    }
}

fn published_and_retired(session: &mut Session, account: &Account) {
    let (by, subdomain) = (By::Account(account), account.subdomain.as_str());
    session.call(by, "post", "/update", json!({"subdomain": subdomain, "txt": value(1)}), 200);
    let named = json!({"fqdn": format!("{}.", account.fulldomain), "value": value(2)});
    session.call(by, "post", "/present", named.clone(), 200);
    session.call(by, "post", "/cleanup", named, 200);
    let raw = json!({"domain": "example.com", "token": "t", "keyAuth": "t.thumbprint"});
    session.call(by, "post", "/present", raw.clone(), 200);
    session.call(by, "post", "/cleanup", raw, 200);
    session.call(by, "post", "/present", json!({"value": value(2)}), 400);
    let authorization = json!({"subdomain": subdomain, "value": AUTHORIZATION, "lifetime": "30d"});
    session.call(by, "post", "/v1/persist", authorization, 200);
    ask(session.daemon.dns(), &query(&account.fulldomain, TXT));
    let queries = session.call(by, "get", "/v1/queries", Value::Null, 200);
    assert_eq!(queries["items"][0]["values"].as_array().map(Vec::len), Some(2), "{queries}");
    let shown = session.call(by, "get", "/v1/account", Value::Null, 200);
    assert_eq!(shown["owners"][0]["values"][0]["txt"], json!(value(1)));
    assert_eq!(shown["owners"][0]["persistent"][0]["value"], json!(AUTHORIZATION));
    session.call(by, "delete", "/v1/persist", json!({"subdomain": subdomain}), 200);
    session.call(by, "post", "/v1/txt", json!({"subdomain": subdomain, "txt": value(3)}), 200);
    // The zone's nameserver is nobody here.
    let waiting = json!({"subdomain": subdomain, "txt": value(3)});
    session.call(by, "post", "/v1/txt?wait=served&timeout=1s", waiting.clone(), 504);
    session.call(by, "post", "/update?wait=seen", waiting, 400);
    session.call(by, "delete", "/v1/txt", json!({"subdomain": subdomain, "txt": value(3)}), 200);
    session.call(by, "delete", "/v1/txt", json!({"subdomain": subdomain, "txt": value(1)}), 200);
    let judged = session.call(by, "get", &format!("/v1/txt?subdomain={subdomain}&txt={}", value(1)), Value::Null, 200);
    assert_eq!(judged["items"][0]["verdict"]["code"], "served", "{judged}");
    assert!(judged["items"][0]["retired"].is_string(), "{judged}");
    let shown = session.call(by, "get", "/v1/account", Value::Null, 200);
    assert_eq!(shown["owners"][0]["retired"].as_array().unwrap().last().unwrap()["txt"], json!(value(1)));
    session.call(by, "get", "/v1/txt?text=x", Value::Null, 400);
}

fn named(session: &mut Session, account: &Account) {
    let by = By::Account(account);
    session.call(by, "post", "/v1/subdomains", json!({"subdomain": "shop"}), 201);
    session.call(by, "post", "/v1/subdomains", json!({"subdomain": "shop"}), 409);
    let alias = json!({"alias": "_acme-challenge.example.com", "subdomain": "shop"});
    session.call(by, "post", "/v1/aliases", alias.clone(), 200);
    session.call(by, "delete", "/v1/aliases", alias, 200);
    session.call(by, "post", "/v1/aliases", json!({"alias": "example.com"}), 400);
    session.call(by, "delete", "/v1/subdomains", json!({"subdomain": "shop"}), 200);
    session.call(by, "delete", "/v1/subdomains", json!({"subdomain": account.subdomain}), 409);
}

fn stored(session: &mut Session, account: &Account) {
    let Account { username, password, subdomain, fulldomain } = account;
    let kept = json!({
        "fulldomain": fulldomain, "subdomain": subdomain, "username": username, "password": password, "server_url": ""
    });
    let missing = session.call(By::Secret, "post", "/v1/storage/example.com", kept.clone(), 200);
    assert_eq!(missing["cname"], "missing");
    session.resolver.add(&format!("_acme-challenge.example.com. CNAME {fulldomain}."));
    session.call(By::Secret, "post", "/v1/storage/example.com", kept, 201);
    session.call(By::Secret, "get", "/v1/storage/example.com", Value::Null, 200);
    session.call(By::Secret, "get", "/v1/storage/example.net", Value::Null, 404);
    let all = session.call(By::Secret, "get", "/v1/storage", Value::Null, 200);
    assert!(all["example.com"].is_object(), "{all}");
    session.call(By::Secret, "delete", "/v1/storage/example.com", Value::Null, 200);
    session.call(By::Secret, "post", "/v1/storage/example.com", json!({"subdomain": "x"}), 400);
    session.call(By::Nobody, "get", "/v1/storage", Value::Null, 401);
}

fn refused(session: &mut Session, account: &Account) {
    let by = By::Account(account);
    session.call(By::Nobody, "post", "/register", Value::Null, 401);
    session.call(By::Secret, "post", "/register", json!({"allowfrom": ["192.0.2.1"]}), 400);
    session.call(By::Secret, "post", "/register", json!({"zone": "example.net"}), 400);
    session.call(By::Secret, "post", "/register", json!({"subdomain": "localhost"}), 400);
    session.raw(By::Secret, "post", "/register", "[]", 400);
    session.raw(By::Secret, "post", "/register", &" ".repeat(70_000), 413);
    session.call(by, "post", "/update", json!({"subdomain": account.subdomain, "txt": "short"}), 400);
    session.call(by, "post", "/update", json!({"subdomain": "someone-elses", "txt": value(1)}), 401);
    session.call(by, "post", "/v1/persist", json!({"subdomain": account.subdomain, "value": "x"}), 400);
    session.call(by, "post", "/v1/account/rotate", json!({"grace": "8d"}), 400);
    session.call(by, "patch", "/v1/account", json!({"allowfrom": ["127.0.0.0/8"], "note": "narrow"}), 200);
    session.call(by, "patch", "/v1/account", json!({"allowfrom": ["0.0.0.0/0"]}), 403);
}

/// Wrong keys, until there were too many.
fn too_often(session: &mut Session) {
    let account = session.register(Value::Null);
    let wrong = Account { password: "0".repeat(40), ..account };
    for _ in 0..10 {
        let reply = wrong.update(session.daemon.api(), &value(1));
        session.compare("post", "/update", &reply);
        if reply.status == 429 {
            assert!(reply.header("retry-after").is_some(), "{reply:?}");
            return;
        }
        assert_eq!(reply.status, 401, "{reply:?}");
    }
    panic!("ten wrong keys, and each of them was looked at");
}

#[test]
fn replies_of_a_running_daemon_are_as_described() {
    let mut session = Session::start();
    session.call(By::Nobody, "get", "/health", Value::Null, 200);
    session.register(Value::Null);
    let wanted = json!({"allowfrom": ["127.0.0.0/8", "::1/128"], "subdomain": "first", "note": "tests"});
    let account = session.register(wanted.clone());
    session.call(By::Secret, "post", "/register", wanted, 409);
    published_and_retired(&mut session, &account);
    named(&mut session, &account);
    stored(&mut session, &account);
    refused(&mut session, &account);
    let rotated = session.call(By::Account(&account), "post", "/v1/account/rotate", json!({"grace": "1h"}), 200);
    let account = Account::of(&rotated);
    too_often(&mut session);
    let deleted = session.call(By::Account(&account), "delete", "/v1/account", Value::Null, 200);
    assert_eq!(deleted["state"], "deleted");

    let operations = session.description.operations();
    let successes = operations.iter().flat_map(|operation| {
        session.description.successes(operation).into_iter().map(|status| (operation.clone(), status))
    });
    let unseen: Vec<_> = successes.filter(|success| !session.seen.contains(success)).collect();
    assert!(unseen.is_empty(), "described, and seen in no reply: {unseen:#?}");
}
