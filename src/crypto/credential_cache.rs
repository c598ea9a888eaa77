//! Keys that are known to be right, so that a client's next update costs microseconds rather than a password hash: keys
//! that have been verified, and keys that this process has just made.
//!
//! The cache holds an HMAC of each key under a random key of this process. It is never on disk, and is gone after a
//! restart.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ring::hmac;
use ring::rand::SystemRandom;
use subtle::ConstantTimeEq;

use crate::model::account::{Account, AccountStatus, Username};
use crate::model::secret::{ApiKey, ApiKeyHash, RandomError};

/// The most names, owners and aliases, of all accounts in the cache; about 20 MiB. Most accounts have one name.
const CAPACITY: usize = 65_536;
/// The number of counters of forgotten accounts. Usernames with the same last byte share one.
const COUNTERS: usize = 256;

/// The verified keys. A cheap handle.
#[derive(Clone, Debug)]
pub struct CredentialCache {
    secret: Arc<hmac::Key>,
    table: Arc<Mutex<Table>>,
}

/// How often an account has changed; see [`CredentialCache::generation`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Generation(u64);

impl CredentialCache {
    /// An empty cache.
    pub fn new() -> Result<Self, RandomError> {
        Self::with_capacity(CAPACITY)
    }

    fn with_capacity(capacity: usize) -> Result<Self, RandomError> {
        let secret = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new()).map_err(|_| RandomError)?;
        Ok(Self { secret: Arc::new(secret), table: Arc::new(Mutex::new(Table::new(capacity))) })
    }

    /// The account, if `key` has been verified for it. Takes constant time for a given account.
    pub fn check(&self, username: Username, key: &ApiKey) -> Option<Arc<Account>> {
        let tag = self.tag(key);
        let mut table = self.lock();
        let at = *table.places.get(&username)?;
        let entry = &mut table.entries[at];
        if !bool::from(entry.tag.ct_eq(tag.as_ref())) {
            return None;
        }
        entry.used = true;
        Some(entry.account.clone())
    }

    /// To be called *before* an account is read and its key verified, for [`CredentialCache::remember`] afterwards.
    pub fn generation(&self, username: Username) -> Generation {
        self.lock().generation(username)
    }

    /// Remembers a verified account. Does nothing if the account has changed since `generation`: the verified key may just
    /// have been replaced.
    pub fn remember(&self, generation: Generation, key: &ApiKey, account: Arc<Account>) {
        let tag = self.tag(key);
        let mut table = self.lock();
        if table.generation(account.username) == generation {
            table.put(Entry { tag: tag.as_ref().into(), account, used: false });
        }
    }

    /// Announces a new key before its hash is stored. When the commit that stores the hash reaches
    /// [`CredentialCache::account_changed`], the key counts as verified. The announcement ends with the returned value.
    pub fn announce(&self, key: &ApiKey, hash: &ApiKeyHash) -> AnnouncedKey {
        let tag = self.tag(key).as_ref().into();
        self.lock().announced.insert(hash.as_str().into(), tag);
        AnnouncedKey { cache: self.clone(), hash: hash.as_str().into() }
    }

    /// Takes over what a commit has stored of an account; `None`: the account is removed. The cached key stays only if the
    /// account is active and has the same hash as before, or the hash of an announced key.
    ///
    /// The writer calls this in the order of its commits, so that no older key takes the place of a newer one.
    pub fn account_changed(&self, username: Username, account: Option<&Account>) {
        let mut table = self.lock();
        table.generations[counter(username)] += 1;
        let former = table.remove(username);
        let Some(account) = account.filter(|account| account.status == AccountStatus::Active) else { return };
        let announced = table.announced.get(account.key.as_str()).cloned();
        let unchanged = former.filter(|former| former.account.key == account.key);
        let used = unchanged.as_ref().is_some_and(|former| former.used);
        if let Some(tag) = announced.or(unchanged.map(|former| former.tag)) {
            table.put(Entry { tag, account: Arc::new(account.clone()), used });
        }
    }

    fn tag(&self, key: &ApiKey) -> hmac::Tag {
        hmac::sign(&self.secret, key.reveal().as_bytes())
    }

    // A panic under the lock is only possible before anything has changed, so a poisoned table is used as it is.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A key whose hash is about to be stored. Dropping this ends the announcement.
