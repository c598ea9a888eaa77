//! Plans of several edits.

use super::*;
use crate::model::name::Subdomain;
use crate::model::txt::persist::PersistValue;

impl Fixture {
    async fn amend(
        &self,
        account: &Account,
        conditions: Vec<Condition>,
        edits: Vec<ValueEdit>,
    ) -> Result<usize, Abort<ValueError>> {
        let amended = self.publisher.amend(acting(account), ValuePlan { conditions, edits }).await?;
        Ok(amended.retired)
    }

    /// Which of the conditions stops the plan.
    async fn unmet(&self, account: &Account, conditions: Vec<Condition>, edits: Vec<ValueEdit>) -> Option<usize> {
        match self.amend(account, conditions, edits).await {
            Ok(_) => None,
            Err(Abort::Refused(ValueError::Unmet(index))) => Some(index),
            Err(other) => panic!("{other}"),
        }
    }
}

fn when(owner: &Owner, values: Expected) -> Vec<Condition> {
    vec![Condition { owner: owner.clone(), values }]
}

#[tokio::test]
async fn changes_are_made_in_their_order_or_not_at_all() {
    let fixture = Fixture::new(|_| {});
    let (account, other) = (fixture.register(None).await.unwrap(), fixture.register(None).await.unwrap());
    let (own, foreign) = (&account.owners[0], &other.owners[0]);
    let add = |letter| ValueEdit::Publish(own.clone(), txt(letter));
    fixture.amend(&account, vec![], vec![add('a'), add('b'), ValueEdit::Retire(own.clone(), txt('a'))]).await.unwrap();
    assert_eq!(fixture.live(&account), "b");
    let serial = fixture.zone().serial();
    for stranger in [ValueEdit::Clear(foreign.clone()), ValueEdit::Publish(foreign.clone(), txt('c'))] {
        let refused = fixture.amend(&account, vec![], vec![ValueEdit::Clear(own.clone()), add('d'), stranger]).await;
        assert!(matches!(refused, Err(Abort::Refused(ValueError::Access(AccessError::NotOwner)))), "{refused:?}");
    }
    assert_eq!((fixture.live(&account).as_str(), fixture.zone().serial()), ("b", serial), "nothing is left of it");
    let fixture = fixture.restart();
    assert_eq!(fixture.live(&account), "b", "nor in the store");
    fixture.amend(&account, vec![], vec![ValueEdit::Clear(own.clone()), add('d')]).await.unwrap();
    let fixture = fixture.restart();
    assert_eq!(fixture.live(&account), "d");
}

#[tokio::test]
async fn conditions_see_what_is_served_and_stop_everything() {
    let fixture = Fixture::new(|_| {});
    let account = fixture.register(None).await.unwrap();
    let own = account.owners[0].clone();
    let add = |letter| vec![ValueEdit::Publish(own.clone(), txt(letter))];
    fixture.amend(&account, when(&own, Expected::None), add('a')).await.unwrap();
    let both = || [when(&own, Expected::Some), when(&own, Expected::Exactly(vec![txt('b')]))].concat();
    assert_eq!(fixture.unmet(&account, both(), add('c')).await, Some(1));
    assert_eq!(fixture.live(&account), "a");
    let twice = Expected::Exactly(vec![txt('a'), txt('a')]);
    assert_eq!(fixture.unmet(&account, when(&own, twice), add('b')).await, None);
    let nobodys = Owner::subdomain(own.zone.clone(), Subdomain::random());
    assert_eq!(fixture.unmet(&account, when(&nobodys, Expected::None), vec![]).await, None);
    // What a disabled account holds is not served, and not told by this way either.
    let other = fixture.register(None).await.unwrap();
    fixture.publish(&other, "x").await;
    fixture.publisher.disable(Actor::OPERATOR, other.username).await.unwrap();
    let hidden = when(&other.owners[0], Expected::Some);
    assert_eq!(fixture.unmet(&account, hidden, add('d')).await, Some(0));
}

#[tokio::test]
async fn persistent_values_are_counted_and_never_touched() {
    let fixture = Fixture::new(|limits| limits.persist = true);
    let account = fixture.register(None).await.unwrap();
    let own = account.owners[0].clone();
    let value: PersistValue = "ca.example; accounturi=https://ca.example/acct/1".parse().unwrap();
    fixture.publisher.persist(acting(&account), own.clone(), value, None).await.unwrap();
    fixture.publish(&account, "a").await;
    for (values, expected) in
        [(Expected::Exactly(vec![txt('a')]), Some(0)), (Expected::None, Some(0)), (Expected::Some, None)]
    {
        let unmet = fixture.unmet(&account, when(&own, values), vec![ValueEdit::Clear(own.clone())]).await;
        assert_eq!(unmet, expected);
    }
    assert_eq!((fixture.live(&account).as_str(), fixture.publisher.persistent(&own).len()), ("", 1));
    assert_eq!(fixture.unmet(&account, when(&own, Expected::Some), vec![]).await, None);
}

#[tokio::test]
async fn the_latest_accounts_are_those_that_published_last_and_then_the_newest() {
    let fixture = Fixture::new(|_| {});
    let mut accounts = Vec::new();
    for label in ["a", "b", "c", "d", "e", "f"] {
        accounts.push(fixture.register(Some(label)).await.unwrap());
    }
    fixture.publish(&accounts[2], "x").await;
    fixture.publish(&accounts[4], "x").await;
    fixture.publisher.disable(Actor::OPERATOR, accounts[4].username).await.unwrap();
    let latest = |limit| fixture.publisher.latest_accounts(limit).unwrap();
    let labels: Vec<String> =
        latest(10).iter().map(|account| account.owners[0].label.below_apex().to_owned()).collect();
    assert_eq!(labels, ["c", "f", "d", "b", "a"]);
    assert_eq!(latest(1)[0].username, accounts[2].username);
}
