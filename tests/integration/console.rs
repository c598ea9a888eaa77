//! The console over HTTP, as a browser without JavaScript uses it: the page of one account, its forms, and who may use them.

use crate::harness::account::Account;
use crate::harness::browser::{Browser, SETTINGS};
use crate::harness::{Process, Settings, until, value};

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
    assert!(page.contains("<svg class=\"plot\"") && page.contains("role=\"img\" aria-label=\"Served"), "{page}");
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
