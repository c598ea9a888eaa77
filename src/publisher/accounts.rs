//! Changes of accounts: their networks, notes, keys and status.

use std::time::Duration;

use tracing::info;

use crate::model::account::listing::{AccountQuery, Place};
use crate::model::account::search::SearchTerm;
use crate::model::account::{Account, AccountStatus, AllowFrom, FormerKey, Note, Username};
use crate::model::actor::Actor;
use crate::model::name::Owner;
use crate::model::secret::ApiKeyHash;
use crate::model::tsig::Derivation;
use crate::store::writer::Tx;
use crate::store::{AccountPage, StoreError};
use crate::zone::change::Action;

use super::names::give_up;
use super::{Abort, AccountError, Inner, Publisher};

/// Accounts that are read at a time.
const STEP: usize = 1_000;

/// What changes of an account; `None` leaves a part as it is.
#[derive(Debug, Clone, Default)]
pub struct AccountEdit {
    /// The networks that the account may be used from.
    pub allow_from: Option<AllowFrom>,
    /// The remark.
    pub note: Option<Note>,
}

impl AccountEdit {
    fn apply(&self, account: &mut Account) {
        if let Some(allow_from) = &self.allow_from {
            account.allow_from = allow_from.clone();
        }
        if let Some(note) = &self.note {
            account.note = note.clone();
        }
    }
}

impl Publisher {
    /// An account as it is stored. Blocks for microseconds.
    pub fn account(&self, who: Username) -> Result<Option<Account>, StoreError> {
        self.0.store.read(|rows| rows.account(who))
    }

    /// The account that may publish at a name. Blocks for microseconds.
    pub fn account_at(&self, owner: &Owner) -> Result<Option<Account>, StoreError> {
        self.0.store.read(|rows| {
            let row = rows.owner(owner.above().as_ref().unwrap_or(owner))?;
            row.and_then(|row| row.account).map_or(Ok(None), |(username, _)| rows.account(username))
        })
    }

    /// At most `limit` accounts after `after`, in the order of their usernames. Blocks.
    pub fn accounts(&self, after: Option<Username>, limit: usize) -> Result<Vec<Account>, StoreError> {
        self.0.store.read(|rows| rows.accounts(after, limit))
    }

    /// A page of a list of accounts. Blocks for up to 0.1 s, and nobody else meanwhile.
    pub fn list_accounts(&self, query: &AccountQuery) -> Result<AccountPage, StoreError> {
        self.0.store.list_accounts(query, self.moment().running)
    }

    /// Visits the accounts that a text finds, in the order of their usernames, until `visit` returns `false`; none for a text
    /// that no account can have. Blocks.
    pub fn each_account_with(&self, text: &str, mut visit: impl FnMut(Account) -> bool) -> Result<(), StoreError> {
        let Ok(term) = text.parse::<SearchTerm>() else { return Ok(()) };
        let mut query = AccountQuery::searching(term, STEP);
        loop {
            let page = self.list_accounts(&query)?;
            for account in page.accounts {
                if !visit(account) {
                    return Ok(());
                }
            }
            let Some(next) = page.next else { return Ok(()) };
            query.place = Place::After(next);
        }
    }

    /// At most `limit` active accounts, those first that have published last. Blocks for as long as reading every account
    /// takes, by a connection of its own.
    pub fn latest_accounts(&self, limit: usize) -> Result<Vec<Account>, StoreError> {
        self.0.store.snapshot(|rows| rows.latest_accounts(limit))
    }