#[derive(Debug)]
pub struct AnnouncedKey {
    cache: CredentialCache,
    hash: Box<str>,
}

impl Drop for AnnouncedKey {
    fn drop(&mut self) {
        self.cache.lock().announced.remove(&self.hash);
    }
}

/// Usernames are random UUIDs, so their last byte spreads them evenly.
fn counter(username: Username) -> usize {
    usize::from(username.as_bytes()[15])
}

#[derive(Debug)]
struct Entry {
    tag: Box<[u8]>,
    account: Arc<Account>,
    used: bool,
}

impl Entry {
    fn names(&self) -> usize {
        (self.account.owners.len() + self.account.aliases.len()).max(1)
    }
}

/// Entries in a ring, evicted by the clock algorithm: in a full table the hand goes round and removes the first entry that
/// has not been used since its last visit. So a flood of new accounts evicts its own entries rather than those in use.
#[derive(Debug)]
struct Table {
    capacity: usize,
    places: HashMap<Username, usize>,
    entries: Vec<Entry>,
    /// The number of names of all entries.
    names: usize,
    hand: usize,
    generations: [u64; COUNTERS],
    /// The tags of announced keys by their hashes; no more than requests that wait for their commit.
    announced: HashMap<Box<str>, Box<[u8]>>,
}

impl Table {
    fn new(capacity: usize) -> Self {
        Self {
            capacity,
            places: HashMap::new(),
            entries: Vec::new(),
            names: 0,
            hand: 0,
            generations: [0; COUNTERS],
            announced: HashMap::new(),
        }
    }

    fn generation(&self, username: Username) -> Generation {
        Generation(self.generations[counter(username)])
    }

    fn put(&mut self, entry: Entry) {
        self.remove(entry.account.username);
        while self.names + entry.names() > self.capacity && !self.entries.is_empty() {
            self.evict();
        }
        self.names += entry.names();
        self.places.insert(entry.account.username, self.entries.len());
        self.entries.push(entry);
    }

    fn evict(&mut self) {
        // Ends, since the second round finds entries that the first one has marked.
        loop {
            self.hand = (self.hand + 1) % self.entries.len();
            let entry = &mut self.entries[self.hand];
            if !std::mem::take(&mut entry.used) {
                let username = entry.account.username;
                self.remove(username);
                return;
            }
        }
    }

