//! Accounts that move between two txtgates.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use hickory_proto::op::ResponseCode;
use serde_json::{Value, json};

use crate::harness::dns::txts;
use crate::harness::http::post;
use crate::harness::tsig::Key;
use crate::harness::update::Update;
use crate::harness::{Account, Home, Process, Settings, ZONE, value};

fn json_of(home: &Home, arguments: &[&str]) -> Value {
    let all: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
    serde_json::from_str(&home.run_ok(&all)).unwrap()
}

fn export(home: &Home, file: &Path, more: &[&str]) -> String {
    let file = file.display().to_string();
    home.run_ok(&[&["export", "--format", "txtgate", file.as_str()], more].concat())
}

fn import(home: &Home, file: &Path, more: &[&str]) -> Value {
    let file = file.display().to_string();
    json_of(home, &[&["import", "txtgate", file.as_str()], more].concat())
}

fn create(home: &Home, arguments: &[&str]) -> Account {
    Account::of(&json_of(home, &[&["account", "create"], arguments].concat()))
}

/// Two daemons for the same zone.
fn two() -> (Process, Process, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    (Process::start(&Settings::default()), Process::start(&Settings::default()), folder)
}

#[test]
fn everything_moves_and_a_repetition_changes_nothing() {
    let (old, new, folder) = two();
    let file = folder.path().join("moved.jsonl");
    let shop = create(old.home(), &["example.com", "--subdomain", "shop", "--allowfrom", "127.0.0.0/8"]);
    let plain = Account::register(old.api());
    shop.publish(old.api(), &value(1));
    shop.publish(old.api(), &value(2));
    old.home().run_ok(&["account", "alias", "add", "shop", "_acme-challenge.example.com"]);
    old.home().run_ok(&["account", "add-subdomain", "shop", "second"]);
    let stopped = create(old.home(), &["stopped.example"]);
    stopped.publish(old.api(), &value(3));
    old.home().run_ok(&["account", "disable", &stopped.username]);
    create(old.home(), &["gone.example", "--subdomain", "gone"]);
    old.home().run_ok(&["account", "delete", "gone", "--now"]);
    old.home().run_ok(&["enrol", "create", "--count", "5", "--label", "web-*", "--note", "rack"]);
    let said = export(old.home(), &file, &[]);
    assert!(said.contains("3 accounts") && said.contains("still work here"), "{said}");
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!text.contains(&shop.password), "hashes alone");

    let rehearsed = import(new.home(), &file, &["--dry-run"]);
    assert_eq!((&rehearsed["accounts"], &rehearsed["values"]), (&json!(3), &json!(3)));
    assert_eq!(json_of(new.home(), &["account", "list"])["items"], json!([]), "a rehearsal changes nothing");
    let counts = import(new.home(), &file, &[]);
    let expected = json!({"accounts": 3, "known": 0, "values": 3, "enrolments": 1, "stored": 0, "left": []});
    assert_eq!(counts, expected);
    assert_eq!(txts(new.dns(), &shop.fulldomain), [value(2), value(1)], "newest first");
    assert_eq!(txts(new.dns(), &stopped.fulldomain), [""; 0], "a disabled account stays so");
    // The keys, the second name, the alias and the token work as before.
    shop.publish(new.api(), &value(4));
    plain.publish(new.api(), &value(5));
    let of_alias = format!("{{\"subdomain\":\"second\",\"txt\":\"{}\"}}", value(6));
    assert_eq!(shop.send(new.api(), "POST", "/update", &of_alias).status, 200);
    let shown = json_of(new.home(), &["account", "show", "shop"]);
    assert_eq!((&shown["note"], &shown["allowfrom"]), (&json!("example.com"), &json!(["127.0.0.0/8"])));
    assert_eq!(shown["aliases"][0]["alias"], "_acme-challenge.example.com");
    assert_eq!(json_of(new.home(), &["enrol", "list"])["items"][0]["note"], "rack");
    let (_, said) = new.home().run_err(&["account", "create", "x.example", "--subdomain", "gone"]);
    assert!(said.contains("taken"), "a label of a removed account is not given again: {said}");

    let again = import(new.home(), &file, &[]);
    assert_eq!((&again["accounts"], &again["values"], &again["known"]), (&json!(0), &json!(0), &json!(4)));
    assert_eq!(txts(new.dns(), &shop.fulldomain), [value(4), value(2), value(1)], "what came since stays the newest");
    // What moved is durable.
    let home = new.home().clone();
    new.kill();
    let new = home.start();
    assert_eq!(txts(new.dns(), &shop.fulldomain), [value(4), value(2), value(1)]);
    shop.publish(new.api(), &value(7));
}

