//! Changes of accounts: their limits, keys and status.

use std::time::Duration;

use tracing::info;

use crate::model::account::{Account, AccountStatus, AllowFrom, FormerKey, Note, Username};
use crate::model::name::Owner;
use crate::model::secret::ApiKeyHash;
use crate::model::tsig::Derivation;
use crate::store::StoreError;
use crate::store::writer::Tx;

use super::{Decided, Inner, PublishError, Publisher, Result, Shown};

/// What is to change of an account; `None` leaves it as it is.
#[derive(Debug, Clone, Default)]
pub struct Edit {
    /// From where it may be used.
    pub allow_from: Option<AllowFrom>,
    /// The remark.
    pub note: Option<Note>,
}

impl Edit {
    fn apply(&self, account: &mut Account) {
        account.allow_from = self.allow_from.clone().unwrap_or_else(|| account.allow_from.clone());
        account.note = self.note.clone().unwrap_or_else(|| account.note.clone());
    }
}

impl Publisher {
    /// An account as it is stored.
    pub fn account(&self, who: Username) -> Result<Option<Account>> {
        Ok(self.0.store.read(|rows| rows.account(who))?)
    }

    /// The account that may publish at a name.
    pub fn account_at(&self, owner: &Owner) -> Result<Option<Account>> {
        let found = self.0.store.read(|rows| {
            let row = rows.owner(owner.above().as_ref().unwrap_or(owner))?;
            row.and_then(|row| row.account).map_or(Ok(None), |(username, _)| rows.account(username))
        })?;
        Ok(found)
    }

    /// At most `limit` accounts by name, from behind `after`; with `search` in their name, note or a label.
    pub fn accounts(&self, after: Option<Username>, limit: usize, search: &str) -> Result<Vec<Account>> {
        Ok(self.0.store.read(|rows| rows.accounts(after, limit, search))?)
    }

    /// Changes the note, and narrows the networks: [`PublishError::Wider`] where they would let in anybody else.
    /// Decided on what is stored, so that two changes at once cannot undo each other.
    pub async fn narrow(&self, who: Username, edit: Edit) -> Result<Account> {
        self.alter(who, move |account, _| {
            if edit.allow_from.as_ref().is_some_and(|wanted| !wanted.is_within(&account.allow_from)) {
                return Err(PublishError::Wider);
            }
            edit.apply(account);
            Ok(())
        })
        .await
    }

    /// Changes limits and note, as the operator may.
    pub async fn edit(&self, who: Username, edit: Edit) -> Result<Account> {
        self.alter(who, move |account, _| {
            edit.apply(account);
            Ok(())
        })
        .await
    }

    /// Gives an account another key; the one before works for `grace` more.
    pub async fn rotate(&self, who: Username, key: ApiKeyHash, grace: Duration) -> Result<()> {
        self.alter(who, move |account, inner| {
            let former = std::mem::replace(&mut account.key, key.clone());
            let until = inner.clock.now().plus(grace);
            account.former_key = (!grace.is_zero()).then_some(FormerKey { hash: former, until });
            Ok(())
        })
        .await?;
        info!(username = %who, grace_seconds = grace.as_secs(), "key rotated");
        Ok(())
    }

    /// Replaces the hash of an unchanged key, unless the key has changed meanwhile.
    pub async fn rehash(&self, who: Username, old: ApiKeyHash, new: ApiKeyHash) -> Result<()> {
        self.alter(who, move |account, _| {
            if account.key == old {
                account.key = new.clone();
            }
            Ok(())
        })
        .await
        .map(drop)
    }

    /// Gives an account a TSIG key, or takes it away.
    pub async fn set_tsig(&self, who: Username, tsig: Option<Derivation>) -> Result<()> {
        let algorithm = tsig.as_ref().map(|tsig| tsig.algorithm);
        let set = move |account: &mut Account, _: &Inner| {
            account.tsig = tsig.clone();
            Ok(())
        };
        self.alter(who, set).await?;
        match algorithm {
            Some(algorithm) => info!(username = %who, %algorithm, "TSIG key made"),
            None => info!(username = %who, "TSIG key taken away"),
        }
        Ok(())
    }

