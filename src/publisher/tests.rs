mod changes;
mod names;
mod persist;
mod rekey;
mod running;
mod values;

use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::config::Config;
use crate::model::account::{Account, AllowFrom, Note, Username};
use crate::model::actor::{FrontEnd, KeyUsed};
use crate::model::name::OwnerLabel;
use crate::model::secret::{ApiKey, ApiKeyHash};
use crate::model::time::RunningTime;
use crate::model::txt::TxtValue;
use crate::store::writer::WriterThread;
use crate::zone::Zone;

/// A publisher on a real file.
struct Fixture {
    publisher: Publisher,
    thread: Option<WriterThread>,
    folder: TempDir,
    limits: ValueLimits,
}

fn config(records: &str) -> Config {
    let text = format!(
        "[[zone]]\nname = \"auth.test\"\nns = [\"ns1.example.org\"]\ncontact = \"a@example.org\"\nrecords = \"\"\"\n{records}\n\"\"\"\n"
    );
    Config::parse(Path::new("c.toml"), &text).unwrap()
}

impl Fixture {
    fn new(limits: impl FnOnce(&mut ValueLimits)) -> Self {
        let mut set = config("").values;
        limits(&mut set);
        Self::at(tempfile::tempdir().unwrap(), set)
    }

    fn at(folder: TempDir, limits: ValueLimits) -> Self {
        let store = Store::open(&folder.path().join("t.db")).unwrap();
        let clock = Clock::start(store.read(|rows| rows.running_time()).unwrap());
        let zones = load(&store, &config("").zones, &limits, &clock).unwrap();
        let metrics = Arc::new(Metrics::default());
        let (writer, thread) =
            Writer::start(store.clone(), zones.clone(), clock.clone(), metrics.clone(), Box::new(|_, _| {})).unwrap();
        let publisher = Publisher::new(store, writer, zones, clock, limits, metrics);
        Self { publisher, thread: Some(thread), folder, limits }
    }

    fn restart(self) -> Self {
        let Self { publisher, thread, folder, limits } = self;
        thread.unwrap().stop();
        drop(publisher);
        Self::at(folder, limits)
    }

    async fn register(&self, label: Option<&str>) -> Result<Account, Abort<OwnerError>> {
        let choice = Choice { subdomain: label.map(|label| label.parse().unwrap()), ..Choice::default() };
        self.publisher.register(Actor::OPERATOR, registration(choice)).await
    }

    async fn publish(&self, account: &Account, letters: &str) {
        for letter in letters.chars() {
            self.publisher.publish(acting(account), account.owners[0].clone(), txt(letter)).await.unwrap();
        }
    }

    fn live(&self, account: &Account) -> String {
        let values = self.publisher.values(&account.owners[0]);
        values.iter().map(|value| value.txt.as_str().chars().next().unwrap()).collect()
    }

    fn slot(&self, account: &Account) -> Option<OwnerState> {
        self.zone().live.at(account.owners[0].label.as_str().as_bytes())
    }

    fn zone(&self) -> Zone {
        self.publisher.zones().load()[0].clone()
    }
}

/// A registration of a subdomain, with a key that nobody knows.
fn registration(choice: Choice) -> Registration {
    Registration {
        name: OwnerRequest::Subdomain(choice),
        allow_from: AllowFrom::default(),
        note: Note::default(),
        key: ApiKeyHash::of(&ApiKey::random().unwrap()).unwrap(),
        tsig: None,
        alias: None,
    }
}

/// An account that uses its key over the API.
fn acting(account: &Account) -> Actor {
    by_key(account.username)
}

fn by_key(username: Username) -> Actor {
    Actor::account(username, FrontEnd::Api, "192.0.2.1".parse().unwrap(), KeyUsed::Current)
}

fn txt(letter: char) -> TxtValue {
    letter.to_string().repeat(43).parse().unwrap()
}

#[tokio::test]
async fn a_value_published_again_moves_to_the_front_and_evicts_nothing() {
    let fixture = Fixture::new(|_| {});
    let account = fixture.register(None).await.unwrap();
    fixture.publish(&account, "abca").await;
    assert_eq!(fixture.live(&account), "acb");
    let fixture = fixture.restart();
    assert_eq!(fixture.live(&account), "acb", "after a restart");
}

