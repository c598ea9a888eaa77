//! What moves, as lines.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::api::types::revealed::RevealedSecret;
use crate::api::types::transfer::{
    TransferAccount, TransferAlias, TransferEnrolment, TransferFormerKey, TransferLine, TransferOwner,
    TransferPersistent, TransferRemoved, TransferState, TransferStored, TransferTsig, TransferValue,
};
use crate::crypto::keyring::Keyring;
use crate::model::account::{Account, AccountStatus};
use crate::model::enrolment::Enrolment;
use crate::model::name::Owner;
use crate::model::secret::SecretHash;
use crate::model::time::Moment;
use crate::model::txt::LiveValue;
use crate::model::txt::persist::PersistentValue;
use crate::publisher::{TransferItem, TransferredAccount};

/// One item at `now`. Secrets of TSIG keys come from `keyring`, if they are asked for.
pub fn line(moved: TransferItem, keyring: Option<&Keyring>, now: Moment) -> TransferLine {
    match moved {
        TransferItem::Account(moved) => TransferLine::Account(Box::new(account(*moved, keyring, now))),
        TransferItem::Enrolment(hash, moved) => TransferLine::Enrolment(Box::new(enrolment(&hash, moved, now))),
        TransferItem::Stored { holder, domain, sealed } => TransferLine::Stored(TransferStored {
            holder: holder.to_string(),
            domain: domain.to_string(),
            sealed: STANDARD.encode(sealed),
        }),
        TransferItem::Tombstone(owner, removed) => {
            TransferLine::Removed(TransferRemoved { label: owner.label.as_str().to_owned(), zone: owner.zone, removed })
        }
    }
}

fn account(
    TransferredAccount { account, values }: TransferredAccount,
    keyring: Option<&Keyring>,
    now: Moment,
) -> TransferAccount {
    let tsig = account.tsig.as_ref().map(|derivation| TransferTsig {
        algorithm: derivation.algorithm,
        secret: keyring
            .and_then(|keyring| keyring.key(account.username, derivation))
            .map(|key| RevealedSecret::new(key.reveal())),
    });
    let Account { username, key, former_key, allow_from, note, aliases, created, last_update, status, .. } = account;
    TransferAccount {
        username,
        key_hash: key.as_str().to_owned(),
        former_key: former_key.map(|former| TransferFormerKey {
            hash: former.hash.as_str().to_owned(),
            until: now.date_of(former.until),
        }),
        tsig,
        allowfrom: allow_from,
        note,
        state: if status == AccountStatus::Active { TransferState::Active } else { TransferState::Disabled },
        created: created.date,
        last_update,
        owners: values.into_iter().map(|named| owner(named, now)).collect(),
        aliases: aliases
            .into_iter()
            .map(|own| TransferAlias {
                alias: own.alias,
                label: own.owner.label.as_str().to_owned(),
                zone: own.owner.zone,
            })
            .collect(),
    }
}

fn owner((owner, values, persistent): (Owner, Vec<LiveValue>, Vec<PersistentValue>), now: Moment) -> TransferOwner {
    let value = |LiveValue { txt, published, expires }| TransferValue { txt, published, expires: now.date_of(expires) };
    let authorization = |PersistentValue { value, published, expires }| {
        let expires = expires.map(|at| now.date_of(at));
        TransferPersistent { value, published, expires }
    };
    TransferOwner {
        label: owner.label.as_str().to_owned(),
        zone: owner.zone,
        values: values.into_iter().map(value).collect(),
        persistent: persistent.into_iter().map(authorization).collect(),
    }
}

fn enrolment(hash: &SecretHash, Enrolment { terms, used, created, .. }: Enrolment, now: Moment) -> TransferEnrolment {
    TransferEnrolment {
        hash: hash.to_string(),
        uses: terms.uses,
        used,
        expires: now.date_of(terms.expires),
        allowfrom: terms.allow_from,
        labels: terms.labels,
        note: terms.note,
        created,
    }
}
