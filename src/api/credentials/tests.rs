pub(crate) mod fixture;

use std::net::Ipv4Addr;

use super::*;
use crate::model::account::AllowFrom;
use crate::model::name::Subdomain;
use crate::publisher::AccountEdit;

pub(crate) use fixture::{Fixture, HOME};

impl Fixture {
    async fn verify(&self, who: &Account, key: &ApiKey, from: IpAddr) -> Result<Arc<Account>, Denied> {
        let verified = self.credentials.verify(&who.username.to_string(), key.reveal(), from).await?;
        Ok(verified.account)
    }
}

fn is_forbidden<T>(outcome: &Result<T, Denied>) -> bool {
    matches!(outcome, Err(Denied::Forbidden))
}

#[tokio::test]
async fn the_second_login_costs_no_hash() {
    let fixture = Fixture::new();
    let (account, key) = fixture.register(&[]).await;
    for _ in 0..3 {
        assert_eq!(fixture.verify(&account, &key, HOME).await.unwrap().username, account.username);
    }
    assert_eq!(fixture.hashes(), 1);
}

#[tokio::test]
async fn malformed_credentials_cost_nothing_and_unknown_accounts_as_much_as_known_ones() {
    let fixture = Fixture::new();
    let key = "k".repeat(40);
    for (username, key) in [("", ""), ("x", key.as_str()), ("0f8fad5b-d9cb-469f-a165-70867728950e", "short")] {
        assert!(is_forbidden(&fixture.credentials.verify(username, key, HOME).await));
    }
    assert_eq!(fixture.hashes(), 0);
    let unknown = fixture.credentials.verify("0f8fad5b-d9cb-469f-a165-70867728950e", &key, HOME).await;
    assert!(is_forbidden(&unknown) && fixture.hashes() == 1);
}

#[tokio::test]
async fn wrong_keys_slow_down_their_prefix_at_their_account_only() {
    let fixture = Fixture::new();
    let ((account, key), (other, others_key)) = (fixture.register(&[]).await, fixture.register(&[]).await);
    let wrong = ApiKey::random().unwrap();
    for _ in 0..WRONG_KEYS.free {
        assert!(is_forbidden(&fixture.verify(&account, &wrong, HOME).await));
    }
    assert!(matches!(fixture.verify(&account, &wrong, HOME).await, Err(Denied::TooOften { .. })));
    assert!(fixture.verify(&other, &others_key, HOME).await.is_ok(), "the neighbour's account");
    let elsewhere = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));
    assert!(fixture.verify(&account, &key, elsewhere).await.is_ok(), "the owner elsewhere");
    assert!(fixture.verify(&account, &key, HOME).await.is_ok(), "who is remembered is not slowed down");
}

#[tokio::test]
async fn an_account_is_used_from_its_networks_only_remembered_or_not() {
    let fixture = Fixture::new();
    let (account, key) = fixture.register(&["192.0.2.0/24"]).await;
    let elsewhere = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));
    assert!(is_forbidden(&fixture.verify(&account, &key, elsewhere).await));
    assert!(fixture.verify(&account, &key, HOME).await.is_ok());
    assert!(is_forbidden(&fixture.verify(&account, &key, elsewhere).await));
    assert_eq!(fixture.hashes(), 1);
}

#[tokio::test]
async fn a_change_is_seen_at_the_next_login() {
    let fixture = Fixture::new();
    let (account, key) = fixture.register(&[]).await;
    assert!(fixture.verify(&account, &key, HOME).await.is_ok());
    let edit = AccountEdit { allow_from: Some(AllowFrom::parse(&["10.0.0.0/8"]).unwrap()), note: None };
    fixture.publisher.edit(Actor::OPERATOR, account.username, edit).await.unwrap();
    assert!(is_forbidden(&fixture.verify(&account, &key, HOME).await));
    let edit = AccountEdit { allow_from: Some(AllowFrom::default()), note: None };
    fixture.publisher.edit(Actor::OPERATOR, account.username, edit).await.unwrap();
    assert!(fixture.verify(&account, &key, HOME).await.is_ok());
    fixture.publisher.disable(Actor::OPERATOR, account.username).await.unwrap();
    let before = fixture.hashes();
    assert!(is_forbidden(&fixture.verify(&account, &key, HOME).await));
    assert_eq!(fixture.hashes(), before + 1, "a disabled account costs the same");
    fixture.publisher.enable(Actor::OPERATOR, account.username).await.unwrap();
    assert!(fixture.verify(&account, &key, HOME).await.is_ok());
}

#[tokio::test]
async fn a_former_key_works_for_its_time_only() {
    let fixture = Fixture::new();
    let (account, former) = fixture.register(&[]).await;
    assert!(fixture.verify(&account, &former, HOME).await.is_ok());
    let key = ApiKey::random().unwrap();
    let hash = ApiKeyHash::of(&key).unwrap();
    fixture.publisher.rotate(Actor::OPERATOR, account.username, hash.clone(), Duration::from_secs(1)).await.unwrap();
    // First the former key, of which the hash is cached: its time must not pass while the other's is computed.
    assert!(fixture.verify(&account, &former, HOME).await.is_ok());
    assert!(fixture.verify(&account, &key, HOME).await.is_ok());
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    assert!(is_forbidden(&fixture.verify(&account, &former, HOME).await));
    assert!(fixture.verify(&account, &key, HOME).await.is_ok());
    let newest = ApiKey::random().unwrap();
    let hash = ApiKeyHash::of(&newest).unwrap();
    fixture.publisher.rotate(Actor::OPERATOR, account.username, hash, Duration::ZERO).await.unwrap();
    assert!(is_forbidden(&fixture.verify(&account, &key, HOME).await), "no grace");
}

#[tokio::test]
async fn bcrypt_becomes_argon2id_at_the_first_login() {
    let fixture = Fixture::new();
    let key: ApiKey = "p".repeat(40).parse().unwrap();
    let bcrypt = bcrypt::hash_with_result("p".repeat(40), 4).unwrap().format_for_version(bcrypt::Version::TwoA);
    let account = fixture.register_with(bcrypt.parse().unwrap(), &[]).await;
    assert!(fixture.verify(&account, &key, HOME).await.is_ok());
    let replaced = async {
        while matches!(fixture.publisher.account(account.username).unwrap().unwrap().key, ApiKeyHash::Bcrypt(_)) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), replaced).await.unwrap();
    let before = fixture.hashes();
    assert!(fixture.verify(&account, &key, HOME).await.is_ok());
    assert_eq!(fixture.hashes(), before, "the new hash is of a key that was verified");
    let subdomain: Subdomain = account.owners[0].label.as_str().parse().unwrap();
    assert!(subdomain.is_uuid_shaped());
}
