//! Lists of accounts: what is found, in which order, and page by page in both directions.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::harness::http::{Reply, send};
use crate::harness::{Account, Process, Settings, value};

/// A daemon with accounts, and a token for its admin API.
struct Site {
    daemon: Process,
    token: String,
}

impl Site {
    fn new() -> Self {
        let daemon = Process::start(&Settings::default().more("[admin]\nlisten = [\"127.0.0.1:0\"]"));
        let made: Value = json(&daemon, &["admin", "token", "create", "--scope", "read"]);
        Self { token: made["token"].as_str().unwrap().to_owned(), daemon }
    }

    fn json(&self, arguments: &[&str]) -> Value {
        json(&self.daemon, arguments)
    }

    fn create(&self, label: &str, arguments: &[&str]) -> Account {
        Account::of(&self.json(&[&["account", "create", "--subdomain", label][..], arguments].concat()))
    }

    fn get(&self, parameters: &str) -> Reply {
        let bearer = format!("Authorization: Bearer {}", self.token);
        send(self.daemon.admin(), "GET", &format!("/accounts?{parameters}"), &[&bearer], "")
    }

    fn list(&self, parameters: &str) -> Value {
        let reply = self.get(parameters);
        assert_eq!(reply.status, 200, "{parameters}: {reply:?}");
        reply.json()
    }

    /// The labels of a list, in its order.
    fn labels(&self, parameters: &str) -> Vec<String> {
        labels(&self.list(parameters))
    }

    /// What `account list` finds through the socket.
    fn found(&self, search: &str) -> BTreeSet<String> {
        labels(&self.json(&["account", "list", &format!("--search={search}")])).into_iter().collect()
    }
}

fn json(daemon: &Process, arguments: &[&str]) -> Value {
    serde_json::from_str(&daemon.home().run_ok(&[arguments, &["--json"]].concat())).unwrap()
}

fn labels(list: &Value) -> Vec<String> {
    let items = list["items"].as_array().unwrap().iter();
    items.map(|item| item["fulldomains"][0].as_str().unwrap().split('.').next().unwrap().to_owned()).collect()
}

fn set(labels: &[&str]) -> BTreeSet<String> {
    labels.iter().map(ToString::to_string).collect()
}

#[test]
fn an_account_is_found_by_every_text_that_it_has() {
    let site = Site::new();
    let shop = site.create("shop", &["any.test", "--note", "Shop.example.com, ring 1"]);
    site.create("post", &["any.test", "--note", "100%_of \"mail\" * o'clock"]);
    site.create("umlaut", &["bücher.example"]);
    site.create("notes", &["any.test", "--note", "Straße nach BÜCHEN, bücherei.example"]);
    let random = Account::of(&site.json(&["account", "create", "any.test", "--note", "random"]));
    let label = random.fulldomain.split('.').next().unwrap().to_owned();
    for (search, found) in [
        ("shop", &["shop"][..]),
        ("SHOP.Example.COM.", &["shop"]),
        (&shop.fulldomain, &["shop"]),
        ("example.com", &["shop"]),
        ("ing 1", &["shop"]),
        (&shop.username, &["shop"]),
        (&shop.username.replace('-', ""), &["shop"]),
        (&shop.username[..13], &["shop"]),
        (&label, &[&label]),
        (&label[..13], &[&label]),
        (&random.fulldomain, &[&label]),
        ("%", &["post"]),
        ("%_o", &["post"]),
        ("\"mail\"", &["post"]),
        ("*", &["post"]),
        (" * ", &["post"]),
        ("o'clock", &["post"]),
        ("mail OR shop", &[]),
        ("mail\" OR \"shop", &[]),
        ("bücher.example", &["umlaut"]),
        ("BÜCHER.EXAMPLE", &["umlaut"]),
        ("xn--bcher-kva", &["umlaut"]),
        ("bücher", &["umlaut", "notes"]),
        ("xn--bcherei-n2a", &["notes"]),
        ("straße", &["notes"]),
        ("ü", &["umlaut", "notes"]),
        ("ra", &["notes", &label]),
        ("zq", &[]),
        ("zqzq", &[]),
    ] {
        assert_eq!(site.found(search), set(found), "{search}");
    }
    for (sent, said) in [("a%00b", "control characters"), ("%20", "part of a domain"), (&"x".repeat(801), "found 801")]
    {
        let reply = site.get(&format!("search={sent}"));
        reply.assert_error(400, "bad_parameter");
        assert!(reply.body.contains(said), "{reply:?}");
    }
    assert_eq!(site.labels(&format!("search={}", "x".repeat(800))), [""; 0]);
}