    /// Changes the note and narrows the networks, as the account itself may. The rule looks at what is stored, so that
    /// two edits at the same time cannot undo each other.
    ///
    /// # Errors
    ///
    /// [`AccountError::Wider`] where the new networks would admit a client that the stored ones do not.
    pub async fn narrow(&self, actor: Actor, who: Username, edit: AccountEdit) -> Result<Account, Abort<AccountError>> {
        let narrow = move |account: &mut Account, _: &Tx<'_>| {
            if edit.allow_from.as_ref().is_some_and(|wanted| !wanted.is_within(&account.allow_from)) {
                return Err(AccountError::Wider);
            }
            edit.apply(account);
            Ok(())
        };
        self.alter(actor, Action::EditAccount, who, narrow).await
    }

    /// Changes the networks and the note, as the operator may.
    pub async fn edit(&self, actor: Actor, who: Username, edit: AccountEdit) -> Result<Account, Abort<AccountError>> {
        let apply = move |account: &mut Account, _: &Tx<'_>| {
            edit.apply(account);
            Ok(())
        };
        self.alter(actor, Action::EditAccount, who, apply).await
    }

    /// Gives an account another key. The key before it works for `grace` more.
    pub async fn rotate(
        &self,
        actor: Actor,
        who: Username,
        key: ApiKeyHash,
        grace: Duration,
    ) -> Result<(), Abort<AccountError>> {
        let rotate = move |account: &mut Account, tx: &Tx<'_>| {
            let former = std::mem::replace(&mut account.key, key.clone());
            let until = tx.now().running.plus(grace);
            account.former_key = (!grace.is_zero()).then_some(FormerKey { hash: former, until });
            Ok(())
        };
        self.alter(actor, Action::RotateKey, who, rotate).await?;
        info!(username = %who, grace_seconds = grace.as_secs(), %actor, "key rotated");
        Ok(())
    }

    /// Replaces the hash of an unchanged key, unless the key has changed meanwhile.
    pub async fn rehash(
        &self,
        actor: Actor,
        who: Username,
        old: ApiKeyHash,
        new: ApiKeyHash,
    ) -> Result<(), Abort<AccountError>> {
        let rehash = move |account: &mut Account, _: &Tx<'_>| {
            if account.key == old {
                account.key = new.clone();
            }
            Ok(())
        };
        self.alter(actor, Action::Rehash, who, rehash).await?;
        Ok(())
    }

    /// Gives an account a TSIG key; `None` removes the one that it has.
    pub async fn set_tsig(
        &self,
        actor: Actor,
        who: Username,
        tsig: Option<Derivation>,
    ) -> Result<(), Abort<AccountError>> {
        let algorithm = tsig.as_ref().map(|tsig| tsig.algorithm);
        let set = move |account: &mut Account, _: &Tx<'_>| {
            account.tsig = tsig.clone();
            Ok(())
        };
        self.alter(actor, Action::SetTsig, who, set).await?;
        match algorithm {
            Some(algorithm) => info!(username = %who, %algorithm, %actor, "TSIG key created"),
            None => info!(username = %who, %actor, "TSIG key removed"),
        }
        Ok(())
    }

    /// Disables an account: its credentials fail, and its names hold no data.
    pub async fn disable(&self, actor: Actor, who: Username) -> Result<(), Abort<AccountError>> {
        self.set_status(actor, Action::DisableAccount, who, |_| AccountStatus::Disabled).await
    }

    /// Enables a disabled or deleted account, with the values that have not expired.
    pub async fn enable(&self, actor: Actor, who: Username) -> Result<(), Abort<AccountError>> {
        self.set_status(actor, Action::EnableAccount, who, |_| AccountStatus::Active).await
    }

    /// Deletes an account: disabled now, and removed for good `after` that, or at once where that is zero.
    pub async fn delete(&self, actor: Actor, who: Username, after: Duration) -> Result<(), Abort<AccountError>> {
        if after.is_zero() {
            return self.remove(actor, who).await;
        }
        let deleted = move |tx: &Tx<'_>| AccountStatus::Deleted { at: tx.now().running.plus(after) };
        self.set_status(actor, Action::DeleteAccount, who, deleted).await
    }

    async fn set_status(
        &self,
        actor: Actor,
        action: Action,
        who: Username,
        status: impl Fn(&Tx<'_>) -> AccountStatus + Send + 'static,
    ) -> Result<(), Abort<AccountError>> {
        let set = move |account: &mut Account, tx: &Tx<'_>| {
            account.status = status(tx);
            Ok(())
        };
        let account = self.alter(actor, action, who, set).await?;
        match account.status {
            AccountStatus::Active => info!(username = %who, %actor, "account enabled"),
            AccountStatus::Disabled => info!(username = %who, %actor, "account disabled"),
            AccountStatus::Deleted { at } => {
                let removed_at = self.moment().date_of(at);
                info!(username = %who, %removed_at, %actor, "account deleted");
            }
        }
        Ok(())
    }

    /// Changes an account in place. DNS then answers for its names as its status says.
    async fn alter(
        &self,
        actor: Actor,
        action: Action,
        who: Username,
        alter: impl Fn(&mut Account, &Tx<'_>) -> Result<(), AccountError> + Send + 'static,
    ) -> Result<Account, Abort<AccountError>> {
        let inner = self.0.clone();
        let operation = move |tx: &Tx<'_>| {
            let mut account = tx.account(who)?.ok_or(AccountError::NoAccount)?;
            let before = account.status;
            alter(&mut account, tx)?;
            tx.update_account(&account)?;
            if account.status != before {
                inner.settle_all(tx, &account, action)?;
            }
            tx.record_account(action, who, Some(account.clone()));
            Ok(account)
        };
        self.write(actor, operation).await
    }

    async fn remove(&self, actor: Actor, who: Username) -> Result<(), Abort<AccountError>> {
        let inner = self.0.clone();
        let operation = move |tx: &Tx<'_>| {
            let account = tx.account(who)?.ok_or(AccountError::NoAccount)?;
            Ok(inner.remove(tx, &account)?)
        };
        self.write(actor, operation).await?;
        self.0.metrics.removed_deleted.one();
        info!(username = %who, %actor, "account removed");
        Ok(())
    }
}

impl Inner {
    /// Settles all names of an account, as its status in the transaction asks.
    fn settle_all(&self, tx: &Tx<'_>, account: &Account, action: Action) -> Result<(), StoreError> {
        for owner in &account.owners {
            if let Some(row) = tx.owner(owner)? {
                self.settle(tx, &row, owner, action)?;
            }
        }
        Ok(())
    }

    /// Removes an account for good, with its names.
    pub(super) fn remove(&self, tx: &Tx<'_>, account: &Account) -> Result<(), StoreError> {
        for owner in &account.owners {
            give_up(tx, Action::RemoveAccount, account, owner)?;
        }
        tx.remove_account(account.username)?;
        tx.record_account(Action::RemoveAccount, account.username, None);
        Ok(())
    }
}
