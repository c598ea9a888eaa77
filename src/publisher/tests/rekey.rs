//! Key files and zones that change while others look at them.

use super::*;
use crate::config::ZoneSettings;
use crate::config::keyfile::KeyFile;
use crate::zone::signing::Dnssec;
use crate::zone::signing::key::{Algorithm, ZoneKey};
use crate::zone::signing::phase::Phase;

/// A key file, and the zone of [`config`] signed by it.
fn signed(folder: &Path) -> (KeyFile, ZoneSettings) {
    let mut settings = config("").zones.remove(0);
    let dnssec = Dnssec { key: folder.join("zone.key"), dnskey_ttl: 60 };
    let file = KeyFile {
        path: dnssec.key.clone(),
        zone: settings.name.clone(),
        phase: Phase::Fresh,
        seen: None,
        doubled: None,
        ds_ttl: None,
        keys: vec![Arc::new(ZoneKey::generate(Algorithm::EcdsaP256).unwrap())],
    };
    file.create().unwrap();
    settings.dnssec = Some(dnssec);
    (file, settings)
}

#[tokio::test]
async fn a_changed_key_file_is_taken_over_once() {
    let fixture = Fixture::new(|_| {});
    let (mut file, settings) = signed(fixture.folder.path());
    fixture.publisher.reload(Actor::OPERATOR, vec![settings.clone()]).await.unwrap();
    let (first, serial) = (fixture.zone().signing.unwrap(), fixture.zone().serial());
    assert!(!fixture.publisher.rekey(Actor::OPERATOR, &settings.name).await.unwrap());
    file.phase = Phase::Offered;
    file.save().unwrap();
    assert!(fixture.publisher.rekey(Actor::OPERATOR, &settings.name).await.unwrap());
    let second = fixture.zone().signing.unwrap();
    assert!(!Arc::ptr_eq(&first, &second) && fixture.zone().serial().is_after(serial));
    assert!(!fixture.publisher.rekey(Actor::OPERATOR, &settings.name).await.unwrap());
}

#[tokio::test]
async fn a_reload_that_removes_the_keys_is_not_undone_by_a_reading_of_them_that_began_before() {
    let fixture = Fixture::new(|_| {});
    let (_, settings) = signed(fixture.folder.path());
    fixture.publisher.reload(Actor::OPERATOR, vec![settings.clone()]).await.unwrap();
    let seen = Arc::clone(&fixture.publisher.zones().load());
    let read = fixture.zone().signing;
    assert!(read.is_some());
    fixture.publisher.reload(Actor::OPERATOR, config("").zones).await.unwrap();
    assert!(!fixture.publisher.replace_signer(Actor::UPKEEP, seen, &settings.name, read).await.unwrap());
    assert!(fixture.zone().signing.is_none());
}

#[tokio::test]
async fn a_zone_that_a_reload_adds_has_the_changes_that_came_after_its_reading() {
    let fixture = Fixture::new(|_| {});
    let account = fixture.register(Some("shop")).await.unwrap();
    let stays = fixture.register(Some("stays")).await.unwrap();
    let mut others = config("").zones;
    others[0].name = "other.test".parse().unwrap();
    fixture.publisher.reload(Actor::OPERATOR, others).await.unwrap();
    let seen = Arc::clone(&fixture.publisher.zones().load());
    let prepared = fixture.publisher.prepare(Arc::new(config("").zones), seen.clone()).await.unwrap();
    fixture.publisher.delete(Actor::OPERATOR, account.username, std::time::Duration::ZERO).await.unwrap();
    assert!(fixture.publisher.replace_zones(Actor::OPERATOR, seen, prepared).await.unwrap());
    assert_eq!(fixture.slot(&account), None, "the account was removed before the zone came back");
    assert_eq!(fixture.slot(&stays), Some(OwnerState::Empty));
}

#[tokio::test]
async fn zones_that_another_reload_has_replaced_are_prepared_again() {
    let fixture = Fixture::new(|_| {});
    let seen = Arc::clone(&fixture.publisher.zones().load());
    let prepared = fixture.publisher.prepare(Arc::new(config("www A 192.0.2.1").zones), seen.clone()).await.unwrap();
    fixture.publisher.reload(Actor::OPERATOR, config("").zones).await.unwrap();
    assert!(!fixture.publisher.replace_zones(Actor::OPERATOR, seen, prepared).await.unwrap());
    assert_eq!(fixture.zone().statics.names().count(), 1, "the later reading stays");
}
