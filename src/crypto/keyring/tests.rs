//! Keys in memory, and their master secret on disk.

use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use super::*;
use crate::model::account::{AllowFrom, Note};
use crate::model::name::Name;
use crate::model::time::Moment;

fn account(tsig: Option<Derivation>) -> Account {
    let hash = format!("$2a$04${}", "x".repeat(53));
    Account {
        username: Username::random(),
        key: hash.parse().unwrap(),
        former_key: None,
        tsig,
        allow_from: AllowFrom::default(),
        note: Note::default(),
        owners: Vec::new(),
        aliases: Vec::new(),
        created: Moment::default(),
        last_update: None,
        cadence: Default::default(),
        status: AccountStatus::Active,
    }
}

fn open(folder: &TempDir, allows_md5: bool) -> Result<Keyring, KeyringError> {
    Keyring::open(&folder.path().join("t.db"), allows_md5)
}

fn holder(keyring: &Keyring, key_name: &str) -> Option<Username> {
    keyring.holder(key_name.parse::<Name>().unwrap().as_ref()).map(|holder| holder.account.username)
}

#[test]
fn a_key_is_known_by_its_accounts_name_while_that_is_active() {
    let folder = tempfile::tempdir().unwrap();
    let keyring = open(&folder, false).unwrap();
    let mut account = account(Some(keyring.derivation(Algorithm::HmacSha256).unwrap()));
    let (who, name) = (account.username, account.username.to_string());
    assert!(!keyring.put(who, Some(account.clone())) && !keyring.is_empty());
    assert_eq!(holder(&keyring, &name), Some(who));
    assert_eq!(holder(&keyring, &name.to_uppercase()), Some(who));
    for other in
        [name.replace('-', ""), format!("{name}.org"), format!("x.{name}"), ".".into(), Username::random().to_string()]
    {
        assert_eq!(holder(&keyring, &other), None, "{other}");
    }
    let key = |keyring: &Keyring| keyring.holder(name.parse::<Name>().unwrap().as_ref()).unwrap().key.reveal();
    let (before, again) = (key(&keyring), open(&folder, false).unwrap());
    again.put(who, Some(account.clone()));
    assert_eq!(key(&again), before, "after a restart");
    account.status = AccountStatus::Disabled;
    assert!(!keyring.put(who, Some(account.clone())) && keyring.is_empty());
    account.status = AccountStatus::Active;
    keyring.put(who, Some(account));
    keyring.put(who, None);
    assert!(keyring.is_empty() && holder(&keyring, &name).is_none());
}

#[test]
fn what_has_been_carried_out_outlives_a_change_of_the_account() {
    let folder = tempfile::tempdir().unwrap();
    let keyring = open(&folder, false).unwrap();
    let account = account(Some(keyring.derivation(Algorithm::HmacSha256).unwrap()));
    let who = account.username;
    let recent = || {
        keyring.put(who, Some(account.clone()));
        keyring.holder(who.to_string().parse::<Name>().unwrap().as_ref()).unwrap().recent.clone()
    };
    assert!(Arc::ptr_eq(&recent(), &recent()));
}

#[test]
fn the_master_secret_is_made_once_private_and_refused_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db.tsig");
    let stored = open(&folder, false).unwrap().derivation(Algorithm::HmacSha1).unwrap();
    let account = account(Some(stored));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(open(&folder, false), Err(KeyringError::NotPrivate { mode: 0o644, .. })));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&path, "# nothing\n").unwrap();
    assert!(matches!(open(&folder, false), Err(KeyringError::Damaged { .. })));
    std::fs::remove_file(&path).unwrap();
    let keyring = open(&folder, false).unwrap();
    assert!(keyring.put(account.username, Some(account.clone())) && keyring.is_empty(), "its master secret is lost");
    keyring.derivation(Algorithm::HmacSha1).unwrap();
    assert!(keyring.put(account.username, Some(account)) && keyring.is_empty(), "there is another one now");
}

#[test]
fn md5_is_for_who_asks_for_it() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(open(&folder, false).unwrap().derivation(Algorithm::HmacMd5), Err(KeyringError::Md5)));
    let account = account(Some(open(&folder, true).unwrap().derivation(Algorithm::HmacMd5).unwrap()));
    assert!(!open(&folder, true).unwrap().put(account.username, Some(account.clone())));
    assert!(open(&folder, false).unwrap().put(account.username, Some(account)), "made when it was allowed");
}