#[tokio::test]
async fn the_oldest_value_drops_past_the_limit() {
    let fixture = Fixture::new(|limits| limits.max = 3);
    let account = fixture.register(None).await.unwrap();
    fixture.publish(&account, "abcde").await;
    assert_eq!(fixture.live(&account), "edc");
}

#[tokio::test]
async fn the_two_newest_live_longer() {
    let fixture = Fixture::new(|_| {});
    let account = fixture.register(None).await.unwrap();
    let start = fixture.publisher.moment().running;
    fixture.publish(&account, "abc").await;
    // To the hour, as a second may have passed.
    let hours = |value: &LiveValue| value.expires.since(start).as_secs() / 3_600;
    let lifetimes = || fixture.publisher.values(&account.owners[0]).iter().map(hours).collect::<Vec<_>>();
    assert_eq!(lifetimes(), [168, 168, 24]);
    // A value that becomes one of the two newest again gets its time back.
    fixture.publisher.retire(Actor::OPERATOR, account.owners[0].clone(), Some(txt('c'))).await.unwrap();
    assert_eq!(lifetimes(), [168, 168]);
}

#[tokio::test]
async fn expired_values_leave_memory_store_and_raise_the_serial() {
    let fixture = Fixture::new(|limits| {
        limits.lifetime = std::time::Duration::from_secs(1);
        limits.newest_lifetime = std::time::Duration::from_secs(1);
    });
    let account = fixture.register(None).await.unwrap();
    fixture.publish(&account, "a").await;
    let serial = fixture.zone().serial();
    let upkeep = tokio::spawn(fixture.publisher.clone().keep_up(None));
    let gone = async {
        while fixture.publisher.store().read(|rows| rows.counts()).unwrap().values > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), gone).await.expect("the value never expired");
    upkeep.abort();
    let slot = fixture.slot(&account);
    assert!(matches!(slot, Some(OwnerState::Expired(at)) if at <= fixture.publisher.moment().running), "{slot:?}");
    assert!(fixture.zone().serial().is_after(serial));
}

#[tokio::test]
async fn nobody_publishes_at_a_strangers_name() {
    let fixture = Fixture::new(|_| {});
    let (mine, theirs) = (fixture.register(None).await.unwrap(), fixture.register(None).await.unwrap());
    let by = acting(&mine);
    let refused = fixture.publisher.publish(by, theirs.owners[0].clone(), txt('a')).await;
    assert!(matches!(refused, Err(Abort::Refused(ValueError::Access(AccessError::NotOwner)))), "{refused:?}");
    let challenge = Owner { label: OwnerLabel::Challenge, ..mine.owners[0].clone() };
    let refused = fixture.publisher.publish(by, challenge.clone(), txt('a')).await;
    assert!(matches!(refused, Err(Abort::Refused(ValueError::Access(AccessError::NotOwner)))), "{refused:?}");
    fixture.publisher.publish(Actor::OPERATOR, challenge.clone(), txt('b')).await.unwrap();
    assert_eq!(fixture.publisher.values(&challenge).len(), 1);
}

/// Below `_acme-challenge` and at `_validation-persist` of an ordinary zone.
#[tokio::test]
async fn the_daemons_own_names_are_nobody_elses_and_go_with_their_values() {
    let fixture = Fixture::new(|_| {});
    let mine = fixture.register(None).await.unwrap();
    let zone = mine.owners[0].zone.clone();
    for name in [format!("_ujmmovf2vn55tgye._acme-challenge.{zone}"), format!("_validation-persist.{zone}")] {
        let owner = Owner::at(&name.parse().unwrap(), &zone).unwrap();
        assert_eq!(owner.to_string(), name);
        assert!(owner.is_daemons() && !mine.owns(&owner));
        let refused = fixture.publisher.publish(acting(&mine), owner.clone(), txt('a')).await;
        assert!(matches!(refused, Err(Abort::Refused(ValueError::Access(AccessError::NotOwner)))), "{refused:?}");
        fixture.publisher.publish(Actor::OPERATOR, owner.clone(), txt('b')).await.unwrap();
        let refused = fixture.publisher.publish(acting(&mine), owner.clone(), txt('a')).await;
        assert!(matches!(refused, Err(Abort::Refused(ValueError::Access(AccessError::NotOwner)))), "{refused:?}");
        assert_eq!(fixture.publisher.values(&owner).len(), 1);
        assert!(fixture.publisher.daemons_owners().unwrap().contains(&owner));
        fixture.publisher.retire(Actor::OPERATOR, owner.clone(), None).await.unwrap();
        assert!(!fixture.publisher.daemons_owners().unwrap().contains(&owner));
    }
}