#[test]
fn the_search_follows_what_changes() {
    let site = Site::new();
    site.create("shop", &["old.example"]);
    let run = |arguments: &[&str]| site.daemon.home().run_ok(arguments);
    run(&["account", "edit", "shop", "--note", "new.example"]);
    assert_eq!((site.found("old.ex"), site.found("new.ex")), (set(&[]), set(&["shop"])));
    run(&["account", "alias", "add", "shop", "_acme-challenge.third.example"]);
    run(&["account", "add-subdomain", "shop", "second"]);
    assert_eq!((site.found("third.ex"), site.found("secon")), (set(&["shop"]), set(&["shop"])));
    run(&["account", "alias", "remove", "shop", "_acme-challenge.third.example"]);
    run(&["account", "remove-subdomain", "shop", "second"]);
    assert_eq!((site.found("third.ex"), site.found("secon")), (set(&[]), set(&[])));
    run(&["account", "delete", "shop", "--now"]);
    assert_eq!(site.found("new.ex"), set(&[]));
}

/// Every page of a list from its first to its last, and back again.
fn there_and_back(site: &Site, parameters: &str) -> Vec<String> {
    let text = |cursor: &Value| cursor.as_str().map(|cursor| cursor.replace('@', "%40"));
    let (mut pages, mut query) = (Vec::new(), parameters.to_owned());
    loop {
        let page = site.list(&query);
        assert_eq!(page["truncated"], page["next"].is_string());
        pages.push(labels(&page));
        match text(&page["next"]) {
            Some(next) => query = format!("{parameters}&after={next}"),
            None => break,
        }
    }
    let there: Vec<String> = pages.concat();
    let last = site.list(&query);
    let mut back = vec![labels(&last)];
    let mut previous = text(&last["previous"]);
    while let Some(cursor) = previous {
        let page = site.list(&format!("{parameters}&before={cursor}"));
        assert!(page["next"].is_string(), "behind this page are others: {page}");
        back.push(labels(&page));
        previous = text(&page["previous"]);
    }
    back.reverse();
    assert_eq!(back.concat(), there, "{parameters}");
    there
}

