//! Sessions: who is signed in, in which browser, until when.
//!
//! A session lives in memory, so a restart of the daemon ends it. The cookie holds a random secret, of which only the hash
//! is kept. The secret is replaced while the session is in use, so that a stolen one soon stops working; the one before
//! works for a moment more, for the requests that are under way.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::api::types::accounts::AccountCredentials;
use crate::model::account::Username;
use crate::model::secret::{PresentedSecret, RandomError, SecretHash};
use crate::model::time::Timestamp;

use super::visitor::Visitor;

/// The most sessions of operators. One more takes the place of the one of them that was unused for longest. Account holders,
/// who may be strangers, have bounds of their own, so that they push out no operator.
const MAX_OF_OPERATORS: usize = 256;
/// The most sessions of account holders, likewise.
const MAX_OF_HOLDERS: usize = 512;
/// The most sessions of one account, likewise, so that one account does not push out many others.
const MAX_OF_ACCOUNT: usize = 8;
/// A session that is unused for this long has ended.
const IDLE: Duration = Duration::from_secs(3_600);
/// The longest life of a session.
const LIFETIME: Duration = Duration::from_secs(12 * 3_600);
/// The age at which a secret is replaced.
const ROTATION: Duration = Duration::from_secs(15 * 60);
/// How long a replaced secret still works.
const GRACE: Duration = Duration::from_secs(30);
/// The most characters of a browser's name that are kept.
const MAX_AGENT: usize = 200;

/// The most credentials that wait to be shown in one session.
const MAX_REVEALED: usize = 8;

/// The number of a session, which is no secret.
pub type SessionId = u64;

/// A session, as handlers and the list of sessions see it.
#[derive(Debug, Clone)]
pub struct Session {
    pub id: SessionId,
    pub visitor: Visitor,
    /// The secret of this session's forms.
    pub csrf: String,
    /// Where the browser was at the sign-in.
    pub address: IpAddr,
    /// What the browser says of itself.
    pub agent: String,
    pub created: Timestamp,
    pub last_used: Timestamp,
}

struct Entry {
    session: Session,
    secret: SecretHash,
    rotated: Instant,
    former: Option<(SecretHash, Instant)>,
    began: Instant,
    used: Instant,
    revealed: Vec<NewCredentials>,
}

/// Credentials that were made in a session, to be shown there once: after the form, the browser is led to a page that it
/// may load again.
#[derive(Debug, Clone)]
pub struct NewCredentials {
    pub account: AccountCredentials,
    /// The domain that they are for, or empty.
    pub domain: String,
}

impl Entry {
    fn is_over(&self, now: Instant) -> bool {
        now.duration_since(self.used) >= IDLE || now.duration_since(self.began) >= LIFETIME
    }

    fn has(&self, secret: &SecretHash, now: Instant) -> bool {
        let is_former = |(former, until): &(SecretHash, Instant)| former == secret && now < *until;
        self.secret == *secret || self.former.as_ref().is_some_and(is_former)
    }
}

/// All sessions. A cheap handle.
#[derive(Clone, Default)]
pub struct Sessions(Arc<Mutex<Table>>);

#[derive(Default)]
struct Table {
    entries: Vec<Entry>,
    last_id: SessionId,
}

impl Table {
    fn begin(&mut self, visitor: Visitor, address: IpAddr, agent: &str, at: Timestamp) -> Result<String, RandomError> {
        let (secret, hash) = SecretHash::random()?;
        let (csrf, _) = SecretHash::random()?;
        let now = Instant::now();
        self.entries.retain(|entry| !entry.is_over(now));
        self.make_room_for(&visitor);
        self.last_id += 1;
        let agent = agent.chars().filter(|c| !c.is_control()).take(MAX_AGENT).collect();
        let id = self.last_id;
        let session = Session { id, visitor, csrf, address, agent, created: at, last_used: at };
        self.entries.push(Entry {
            session,
            secret: hash,
            rotated: now,
            former: None,
            began: now,
            used: now,
            revealed: Vec::new(),
        });
        Ok(secret)
    }

    fn make_room_for(&mut self, visitor: &Visitor) {
        let Some(own) = visitor.account() else {
            return self.make_room(MAX_OF_OPERATORS, |account| account.is_none());
        };
        self.make_room(MAX_OF_ACCOUNT, |account| account == Some(own));
        self.make_room(MAX_OF_HOLDERS, |account| account.is_some());
    }