    fn remove(&mut self, username: Username) -> Option<Entry> {
        let at = self.places.remove(&username)?;
        let removed = self.entries.swap_remove(at);
        self.names -= removed.names();
        if let Some(moved) = self.entries.get(at) {
            self.places.insert(moved.account.username, at);
        }
        Some(removed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::account::{AllowFrom, Note};
    use crate::model::name::{Owner, Subdomain};
    use crate::model::time::{Moment, RunningTime};

    fn account() -> Arc<Account> {
        Arc::new(Account {
            username: Username::random(),
            key: "$2a$04$".to_owned().chars().chain("x".repeat(53).chars()).collect::<String>().parse().unwrap(),
            former_key: None,
            tsig: None,
            allow_from: AllowFrom::default(),
            note: Note::default(),
            owners: Vec::new(),
            aliases: Vec::new(),
            created: Moment::default(),
            last_update: None,
            cadence: Default::default(),
            status: AccountStatus::Active,
        })
    }

    fn remember(remembered: &CredentialCache, key: &ApiKey) -> Username {
        let account = account();
        let username = account.username;
        remembered.remember(remembered.generation(username), key, account);
        username
    }

    #[test]
    fn only_the_verified_key_of_the_account_is_known() {
        let remembered = CredentialCache::new().unwrap();
        let (key, other) = (ApiKey::random().unwrap(), ApiKey::random().unwrap());
        let username = remember(&remembered, &key);
        assert_eq!(remembered.check(username, &key).unwrap().username, username);
        assert!(remembered.check(username, &other).is_none());
        assert!(remembered.check(Username::random(), &key).is_none());
        remembered.account_changed(username, None);
        assert!(remembered.check(username, &key).is_none());
    }

    #[test]
    fn a_verification_that_began_before_a_change_is_not_remembered() {
        let remembered = CredentialCache::new().unwrap();
        let (key, account) = (ApiKey::random().unwrap(), account());
        let generation = remembered.generation(account.username);
        remembered.account_changed(account.username, None);
        remembered.remember(generation, &key, account.clone());
        assert!(remembered.check(account.username, &key).is_none());
        remembered.remember(remembered.generation(account.username), &key, account.clone());
        assert!(remembered.check(account.username, &key).is_some());
    }

    #[test]
    fn a_new_key_is_known_once_its_hash_is_stored_and_never_before_or_after_it_is_replaced() {
        let remembered = CredentialCache::new().unwrap();
        let (key, next) = (ApiKey::random().unwrap(), ApiKey::random().unwrap());
        let mut stored = Account::clone(&account());
        let username = stored.username;
        stored.key = ApiKeyHash::of(&key).unwrap();
        let announced = remembered.announce(&key, &stored.key);
        assert!(remembered.check(username, &key).is_none(), "nothing is stored yet");
        remembered.account_changed(username, Some(&stored));
        assert!(remembered.check(username, &key).is_some());
        drop(announced);
        // A rotation whose client has gone: its key is not announced any more, and the former one is not the account's.
        let rotated = Account { key: ApiKeyHash::of(&next).unwrap(), ..stored };
        drop(remembered.announce(&next, &rotated.key));
        remembered.account_changed(username, Some(&rotated));
        assert!(remembered.check(username, &key).is_none() && remembered.check(username, &next).is_none());
        assert!(remembered.lock().announced.is_empty());
    }

    #[test]
    fn a_change_of_anything_but_the_key_keeps_the_key_and_shows_the_change() {
        let remembered = CredentialCache::new().unwrap();
        let key = ApiKey::random().unwrap();
        let mut changed = Account::clone(&account());
        remembered.remember(remembered.generation(changed.username), &key, Arc::new(changed.clone()));
        changed.note = "new".parse().unwrap();
        remembered.account_changed(changed.username, Some(&changed));
        assert_eq!(remembered.check(changed.username, &key).unwrap().note, changed.note);
        for status in [AccountStatus::Disabled, AccountStatus::Deleted { at: RunningTime::START }] {
            remembered.account_changed(changed.username, Some(&Account { status, ..changed.clone() }));
            remembered.account_changed(changed.username, Some(&changed));
            assert!(remembered.check(changed.username, &key).is_none(), "it was {status:?} meanwhile");
        }
    }

    #[test]
    fn an_account_of_many_names_takes_the_place_of_as_many() {
        let remembered = CredentialCache::with_capacity(8).unwrap();
        let key = ApiKey::random().unwrap();
        (0..8).for_each(|_| _ = remember(&remembered, &key));
        for names in [5, 20] {
            let mut large = Account::clone(&account());
            let owner = Owner::subdomain("auth.test".parse().unwrap(), Subdomain::random());
            large.owners = vec![owner; names];
            let username = large.username;
            remembered.remember(remembered.generation(username), &key, Arc::new(large));
            assert!(remembered.check(username, &key).is_some());
            let table = remembered.lock();
            assert_eq!((table.entries.len(), table.names), if names == 5 { (4, 8) } else { (1, 20) });
        }
        remember(&remembered, &key);
        assert_eq!(remembered.lock().names, 1);
    }

    #[test]
    fn full_it_keeps_who_comes_again() {
        let remembered = CredentialCache::with_capacity(8).unwrap();
        let key = ApiKey::random().unwrap();
        let regular = remember(&remembered, &key);
        for _ in 0..200 {
            assert!(remembered.check(regular, &key).is_some());
            remember(&remembered, &key);
        }
        let table = remembered.lock();
        assert_eq!((table.entries.len(), table.places.len()), (8, 8));
        assert!(table.places.iter().all(|(username, at)| table.entries[*at].account.username == *username));
    }
}