#[test]
fn lists_are_sorted_filtered_and_paged_in_both_directions() {
    let site = Site::new();
    let accounts: Vec<Account> = ["e", "c", "a", "d", "b"].map(|label| site.create(label, &["some.example"])).into();
    // The first list by the last publication reads what is stored; the second one knows what came since.
    assert_eq!(site.list("sort=last_update&limit=1")["total"], 5);
    accounts[3].publish(site.daemon.api(), &value(1));
    site.daemon.home().run_ok(&["account", "disable", "c"]);
    site.daemon.home().run_ok(&["account", "delete", "a"]);
    let mut by_username: Vec<&Account> = accounts.iter().collect();
    by_username.sort_by_key(|account| account.username.clone());
    let label = |account: &&Account| account.fulldomain.split('.').next().unwrap().to_owned();
    let by_username: Vec<String> = by_username.iter().map(label).collect();
    for search in ["", "&search=some.ex", "&search=so"] {
        let paged = |parameters: &str| there_and_back(&site, &format!("{parameters}&limit=2{search}"));
        assert_eq!(paged("order=asc"), by_username);
        assert_eq!(paged("sort=label"), ["a", "b", "c", "d", "e"]);
        assert_eq!(paged("sort=label&order=desc"), ["e", "d", "c", "b", "a"]);
        assert_eq!(paged("sort=created&order=asc"), ["e", "c", "a", "d", "b"]);
        assert_eq!(paged("sort=last_update"), ["d", "b", "a", "c", "e"], "rows decide where none has published");
        assert_eq!(paged("sort=last_update&order=asc"), ["e", "c", "a", "b", "d"]);
        assert_eq!(paged("sort=next_renewal").len(), 5);
        assert_eq!(paged("sort=label&state=active"), ["b", "d", "e"]);
        assert_eq!(paged("sort=last_update&state=active"), ["d", "b", "e"]);
        assert_eq!(paged("state=disabled"), ["c"]);
        assert_eq!(paged("state=deleted"), ["a"]);
        assert_eq!(paged("zone=auth.example.org&sort=label"), ["a", "b", "c", "d", "e"]);
        assert_eq!(paged("overdue=true"), [""; 0]);
    }
    let new = site.create("new", &["any.test"]);
    new.publish(site.daemon.api(), &value(2));
    assert_eq!(site.labels("sort=last_update&limit=2&state=active").len(), 2);
    assert_eq!(site.labels("sort=created&limit=1"), ["new"]);
    assert_eq!(site.list("")["total"], 6);
    assert_eq!(site.list("state=active")["total"], 4);
    assert_eq!(site.list("search=some.example&limit=1")["total"], 5);
    // The account of a cursor may be gone.
    let cursor = site.list("sort=label&limit=1")["next"].as_str().unwrap().to_owned();
    site.daemon.home().run_ok(&["account", "delete", "a", "--now"]);
    assert_eq!(site.labels(&format!("sort=label&limit=1&after={cursor}")), ["b"]);
}

#[test]
fn what_contradicts_itself_or_is_misspelt_is_refused() {
    let site = Site::new();
    let account = site.create("shop", &["any.test"]);
    let cursor = format!("after={}", account.username);
    for (parameters, said) in [
        ("serch=x", "there is search, state, zone"),
        ("sort=newest", "username, label, created, last_update, next_renewal"),
        ("order=down", "asc, desc"),
        ("state=gone", "active, disabled, deleted"),
        ("overdue=true&state=deleted", "leave out `overdue`"),
        ("zone=nowhere.test", "there is auth.example.org"),
        ("zone=a..b", "`zone`"),
        ("after=x", "leave it out to begin with the first page"),
        (&format!("{cursor}&before={}", account.username), "exclude each other"),
        (&format!("{cursor}&sort=created"), "begin with its first page"),
        (&format!("{cursor}&overdue=true"), "sorted by next_renewal"),
    ] {
        let reply = site.get(parameters);
        reply.assert_error(400, "bad_parameter");
        assert!(reply.body.contains(said), "{parameters}: {reply:?}");
    }
    let (code, said) = site.daemon.home().run_err(&["account", "list", "--sort", "newest"]);
    assert!(code == Some(2) && said.contains("last_update"), "{said}");
    let shown = site.daemon.home().run_ok(&["account", "list", "--limit", "1"]);
    assert!(shown.contains("shop") && !shown.contains("--after"), "{shown}");
    site.create("post", &["any.test"]);
    let shown = site.daemon.home().run_ok(&["account", "list", "--sort", "label", "--limit", "1"]);
    assert!(shown.contains("post") && shown.contains("more accounts: --after label:auth.example.org:post"), "{shown}");
    let rest =
        site.daemon.home().run_ok(&["account", "list", "--sort", "label", "--after", "label:auth.example.org:post"]);
    assert!(rest.contains("shop") && !rest.contains("--after"), "{rest}");
}
