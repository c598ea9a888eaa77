//! Registration: an account with its first name.

use tracing::info;

use crate::model::account::{Account, AccountStatus, AllowFrom, Note, Username};
use crate::model::actor::Actor;
use crate::model::name::Alias;
use crate::model::secret::ApiKeyHash;
use crate::model::tsig::Derivation;
use crate::store::writer::Tx;
use crate::zone::change::Action;
use crate::zone::owner_state::OwnerState;

use super::{Abort, Inner, OwnerError, OwnerRequest, Publisher};

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

impl Inner {
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