#[test]
fn one_domain_moves_alone_with_its_tsig_key_only_by_choice() {
    let (old, new, folder) = two();
    let created = json_of(old.home(), &["account", "create", "example.com", "--subdomain", "shop", "--tsig"]);
    let shop = Account::of(&created);
    create(old.home(), &["example.net"]);
    let without = folder.path().join("without.jsonl");
    let said = export(old.home(), &without, &["--account", "shop"]);
    assert!(said.contains("1 TSIG keys stay behind"), "{said}");
    assert!(!std::fs::read_to_string(&without).unwrap().contains("\"secret\":\""));
    let counts = import(new.home(), &without, &[]);
    assert_eq!(counts["accounts"], 1);
    let left = counts["left"][0]["message"].as_str().unwrap();
    assert!(left.contains("TSIG key") && left.contains("account tsig create"), "{left}");
    assert_eq!(json_of(new.home(), &["account", "list"])["items"].as_array().unwrap().len(), 1);
    assert_eq!(json_of(new.home(), &["account", "show", "shop"])["tsig"], Value::Null);

    let third = Process::start(&Settings::default());
    let with = folder.path().join("with.jsonl");
    export(old.home(), &with, &["--account", &shop.fulldomain, "--with-tsig-secrets"]);
    assert_eq!(import(third.home(), &with, &[])["left"], json!([]));
    assert_eq!(json_of(third.home(), &["account", "show", "shop"])["tsig"], "hmac-sha256");
    let update = Update::of(ZONE).add(&shop.fulldomain, &value(1));
    let reply = Key::of(&created["tsig"]).ask(third.dns(), &update.bytes());
    assert_eq!(reply.rcode(), ResponseCode::NoError, "the client signs with the key that it has");
    assert_eq!(txts(third.dns(), &shop.fulldomain), [value(1)]);
    // The same secret, under a master secret of the new server's own: it moves on once more, and is the same.
    let onward = folder.path().join("onward.jsonl");
    export(third.home(), &onward, &["--account", "shop", "--with-tsig-secrets"]);
    let secret = |path: &Path| {
        let text = std::fs::read_to_string(path).unwrap();
        let line: Value = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
        line["account"]["tsig"]["secret"].as_str().unwrap().to_owned()
    };
    assert_eq!(secret(&with), secret(&onward));
    let masters: Vec<String> = [old.home(), third.home()]
        .map(|home| std::fs::read_to_string(home.path().join("txtgate.db.tsig")).unwrap())
        .into();
    assert_ne!(masters[0], masters[1]);
}

#[test]
fn conflicts_are_all_told_before_anything_changes() {
    let (old, new, folder) = two();
    let file = folder.path().join("moved.jsonl");
    create(old.home(), &["example.com", "--subdomain", "shop"]);
    create(old.home(), &["example.org", "--subdomain", "blog"]);
    let free = Account::register(old.api());
    create(new.home(), &["other.example", "--subdomain", "shop"]);
    create(new.home(), &["gone.example", "--subdomain", "blog"]);
    new.home().run_ok(&["account", "delete", "blog", "--now"]);
    export(old.home(), &file, &[]);
    let name = file.display().to_string();
    let (code, said) = new.home().run_err(&["import", "txtgate", &name]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains(&format!("shop.{ZONE} belongs to the account")), "{said}");
    assert!(said.contains(&format!("blog.{ZONE} belonged to a removed account")), "{said}");
    assert!(said.contains("nothing was changed") && said.matches(&format!("{name}:")).count() == 2, "{said}");
    assert_eq!(json_of(new.home(), &["account", "list"])["items"].as_array().unwrap().len(), 1);
    let counts = import(new.home(), &file, &["--skip-conflicts"]);
    assert_eq!((&counts["accounts"], counts["left"].as_array().unwrap().len()), (&json!(1), 2));
    free.publish(new.api(), &value(1));

    let elsewhere = Process::start(&Settings::default().top("# another zone").zone(""));
    let other = std::fs::read_to_string(&file).unwrap().replace(ZONE, "auth.nowhere.test");
    std::fs::write(&file, other).unwrap();
    let (_, said) = elsewhere.home().run_err(&["import", "txtgate", &name]);
    assert!(said.contains("this server has no zone auth.nowhere.test"), "{said}");
}

