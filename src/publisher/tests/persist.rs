//! Persistent authorizations: beside the values of challenges, and never in their way.

use std::time::Duration;

use super::*;
use crate::model::name::OwnerLabel;
use crate::model::txt::persist::PersistValue;

fn authorization(number: usize) -> PersistValue {
    format!("ca.example; accounturi=https://ca.example/acct/{number}").parse().unwrap()
}

impl Fixture {
    async fn persist(
        &self,
        account: &Account,
        value: PersistValue,
        lifetime: Option<Duration>,
    ) -> Result<Option<Timestamp>, Abort<PersistError>> {
        let owner = account.owners[0].clone();
        let persisted = self.publisher.persist(acting(account), owner, value, lifetime).await;
        persisted.map(|value| value.expires.map(|at| self.publisher.moment().date_of(at)))
    }

    fn persistent(&self, account: &Account) -> Vec<String> {
        let values = self.publisher.persistent(&account.owners[0]);
        values.iter().map(|value| value.value.to_string()).collect()
    }
}

fn persisting(limits: &mut ValueLimits) {
    limits.persist = true;
    limits.max = 3;
}

#[tokio::test]
async fn challenges_evict_no_persistent_value_and_are_not_counted_with_it() {
    let fixture = Fixture::new(persisting);
    let account = fixture.register(None).await.unwrap();
    for number in [1, 2, 1] {
        assert_eq!(fixture.persist(&account, authorization(number), None).await.unwrap(), None);
    }
    fixture.publish(&account, "abcdefg").await;
    let expected = [1, 2].map(|number| authorization(number).to_string());
    assert_eq!((fixture.live(&account).as_str(), fixture.persistent(&account)), ("gfe", expected.to_vec()));
    let fixture = fixture.restart();
    assert_eq!((fixture.live(&account).as_str(), fixture.persistent(&account)), ("gfe", expected.to_vec()));
    fixture.publisher.retire(Actor::OPERATOR, account.owners[0].clone(), None).await.unwrap();
    assert_eq!((fixture.live(&account).as_str(), fixture.persistent(&account)), ("", expected.to_vec()));
    fixture.publisher.disable(Actor::OPERATOR, account.username).await.unwrap();
    assert_eq!(fixture.slot(&account), Some(OwnerState::Disabled));
    fixture.publisher.enable(Actor::OPERATOR, account.username).await.unwrap();
    let gone = fixture.publisher.retire_persistent(Actor::OPERATOR, account.owners[0].clone(), None).await.unwrap();
    assert_eq!((gone, fixture.slot(&account)), (2, Some(OwnerState::Empty)));
}

#[tokio::test]
async fn an_owner_holds_so_many_and_no_more() {
    let fixture = Fixture::new(persisting);
    let account = fixture.register(None).await.unwrap();
    for number in 0..MAX_PERSISTENT {
        fixture.persist(&account, authorization(number), None).await.unwrap();
    }
    let refused = fixture.persist(&account, authorization(99), None).await;
    assert!(matches!(refused, Err(Abort::Refused(PersistError::TooMany))), "{refused:?}");
    fixture.persist(&account, authorization(3), None).await.expect("one that is there");
    assert_eq!(fixture.persistent(&account).len(), MAX_PERSISTENT, "and none was evicted");
}

#[tokio::test]
async fn it_ends_with_its_lifetime_or_its_persist_until_whichever_is_first() {
    let fixture = Fixture::new(persisting);
    let account = fixture.register(None).await.unwrap();
    let now = fixture.publisher.now().as_unix();
    let until = |seconds: u64| -> PersistValue {
        format!("ca.example; accounturi=urn:x; persistUntil={seconds}").parse().unwrap()
    };
    let day = Some(Duration::from_secs(86_400));
    for (value, lifetime, least, most) in [
        (until(now + 1_000), None, now + 1_000, now + 1_000),
        (until(now + 1_001), day, now + 1_001, now + 1_001),
        (until(now + 100_000), day, now + 86_400, now + 86_500),
        (authorization(1), day, now + 86_400, now + 86_500),
    ] {
        let expires = fixture.persist(&account, value.clone(), lifetime).await.unwrap().unwrap().as_unix();
        assert!((least..=most).contains(&expires), "{value}: {expires}");
    }
    assert_eq!(fixture.persist(&account, until(u64::MAX), None).await.unwrap(), None);
    let over = fixture.persist(&account, until(now - 1), day).await;
    assert!(matches!(over, Err(Abort::Refused(PersistError::Over))), "{over:?}");
}

#[tokio::test]
async fn an_expired_one_leaves_memory_and_store_and_raises_the_serial() {
    let fixture = Fixture::new(persisting);
    let account = fixture.register(None).await.unwrap();
    fixture.persist(&account, authorization(1), Some(Duration::from_secs(1))).await.unwrap();
    fixture.persist(&account, authorization(2), None).await.unwrap();
    let serial = fixture.zone().serial();
    let upkeep = tokio::spawn(fixture.publisher.clone().keep_up(None));
    let gone = async {
        // The zone follows the store, so both are waited for.
        while fixture.publisher.store().read(|rows| rows.counts()).unwrap().values > 1
            || fixture.persistent(&account).len() > 1
            || !fixture.zone().serial().is_after(serial)
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), gone).await.expect("it never expired");
    upkeep.abort();
    assert_eq!(fixture.persistent(&account), [authorization(2).to_string()]);
    assert!(fixture.slot(&account).unwrap().persistent().len() == 1 && fixture.zone().serial().is_after(serial));
}

#[tokio::test]
async fn where_it_is_off_nothing_is_published_or_served_and_nothing_is_lost() {
    let mut fixture = Fixture::new(persisting);
    let account = fixture.register(None).await.unwrap();
    fixture.persist(&account, authorization(1), None).await.unwrap();
    fixture.limits.persist = false;
    let mut fixture = fixture.restart();
    assert!(fixture.persistent(&account).is_empty());
    fixture.publish(&account, "a").await;
    assert_eq!((fixture.persistent(&account).len(), fixture.live(&account).as_str()), (0, "a"));
    let refused = fixture.persist(&account, authorization(2), None).await;
    assert!(matches!(refused, Err(Abort::Refused(PersistError::Off))), "{refused:?}");
    fixture.limits.persist = true;
    let fixture = fixture.restart();
    assert_eq!(fixture.persistent(&account), [authorization(1).to_string()]);
}

#[tokio::test]
async fn nobody_leaves_one_at_a_strangers_name_or_where_no_ca_looks() {
    let fixture = Fixture::new(persisting);
    let (mine, theirs) = (fixture.register(None).await.unwrap(), fixture.register(None).await.unwrap());
    let (by, value) = (acting(&mine), authorization(1));
    let refused = fixture.publisher.persist(by, theirs.owners[0].clone(), value.clone(), None).await;
    assert!(
        matches!(refused, Err(Abort::Refused(PersistError::Value(ValueError::Access(AccessError::NotOwner))))),
        "{refused:?}"
    );
    let challenge = Owner { label: OwnerLabel::Challenge, ..mine.owners[0].clone() };
    let refused = fixture.publisher.persist(Actor::OPERATOR, challenge, value, None).await;
    assert!(matches!(refused, Err(Abort::Refused(PersistError::Nowhere(_)))), "{refused:?}");
}
