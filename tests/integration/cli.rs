//! The operator's commands, with a daemon and without one.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use hickory_proto::op::ResponseCode;
use serde_json::{Value, json};

use crate::harness::dns::{TXT, ask, query, txts};
use crate::harness::{Account, Home, Process, Settings, Watch, ZONE, value};

fn json_of(home: &Home, arguments: &[&str]) -> Value {
    let all: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
    let text = home.run_ok(&all);
    assert_eq!(text.lines().count(), 1, "one line of JSON: {text}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn created(home: &Home, more: &[&str]) -> Account {
    let arguments: Vec<&str> = ["account", "create", "example.com"].into_iter().chain(more.iter().copied()).collect();
    Account::of(&json_of(home, &arguments))
}

/// The life of an account by the operator's commands alone; the same with a daemon and without.
fn an_accounts_life(home: &Home) {
    let account = created(home, &["--subdomain", "shop", "--allowfrom", "127.0.0.0/8"]);
    assert_eq!(account.fulldomain, format!("shop.{ZONE}"));
    for who in [&account.username, "shop", &account.fulldomain] {
        let shown = json_of(home, &["account", "show", who]);
        assert_eq!((&shown["username"], &shown["note"]), (&json!(account.username), &json!("example.com")));
        assert_eq!(shown["allowfrom"], json!(["127.0.0.0/8"]));
    }
    let edited = json_of(home, &["account", "edit", "shop", "--allow-all", "--note", "the shop"]);
    assert_eq!((&edited["allowfrom"], &edited["note"]), (&json!([]), &json!("the shop")));
    let list = json_of(home, &["account", "list", "--search", "the sh"]);
    assert_eq!((list["items"].as_array().map(Vec::len), &list["truncated"]), (Some(1), &json!(false)), "{list}");
    let rotated = Account::of(&json_of(home, &["account", "rotate", "shop", "--grace", "1h"]));
    assert_ne!(rotated.password, account.password);
    let published = json_of(home, &["txt", "publish", "shop", &value(1)]);
    assert_eq!(published["txt"], json!(value(1)));
    assert_eq!(json_of(home, &["txt", "list", "shop"])["items"][0]["txt"], json!(value(1)));
    assert_eq!(json_of(home, &["txt", "retire", "shop", &value(1)]), json!({"retired": 1}));
    for (command, state) in [("disable", "disabled"), ("enable", "active"), ("delete", "deleted"), ("enable", "active")]
    {
        assert_eq!(json_of(home, &["account", command, "shop"])["state"], json!(state), "{command}");
    }
    assert_eq!(json_of(home, &["account", "delete", "shop", "--now"])["state"], json!("removed"));
    let (code, said) = home.run_err(&["account", "show", "shop"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("shop"), "{said}");
    let (code, said) = home.run_err(&["account", "create", "example.com", "--subdomain", "shop"]);
    assert!(code == Some(1) && said.contains("taken"), "a chosen label is never given to somebody else: {said}");
}

#[test]
fn an_accounts_life_with_a_daemon() {
    let daemon = Process::start(&Settings::default());
    an_accounts_life(daemon.home());
}

#[test]
fn an_accounts_life_without_a_daemon() {
    an_accounts_life(&Home::new(&Settings::default()));
}

#[test]
fn what_was_made_without_a_daemon_works_with_one() {
    let home = Home::new(&Settings::default());
    let account = created(&home, &[]);
    home.run_ok(&["txt", "publish", &account.subdomain, &value(1)]);
    let daemon = home.start();
    assert_eq!(txts(daemon.dns(), &account.fulldomain), [value(1)]);
    account.publish(daemon.api(), &value(2));
}

#[test]
fn what_the_operator_does_is_seen_at_once() {
    let daemon = Process::start(&Settings::default());
    let account = created(daemon.home(), &[]);
    account.publish(daemon.api(), &value(1));
    daemon.home().run_ok(&["account", "disable", &account.username]);
    account.update(daemon.api(), &value(2)).assert_error(401, "forbidden");
    ask(daemon.dns(), &query(&account.fulldomain, TXT)).assert_negative(ResponseCode::NoError);
    daemon.home().run_ok(&["account", "enable", &account.username]);
    assert_eq!(txts(daemon.dns(), &account.fulldomain), [value(1)]);
    daemon.home().run_ok(&["account", "edit", &account.username, "--allowfrom", "192.0.2.0/24"]);
    account.update(daemon.api(), &value(3)).assert_error(401, "forbidden");
    daemon.home().run_ok(&["account", "delete", &account.username, "--now"]);
    ask(daemon.dns(), &query(&account.fulldomain, TXT)).assert_negative(ResponseCode::NXDomain);
}

#[test]
fn one_account_has_several_names_and_aliases() {
    let daemon = Process::start(&Settings::default());
    let home = daemon.home();
    let account = created(home, &[]);
    let added = json_of(home, &["account", "add-subdomain", &account.username, "shop", "--zone", ZONE]);
    assert_eq!(added["fulldomain"], json!(format!("shop.{ZONE}")));
    let shop = Account { subdomain: "shop".into(), ..account.clone() };
    shop.publish(daemon.api(), &value(1));
    assert_eq!(txts(daemon.dns(), &format!("shop.{ZONE}")), [value(1)]);
    let (code, said) = home.run_err(&["account", "alias", "add", "shop", "_acme-challenge.example.com"]);
    assert!(code == Some(2) && said.contains("subdomain"), "which of the two: {said}");
    let alias = ["account", "alias", "add", "shop", "_acme-challenge.example.com", "shop"];
    assert!(home.run_ok(&alias).contains(&format!("_acme-challenge.example.com stands for shop.{ZONE}")));
    let shown = home.run_ok(&["account", "show", "shop"]);
    assert!(shown.contains(&format!("_acme-challenge.example.com for shop.{ZONE}")), "{shown}");
    let (code, said) = home.run_err(&["account", "alias", "add", "shop", "example.com", "shop"]);
    assert!(code == Some(2) && said.contains("_acme-challenge.example.com"), "{said}");
    let removed = json_of(home, &["account", "alias", "remove", "shop", "_acme-challenge.example.com"]);
    assert_eq!(removed, json!({"removed": 1}));
    let left = json_of(home, &["account", "remove-subdomain", &account.username, "shop"]);
    assert_eq!(left["fulldomains"], json!([account.fulldomain]));
    shop.update(daemon.api(), &value(2)).assert_error(401, "forbidden");
    ask(daemon.dns(), &query(&format!("shop.{ZONE}"), TXT)).assert_negative(ResponseCode::NXDomain);
}

#[test]
fn the_zones_own_challenge_can_be_published_by_the_operator() {
    let daemon = Process::start(&Settings::default());
    daemon.home().run_ok(&["txt", "publish", "_acme-challenge", &value(1)]);
    assert_eq!(txts(daemon.dns(), &format!("_acme-challenge.{ZONE}")), [value(1)]);
}

#[test]
fn a_new_account_is_printed_for_people_with_its_cname_and_settings() {
    let daemon = Process::start(&Settings::default());
    let text = daemon.home().run_ok(&["account", "create", "*.example.com", "--server", "https://auth.test/"]);
    for part in ["ACME_DNS_API_BASE=https://auth.test", "--- certbot", "--- lego", "--- Traefik", "acme.sh"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let file = daemon.home().run_ok(&["account", "create", "example.com", "--format", "goacmedns"]);
    let file: Value = serde_json::from_str(&file).unwrap();
    Account::of(&file["example.com"]).publish(daemon.api(), &value(1));
}

#[test]
fn a_new_account_with_a_tsig_key_is_printed_for_the_clients_of_dns_update() {
    let home = Home::new(&Settings::default());
    let made = json_of(&home, &["account", "create", "example.com", "--tsig"]);
    let name = format!("{}.", made["username"].as_str().unwrap());
    assert_eq!((&made["tsig"]["name"], &made["tsig"]["algorithm"]), (&json!(name), &json!("hmac-sha256")));
    let shown = json_of(&home, &["account", "show", made["username"].as_str().unwrap()]);
    assert_eq!(
        (&shown["aliases"][0]["alias"], &shown["tsig"]),
        (&json!("_acme-challenge.example.com"), &json!("hmac-sha256"))
    );
    let ours = json_of(&home, &["account", "create", &format!("www.{ZONE}"), "--tsig", "hmac-sha512"]);
    assert_eq!(ours["tsig"]["algorithm"], json!("hmac-sha512"), "in a zone of ours there is no alias to make");
    for (format, expected) in [
        ("lego-rfc2136", "RFC2136_NAMESERVER=ns.test:5353"),
        ("certbot-rfc2136", "dns_rfc2136_server = ns.test\ndns_rfc2136_port = 5353\n"),
        ("cert-manager-rfc2136", "tsigAlgorithm: HMACSHA256"),
        ("nsupdate", "server ns.test 5353"),
        ("text", "\n--- nsupdate\n# tsig.key (mode 0600)\n"),
    ] {
        let words = ["account", "create", "example.com", "--dns-server", "ns.test:5353", "--format", format];
        let text = home.run_ok(&[&words[..], &["--tsig"]].concat());
        assert!(text.contains(expected), "{format}: {text}");
        assert_eq!(home.run(&words).status.success(), format == "text", "{format}");
    }
    let (code, said) = home.run_err(&["account", "create", "example.com", "--format", "nsupdate"]);
    assert!(code == Some(2) && said.contains("--tsig"), "{said}");
}

#[test]
fn tables_have_headings_and_a_row_for_each() {
    let daemon = Process::start(&Settings::default());
    let accounts = [(); 3].map(|()| created(daemon.home(), &[]));
    let table = daemon.home().run_ok(&["account", "list"]);
    assert!(table.lines().next().unwrap().to_lowercase().contains("username"), "{table}");
    assert!(accounts.iter().all(|account| table.contains(&account.username)), "{table}");
}

#[test]
fn status_tells_what_is_served() {
    let daemon = Process::start(&Settings::default());
    let account = Account::register(daemon.api());
    account.publish(daemon.api(), &value(1));
    let status = json_of(daemon.home(), &["status"]);
    assert_eq!((&status["accounts"], &status["values"]), (&json!(1), &json!(1)));
    assert_eq!(status["zones"][0]["name"], json!(ZONE));
    assert!(status["listeners"].as_array().unwrap().iter().any(|line| *line == json!(daemon.lines()[0])), "{status}");
    let text = daemon.home().run_ok(&["status"]);
    let first = text.lines().next().unwrap();
    assert!(first.starts_with("txtgate ") && first.ends_with(": all is well"), "{text}");
    for part in [
        format!("zones            {ZONE}, serial "),
        format!("listeners        {}", daemon.lines()[0]),
        "accounts         1, with 1 value".to_owned(),
        format!(" ago, {}", account.fulldomain),
        "last validation  no value was asked for".to_owned(),
    ] {
        assert!(text.contains(&part), "{part}: {text}");
    }
    assert!(!text.contains("zones.0") && !text.contains('{'), "no flattened JSON: {text}");
    assert_eq!(txts(daemon.dns(), &account.fulldomain), [value(1)]);
    let asked = json_of(daemon.home(), &["status"]);
    assert_eq!(asked["last_validation"]["name"], json!(account.fulldomain), "{asked}");
    assert_eq!(asked["last_validation"]["source"], json!("127.0.0.1"));
    assert!(daemon.home().run_ok(&["status"]).contains(" ago from 127.0.0.1, "));
}

#[test]
fn status_without_a_daemon_says_so_and_fails() {
    let home = Home::new(&Settings::default());
    for arguments in [&["status"][..], &["status", "--json"]] {
        let (code, said) = home.run_err(arguments);
        assert!(code == Some(1) && said.contains("no daemon"), "{said}");
    }
}

/// Accounts are named as people know them, by every command that takes one.
#[test]
fn an_account_goes_by_its_domain_everywhere() {
    let daemon = Process::start(&Settings::default());
    let home = daemon.home();
    let account = created(home, &["--note", "the shop"]);
    assert_eq!(json_of(home, &["account", "show", "example.com"])["note"], json!("example.com (the shop)"));
    for name in ["example.com", "*.example.com", "_acme-challenge.example.com", "EXAMPLE.COM."] {
        assert_eq!(json_of(home, &["account", "show", name])["username"], json!(account.username), "{name}");
    }
    assert_eq!(json_of(home, &["txt", "publish", "example.com", &value(1)])["name"], json!(account.fulldomain));
    assert_eq!(txts(daemon.dns(), &account.fulldomain), [value(1)]);
    let listed = json_of(home, &["txt", "list", "example.com"]);
    assert_eq!(listed["items"][0]["note"], json!("example.com (the shop)"));
    let watch = Watch::over(home, "example.com");
    let seen = watch.first(|| _ = ask(daemon.dns(), &query(&account.fulldomain, TXT)));
    assert_eq!(seen["values"], json!([value(1)]));
    drop(watch);
    assert_eq!(json_of(home, &["txt", "retire", "example.com"]), json!({"retired": 1}));
    for command in ["disable", "enable", "rotate", "delete"] {
        home.run_ok(&["account", command, "example.com"]);
    }
    let other = created(home, &[]);
    let (code, said) = home.run_err(&["account", "enable", "example.com"]);
    assert!(code == Some(2) && said.contains("2 accounts are for \"example.com\""), "{said}");
    assert!(
        said.contains(&account.fulldomain) && said.contains(&other.fulldomain) && said.contains("deleted"),
        "{said}"
    );
    let (code, said) = home.run_err(&["account", "show", "example.net"]);
    assert!(code == Some(1) && said.contains("\"example.net\"") && said.contains("account list"), "{said}");
}

#[test]
fn an_internationalized_name_is_taken_as_people_write_it_and_shown_both_ways() {
    let home = Home::new(&Settings::default());
    let text = home.run_ok(&["account", "create", "bücher.example"]);
    assert!(text.contains("xn--bcher-kva.example (bücher.example)"), "{text}");
    assert!(text.contains("\n_acme-challenge.xn--bcher-kva.example. CNAME "), "{text}");
    let names = ["bücher.example", "BÜCHER.example.", "xn--bcher-kva.example", "_acme-challenge.bücher.example"];
    let shown = names.map(|name| json_of(&home, &["account", "show", name])["username"].clone());
    assert!(shown.iter().all(|username| *username == shown[0]), "{shown:?}");
    assert!(home.run_ok(&["account", "show", "bücher.example"]).contains("xn--bcher-kva.example (bücher.example)"));
    for list in [&["account", "list"][..], &["account", "list", "--search", "bücher"]] {
        assert!(home.run_ok(list).contains("xn--bcher-kva.example (bücher.example)"), "{list:?}");
    }
    let labelled = json_of(&home, &["account", "create", "straße.example", "--subdomain", "straße"]);
    assert_eq!(labelled["subdomain"], json!("xn--strae-oqa"));
    assert_eq!(json_of(&home, &["account", "show", "straße"])["username"], labelled["username"]);
    home.run_ok(&["account", "alias", "add", "straße", "_acme-challenge.straße.example"]);
    let (code, said) = home.run_err(&["account", "show", "köln.example"]);
    assert!(code == Some(1) && said.contains("\"köln.example\" (xn--kln-sna.example)"), "{said}");
    let (code, said) = home.run_err(&["account", "create", "a\u{378}.example"]);
    assert!(code == Some(2) && said.contains("internationalized"), "{said}");
}

#[test]
fn numbers_that_are_none_are_told_what_to_write() {
    let home = Home::new(&Settings::default().zone("dnssec-key = \"zone.key\""));
    for arguments in [
        &["enrol", "create", "--count", "ten"][..],
        &["enrol", "create", "--count", "99999999999"],
        &["enrol", "revoke", "x"],
        &["enrol", "revoke", "99999999999999999999999"],
        &["dnssec", "init", ZONE, "--ds-ttl", "1d"],
        &["dnssec", "init", ZONE, "--algorithm", "x"],
        &["account", "rotate", "x", "--grace", "soon"],
        &["account", "create", "x.com", "--allowfrom", "192.0.2.0/99"],
        &["cert", "issue", "--name", "x.com", "--key-type", "rsa"],
        &["cert", "issue", "--name", "x.com", "--challenge", "http-01"],
    ] {
        let (_, said) = home.run_err(arguments);
        for words in ["invalid digit", "number too large", "variant", "u32", "i64", "usize", "ParseIntError"] {
            assert!(!said.contains(words), "{arguments:?}: {said}");
        }
    }
}

#[test]
fn lists_say_that_they_are_empty() {
    let daemon = Process::start(&Settings::default());
    for (list, part) in [
        (&["account", "list"][..], "`txtgate account create DOMAIN`"),
        (&["account", "list", "--search", "x"], "no account has \"x\""),
        (&["cert", "list"], "`txtgate cert issue NAME...`"),
        (&["enrol", "list"], "`txtgate enrol create`"),
        (&["txt", "list"], "there are no live values"),
        (&["persist", "list"], "there are no persistent authorizations"),
    ] {
        let text = daemon.home().run_ok(list);
        assert!(text.contains(part), "{list:?}: {text}");
    }
}

#[test]
fn a_new_account_is_printed_with_its_password_once_and_its_record_last() {
    let home = Home::new(&Settings::default());
    for (format, mark) in [("text", ""), ("certbot", "# "), ("acme-sh", "# "), ("caddy", "# "), ("cert-manager", "# ")]
    {
        let output = home.run(&["account", "create", "example.com", "--format", format]);
        let text = String::from_utf8(output.stdout).unwrap();
        let last = text.lines().last().unwrap();
        assert!(last.starts_with(&format!("{mark}_acme-challenge.example.com. CNAME ")), "{format}: {last}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("warning: only clients on this machine reach http://127.0.0.1"), "{format}: {said}");
        let key = text.split(['"', '\'', ' ', '=', '\n']).find(|word| word.len() == 40 && !word.contains('.')).unwrap();
        assert_eq!(text.matches(key).count(), 1, "{format}: {text}");
    }
    for arguments in [&["--server", "https://auth.test"][..], &["--json"]] {
        let arguments = [&["account", "create", "example.com"], arguments].concat();
        let said = String::from_utf8(home.run(&arguments).stderr).unwrap();
        assert!(!said.contains("warning"), "{arguments:?}: {said}");
    }
}

#[test]
fn watch_shows_a_query_and_ends_with_the_reader() {
    let daemon = Process::start(&Settings::default());
    let account = Account::register(daemon.api());
    account.publish(daemon.api(), &value(1));
    let watch = Watch::over(daemon.home(), &account.subdomain);
    let seen = watch.first(|| {
        ask(daemon.dns(), &query(&account.fulldomain, TXT));
        ask(daemon.dns(), &query(ZONE, TXT));
    });
    let expected = [("source", "127.0.0.1"), ("transport", "udp"), ("type", "TXT"), ("rcode", "NOERROR")];
    expected.into_iter().for_each(|(key, value)| assert_eq!(seen[key], json!(value), "{seen}"));
    assert_eq!(seen["values"], json!([value(1)]));
    assert!(watch.end().iter().all(|line| !line.contains(&format!("\"{ZONE}\""))), "other names are not shown");
    assert_eq!(txts(daemon.dns(), &account.fulldomain), [value(1)], "the daemon goes on");
}

#[test]
fn watch_and_status_without_a_daemon_say_so() {
    let home = Home::new(&Settings::default());
    let (code, said) = home.run_err(&["watch", "x"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("no daemon answers at"), "{said}");
}

#[test]
fn a_backup_while_in_use_is_whole_and_can_be_restored() {
    let daemon = Process::start(&Settings::default());
    let account = Account::register(daemon.api());
    account.publish(daemon.api(), &value(1));
    let home = daemon.home().clone();
    let copy = home.path().join("copy.db");
    let file = copy.to_str().unwrap();
    assert!(home.run_ok(&["backup", file]).contains("1 accounts and 1 values"));
    assert_eq!(std::fs::metadata(&copy).unwrap().permissions().mode() & 0o077, 0);
    assert_eq!(home.run_err(&["backup", file]).0, Some(1), "an older copy is not overwritten");
    account.publish(daemon.api(), &value(2));
    let (code, said) = home.run_err(&["restore", file]);
    assert!(code == Some(1) && said.contains("another txtgate"), "not under a running daemon: {said}");
    assert!(daemon.terminate().0.success());
    let said = home.run_ok(&["restore", file]);
    assert!(said.contains("before-restore"), "{said}");
    let daemon = home.start();
    assert_eq!(txts(daemon.dns(), &account.fulldomain), [value(1)], "as it was then");
    account.publish(daemon.api(), &value(3));
}

#[test]
fn what_is_no_backup_is_not_restored() {
    let home = Home::new(&Settings::default());
    let account = created(&home, &[]);
    let nonsense = home.path().join("nonsense.db");
    std::fs::write(&nonsense, "x".repeat(10_000)).unwrap();
    for file in [nonsense.to_str().unwrap(), "/does/not/exist.db"] {
        assert_eq!(home.run_err(&["restore", file]).0, Some(1), "{file}");
    }
    account.publish(home.start().api(), &value(1));
}

/// Root works for a daemon that is not root, which has to be able to open what root has made.
#[test]
fn what_root_makes_belongs_to_the_folders_owner() {
    if !rustix::process::geteuid().is_root() {
        return; // nobody else could give a file away
    }
    let home = Home::new(&Settings::default());
    std::os::unix::fs::chown(home.path(), Some(65_534), Some(65_534)).unwrap();
    created(&home, &[]);
    for entry in std::fs::read_dir(home.path()).unwrap().map(Result::unwrap) {
        let owner = entry.metadata().unwrap().uid();
        assert!(owner == 65_534 || entry.file_name() == "config.toml", "{:?} belongs to {owner}", entry.file_name());
    }
}

#[test]
fn generated_texts_are_there() {
    let home = Home::new(&Settings::default());
    for (shell, part) in [("bash", "_txtgate"), ("zsh", "#compdef txtgate"), ("fish", "complete -c txtgate")] {
        assert!(home.run_ok(&["completions", shell]).contains(part), "{shell}");
    }
    assert!(home.run_ok(&["--version"]).starts_with("txtgate "));
}

#[test]
fn exit_codes_tell_mistakes_from_failures() {
    let home = Home::new(&Settings::default());
    home.run_ok(&["config", "check"]);
    home.run_ok(&["--help"]);
    for mistake in [
        &["nonsense"][..],
        &["account", "create"],
        &["account", "create", "x", "--format", "y"],
        &["account", "create", "x.com", "--subdomain", "a.b"],
        &["account", "create", "a b"],
        &["serve", "--x"],
    ] {
        assert_eq!(home.run_err(mistake).0, Some(2), "{mistake:?}");
    }
    for failure in [&["account", "show", "nobody"][..], &["txt", "publish", "nobody", &value(1)]] {
        assert_eq!(home.run_err(failure).0, Some(1), "{failure:?}");
    }
    home.run_ok(&["account", "create", "example.com", "--subdomain", "shop"]);
    let (code, said) = home.run_err(&["txt", "publish", "shop", "short"]);
    assert!(code == Some(2) && said.contains("43"), "{said}");
}