#[test]
fn a_file_that_is_damaged_cut_off_or_too_new_changes_nothing() {
    let (old, new, folder) = two();
    let file = folder.path().join("moved.jsonl");
    let name = file.display().to_string();
    for _ in 0..3 {
        Account::register(old.api());
    }
    export(old.home(), &file, &[]);
    let whole = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    let refused = |text: &str, parts: &[&str]| {
        std::fs::write(&file, text).unwrap();
        let (code, said) = new.home().run_err(&["import", "txtgate", &name]);
        assert_eq!(code, Some(2), "{said}");
        parts.iter().for_each(|part| assert!(said.contains(part), "{part:?} in {said}"));
        assert_eq!(json_of(new.home(), &["account", "list"])["items"], json!([]));
    };
    refused(&lines[..3].join("\n"), &["cut off"]);
    refused(&[&lines[..2], &lines[3..]].concat().join("\n"), &["should have 3 items and has 2"]);
    refused(&whole.replace("\"version\":1", "\"version\":2"), &[":1: ", "version 2", "upgrade"]);
    refused(&lines[1..].join("\n"), &[":1: ", "export --format txtgate"]);
    refused("", &[":1: ", "export --format txtgate"]);
    refused(&whole.replace("$argon2id$", "$argon9$"), &[":2: key_hash: ", ":4: key_hash: "]);
    refused(&whole.replacen("\"note\":\"\"", "\"note\":5", 1), &[":2: "]);
    std::fs::write(&file, &whole).unwrap();
    let (code, said) = old.home().run_err(&["export", "--format", "txtgate", &name]);
    assert!(code == Some(2) && said.contains(&name), "no file is overwritten: {said}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), whole);
    assert_eq!(import(new.home(), &file, &[])["accounts"], 3);
}

/// Whoever makes a file must not get more by it than an account: not the names from which the server's own certificates
/// come, and no work beyond measure for the one who takes it in.
#[test]
fn a_file_gives_nobody_what_no_account_can_have() {
    let (old, new, folder) = two();
    let file = folder.path().join("moved.jsonl");
    let name = file.display().to_string();
    let shop = create(old.home(), &["example.com", "--subdomain", "shop"]);
    export(old.home(), &file, &["--account", "shop"]);
    let whole = std::fs::read_to_string(&file).unwrap();
    let label = |label: &str| whole.replace("\"label\":\"shop\"", &format!("\"label\":\"{label}\""));
    let owner = format!("{{\"zone\":\"{ZONE}\",\"label\":\"shop\",\"values\":[],\"persistent\":[]}}");
    assert!(whole.contains(&owner), "{whole}");
    for (text, said_so) in [
        (label("_acme-challenge"), ":2: label: no account can have"),
        (label("_validation-persist"), ":2: label: no account can have"),
        (label("_ujmmovf2vn55tgye"), ":2: label: no account can have"),
        (label("@"), ":2: label: no account can have"),
        (whole.replace(&owner, &format!("{owner},{owner}")), "is there twice"),
        (whole.replace("m=8192", "m=4194304"), ":2: key_hash: a hash that is too costly"),
    ] {
        std::fs::write(&file, text).unwrap();
        let (code, said) = new.home().run_err(&["import", "txtgate", &name, "--skip-conflicts"]);
        assert!(code == Some(2) && said.contains(said_so), "{said_so:?} in {said}");
        assert_eq!(json_of(new.home(), &["account", "list"])["items"], json!([]));
    }
    // An alias in a zone of the new server stays behind, and the account moves.
    let alias = format!("{{\"alias\":\"_acme-challenge.other.{ZONE}\",\"zone\":\"{ZONE}\",\"label\":\"shop\"}}");
    let with_alias = whole.replace("\"aliases\":[]", &format!("\"aliases\":[{alias}]"));
    assert_ne!(with_alias, whole);
    std::fs::write(&file, with_alias).unwrap();
    let counts = import(new.home(), &file, &[]);
    let left = counts["left"][0]["message"].as_str().unwrap();
    assert!(counts["accounts"] == 1 && left.contains(&format!("other.{ZONE} stays behind")), "{left}");
    assert_eq!(json_of(new.home(), &["account", "show", "shop"])["aliases"], json!([]));
    shop.publish(new.api(), &value(1));
}

/// The newest time that is stored sets the clock of the next start, and with it what has expired.
#[test]
fn times_ahead_of_the_clock_do_not_move_in() {
    let settings = Settings::default().with("values", "persist = true");
    let (old, new) = (Process::start(&settings), Process::start(&settings));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("moved.jsonl");
    let shop = create(old.home(), &["example.com", "--subdomain", "shop"]);
    let authorization = |number: usize| format!("ca.test; accounturi=https://ca.test/acct/{number}");
    old.home().run_ok(&["persist", "publish", "shop", &authorization(0)]);
    export(old.home(), &file, &["--account", "shop"]);
    import(new.home(), &file, &[]);
    shop.publish(new.api(), &value(1));
    let mut lines: Vec<Value> =
        std::fs::read_to_string(&file).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let values = &mut lines[1]["account"]["owners"][0]["persistent"];
    let ahead: Vec<Value> = (0..20)
        .map(|number| {
            let mut value = values[0].clone();
            value["value"] = authorization(number).into();
            value["published"] = json!(u32::MAX - 10);
            value
        })
        .collect();
    *values = ahead.into();
    std::fs::write(&file, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    let counts = import(new.home(), &file, &[]);
    assert_eq!(counts["values"], 15, "{counts}");
    assert!(counts["left"][0]["message"].as_str().unwrap().contains("at most 16"), "{counts}");
    let home = new.home().clone();
    new.kill();
    let new = home.start();
    assert!(txts(new.dns(), &shop.fulldomain).contains(&value(1)), "the value is still live");
}

#[test]
fn chosen_labels_of_deleted_accounts_are_taken_on_the_new_server_too() {
    let (old, new, folder) = two();
    let file = folder.path().join("moved.jsonl");
    create(old.home(), &["example.com", "--subdomain", "shop"]);
    old.home().run_ok(&["account", "delete", "shop"]);
    export(old.home(), &file, &[]);
    assert_eq!(import(new.home(), &file, &[])["accounts"], 0);
    let (_, said) = new.home().run_err(&["account", "create", "example.net", "--subdomain", "shop"]);
    assert!(said.contains("taken"), "its CNAME may still lead there: {said}");
}

#[test]
fn a_file_of_several_megabytes_is_read_whole() {
    let (old, new, folder) = two();
    let file = folder.path().join("moved.jsonl");
    Account::register(old.api());
    export(old.home(), &file, &[]);
    let padding = " ".repeat(5 << 20);
    let padded = std::fs::read_to_string(&file).unwrap().replacen('\n', &format!("{padding}\n"), 1);
    std::fs::write(&file, padded).unwrap();
    assert_eq!(import(new.home(), &file, &[])["accounts"], 1);
}

#[test]
fn a_client_of_the_storage_finds_its_accounts_on_the_new_server() {
    let settings = Settings::default().with("api", "registration = \"closed\"");
    let (old, new) = (Process::start(&settings), Process::start(&settings));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("moved.jsonl");
    let token = json_of(old.home(), &["enrol", "create", "--count", "3"])["token"].as_str().unwrap().to_owned();
    let registered = post(old.api(), &format!("/{token}/register"), &[], "");
    assert_eq!(registered.status, 201, "{registered:?}");
    let kept = post(old.api(), &format!("/{token}/v1/storage/example.com"), &[], &registered.body);
    assert!(kept.status < 300, "{kept:?}");
    export(old.home(), &file, &[]);
    let counts = import(new.home(), &file, &[]);
    assert_eq!((&counts["stored"], &counts["enrolments"]), (&json!(1), &json!(1)));
    let fetched = crate::harness::http::get(new.api(), &format!("/{token}/v1/storage/example.com"));
    assert_eq!(fetched.status, 200, "{fetched:?}");
    assert_eq!(fetched.json()["username"], registered.json()["username"]);
    assert_eq!(json_of(new.home(), &["enrol", "list"])["items"][0]["used"], 1);
}
