//! Lego's HTTP storage over a whole issuance's life, and what of it is on disk.

use std::net::SocketAddr;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::http::{Reply, send};
use crate::harness::ports::free_port;
use crate::harness::resolver::Resolver;
use crate::harness::{Account, Home, Process, Settings, ZONE, until};

/// What `example.com`'s own nameserver has, as a daemon's static records: it stands for the resolver.
fn world(records: &str) -> Settings {
    let zone = format!("[[zone]]\nname = \"example.com\"\nns = [\"ns1.{ZONE}\"]\ncontact = \"a@example.com\"\n");
    Settings::default().more(&format!("{zone}records = '''\n{records}\n'''"))
}

fn token(home: &Home) -> String {
    let made: Value = serde_json::from_str(&home.run_ok(&["enrol", "create", "--count", "0", "--json"])).unwrap();
    made["token"].as_str().unwrap().to_owned()
}

fn storage(api: SocketAddr, token: &str, method: &str, domain: &str, body: &str) -> Reply {
    send(api, method, &format!("/v1/storage/{domain}"), &[&format!("Authorization: Bearer {token}")], body)
}

fn of(account: &Account) -> String {
    let Account { username, password, subdomain, fulldomain } = account;
    json!({
        "fulldomain": fulldomain, "subdomain": subdomain, "username": username, "password": password, "server_url": ""
    })
    .to_string()
}

#[test]
fn an_account_is_kept_and_created_once_the_cname_is_there() {
    let resolver = Process::start(&world("www A 192.0.2.1"));
    let daemon = Process::start(&Settings::default().top(&format!("resolvers = [\"{}\"]", resolver.dns())));
    let (api, token, account) = (daemon.api(), token(daemon.home()), Account::register(daemon.api()));
    let missing = storage(api, &token, "POST", "shop.example.com", &of(&account));
    assert_eq!(missing.status, 200, "{missing:?}");
    assert!(missing.body.contains("_acme-challenge.shop.example.com does not exist"), "{missing:?}");
    resolver.home().write(&world(&format!("_acme-challenge.shop CNAME {}.", account.fulldomain)));
    resolver.signal(Signal::HUP);
    until("the CNAME is seen", || storage(api, &token, "POST", "shop.example.com", &of(&account)).status == 201);
    let home = daemon.home().clone();
    daemon.kill();
    let daemon = home.start();
    let kept = storage(daemon.api(), &token, "GET", "shop.example.com", "");
    assert_eq!((kept.status, kept.json()["password"].as_str()), (200, Some(account.password.as_str())));
    Account::of(&kept.json()).publish(daemon.api(), &crate::harness::value(1));
}

#[test]
fn a_cname_that_leads_here_is_seen_where_the_resolver_cannot_reach_this_server() {
    let resolver = Resolver::start(free_port());
    let daemon = Process::start(&Settings::default().top(&format!("resolvers = [\"{}\"]", resolver.address)));
    let (token, account) = (token(daemon.home()), Account::register(daemon.api()));
    resolver.add(&format!("_acme-challenge.shop.example.com. CNAME {}.", account.fulldomain));
    let kept = storage(daemon.api(), &token, "POST", "shop.example.com", &of(&account));
    assert_eq!(kept.status, 201, "{kept:?}");
}

#[test]
fn the_database_cannot_be_read_without_the_token() {
    let daemon = Process::start(&Settings::default().top("resolvers = [\"127.0.0.1:9\"]"));
    let (token, account) = (token(daemon.home()), Account::register(daemon.api()));
    assert_eq!(storage(daemon.api(), &token, "POST", "example.com", &of(&account)).status, 200);
    let home = daemon.home().clone();
    let (_, _, log) = daemon.terminate();
    let mut looked_at = 0;
    for file in std::fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().path()) {
        let Ok(bytes) = std::fs::read(&file) else { continue };
        for secret in [&token, &account.password] {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{} holds a secret", file.display());
        }
        looked_at += 1;
    }
    assert!(looked_at > 1);
    assert!(!log.contains(&token) && !log.contains(&account.password));
    assert!(log.contains("_acme-challenge.example.com"), "the log says what is missing: {log}");
}
