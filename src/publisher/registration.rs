//! Registration: an account with its first name, or many accounts at once.

use std::sync::Arc;

use tracing::info;

use crate::model::account::{Account, AccountStatus, AllowFrom, Note, Username};
use crate::model::actor::Actor;
use crate::model::cadence::Cadence;
use crate::model::name::Alias;
use crate::model::secret::ApiKeyHash;
use crate::model::tsig::Derivation;
use crate::store::writer::Tx;
use crate::zone::change::Action;
use crate::zone::owner_state::OwnerState;

use super::{Abort, BulkError, Inner, OwnerError, OwnerRequest, Publisher};

/// The most refused rows that an error names.
const MAX_REFUSED: usize = 50;

/// What a registration asks for.
#[derive(Debug, Clone)]
pub struct Registration {
    /// The account's first name.
    pub name: OwnerRequest,
    /// The networks that the account may be used from.
    pub allow_from: AllowFrom,
    /// A remark.
    pub note: Note,
    /// The hash of the key, which the caller shows once.
    pub key: ApiKeyHash,
    /// A TSIG key from the start.
    pub tsig: Option<Derivation>,
    /// An alias of the first name from the start.
    pub alias: Option<Alias>,
}

impl Publisher {
    /// Creates an account with one owner. The name exists in DNS from then on, without a value.
    pub async fn register(&self, actor: Actor, wanted: Registration) -> Result<Account, Abort<OwnerError>> {
        let inner = self.0.clone();
        let enrolment = wanted.name.enrolment().map(|id| id.0);
        let account = self.write(actor, move |tx| inner.insert(tx, &wanted)).await?;
        self.0.metrics.registrations.one();
        info!(username = %account.username, owner = %account.owners[0], enrolment, %actor, "registered");
        Ok(account)
    }
}

impl Publisher {
    /// Whether [`register_all`](Self::register_all) would create all of these accounts now. Carries the registrations out
    /// in a transaction and undoes them, so that the same rules answer.
    pub async fn check_all(&self, actor: Actor, wanted: Arc<Vec<Registration>>) -> Result<(), Abort<BulkError>> {
        let inner = self.0.clone();
        let rehearsed = self.write(actor, move |tx| {
            inner.insert_all(tx, &wanted)?;
            Err::<(), _>(Abort::Refused(BulkError::Rehearsed))
        });
        match rehearsed.await {
            Err(Abort::Refused(BulkError::Rehearsed)) => Ok(()),
            other => other,
        }
    }

    /// Creates all of these accounts in one transaction, or none. An error names the rows that are refused, the first of
    /// them.
    pub async fn register_all(
        &self,
        actor: Actor,
        wanted: Arc<Vec<Registration>>,
    ) -> Result<Vec<Account>, Abort<BulkError>> {
        let inner = self.0.clone();
        let accounts = self.write(actor, move |tx| inner.insert_all(tx, &wanted)).await?;
        self.0.metrics.registrations.add(accounts.len() as u64);
        for account in &accounts {
            info!(username = %account.username, owner = %account.owners[0], %actor, "registered");
        }
        Ok(accounts)
    }
}

impl Inner {
    /// Goes on after a refused row, so that an error names the others too; the caller's transaction undoes all of them.
    fn insert_all(&self, tx: &Tx<'_>, wanted: &[Registration]) -> Result<Vec<Account>, Abort<BulkError>> {
        let mut accounts = Vec::with_capacity(wanted.len());
        let mut refused = Vec::new();
        for (index, registration) in wanted.iter().enumerate() {
            match self.insert(tx, registration) {
                Ok(account) => accounts.push(account),
                Err(Abort::Refused(error)) => refused.push((index, error)),
                Err(Abort::Store(error)) => return Err(error.into()),
            }
            if refused.len() == MAX_REFUSED {
                break;
            }
        }
        if refused.is_empty() { Ok(accounts) } else { Err(Abort::Refused(BulkError::Rows(refused))) }
    }

    fn insert(&self, tx: &Tx<'_>, wanted: &Registration) -> Result<Account, Abort<OwnerError>> {
        let owner = self.free_owner(tx, &wanted.name)?;
        let account = Account {
            username: Username::random(),
            key: wanted.key.clone(),
            former_key: None,
            tsig: wanted.tsig.clone(),
            allow_from: wanted.allow_from.clone(),
            note: wanted.note.clone(),
            owners: vec![owner.clone()],
            aliases: Vec::new(),
            created: tx.now(),
            last_update: None,
            cadence: Cadence::default(),
            status: AccountStatus::Active,
        };
        tx.insert_account(&account)?;
        tx.record_owner(Action::Register, owner.clone(), Some(OwnerState::Empty))?;
        tx.record_account(Action::Register, account.username, Some(account.clone()));
        if let Some(alias) = &wanted.alias {
            self.add_alias(tx, account.username, alias, &owner)?;
        }
        Ok(account)
    }
}