    /// Ends the session that was unused for longest, among those whose account is counted, where these are `most`.
    fn make_room(&mut self, most: usize, is_counted: impl Fn(Option<Username>) -> bool) {
        let entries = self.entries.iter().enumerate();
        let counted = entries.filter(|(_, entry)| is_counted(entry.session.visitor.account()));
        let by_use: Vec<(Instant, usize)> = counted.map(|(index, entry)| (entry.used, index)).collect();
        if by_use.len() >= most
            && let Some((_, unused)) = by_use.iter().min()
        {
            self.entries.remove(*unused);
        }
    }
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sessions")
    }
}

impl Sessions {
    /// Begins a session, and returns the secret for its cookie.
    pub fn begin(&self, visitor: Visitor, address: IpAddr, agent: &str, at: Timestamp) -> Result<String, RandomError> {
        self.lock().begin(visitor, address, agent, at)
    }

    /// The session of a user whom the proxy signs in with each request. There is one for each user, and no cookie.
    pub fn of_user(&self, user: Visitor, address: IpAddr, agent: &str, at: Timestamp) -> Result<Session, RandomError> {
        let now = Instant::now();
        let mut table = self.lock();
        let of_user = |entry: &Entry| entry.session.visitor.is_same_user(&user) && !entry.is_over(now);
        let index = match table.entries.iter().position(of_user) {
            Some(index) => index,
            None => {
                table.begin(user, address, agent, at)?;
                table.entries.len() - 1
            }
        };
        let entry = &mut table.entries[index];
        entry.used = now;
        entry.session.last_used = at;
        Ok(entry.session.clone())
    }

    /// The session with this secret.
    pub fn find(&self, secret: &PresentedSecret, at: Timestamp) -> Option<Session> {
        let (secret, now) = (secret.hash(), Instant::now());
        let mut table = self.lock();
        let entry = table.entries.iter_mut().find(|entry| entry.has(&secret, now) && !entry.is_over(now))?;
        entry.used = now;
        entry.session.last_used = at;
        Some(entry.session.clone())
    }

    /// A new secret for a session whose secret is old. `None`: the present one stays.
    pub fn rotate(&self, id: SessionId) -> Option<String> {
        let now = Instant::now();
        let mut table = self.lock();
        let entry = table.entries.iter_mut().find(|entry| entry.session.id == id)?;
        if now.duration_since(entry.rotated) < ROTATION {
            return None;
        }
        // Without randomness the present secret stays.
        let (secret, hash) = SecretHash::random().ok()?;
        entry.former = Some((std::mem::replace(&mut entry.secret, hash), now + GRACE));
        entry.rotated = now;
        Some(secret)
    }

    /// Whether a session goes on.
    pub fn is_open(&self, id: SessionId) -> bool {
        let now = Instant::now();
        self.lock().entries.iter().any(|entry| entry.session.id == id && !entry.is_over(now))
    }

    /// Keeps credentials until [`take_revealed`](Self::take_revealed), or until the session ends.
    pub fn reveal(&self, id: SessionId, credentials: NewCredentials) {
        let mut table = self.lock();
        let Some(entry) = table.entries.iter_mut().find(|entry| entry.session.id == id) else { return };
        if entry.revealed.len() >= MAX_REVEALED {
            entry.revealed.remove(0);
        }
        entry.revealed.push(credentials);
    }

    /// The credentials of an account that were made in this session and have not been shown.
    pub fn take_revealed(&self, id: SessionId, username: Username) -> Option<NewCredentials> {
        let mut table = self.lock();
        let entry = table.entries.iter_mut().find(|entry| entry.session.id == id)?;
        let index = entry.revealed.iter().position(|revealed| revealed.account.username == username)?;
        Some(entry.revealed.remove(index))
    }

    /// Ends a session. `false`: there is none.
    pub fn end(&self, id: SessionId) -> bool {
        let mut table = self.lock();
        let before = table.entries.len();
        table.entries.retain(|entry| entry.session.id != id);
        table.entries.len() < before
    }