#[tokio::test]
async fn a_disabled_name_has_no_data_and_a_removed_one_is_gone_for_good() {
    let fixture = Fixture::new(|_| {});
    let account = fixture.register(Some("shop")).await.unwrap();
    fixture.publish(&account, "a").await;
    fixture.publisher.disable(Actor::OPERATOR, account.username).await.unwrap();
    assert_eq!(fixture.slot(&account), Some(OwnerState::Disabled));
    let fixture = fixture.restart();
    assert_eq!(fixture.slot(&account), Some(OwnerState::Disabled), "after a restart");
    fixture.publisher.enable(Actor::OPERATOR, account.username).await.unwrap();
    assert_eq!(fixture.live(&account), "a");
    fixture.publisher.delete(Actor::OPERATOR, account.username, std::time::Duration::ZERO).await.unwrap();
    assert_eq!(fixture.slot(&account), None);
    let again = fixture.register(Some("shop")).await;
    assert!(matches!(again, Err(Abort::Refused(OwnerError::LabelTaken(_)))), "{again:?}");
}

#[tokio::test]
async fn labels_of_choice_are_not_uuids_nor_taken_nor_static() {
    let fixture = Fixture::new(|_| {});
    fixture.publisher.reload(Actor::OPERATOR, config("www A 192.0.2.1\na.ent A 192.0.2.1").zones).await.unwrap();
    fixture.register(Some("shop")).await.unwrap();
    assert!(matches!(fixture.register(Some("shop")).await, Err(Abort::Refused(OwnerError::LabelTaken(_)))));
    for label in ["www", "ent", "0f8fad5b-d9cb-469f-a165-70867728950e"] {
        assert!(
            matches!(fixture.register(Some(label)).await, Err(Abort::Refused(OwnerError::LabelReserved(..)))),
            "{label}"
        );
    }
}

#[tokio::test]
async fn records_at_a_registered_label_keep_the_old_configuration() {
    let fixture = Fixture::new(|_| {});
    fixture.register(Some("shop")).await.unwrap();
    for records in ["shop A 192.0.2.1", "www.shop A 192.0.2.1"] {
        let refused = fixture.publisher.reload(Actor::OPERATOR, config(records).zones).await;
        assert!(matches!(refused, Err(Abort::Refused(LoadError::Owned { .. }))), "{refused:?}");
    }
    assert_eq!(fixture.zone().statics.names().count(), 1);
}

#[tokio::test]
async fn a_deleted_database_file_is_noticed_before_the_acknowledgement() {
    for suffix in ["", "-wal"] {
        let fixture = Fixture::new(|_| {});
        let account = fixture.register(None).await.unwrap();
        std::fs::remove_file(fixture.folder.path().join(format!("t.db{suffix}"))).unwrap();
        let refused = fixture.publisher.publish(Actor::OPERATOR, account.owners[0].clone(), txt('a')).await;
        assert!(matches!(refused, Err(Abort::Store(StoreError::Replaced(_)))), "{suffix}: {refused:?}");
        assert_eq!(fixture.live(&account), "");
    }
}

