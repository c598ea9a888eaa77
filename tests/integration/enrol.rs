//! Enrolment tokens, from the operator's command to the registration.

use std::thread;

use serde_json::{Value, json};

use crate::harness::http::{connect_from, post, request};
use crate::harness::{Account, Home, Process, Settings};

fn closed() -> Settings {
    Settings::default().with("api", "registration = \"closed\"")
}

fn json_of(home: &Home, arguments: &[&str]) -> Value {
    let all: Vec<&str> = ["enrol"].iter().chain(arguments).copied().chain(["--json"]).collect();
    serde_json::from_str(&home.run_ok(&all)).unwrap()
}

/// Makes a token; its text and its id.
fn token(home: &Home, arguments: &[&str]) -> (String, String) {
    let all: Vec<&str> = ["create"].iter().chain(arguments).copied().collect();
    let made = json_of(home, &all);
    (made["token"].as_str().unwrap().to_owned(), made["id"].to_string())
}

fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}")
}

#[test]
fn twenty_clients_at_once_get_one_account_of_a_token_of_one_use() {
    let daemon = Process::start(&closed());
    let (token, _) = token(daemon.home(), &["--count", "1"]);
    let (api, path) = (daemon.api(), format!("/{token}/register"));
    let racers: Vec<_> = (0..20_u8)
        .map(|racer| {
            let path = path.clone();
            thread::spawn(move || {
                connect_from([127, 0, racer, 1].into(), api).exchange(request("POST", &path, &[], ""))
            })
        })
        .collect();
    let replies: Vec<_> = racers.into_iter().map(|racer| racer.join().unwrap()).collect();
    let (made, refused): (Vec<_>, Vec<_>) = replies.into_iter().partition(|reply| reply.status == 201);
    assert_eq!(made.len(), 1, "{refused:?}");
    refused.iter().for_each(|reply| reply.assert_error(401, "forbidden"));
    Account::of(&made[0].json()).publish(api, &crate::harness::value(1));
    let accounts: Value = serde_json::from_str(&daemon.home().run_ok(&["account", "list", "--json"])).unwrap();
    assert_eq!(accounts["items"].as_array().unwrap().len(), 1);
}

#[test]
fn tokens_are_made_listed_and_revoked_with_a_daemon_and_without() {
    let home = Home::new(&closed());
    let (first, id) = token(&home, &["--count", "2", "--label", "shop", "--note", "the shop", "--lifetime", "1h"]);
    let daemon = home.start();
    let register = |token: &str| post(daemon.api(), "/register", &[&bearer(token)], "");
    assert_eq!(register(&first).json()["subdomain"], "shop");
    let listed = json_of(&home, &["list"]);
    let row = &listed["items"][0];
    assert_eq!((&row["used"], &row["uses"], &row["note"]), (&json!(1), &json!(2), &json!("the shop")));
    assert_eq!((&row["labels"], &row["state"]), (&json!(["shop"]), &json!("valid")));
    assert_eq!(register(&first).status, 400, "nobody has told another label");
    let table = home.run_ok(&["enrol", "list"]);
    assert!(table.contains("the shop") && !table.contains(&first), "{table}");
    let (here, _) = token(&home, &["--allowfrom", "127.0.0.9/32"]);
    register(&here).assert_error(401, "forbidden");
    let mut allowed = connect_from([127, 0, 0, 9].into(), daemon.api());
    assert_eq!(allowed.exchange(request("POST", "/register", &[&bearer(&here)], "")).status, 201);
    assert!(home.run_ok(&["enrol", "revoke", &id]).contains("revoked"));
    register(&first).assert_error(404, "not_found");
    let (code, said) = home.run_err(&["enrol", "revoke", &id]);
    assert!(code == Some(1) && said.contains("no enrolment token"), "{said}");
    for wrong in
        [["--count", "-1"], ["--count", "100001"], ["--lifetime", "0s"], ["--lifetime", "401d"], ["--label", "a.b"]]
    {
        let (code, said) = home.run_err(&["enrol", "create", wrong[0], wrong[1]]);
        assert_eq!(code, Some(2), "{wrong:?}: {said}");
    }
}

#[test]
fn a_token_outlives_a_restart_and_so_does_its_count() {
    let daemon = Process::start(&closed());
    let home = daemon.home().clone();
    let (token, _) = token(&home, &["--count", "2"]);
    assert_eq!(post(daemon.api(), "/register", &[&bearer(&token)], "").status, 201);
    daemon.kill();
    let daemon = home.start();
    assert_eq!(post(daemon.api(), "/register", &[&bearer(&token)], "").status, 201);
    post(daemon.api(), "/register", &[&bearer(&token)], "").assert_error(401, "forbidden");
}
