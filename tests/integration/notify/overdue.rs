//! Accounts that do not renew in their usual time.

use serde_json::Value;

use crate::harness::http::get;
use crate::harness::ports::free_port;
use crate::harness::receiver::Receiver;
use crate::harness::{Account, Home, Settings, until, value};

use super::{home, report, run_for};

fn list(home: &Home, arguments: &[&str]) -> Vec<Value> {
    let list: Value = serde_json::from_str(&home.run_ok(arguments)).unwrap();
    list["items"].as_array().unwrap().clone()
}

#[test]
fn an_account_that_misses_its_usual_renewal_is_reported_until_it_renews() {
    let address = free_port();
    let receiver = Receiver::start(address, &[]);
    let home = home(Settings::default(), address, "overdue = true");
    let daemon = home.start();
    let (account, other) = (Account::register(daemon.api()), Account::register(daemon.api()));
    other.publish(daemon.api(), &value(0));
    account.publish(daemon.api(), &value(1));
    daemon.kill();
    for renewal in 2..4 {
        run_for(&home, 60);
        let daemon = home.start();
        account.publish(daemon.api(), &value(renewal));
        account.publish(daemon.api(), &value(renewal + 100));
        daemon.kill();
    }
    run_for(&home, 74);
    let daemon = home.start();
    let shown = home.run_ok(&["account", "show", &account.username]);
    assert!(shown.contains("next renewal") && shown.contains("expected"), "{shown}");
    assert!(list(&home, &["account", "list", "--overdue", "--json"]).is_empty());
    daemon.kill();
    run_for(&home, 2);
    let daemon = home.start();
    let overdue = list(&home, &["account", "list", "--overdue", "--json"]);
    assert_eq!(overdue.len(), 1, "{overdue:?}");
    assert_eq!((&overdue[0]["username"], &overdue[0]["overdue"]), (&account.username.as_str().into(), &true.into()));
    assert!(home.run_ok(&["account", "list"]).contains(", overdue"));
    assert!(home.run_ok(&["status"]).contains("1 overdue, see `txtgate account list --overdue`"));
    assert!(get(daemon.metrics(), "/metrics").body.contains("\ntxtgate_accounts_overdue 1\n"));
    until("it is reported", || receiver.taken().len() == 1);
    account.publish(daemon.api(), &value(9));
    until("the end is reported", || receiver.taken().len() == 2);
    let says: Vec<_> = receiver.taken().iter().map(|one| one.says()).collect();
    let message = |event: &str| [event, "account-overdue", &account.username].map(str::to_owned);
    assert_eq!(says, [message("matter.begun"), message("matter.over")]);
    assert!(list(&home, &["account", "list", "--overdue", "--json"]).is_empty());
    assert!(report(&home)["matters"].as_array().unwrap().is_empty());
}
