//! Several changes as one.

use super::*;
use crate::model::txt::persist::PersistValue;

impl Fixture {
    async fn amend(&self, account: &Account, conditions: Vec<Condition>, changes: Vec<Change>) -> Result<Amended> {
        self.publisher.amend(Author::Account(account.username), conditions, changes).await
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
    let add = |letter| Change::Add(own.clone(), txt(letter));
    fixture.amend(&account, vec![], vec![add('a'), add('b'), Change::Retire(own.clone(), txt('a'))]).await.unwrap();
    assert_eq!(fixture.live(&account), "b");
    let serial = fixture.zone().serial();
    for stranger in [Change::Clear(foreign.clone()), Change::Add(foreign.clone(), txt('c'))] {
        let refused = fixture.amend(&account, vec![], vec![Change::Clear(own.clone()), add('d'), stranger]).await;
        assert!(matches!(refused, Err(PublishError::NotOwner)), "{refused:?}");
    }
    assert_eq!((fixture.live(&account).as_str(), fixture.zone().serial()), ("b", serial), "nothing is left of it");
    let fixture = fixture.restart();
    assert_eq!(fixture.live(&account), "b", "nor in the store");
    fixture.amend(&account, vec![], vec![Change::Clear(own.clone()), add('d')]).await.unwrap();
    let fixture = fixture.restart();
    assert_eq!(fixture.live(&account), "d");
}

#[tokio::test]
async fn conditions_see_what_is_served_and_stop_everything() {
    let fixture = Fixture::new(|_| {});
    let account = fixture.register(None).await.unwrap();
    let own = account.owners[0].clone();
    let add = |letter| vec![Change::Add(own.clone(), txt(letter))];
    fixture.amend(&account, when(&own, Expected::None), add('a')).await.unwrap();
    let both = || [when(&own, Expected::Some), when(&own, Expected::Exactly(vec![txt('b')]))].concat();
    assert_eq!(fixture.amend(&account, both(), add('c')).await.unwrap(), Amended::Unmet(1));
    assert_eq!(fixture.live(&account), "a");
    let twice = Expected::Exactly(vec![txt('a'), txt('a')]);
    assert_eq!(fixture.amend(&account, when(&own, twice), add('b')).await.unwrap(), Amended::Done);
    let nobodys = Owner::subdomain(own.zone.clone(), Subdomain::random());
    assert_eq!(fixture.amend(&account, when(&nobodys, Expected::None), vec![]).await.unwrap(), Amended::Done);
    // What a disabled account holds is not served, and not told by this way either.
    let other = fixture.register(None).await.unwrap();
    fixture.publish(&other, "x").await;
    fixture.publisher.disable(other.username).await.unwrap();
    let hidden = when(&other.owners[0], Expected::Some);
    assert_eq!(fixture.amend(&account, hidden, add('d')).await.unwrap(), Amended::Unmet(0));
}

#[tokio::test]
async fn persistent_values_are_counted_and_never_touched() {
    let fixture = Fixture::new(|limits| limits.persist = true);
    let account = fixture.register(None).await.unwrap();
    let own = account.owners[0].clone();
    let value: PersistValue = "ca.example; accounturi=https://ca.example/acct/1".parse().unwrap();
    fixture.publisher.persist(Author::Account(account.username), own.clone(), value, None).await.unwrap();
    fixture.publish(&account, "a").await;
    for (values, expected) in [
        (Expected::Exactly(vec![txt('a')]), Amended::Unmet(0)),
        (Expected::None, Amended::Unmet(0)),
        (Expected::Some, Amended::Done),
    ] {
        let amended = fixture.amend(&account, when(&own, values), vec![Change::Clear(own.clone())]).await.unwrap();
        assert_eq!(amended, expected);
    }
    assert_eq!((fixture.live(&account).as_str(), fixture.publisher.persistent(&own).len()), ("", 1));
    let left = fixture.amend(&account, when(&own, Expected::Some), vec![]).await.unwrap();
    assert_eq!(left, Amended::Done);
}