/// A reader that finds the database damaged must not be the only one who knows.
#[tokio::test]
async fn nothing_is_acknowledged_after_a_reader_has_met_damage() {
    let fixture = Fixture::new(|_| {});
    let account = fixture.register(None).await.unwrap();
    fixture.publish(&account, "a").await;
    let damage = || Err::<(), _>(StoreError::Corrupt("file is not a database".into()));
    fixture.publisher.store().read(|_| damage()).unwrap_err();
    let refused = fixture.publisher.publish(Actor::OPERATOR, account.owners[0].clone(), txt('b')).await;
    assert!(matches!(refused, Err(Abort::Store(StoreError::Corrupt(_)))), "{refused:?}");
    assert!(matches!(fixture.publisher.store().problem(), Some(StoreError::Corrupt(_))));
    assert_eq!(fixture.live(&account), "a");
    assert_eq!(fixture.restart().live(&account), "a");
}

#[tokio::test]
async fn a_refused_change_leaves_no_trace_in_its_group() {
    let fixture = Fixture::new(|_| {});
    let account = fixture.register(None).await.unwrap();
    let stranger = by_key(Username::random());
    let owner = &account.owners[0];
    // Sent together, so that they share a transaction.
    let (good, bad) = tokio::join!(
        fixture.publisher.publish(Actor::OPERATOR, owner.clone(), txt('a')),
        fixture.publisher.publish(stranger, owner.clone(), txt('b')),
    );
    assert!(good.is_ok() && matches!(bad, Err(Abort::Refused(ValueError::Access(AccessError::NotOwner)))));
    assert_eq!(fixture.restart().live(&account), "a");
}

#[tokio::test]
async fn a_change_that_is_refused_after_it_has_written_leaves_no_trace() {
    let fixture = Fixture::new(|_| {});
    let account = fixture.register(None).await.unwrap();
    let owner = &account.owners[0];
    let half = || {
        let (owner, now) = (owner.clone(), fixture.publisher.moment());
        let operation = move |tx: &Tx<'_>| {
            let row = tx.owner(&owner)?.unwrap();
            let value = LiveValue { txt: txt('b'), published: now.date, expires: RunningTime::MAX };
            tx.put_value(row.id, &value, now.running)?;
            Err::<(), Abort<ValueError>>(AccessError::NotOwner.into())
        };
        fixture.publisher.write(Actor::OPERATOR, operation)
    };
    let good = || fixture.publisher.publish(Actor::OPERATOR, owner.clone(), txt('a'));
    let (before, after, one, other) = tokio::join!(good(), half(), half(), good());
    assert!(before.is_ok() && other.is_ok());
    assert!(
        [after, one]
            .iter()
            .all(|refused| matches!(refused, Err(Abort::Refused(ValueError::Access(AccessError::NotOwner)))))
    );
    assert_eq!(fixture.restart().live(&account), "a");
}

#[tokio::test]
async fn a_locked_database_refuses_updates_and_serves_on() {
    let fixture = Fixture::new(|_| {});
    let account = fixture.register(None).await.unwrap();
    fixture.publish(&account, "a").await;
    let other = rusqlite::Connection::open(fixture.folder.path().join("t.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = fixture.publisher.publish(Actor::OPERATOR, account.owners[0].clone(), txt('b')).await;
    assert!(matches!(refused, Err(Abort::Store(StoreError::Busy(_)))), "{refused:?}");
    assert_eq!(fixture.live(&account), "a");
    other.execute_batch("ROLLBACK").unwrap();
    fixture.publish(&account, "c").await;
    assert_eq!(fixture.live(&account), "ca");
}

#[test]
fn a_second_daemon_is_kept_off_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let first = Store::open(&path).unwrap();
    let refused = Store::open(&path).unwrap_err();
    assert!(refused.to_string().contains(&format!("process {}", std::process::id())), "{refused}");
    drop(first);
    Store::open(&path).unwrap();
}

#[test]
fn files_that_are_not_ours_are_refused_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    drop(Store::open(&path("newer")).unwrap());
    rusqlite::Connection::open(path("newer")).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(Store::open(&path("newer")), Err(StoreError::Newer { found: 99, .. })));
    rusqlite::Connection::open(path("foreign")).unwrap().execute_batch("CREATE TABLE records (a)").unwrap();
    assert!(matches!(Store::open(&path("foreign")), Err(StoreError::Foreign(_))));
    std::fs::write(path("noise"), [0x55; 9_000]).unwrap();
    assert!(matches!(Store::open(&path("noise")), Err(StoreError::Corrupt(_))));
}

