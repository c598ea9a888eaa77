//! What subscribers see: who has asked for each change, for what, and with which serial.

use std::time::Duration;

use super::*;
use crate::model::enrolment::Terms;
use crate::model::name::{Alias, ZoneName};
use crate::model::secret::SecretHash;
use crate::model::serial::Serial;
use crate::zone::change::{Action, Change, Event, Subject, Subscription};

impl Fixture {
    fn stored_serial(&self) -> Serial {
        let zone: ZoneName = "auth.test".parse().unwrap();
        self.publisher.store().read(|rows| rows.serial(&zone)).unwrap().unwrap()
    }
}

/// The changes of the one commit that has just been acknowledged.
fn commit(subscription: &mut Subscription) -> Vec<Change> {
    let Some(Event::Changes(changes)) = subscription.try_next() else { panic!("no commit") };
    assert_eq!(subscription.try_next(), None, "one commit");
    changes.to_vec()
}

fn terms(publisher: &Publisher) -> Terms {
    Terms {
        uses: 1,
        expires: publisher.moment().running.plus(Duration::from_secs(60)),
        allow_from: AllowFrom::default(),
        labels: Vec::new(),
        note: Note::default(),
    }
}

#[tokio::test]
async fn a_change_carries_its_actor_its_action_the_state_and_the_serial_of_the_store() {
    let fixture = Fixture::new(|_| {});
    let account = fixture.register(None).await.unwrap();
    let owner = account.owners[0].clone();
    let mut subscription = fixture.publisher.subscribe();
    for key in [KeyUsed::Current, KeyUsed::Former, KeyUsed::Tsig] {
        let actor = Actor { key, ..acting(&account) };
        fixture.publisher.publish(actor, owner.clone(), txt('a')).await.unwrap();
        let changes = commit(&mut subscription);
        let [change] = &changes[..] else { panic!("{changes:?}") };
        assert_eq!((change.actor, change.action), (actor, Action::Publish));
        let Subject::Owner { owner: changed, serial, state } = &change.subject else { panic!("{change:?}") };
        assert_eq!(*changed, owner);
        assert_eq!(*state, fixture.slot(&account), "what DNS answers with");
        assert_eq!(*serial, fixture.zone().serial(), "what DNS shows");
        assert_eq!(*serial, fixture.stored_serial(), "what the store holds");
    }
    fixture.publisher.retire(Actor::CERTIFICATES, owner.clone(), None).await.unwrap();
    let change = commit(&mut subscription).remove(0);
    assert_eq!((change.actor, change.action), (Actor::CERTIFICATES, Action::Retire));
    assert_eq!(
        change.subject,
        Subject::Owner { owner, serial: fixture.stored_serial(), state: Some(OwnerState::Empty) }
    );
}

#[tokio::test]
async fn all_changes_of_a_group_have_one_serial_and_each_its_own_actor() {
    let fixture = Fixture::new(|_| {});
    let one = fixture.register(None).await.unwrap();
    let other = fixture.register(None).await.unwrap();
    let mut subscription = fixture.publisher.subscribe();
    let plan = ValuePlan {
        conditions: Vec::new(),
        edits: vec![
            ValueEdit::Publish(one.owners[0].clone(), txt('a')),
            ValueEdit::Publish(other.owners[0].clone(), txt('b')),
        ],
    };
    fixture.publisher.amend(Actor::OPERATOR, plan).await.unwrap();
    let changes = commit(&mut subscription);
    let serials: Vec<_> = changes.iter().filter_map(|change| change.subject.zone()).map(|(_, serial)| serial).collect();
    assert_eq!(serials, [fixture.stored_serial(); 2]);
    let refused = fixture.publisher.publish(acting(&one), other.owners[0].clone(), txt('c')).await;
    assert!(refused.is_err());
    assert_eq!(subscription.try_next(), None, "a refused operation changes nothing");
}

