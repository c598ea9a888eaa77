//! A wrong clock, at a start or when something is stored, removes nothing, hides nothing and keeps nothing for ever: what
//! ends, ends by the time that the daemon has run.

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::harness::clock::WrongClock;
use crate::harness::dns::txts;
use crate::harness::http::{get, post};
use crate::harness::{Account, Home, Launch, Process, Settings, until, value};

const DAY: i64 = 86_400;
const YEAR: i64 = 365 * DAY;
/// Clocks that are ahead, behind, back where Linux begins to count, and further than any date that the daemon knows.
const WRONG: [i64; 5] = [400 * DAY, 3 * YEAR, -3 * YEAR, -56 * YEAR, 90 * YEAR];

fn settings() -> Settings {
    Settings::default().with("api", "purge-unused-days = 30")
}

/// Makes a change in the database of a daemon that does not run.
fn edit(home: &Home, sql: &str) {
    assert!(Connection::open(home.database()).unwrap().execute(sql, []).unwrap() > 0, "{sql}");
}

/// Has the daemon have run for so many days more.
fn run_for(home: &Home, days: i64) {
    edit(home, &format!("UPDATE last_commit SET running = running + {}", days * DAY));
}

fn row(home: &Home, account: &Account) -> Option<Value> {
    let list: Value = serde_json::from_str(&home.run_ok(&["account", "list", "--json"])).unwrap();
    let is_this = |found: &&Value| found["username"] == json!(account.username);
    list["items"].as_array().unwrap().iter().find(is_this).cloned()
}

fn state(home: &Home, account: &Account) -> Value {
    row(home, account).map_or(Value::Null, |row| row["state"].clone())
}

fn metric(daemon: &Process, name: &str) -> u64 {
    let metrics = get(daemon.metrics(), "/metrics").body;
    let found = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    found.unwrap_or_else(|| panic!("no {name} in {metrics}")).parse().unwrap()
}

fn delete(daemon: &Process, account: &Account) {
    assert_eq!(account.send(daemon.api(), "DELETE", "/v1/account", "").status, 200);
}

/// An account whose deletion is due at the next start: when it is gone, the daemon has looked for such accounts.
fn due(daemon: &Process) -> Account {
    let due = Account::register(daemon.api());
    delete(daemon, &due);
    due
}

fn let_be_due(home: &Home, account: &Account) {
    edit(home, &format!("UPDATE accounts SET remove_running = 0 WHERE username = '{}'", account.username));
}

#[test]
fn a_wrong_clock_for_a_moment_destroys_no_account() {
    let Some(clock) = WrongClock::build() else { return };
    for offset in WRONG {
        let home = Home::new(&settings());
        let daemon = home.start();
        let [deleted, unused, used] = [(); 3].map(|()| Account::register(daemon.api()));
        used.publish(daemon.api(), &value(1));
        let due = due(&daemon);
        delete(&daemon, &deleted);
        daemon.terminate();
        let_be_due(&home, &due);

        let daemon = home.launch(&clock.ahead(offset));
        until("the daemon has removed what is due", || row(&home, &due).is_none());
        let states = || [&deleted, &unused, &used].map(|account| state(&home, account));
        assert_eq!(states(), ["deleted", "active", "active"], "{offset}");
        daemon.terminate();

        let _daemon = home.start();
        assert_eq!(states(), ["deleted", "active", "active"], "{offset}, when the clock is right again");
        home.run_ok(&["account", "enable", &deleted.username]);
        assert_eq!(state(&home, &deleted), "active");
    }
}

#[test]
fn what_was_stored_under_a_wrong_clock_is_not_destroyed_when_the_clock_is_right() {
    let Some(clock) = WrongClock::build() else { return };
    for offset in WRONG {
        let home = Home::new(&settings());
        let daemon = home.launch(&clock.ahead(offset));
        let [deleted, unused] = [(); 2].map(|()| Account::register(daemon.api()));
        let due = due(&daemon);
        delete(&daemon, &deleted);
        let token = home.run_ok(&["enrol", "create", "--lifetime", "1h", "--json"]);
        let token: Value = serde_json::from_str(&token).unwrap();
        daemon.terminate();
        let_be_due(&home, &due);

        home.write(&settings().with("api", "registration = \"closed\""));
        let daemon = home.start();
        until("the daemon has removed what is due", || row(&home, &due).is_none());
        assert_eq!([&deleted, &unused].map(|account| state(&home, account)), ["deleted", "active"], "{offset}");
        let bearer = format!("Authorization: Bearer {}", token["token"].as_str().unwrap());
        assert_eq!(post(daemon.api(), "/register", &[&bearer], "").status, 201, "{offset}");
        let listed = home.run_ok(&["enrol", "list", "--json"]);
        assert_eq!(
            serde_json::from_str::<Value>(&listed).unwrap()["items"][0]["state"],
            "used up",
            "{offset}: {listed}"
        );
    }
}

#[test]
fn a_token_is_as_good_as_before_under_a_wrong_clock() {
    let Some(clock) = WrongClock::build() else { return };
    let home = Home::new(&settings().with("api", "registration = \"closed\""));
    let token: Value = serde_json::from_str(&home.run_ok(&["enrol", "create", "--count", "9", "--json"])).unwrap();
    let bearer = format!("Authorization: Bearer {}", token["token"].as_str().unwrap());
    for offset in WRONG {
        let daemon = home.launch(&clock.ahead(offset));
        assert_eq!(post(daemon.api(), "/register", &[&bearer], "").status, 201, "{offset}");
    }
    run_for(&home, 8);
    let daemon = home.start();
    post(daemon.api(), "/register", &[&bearer], "").assert_error(401, "forbidden");
}