#[tokio::test]
async fn a_backup_of_a_running_store_can_be_restored() {
    use crate::store::backup::{backup, restore};
    let fixture = Fixture::new(|_| {});
    let account = fixture.register(None).await.unwrap();
    fixture.publish(&account, "ab").await;
    let (database, copy) = (fixture.folder.path().join("t.db"), fixture.folder.path().join("copy.db"));
    assert_eq!(backup(&database, &copy).unwrap().values, 2);
    assert!(backup(&database, &copy).is_err(), "an existing file was overwritten");
    fixture.publish(&account, "c").await;
    assert!(matches!(restore(&copy, &database, None), Err(StoreError::Locked { .. })));
    let Fixture { publisher, thread, folder, limits } = fixture;
    thread.unwrap().stop();
    drop(publisher);
    assert!(restore(&copy, &database, None).unwrap().is_some());
    assert_eq!(Fixture::at(folder, limits).live(&account), "ba");
}

#[tokio::test]
async fn nothing_is_published_in_a_zone_that_the_configuration_no_longer_has() {
    let fixture = Fixture::new(|_| {});
    let account = fixture.register(None).await.unwrap();
    let mut zones = config("").zones;
    zones[0].name = "other.test".parse().unwrap();
    fixture.publisher.reload(Actor::OPERATOR, zones).await.unwrap();
    let refused = fixture.publisher.publish(acting(&account), account.owners[0].clone(), txt('a')).await;
    assert!(matches!(refused, Err(Abort::Refused(ValueError::Access(AccessError::NoZone(_))))), "{refused:?}");
}

#[tokio::test]
async fn an_account_narrows_its_networks_and_never_widens_them() {
    let fixture = Fixture::new(|_| {});
    let account = fixture.register(None).await.unwrap();
    let to = |network: &str| AccountEdit { allow_from: Some(AllowFrom::parse(&[network]).unwrap()), note: None };
    fixture.publisher.narrow(Actor::OPERATOR, account.username, to("10.0.0.0/8")).await.unwrap();
    let refused = fixture.publisher.narrow(Actor::OPERATOR, account.username, to("0.0.0.0/0")).await;
    assert!(matches!(refused, Err(Abort::Refused(AccountError::Wider))), "{refused:?}");
    let kept = fixture.publisher.account(account.username).unwrap().unwrap();
    assert_eq!(kept.allow_from.networks().len(), 1);
    fixture.publisher.edit(Actor::OPERATOR, account.username, to("0.0.0.0/0")).await.unwrap();
}

#[tokio::test]
async fn a_damaged_database_is_set_aside_whole_and_replaced() {
    use crate::store::backup::{backup, restore};
    let fixture = Fixture::new(|_| {});
    let account = fixture.register(None).await.unwrap();
    fixture.publish(&account, "a").await;
    let (database, copy) = (fixture.folder.path().join("t.db"), fixture.folder.path().join("copy.db"));
    backup(&database, &copy).unwrap();
    let Fixture { publisher, thread, folder, limits } = fixture;
    thread.unwrap().stop();
    drop(publisher);
    std::fs::write(&database, [0x55; 9_000]).unwrap();
    let old = restore(&copy, &database, None).unwrap().unwrap();
    assert_eq!(std::fs::read(old.path.unwrap()).unwrap(), [0x55; 9_000]);
    assert!(old.comparison.newer.is_err() && old.comparison.serials.is_err());
    let fixture = Fixture::at(folder, limits);
    assert_eq!(fixture.live(&account), "a");
    // The next one does not overwrite what the first has kept.
    let Fixture { publisher, thread, folder, .. } = fixture;
    thread.unwrap().stop();
    drop(publisher);
    let old = restore(&copy, &database, None).unwrap().unwrap();
    assert!(old.path.unwrap().ends_with("t.db.before-restore-2"));
    assert!(folder.path().join("t.db.before-restore").exists());
}