/// Whoever lists the changes of an account takes the account that follows a name's change for the name's own.
#[tokio::test]
async fn names_that_move_in_are_followed_by_their_own_account() {
    let (old, new) = (Fixture::new(|_| {}), Fixture::new(|_| {}));
    let accounts = [old.register(Some("one")).await.unwrap(), old.register(Some("two")).await.unwrap()];
    let mut subscription = new.publisher.subscribe();
    // The second time, the accounts are there already.
    for letter in ["a", "b"] {
        for account in &accounts {
            old.publish(account, letter).await;
        }
        let mut items = Vec::new();
        let visit = |moved| {
            items.push((items.len() + 2, moved));
            Ok::<_, StoreError>(())
        };
        old.publisher.each_moved(&[], visit).unwrap();
        new.publisher.transfer(Actor::OPERATOR, Transfer { items, ..Transfer::default() }).await.unwrap();
        let changes = commit(&mut subscription);
        let mut names = 0;
        for (place, change) in changes.iter().enumerate() {
            let Subject::Owner { owner, .. } = &change.subject else { continue };
            let following = changes[place..].iter().find_map(|change| match change.subject {
                Subject::Account(username) => Some(username),
                _ => None,
            });
            let own = new.publisher.account_at(owner).unwrap().unwrap().username;
            assert_eq!(following, Some(own), "{owner} in {changes:?}");
            names += 1;
        }
        assert!(names >= 2, "{changes:?}");
    }
}

/// Each operation of the publisher, with what it is seen as.
#[tokio::test]
async fn every_operation_tells_who_has_asked_for_it_and_for_what() {
    let fixture = Fixture::new(|limits| limits.persist = true);
    let publisher = &fixture.publisher;
    let mut subscription = publisher.subscribe();
    let account = fixture.register(Some("shop")).await.unwrap();
    let who = account.username;
    let owner = account.owners[0].clone();
    let actor = acting(&account);
    let alias = Alias::of_domain(&"example.com".parse().unwrap()).unwrap();
    let value: crate::model::txt::persist::PersistValue = "ca.example; accounturi=urn:x".parse().unwrap();
    let hash = || ApiKeyHash::of(&ApiKey::random().unwrap()).unwrap();
    let request = || OwnerRequest::Subdomain(Choice::default());
    let mut seen = vec![commit(&mut subscription)];
    let second = publisher.add_owner(actor, who, request()).await.unwrap();
    seen.push(commit(&mut subscription));
    publisher.add_alias(actor, who, alias.clone(), second.clone()).await.unwrap();
    seen.push(commit(&mut subscription));
    publisher.remove_alias(actor, who, alias.clone()).await.unwrap();
    seen.push(commit(&mut subscription));
    publisher.remove_owner(actor, who, second).await.unwrap();
    seen.push(commit(&mut subscription));
    publisher.persist(actor, owner.clone(), value.clone(), None).await.unwrap();
    seen.push(commit(&mut subscription));
    publisher.retire_persistent(actor, owner.clone(), Some(value)).await.unwrap();
    seen.push(commit(&mut subscription));
    publisher.narrow(actor, who, AccountEdit::default()).await.unwrap();
    seen.push(commit(&mut subscription));
    publisher.rotate(actor, who, hash(), Duration::ZERO).await.unwrap();
    seen.push(commit(&mut subscription));
    publisher.rehash(actor, who, hash(), hash()).await.unwrap();
    seen.push(commit(&mut subscription));
    publisher.set_tsig(Actor::OPERATOR, who, None).await.unwrap();
    seen.push(commit(&mut subscription));
    publisher.disable(Actor::OPERATOR, who).await.unwrap();
    seen.push(commit(&mut subscription));
    publisher.enable(Actor::OPERATOR, who).await.unwrap();
    seen.push(commit(&mut subscription));
    publisher.delete(actor, who, Duration::from_secs(60)).await.unwrap();
    seen.push(commit(&mut subscription));
    publisher.delete(Actor::OPERATOR, who, Duration::ZERO).await.unwrap();
    seen.push(commit(&mut subscription));
    let (_, token) = SecretHash::random().unwrap();
    let enrolment = publisher.enrol(Actor::OPERATOR, token, terms(publisher)).await.unwrap();
    seen.push(commit(&mut subscription));
    publisher.revoke(Actor::OPERATOR, enrolment.id).await.unwrap();
    seen.push(commit(&mut subscription));
    publisher.managed_owner(Actor::CERTIFICATES, "example.com".parse().unwrap()).await.unwrap();
    seen.push(commit(&mut subscription));
    publisher.reload(Actor::UPKEEP, config("www A 192.0.2.1").zones).await.unwrap();
    seen.push(commit(&mut subscription));
    let expected = [
        (Actor::OPERATOR, Action::Register),
        (actor, Action::AddOwner),
        (actor, Action::AddAlias),
        (actor, Action::RemoveAlias),
        (actor, Action::RemoveOwner),
        (actor, Action::Persist),
        (actor, Action::RetirePersistent),
        (actor, Action::EditAccount),
        (actor, Action::RotateKey),
        (actor, Action::Rehash),
        (Actor::OPERATOR, Action::SetTsig),
        (Actor::OPERATOR, Action::DisableAccount),
        (Actor::OPERATOR, Action::EnableAccount),
        (actor, Action::DeleteAccount),
        (Actor::OPERATOR, Action::RemoveAccount),
        (Actor::OPERATOR, Action::CreateEnrolment),
        (Actor::OPERATOR, Action::RevokeEnrolment),
        (Actor::CERTIFICATES, Action::AddOwner),
        (Actor::UPKEEP, Action::Reload),
    ];
    for (changes, (actor, action)) in seen.iter().zip(expected) {
        assert!(!changes.is_empty(), "{action:?}");
        assert!(
            changes.iter().all(|change| change.actor == actor && change.action == action),
            "{action:?}: {changes:?}"
        );
    }
    assert_eq!(seen.len(), expected.len());
}