#[test]
fn a_value_that_was_acknowledged_is_served_under_any_clock() {
    let Some(clock) = WrongClock::build() else { return };
    for offset in WRONG {
        let home = Home::new(&settings());
        let daemon = home.start();
        let (account, other) = (Account::register(daemon.api()), Account::register(daemon.api()));
        account.publish(daemon.api(), &value(1));
        other.publish(daemon.api(), &value(9));
        daemon.terminate();
        let over = format!("expires_running = 0, published_running = {}", -30 * DAY);
        edit(&home, &format!("UPDATE live_values SET {over} WHERE CAST(bytes AS TEXT) = '{}'", value(9)));

        let daemon = home.launch(&clock.ahead(offset));
        assert_eq!(txts(daemon.dns(), &account.fulldomain), [value(1)], "{offset}");
        account.publish(daemon.api(), &value(2));
        assert_eq!(txts(daemon.dns(), &account.fulldomain), [value(2), value(1)], "{offset}");
        until("the daemon has removed what has expired", || metric(&daemon, "txtgate_values_expired_total") == 1);
        assert_eq!(txts(daemon.dns(), &account.fulldomain), [value(2), value(1)], "{offset}");
        daemon.kill();

        let daemon = home.start();
        account.publish(daemon.api(), &value(3));
        let all = [value(3), value(2), value(1)];
        assert_eq!(txts(daemon.dns(), &account.fulldomain), all, "{offset}, when the clock is right again");
    }
}

#[test]
fn a_persistent_authorization_lives_on_under_a_wrong_clock() {
    let Some(clock) = WrongClock::build() else { return };
    let home = Home::new(&settings().with("values", "persist = true"));
    let daemon = home.start();
    let account = Account::register(daemon.api());
    let end = 1 + std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs() + 100 * DAY as u64;
    let text = format!("ca.example; accounturi=urn:x; persistUntil={end}");
    home.run_ok(&["persist", "publish", &account.fulldomain, &text]);
    let served = txts(daemon.dns(), &account.fulldomain);
    assert_eq!(served.len(), 1);
    daemon.terminate();
    for offset in WRONG {
        let daemon = home.launch(&clock.ahead(offset));
        assert_eq!(txts(daemon.dns(), &account.fulldomain), served, "{offset}");
    }
    run_for(&home, 101);
    let daemon = home.start();
    until("it ends", || txts(daemon.dns(), &account.fulldomain).is_empty());
}

#[test]
fn what_ends_is_removed_when_the_daemon_has_run_for_so_long_and_told_by_name() {
    let home = Home::new(&settings());
    let daemon = home.start();
    let [deleted, unused, used] = [(); 3].map(|()| Account::register(daemon.api()));
    used.publish(daemon.api(), &value(1));
    delete(&daemon, &deleted);
    daemon.terminate();

    run_for(&home, 29);
    let daemon = home.start();
    until("the value has expired", || metric(&daemon, "txtgate_values_expired_total") == 1);
    assert_eq!(txts(daemon.dns(), &used.fulldomain), [""; 0]);
    let is_told = |words: &[&str]| daemon.log().lines().any(|line| words.iter().all(|word| line.contains(word)));
    until("it is told by name", || is_told(&["values expired", &used.fulldomain, &value(1)]));
    assert_eq!([&deleted, &unused].map(|account| state(&home, account)), ["deleted", "active"]);
    daemon.terminate();

    run_for(&home, 2);
    let daemon = home.start();
    until("both are gone", || [&deleted, &unused].iter().all(|account| row(&home, account).is_none()));
    assert_eq!(state(&home, &used), "active");
    let is_told = |words: &[&str]| daemon.log().lines().any(|line| words.iter().all(|word| line.contains(word)));
    until("they are told by name", || {
        is_told(&["account removed: it was deleted", &deleted.username, &deleted.fulldomain])
            && is_told(&["account removed: it has never published", &unused.username, &unused.fulldomain])
    });
    for why in ["deleted", "unused"] {
        assert_eq!(metric(&daemon, &format!("txtgate_accounts_removed_total{{why=\"{why}\"}}")), 1);
    }
}

#[test]
fn the_time_that_the_daemon_has_run_is_stored_without_changes_and_without_a_date() {
    let daemon = Home::new(&settings()).start();
    let stored = || {
        let database = Connection::open(daemon.home().database()).unwrap();
        let sql = "SELECT running, at FROM last_commit";
        database.query_row(sql, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))).unwrap()
    };
    until("it is stored", || stored().0 > 1);
    assert_eq!(stored().1, 0, "nothing has changed, and the machine's clock may be wrong");
}

/// What a person reads is right, whatever the clock said when it was stored.
#[test]
fn dates_of_ends_follow_the_clock_of_today() {
    let Some(clock) = WrongClock::build() else { return };
    let home = Home::new(&settings());
    let daemon = home.launch(&clock.ahead(3 * YEAR));
    let account = Account::register(daemon.api());
    account.publish(daemon.api(), &value(1));
    delete(&daemon, &account);
    daemon.terminate();
    let _daemon = home.launch(&Launch::default());
    let removed = row(&home, &account).unwrap()["removed_at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let left = removed.as_second() - jiff::Timestamp::now().as_second();
    assert!((29 * DAY..=30 * DAY).contains(&left), "{left}");
}
