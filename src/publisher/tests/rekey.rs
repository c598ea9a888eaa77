use std::sync::mpsc;

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
    fixture.publisher.reload(vec![settings.clone()]).await.unwrap();
    let (first, serial) = (fixture.zone().signing.unwrap(), fixture.zone().serial());
    assert!(!fixture.publisher.rekey(&settings.name).await.unwrap());
    file.phase = Phase::Offered;
    file.save().unwrap();
    assert!(fixture.publisher.rekey(&settings.name).await.unwrap());
    let second = fixture.zone().signing.unwrap();
    assert!(!Arc::ptr_eq(&first, &second) && fixture.zone().serial().is_after(serial));
    assert!(!fixture.publisher.rekey(&settings.name).await.unwrap());
}

#[tokio::test]
async fn a_reload_that_takes_the_keys_away_is_not_undone_by_a_look_at_them_that_began_before() {
    let fixture = Fixture::new(|_| {});
    let (mut file, settings) = signed(fixture.folder.path());
    fixture.publisher.reload(vec![settings.clone()]).await.unwrap();
    file.phase = Phase::Offered;
    file.save().unwrap();
    // The writer stands still until the reload waits for it and, behind that, the keys.
    let (let_go, held) = mpsc::channel();
    let holding = fixture.publisher.change(move |_| Ok(held.recv().unwrap()), |()| Vec::new());
    let reloading = fixture.publisher.reload(config("").zones);
    let rekeying = fixture.publisher.rekey(&settings.name);
    let (held, reloaded, rekeyed, ()) =
        tokio::join!(holding, reloading, rekeying, async { let_go.send(Ok(())).unwrap() });
    held.unwrap();
    reloaded.unwrap();
    assert!(!rekeyed.unwrap());
    assert!(fixture.zone().signing.is_none());
}
