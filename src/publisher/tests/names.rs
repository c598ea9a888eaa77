//! Accounts with several owners, and aliases.

use super::*;
use crate::model::account::{MAX_ALIASES, MAX_OWNERS};
use crate::model::name::Alias;

fn alias(domain: &str) -> Alias {
    Alias::of_domain(&domain.parse().unwrap()).unwrap()
}

fn chosen(label: &str) -> Choice {
    Choice { subdomain: Some(label.parse().unwrap()), ..Choice::default() }
}

impl Fixture {
    fn is_alias(&self, domain: &str) -> bool {
        self.publisher.zones().aliases().contains(alias(domain).name().as_ref())
    }

    fn stored(&self, account: &Account) -> Account {
        self.publisher.account(account.username).unwrap().unwrap()
    }
}

#[tokio::test]
async fn an_account_publishes_at_each_of_its_owners_and_at_no_other() {
    let fixture = Fixture::new(|_| {});
    let (mine, theirs) = (fixture.register(None).await.unwrap(), fixture.register(None).await.unwrap());
    let second = fixture
        .publisher
        .add_owner(Actor::OPERATOR, mine.username, OwnerRequest::Subdomain(chosen("shop")))
        .await
        .unwrap();
    fixture.publisher.publish(acting(&mine), second.clone(), txt('b')).await.unwrap();
    fixture.publish(&mine, "a").await;
    let refused = fixture.publisher.publish(acting(&theirs), second.clone(), txt('c')).await;
    assert!(matches!(refused, Err(Abort::Refused(ValueError::Access(AccessError::NotOwner)))), "{refused:?}");
    let fixture = fixture.restart();
    assert_eq!((fixture.live(&mine).as_str(), fixture.publisher.values(&second).len()), ("a", 1));
    fixture.publisher.disable(Actor::OPERATOR, mine.username).await.unwrap();
    assert_eq!(fixture.zone().live.at(b"shop"), Some(OwnerState::Disabled));
    let refused =
        fixture.publisher.add_owner(Actor::OPERATOR, mine.username, OwnerRequest::Subdomain(Choice::default())).await;
    assert!(matches!(refused, Err(Abort::Refused(OwnerError::Access(AccessError::Disabled)))), "{refused:?}");
}

#[tokio::test]
async fn a_removed_owner_is_gone_and_a_chosen_label_is_not_given_again() {
    let fixture = Fixture::new(|_| {});
    let (mine, theirs) = (fixture.register(None).await.unwrap(), fixture.register(None).await.unwrap());
    let shop = fixture
        .publisher
        .add_owner(Actor::OPERATOR, mine.username, OwnerRequest::Subdomain(chosen("shop")))
        .await
        .unwrap();
    let refused = fixture.publisher.remove_owner(Actor::OPERATOR, theirs.username, shop.clone()).await;
    assert!(matches!(refused, Err(Abort::Refused(OwnerError::Access(AccessError::NotOwner)))), "{refused:?}");
    fixture.publisher.remove_owner(Actor::OPERATOR, mine.username, shop.clone()).await.unwrap();
    assert_eq!(fixture.zone().live.at(b"shop"), None);
    let refused =
        fixture.publisher.add_owner(Actor::OPERATOR, theirs.username, OwnerRequest::Subdomain(chosen("shop"))).await;
    assert!(matches!(refused, Err(Abort::Refused(OwnerError::LabelTaken(_)))), "{refused:?}");
    let refused = fixture.publisher.remove_owner(Actor::OPERATOR, mine.username, mine.owners[0].clone()).await;
    assert!(matches!(refused, Err(Abort::Refused(OwnerError::Last))), "{refused:?}");
}