    /// The sessions that `is_shown` accepts, newest first.
    pub fn list(&self, is_shown: impl Fn(&Session) -> bool) -> Vec<Session> {
        let now = Instant::now();
        let table = self.lock();
        let open = table.entries.iter().rev().filter(|entry| !entry.is_over(now)).map(|entry| &entry.session);
        open.filter(|session| is_shown(session)).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use crate::model::admin_token::AdminScope;
    use crate::model::secret::ApiKeyHash;

    use super::*;

    fn begin(sessions: &Sessions) -> PresentedSecret {
        begin_for(sessions, Visitor::Link { scope: AdminScope::Read })
    }

    fn begin_for(sessions: &Sessions, visitor: Visitor) -> PresentedSecret {
        let at = Timestamp::from_unix(1);
        sessions.begin(visitor, Ipv4Addr::LOCALHOST.into(), "browser\n", at).unwrap().parse().unwrap()
    }

    /// The holder of one of many accounts.
    fn holder(number: usize) -> Visitor {
        let username = format!("00000000-0000-4000-8000-{number:012}").parse().unwrap();
        Visitor::Account { username, key: ApiKeyHash::Argon2id(String::new()) }
    }

    fn age(sessions: &Sessions, by: Duration) {
        for entry in &mut sessions.lock().entries {
            for time in [&mut entry.rotated, &mut entry.began, &mut entry.used] {
                *time = time.checked_sub(by).unwrap();
            }
            entry.former = entry.former.take().map(|(hash, until)| (hash, until.checked_sub(by).unwrap()));
        }
    }

    #[test]
    fn a_session_ends_when_it_is_ended_unused_or_old() {
        let (sessions, at) = (Sessions::default(), Timestamp::from_unix(2));
        let secret = begin(&sessions);
        let session = sessions.find(&secret, at).unwrap();
        assert_eq!((session.agent.as_str(), session.last_used), ("browser", at));
        assert!(sessions.end(session.id) && !sessions.end(session.id));
        assert!(sessions.find(&secret, at).is_none());
        let secret = begin(&sessions);
        age(&sessions, IDLE);
        assert!(sessions.find(&secret, at).is_none());
    }

    #[test]
    fn a_replaced_secret_works_for_a_moment_more() {
        let (sessions, at) = (Sessions::default(), Timestamp::from_unix(2));
        let old = begin(&sessions);
        let id = sessions.find(&old, at).unwrap().id;
        assert_eq!(sessions.rotate(id), None, "the secret is young");
        age(&sessions, ROTATION);
        let new: PresentedSecret = sessions.rotate(id).unwrap().parse().unwrap();
        assert!(sessions.find(&old, at).is_some() && sessions.find(&new, at).is_some());
        age(&sessions, GRACE);
        assert!(sessions.find(&old, at).is_none() && sessions.find(&new, at).is_some());
    }

    #[test]
    fn each_kind_of_session_is_bounded_and_the_one_unused_for_longest_ends() {
        let (sessions, at) = (Sessions::default(), Timestamp::from_unix(2));
        let [first, second] = [begin(&sessions), begin(&sessions)];
        let is_open = |secret: &PresentedSecret| sessions.find(secret, at).is_some();
        assert!(is_open(&first), "and was used after the second one");
        let others: Vec<_> = (1..MAX_OF_OPERATORS).map(|_| begin(&sessions)).collect();
        assert!(is_open(&first) && others.iter().all(is_open) && !is_open(&second));
        assert_eq!(sessions.list(|_| true).len(), MAX_OF_OPERATORS);
    }

    #[test]
    fn holders_push_out_neither_operators_nor_with_one_account_each_other() {
        let (sessions, at) = (Sessions::default(), Timestamp::from_unix(2));
        let is_open = |secret: &PresentedSecret| sessions.find(secret, at).is_some();
        let operators: Vec<_> = (0..MAX_OF_OPERATORS).map(|_| begin(&sessions)).collect();
        let victim = begin_for(&sessions, holder(0));
        let own: Vec<_> = (0..MAX_OF_HOLDERS).map(|_| begin_for(&sessions, holder(1))).collect();
        let (ended, open) = own.split_at(MAX_OF_HOLDERS - MAX_OF_ACCOUNT);
        assert!(is_open(&victim) && open.iter().all(is_open) && !ended.iter().any(is_open));
        let many: Vec<_> = (2..MAX_OF_HOLDERS + 2).map(|number| begin_for(&sessions, holder(number))).collect();
        assert!(many.iter().all(is_open) && !is_open(&victim), "as many accounts as there may be sessions");
        assert!(operators.iter().all(is_open), "holders push out no operator");
        begin(&sessions);
        assert!(many.iter().all(is_open), "nor operators a holder");
    }
}