#[tokio::test]
async fn a_registration_with_a_token_names_the_token_and_a_refused_one_uses_it_not() {
    let fixture = Fixture::new(|_| {});
    let publisher = &fixture.publisher;
    let (_, hash) = SecretHash::random().unwrap();
    let enrolment = publisher.enrol(Actor::OPERATOR, hash, terms(publisher)).await.unwrap();
    let mut subscription = publisher.subscribe();
    let actor = Actor::registrant("192.0.2.1".parse().unwrap(), KeyUsed::Enrolment(enrolment.id));
    let subdomain = Some("shop".parse().unwrap());
    let choice = Choice { subdomain, enrolment: Some(enrolment.id), ..Choice::default() };
    let refused = publisher.register(actor, registration(choice)).await;
    assert!(matches!(refused, Err(Abort::Refused(OwnerError::LabelReserved(..)))), "{refused:?}");
    assert_eq!(subscription.try_next(), None);
    assert_eq!(publisher.enrolments().unwrap()[0].used, 0, "the use is undone with the rest");
}

#[tokio::test]
async fn expired_values_are_a_change_of_the_daemons() {
    let fixture = Fixture::new(|limits| {
        limits.lifetime = Duration::from_secs(1);
        limits.newest_lifetime = Duration::from_secs(1);
    });
    let account = fixture.register(None).await.unwrap();
    fixture.publish(&account, "a").await;
    let mut subscription = fixture.publisher.subscribe();
    let upkeep = tokio::spawn(fixture.publisher.clone().keep_up(None));
    let next = tokio::time::timeout(Duration::from_secs(20), subscription.next()).await;
    upkeep.abort();
    let Ok(Some(Event::Changes(changes))) = next else { panic!("{next:?}") };
    let change = &changes[0];
    assert_eq!((change.actor, change.action), (Actor::UPKEEP, Action::Expire));
    let Subject::Owner { serial, state, .. } = &change.subject else { panic!("{change:?}") };
    assert!(matches!(state, Some(OwnerState::Expired(_))), "{state:?}");
    assert_eq!((*serial, fixture.slot(&account)), (fixture.zone().serial(), state.clone()));
}

/// A subscriber that must see everything, however slow it is: after a gap it reads the store.
#[tokio::test]
async fn after_a_gap_the_store_and_what_follows_have_everything() {
    let fixture = Fixture::new(|_| {});
    let account = fixture.register(None).await.unwrap();
    let mut subscription = fixture.publisher.subscribe();
    for round in 0..600 {
        let letters = if round % 2 == 0 { "a" } else { "b" };
        fixture.publish(&account, letters).await;
        fixture.publish(&account, "c").await;
    }
    assert_eq!(subscription.next().await, Some(Event::Gap));
    let read = fixture.stored_serial();
    fixture.publish(&account, "d").await;
    let Some(Event::Changes(changes)) = subscription.next().await else { panic!("the commit after the gap") };
    let (_, serial) = changes[0].subject.zone().unwrap();
    assert!(serial.is_after(read) && serial == fixture.stored_serial());
    assert_eq!(subscription.try_next(), None);
}
