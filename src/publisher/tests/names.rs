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

impl House {
    fn is_alias(&self, domain: &str) -> bool {
        self.publisher.zones().aliases().contains(alias(domain).name().as_ref())
    }

    fn stored(&self, account: &Account) -> Account {
        self.publisher.account(account.username).unwrap().unwrap()
    }
}

#[tokio::test]
async fn an_account_publishes_at_each_of_its_owners_and_at_no_other() {
    let house = House::new(|_| {});
    let (mine, theirs) = (house.register(None).await.unwrap(), house.register(None).await.unwrap());
    let second = house.publisher.add_owner(mine.username, Place::Subdomain(chosen("shop"))).await.unwrap();
    let by = |account: &Account| Author::Account(account.username);
    house.publisher.publish(by(&mine), second.clone(), txt('b')).await.unwrap();
    house.publish(&mine, "a").await;
    let refused = house.publisher.publish(by(&theirs), second.clone(), txt('c')).await;
    assert!(matches!(refused, Err(PublishError::NotOwner)), "{refused:?}");
    let house = house.restart();
    assert_eq!((house.live(&mine).as_str(), house.publisher.values(&second).len()), ("a", 1));
    house.publisher.disable(mine.username).await.unwrap();
    assert_eq!(house.zone().live.at(b"shop"), Some(Slot::Disabled));
    let refused = house.publisher.add_owner(mine.username, Place::Subdomain(Choice::default())).await;
    assert!(matches!(refused, Err(PublishError::Disabled)), "{refused:?}");
}

#[tokio::test]
async fn a_removed_owner_is_gone_and_a_chosen_label_is_not_given_again() {
    let house = House::new(|_| {});
    let (mine, theirs) = (house.register(None).await.unwrap(), house.register(None).await.unwrap());
    let shop = house.publisher.add_owner(mine.username, Place::Subdomain(chosen("shop"))).await.unwrap();
    let refused = house.publisher.remove_owner(theirs.username, shop.clone()).await;
    assert!(matches!(refused, Err(PublishError::NotOwner)), "{refused:?}");
    house.publisher.remove_owner(mine.username, shop.clone()).await.unwrap();
    assert_eq!(house.zone().live.at(b"shop"), None);
    let refused = house.publisher.add_owner(theirs.username, Place::Subdomain(chosen("shop"))).await;
    assert!(matches!(refused, Err(PublishError::LabelTaken(_))), "{refused:?}");
    let refused = house.publisher.remove_owner(mine.username, mine.owners[0].clone()).await;
    assert!(matches!(refused, Err(PublishError::LastOwner)), "{refused:?}");
}

#[tokio::test]
async fn owners_and_aliases_of_an_account_have_an_end() {
    let house = House::new(|_| {});
    let account = house.register(None).await.unwrap();
    for _ in 1..MAX_OWNERS {
        house.publisher.add_owner(account.username, Place::Subdomain(Choice::default())).await.unwrap();
    }
    let refused = house.publisher.add_owner(account.username, Place::Subdomain(Choice::default())).await;
    assert!(matches!(refused, Err(PublishError::TooManyOwners)), "{refused:?}");
    let add = async |number: usize| {
        house.publisher.add_alias(account.username, alias(&format!("{number}.test")), account.owners[0].clone()).await
    };
    for number in 0..MAX_ALIASES {
        add(number).await.unwrap();
    }
    assert!(matches!(add(MAX_ALIASES).await, Err(PublishError::TooManyAliases)));
    add(0).await.unwrap();
    assert_eq!(house.stored(&account).aliases.len(), MAX_ALIASES);
}

#[tokio::test]
async fn an_alias_is_each_accounts_own_and_known_while_anybody_has_it() {
    let house = House::new(|_| {});
    let (one, other) = (house.register(None).await.unwrap(), house.register(None).await.unwrap());
    for account in [&one, &one, &other] {
        house.publisher.add_alias(account.username, alias("example.com"), account.owners[0].clone()).await.unwrap();
    }
    assert_eq!(house.stored(&other).owner_behind(&alias("example.com")), Some(&other.owners[0]));
    let house = house.restart();
    assert!(house.is_alias("example.com") && !house.is_alias("www.example.com"));
    assert!(house.publisher.remove_alias(one.username, alias("example.com")).await.unwrap());
    assert!(!house.publisher.remove_alias(one.username, alias("example.com")).await.unwrap());
    assert!(house.is_alias("example.com"));
    house.publisher.delete(other.username, std::time::Duration::ZERO).await.unwrap();
    assert!(!house.is_alias("example.com"));
    assert!(!house.restart().is_alias("example.com"));
}

#[tokio::test]
async fn an_alias_moves_and_goes_with_its_owner() {
    let house = House::new(|_| {});
    let account = house.register(None).await.unwrap();
    let second = house.publisher.add_owner(account.username, Place::Subdomain(Choice::default())).await.unwrap();
    for owner in [&account.owners[0], &second] {
        house.publisher.add_alias(account.username, alias("example.com"), owner.clone()).await.unwrap();
    }
    assert_eq!(house.stored(&account).owner_behind(&alias("example.com")), Some(&second));
    house.publisher.remove_owner(account.username, second).await.unwrap();
    assert!(house.stored(&account).aliases.is_empty() && !house.is_alias("example.com"));
}

#[tokio::test]
async fn an_alias_stands_for_an_own_name_and_lies_in_no_zone_of_ours() {
    let house = House::new(|_| {});
    let (mine, theirs) = (house.register(None).await.unwrap(), house.register(None).await.unwrap());
    let add = |domain: &str, owner: &Owner| house.publisher.add_alias(mine.username, alias(domain), owner.clone());
    assert!(matches!(add("example.com", &theirs.owners[0]).await, Err(PublishError::NotOwner)));
    for domain in ["auth.test", "x.auth.test"] {
        assert!(matches!(add(domain, &mine.owners[0]).await, Err(PublishError::AliasOfOurs(_))), "{domain}");
    }
    assert!(!house.is_alias("example.com") && !house.is_alias("auth.test"));
}