#[tokio::test]
async fn owners_and_aliases_of_an_account_have_an_end() {
    let fixture = Fixture::new(|_| {});
    let account = fixture.register(None).await.unwrap();
    for _ in 1..MAX_OWNERS {
        fixture
            .publisher
            .add_owner(Actor::OPERATOR, account.username, OwnerRequest::Subdomain(Choice::default()))
            .await
            .unwrap();
    }
    let refused = fixture
        .publisher
        .add_owner(Actor::OPERATOR, account.username, OwnerRequest::Subdomain(Choice::default()))
        .await;
    assert!(matches!(refused, Err(Abort::Refused(OwnerError::TooMany))), "{refused:?}");
    let add = async |number: usize| {
        fixture
            .publisher
            .add_alias(Actor::OPERATOR, account.username, alias(&format!("{number}.test")), account.owners[0].clone())
            .await
    };
    for number in 0..MAX_ALIASES {
        add(number).await.unwrap();
    }
    assert!(matches!(add(MAX_ALIASES).await, Err(Abort::Refused(AliasChangeError::TooMany))));
    add(0).await.unwrap();
    assert_eq!(fixture.stored(&account).aliases.len(), MAX_ALIASES);
}

#[tokio::test]
async fn an_alias_is_each_accounts_own_and_known_while_anybody_has_it() {
    let fixture = Fixture::new(|_| {});
    let (one, other) = (fixture.register(None).await.unwrap(), fixture.register(None).await.unwrap());
    for account in [&one, &one, &other] {
        fixture
            .publisher
            .add_alias(Actor::OPERATOR, account.username, alias("example.com"), account.owners[0].clone())
            .await
            .unwrap();
    }
    assert_eq!(fixture.stored(&other).owner_behind(&alias("example.com")), Some(&other.owners[0]));
    let fixture = fixture.restart();
    assert!(fixture.is_alias("example.com") && !fixture.is_alias("www.example.com"));
    assert!(fixture.publisher.remove_alias(Actor::OPERATOR, one.username, alias("example.com")).await.unwrap());
    assert!(!fixture.publisher.remove_alias(Actor::OPERATOR, one.username, alias("example.com")).await.unwrap());
    assert!(fixture.is_alias("example.com"));
    fixture.publisher.delete(Actor::OPERATOR, other.username, std::time::Duration::ZERO).await.unwrap();
    assert!(!fixture.is_alias("example.com"));
    assert!(!fixture.restart().is_alias("example.com"));
}

#[tokio::test]
async fn an_alias_moves_and_goes_with_its_owner() {
    let fixture = Fixture::new(|_| {});
    let account = fixture.register(None).await.unwrap();
    let second = fixture
        .publisher
        .add_owner(Actor::OPERATOR, account.username, OwnerRequest::Subdomain(Choice::default()))
        .await
        .unwrap();
    for owner in [&account.owners[0], &second] {
        fixture
            .publisher
            .add_alias(Actor::OPERATOR, account.username, alias("example.com"), owner.clone())
            .await
            .unwrap();
    }
    assert_eq!(fixture.stored(&account).owner_behind(&alias("example.com")), Some(&second));
    fixture.publisher.remove_owner(Actor::OPERATOR, account.username, second).await.unwrap();
    assert!(fixture.stored(&account).aliases.is_empty() && !fixture.is_alias("example.com"));
}

#[tokio::test]
async fn an_alias_stands_for_an_own_name_and_lies_in_no_zone_of_ours() {
    let fixture = Fixture::new(|_| {});
    let (mine, theirs) = (fixture.register(None).await.unwrap(), fixture.register(None).await.unwrap());
    let add = |domain: &str, owner: &Owner| {
        fixture.publisher.add_alias(Actor::OPERATOR, mine.username, alias(domain), owner.clone())
    };
    assert!(matches!(
        add("example.com", &theirs.owners[0]).await,
        Err(Abort::Refused(AliasChangeError::Access(AccessError::NotOwner)))
    ));
    for domain in ["auth.test", "x.auth.test"] {
        assert!(
            matches!(add(domain, &mine.owners[0]).await, Err(Abort::Refused(AliasChangeError::OwnZone(_)))),
            "{domain}"
        );
    }
    assert!(!fixture.is_alias("example.com") && !fixture.is_alias("auth.test"));
}