    /// Stops an account: its credentials fail, its names give no data.
    pub async fn disable(&self, who: Username) -> Result<()> {
        self.stand(who, |_| AccountStatus::Disabled).await
    }

    /// Lets a disabled or deleted account work again, with the values that are left.
    pub async fn enable(&self, who: Username) -> Result<()> {
        self.stand(who, |_| AccountStatus::Active).await
    }

    /// Deletes an account: disabled now and removed for good `after` that; at once where that is zero.
    pub async fn delete(&self, who: Username, after: Duration) -> Result<()> {
        if after.is_zero() {
            return self.remove(who).await;
        }
        self.stand(who, move |inner| AccountStatus::Deleted { at: inner.clock.now().plus(after) }).await
    }

    async fn stand(&self, who: Username, status: impl Fn(&Inner) -> AccountStatus + Send + 'static) -> Result<()> {
        let stand = move |account: &mut Account, inner: &Inner| {
            account.status = status(inner);
            Ok(())
        };
        let account = self.alter(who, stand).await?;
        info!(username = %who, status = ?account.status, "account changed");
        Ok(())
    }

    /// Changes an account in place; DNS then shows its names as its status says.
    async fn alter(
        &self,
        who: Username,
        alter: impl Fn(&mut Account, &Inner) -> Result<()> + Send + 'static,
    ) -> Result<Account> {
        let inner = self.0.clone();
        let change = move |tx: &Tx<'_>| {
            let Some(mut account) = tx.account(who)? else { return Ok(Err(PublishError::NoAccount)) };
            let before = account.status;
            if let Err(refusal) = alter(&mut account, &inner) {
                return Ok(Err(refusal));
            }
            tx.update_account(&account)?;
            let shown = if account.status == before { Vec::new() } else { inner.reshow(tx, &account)? };
            Ok(Ok((account, shown)))
        };
        self.change_account(who, change).await
    }

    async fn remove(&self, who: Username) -> Result<()> {
        let inner = self.0.clone();
        let change = move |tx: &Tx<'_>| {
            let Some(account) = tx.account(who)? else { return Ok(Err(PublishError::NoAccount)) };
            Ok(Ok(((), inner.remove(tx, &account)?)))
        };
        self.change_account(who, change).await?;
        info!(username = %who, "account removed");
        Ok(())
    }

    /// Makes a change of an account's, after which nothing is remembered of it as it was.
    pub(super) async fn change_account<T: Send + 'static>(
        &self,
        who: Username,
        mut change: impl FnMut(&Tx<'_>) -> Decided<(T, Vec<Shown>)> + Send + 'static,
    ) -> Result<T> {
        let inner = self.0.clone();
        let change = move |tx: &Tx<'_>| match change(tx)? {
            Ok((changed, shown)) => Ok(Ok((changed, shown, tx.account(who)?))),
            Err(refusal) => Ok(Err(refusal)),
        };
        let shown = move |(_, shown, account): &(T, Vec<Shown>, Option<Account>)| {
            (inner.changed)(who, account.clone());
            shown.clone()
        };
        self.change(change, shown).await.map(|(changed, ..)| changed)
    }
}

impl Inner {
    /// How all names of an account are seen, as it stands now in the transaction.
    fn reshow(&self, tx: &Tx<'_>, account: &Account) -> std::result::Result<Vec<Shown>, StoreError> {
        let mut shown = Vec::new();
        for owner in &account.owners {
            if let Some(row) = tx.owner(owner)? {
                shown.push(self.settle(tx, &row, owner)?);
            }
        }
        Ok(shown)
    }

    /// Removes an account for good.
    pub(super) fn remove(&self, tx: &Tx<'_>, account: &Account) -> std::result::Result<Vec<Shown>, StoreError> {
        let mut shown = Vec::new();
        for owner in &account.owners {
            shown.extend(self.give_up(tx, account, owner)?);
        }
        tx.remove_account(account.username)?;
        Ok(shown)
    }
}
