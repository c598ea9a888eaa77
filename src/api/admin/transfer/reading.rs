//! Lines, as what moves. Everything about a file that does not depend on the store is found here.

use std::collections::HashSet;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::api::error::Failure;
use crate::api::types::bulk::RowRefusal;
use crate::api::types::transfer::{
    FORMAT, MAX_LINES, TransferAccount, TransferAlias, TransferEnrolment, TransferHead, TransferLine, TransferOwner,
    TransferRemoved, TransferState, TransferStored, TransferTsig, VERSION,
};
use crate::crypto::keyring::Keyring;
use crate::model::account::{Account, AccountStatus, FormerKey, MAX_ALIASES, MAX_OWNERS, OwnAlias, Username};
use crate::model::cadence::Cadence;
use crate::model::enrolment::{Enrolment, EnrolmentId, MAX_LABELS, MAX_USES, Terms};
use crate::model::name::{Owner, OwnerLabel, ZoneName};
use crate::model::secret::ApiKeyHash;
use crate::model::time::Moment;
use crate::model::tsig::Derivation;
use crate::model::txt::LiveValue;
use crate::model::txt::persist::PersistentValue;
use crate::publisher::{TransferItem, TransferredAccount};

/// The most wrong lines that a reply names.
const MAX_WRONG: usize = 50;
/// The most values of a name, of both kinds.
const MAX_VALUES: usize = 2_000;
/// Names that exist only while they hold values come on top of those that an account was given.
const MAX_NAMES: usize = 10 * MAX_OWNERS;
/// The most bytes of stored credentials.
const MAX_SEALED: usize = 64 * 1_024;

type Items = (Vec<(usize, TransferItem)>, Vec<RowRefusal>);

/// The items with their lines, and what of them stays behind. Their dates become running times at `now`.
pub fn read(body: &[u8], keyring: &Keyring, now: Moment) -> Result<Items, Failure> {
    let mut lines = body.trim_ascii_end().split(|&byte| byte == b'\n');
    head(lines.next().unwrap_or_default())?;
    let mut reader = Reader { keyring, now, items: Vec::new(), left: Vec::new(), wrong: Vec::new(), end: None };
    for (index, line) in lines.enumerate() {
        let number = index + 2;
        if index > MAX_LINES {
            return Err(malformed(
                number,
                format!("a file has at most {MAX_LINES} lines; move some accounts at a time"),
            ));
        }
        reader.read(number, line);
        if reader.wrong.len() == MAX_WRONG {
            break;
        }
    }
    if !reader.wrong.is_empty() {
        return Err(Failure::Rows(reader.wrong));
    }
    match reader.end {
        Some(count) if count == reader.items.len() => Ok((reader.items, reader.left)),
        Some(count) => {
            let problem = format!("the file should have {count} items and has {}; export it again", reader.items.len());
            Err(malformed(reader.items.len() + 2, problem))
        }
        None => Err(malformed(
            reader.items.len() + 1,
            "the file ends without its last line: it was cut off; export it again".into(),
        )),
    }
}

fn head(line: &[u8]) -> Result<(), Failure> {
    let wrong = |problem: String| Err(malformed(1, problem));
    let Ok(TransferLine::Head(TransferHead { format, version, .. })) = serde_json::from_slice(line) else {
        return wrong("send a file of `txtgate export --format txtgate`; the first line is not its head".into());
    };
    if format != FORMAT {
        return wrong(format!("the format is {format:?}; `txtgate import txtgate` reads {FORMAT:?}"));
    }
    if version > VERSION {
        return wrong(format!(
            "version {version} of the format is newer than {VERSION}, the newest known here; upgrade"
        ));
    }
    Ok(())
}

fn malformed(row: usize, message: String) -> Failure {
    Failure::Rows(vec![RowRefusal { row, field: None, error: "malformed".into(), message }])
}

struct Reader<'k> {
    keyring: &'k Keyring,
    now: Moment,
    items: Vec<(usize, TransferItem)>,
    left: Vec<RowRefusal>,
    wrong: Vec<RowRefusal>,
    end: Option<usize>,
}

/// What is wrong with a line: the member, and why.
struct Wrong(&'static str, String);

impl Reader<'_> {
    fn read(&mut self, number: usize, line: &[u8]) {
        if self.end.is_some() {
            return self.refuse(number, None, "there are lines after the last one; export the file again".into());
        }
        let moved = match serde_json::from_slice(line) {
            Ok(TransferLine::End(count)) => {
                self.end = Some(count);
                return;
            }
            Ok(TransferLine::Head(_)) => Err(Wrong("head", "a file has one head".into())),
            Ok(TransferLine::Account(account)) => self.account(number, *account),
            Ok(TransferLine::Enrolment(token)) => enrolment(*token, self.now),
            Ok(TransferLine::Stored(stored)) => read_stored(stored),
            Ok(TransferLine::Removed(TransferRemoved { zone, label, removed })) => {
                owner(zone, &label).map(|owner| TransferItem::Tombstone(owner, removed))
            }
            Err(error) => return self.refuse(number, None, format!("the line cannot be read: {error}")),
        };
        match moved {
            Ok(moved) => self.items.push((number, moved)),
            Err(Wrong(field, message)) => self.refuse(number, Some(field.to_owned()), message),
        }
    }

    fn refuse(&mut self, row: usize, field: Option<String>, message: String) {
        self.wrong.push(RowRefusal { row, field, error: "malformed".into(), message });
    }

    fn account(&mut self, number: usize, account: TransferAccount) -> Result<TransferItem, Wrong> {
        if account.owners.is_empty() || account.owners.len() > MAX_NAMES {
            return Err(Wrong("owners", format!("an account has from 1 to {MAX_NAMES} names")));
        }
        if account.aliases.len() > MAX_ALIASES {
            return Err(Wrong("aliases", format!("an account has at most {MAX_ALIASES} aliases")));
        }
        let values: Vec<_> =
            account.owners.into_iter().map(|named| values(named, self.now)).collect::<Result<_, Wrong>>()?;
        let owners: Vec<Owner> = values.iter().map(|(owner, ..)| owner.clone()).collect();
        check_owners(&owners)?;
        let aliases = aliases(account.aliases, &owners)?;
        let former_key = match account.former_key {
            Some(former) => {
                Some(FormerKey { hash: hash("former_key", &former.hash)?, until: self.now.running_of(former.until) })
            }
            None => None,
        };
        let tsig = account.tsig.and_then(|tsig| self.tsig(number, account.username, tsig));
        let account = Account {
            username: account.username,
            key: hash("key_hash", &account.key_hash)?,
            former_key,
            tsig,
            allow_from: account.allowfrom,
            note: account.note,
            owners,
            aliases,
            created: Moment { date: account.created, ..self.now },
            last_update: account.last_update,
            // Running times are those of the server that has measured them.
            cadence: Cadence::default(),
            status: match account.state {
                TransferState::Active => AccountStatus::Active,
                TransferState::Disabled => AccountStatus::Disabled,
            },
        };
        Ok(TransferItem::Account(Box::new(TransferredAccount { account, values })))
    }

    /// The key under this server's own master secret. A key that cannot come along never keeps its account from moving.
    fn tsig(&mut self, row: usize, who: Username, tsig: TransferTsig) -> Option<Derivation> {
        let why = match tsig.secret {
            None => "its secret was not exported (`--with-tsig-secrets`)".to_owned(),
            Some(secret) => match STANDARD.decode(secret.as_str()) {
                Err(_) => "its secret is not base64".to_owned(),
                Ok(secret) => match self.keyring.take_over(who, tsig.algorithm, &secret) {
                    Ok(Some(derivation)) => return Some(derivation),
                    Ok(None) => format!("a secret for {} has {} bytes", tsig.algorithm, tsig.algorithm.bytes()),
                    Err(error) => error.to_string(),
                },
            },
        };
        let message = format!(
            "the TSIG key of account {who} stays behind: {why}; `txtgate account tsig create {who}` makes a new one"
        );
        self.left.push(RowRefusal { row, field: Some("tsig".into()), error: "left".into(), message });
        None
    }
}

fn parsed<T: FromStr<Err: ToString>>(field: &'static str, text: &str) -> Result<T, Wrong> {
    text.parse().map_err(|error: T::Err| Wrong(field, error.to_string()))
}

fn hash(field: &'static str, text: &str) -> Result<ApiKeyHash, Wrong> {
    ApiKeyHash::from_elsewhere(text).map_err(|error| Wrong(field, error.to_string()))
}

/// An owner that an account can have. The daemon's own names, like `_acme-challenge`, would give certificates for the zone
/// to whoever gets the file in.
fn owner(zone: ZoneName, label: &str) -> Result<Owner, Wrong> {
    let wanted: OwnerLabel = parsed("label", label)?;
    Owner::of_account(wanted, &zone).ok_or_else(|| {
        Wrong("label", format!("no account can have the label {label:?} in the zone {zone}; take it out"))
    })
}

fn check_owners(owners: &[Owner]) -> Result<(), Wrong> {
    let mut seen = HashSet::with_capacity(owners.len());
    if let Some(twice) = owners.iter().find(|owner| !seen.insert(*owner)) {
        return Err(Wrong("owners", format!("{twice} is there twice; take one out")));
    }
    // Whoever has the apex has the names below it.
    match owners.iter().find(|owner| owner.above().is_some_and(|apex| !seen.contains(&apex))) {
        Some(owner) => {
            Err(Wrong("owners", format!("{owner} lies below {}, which is not a name of the account", owner.zone)))
        }
        None => Ok(()),
    }
}

fn aliases(named: Vec<TransferAlias>, owners: &[Owner]) -> Result<Vec<OwnAlias>, Wrong> {
    let mut aliases: Vec<OwnAlias> = Vec::with_capacity(named.len());
    for TransferAlias { alias, zone, label } in named {
        let owner = owner(zone, &label)?;
        if !owners.contains(&owner) {
            return Err(Wrong("aliases", format!("{alias} stands for {owner}, which is not a name of the account")));
        }
        if aliases.iter().any(|own| own.alias == alias) {
            return Err(Wrong("aliases", format!("{alias} is there twice; take one out")));
        }
        aliases.push(OwnAlias { alias, owner });
    }
    Ok(aliases)
}

fn values(named: TransferOwner, now: Moment) -> Result<(Owner, Vec<LiveValue>, Vec<PersistentValue>), Wrong> {
    if named.values.len() + named.persistent.len() > MAX_VALUES {
        return Err(Wrong("values", format!("a name has at most {MAX_VALUES} values")));
    }
    let live = named.values.into_iter();
    let live = live.map(|value| LiveValue {
        txt: value.txt,
        published: value.published,
        expires: now.running_of(value.expires),
    });
    let authorizations = named.persistent.into_iter().map(|persistent| PersistentValue {
        value: persistent.value,
        published: persistent.published,
        expires: persistent.expires.map(|at| now.running_of(at)),
    });
    Ok((owner(named.zone, &named.label)?, live.collect(), authorizations.collect()))
}

fn enrolment(token: TransferEnrolment, now: Moment) -> Result<TransferItem, Wrong> {
    if token.uses > MAX_USES || token.labels.len() > MAX_LABELS {
        return Err(Wrong("uses", format!("a token has at most {MAX_USES} uses and {MAX_LABELS} labels")));
    }
    let terms = Terms {
        uses: token.uses,
        expires: now.running_of(token.expires),
        allow_from: token.allowfrom,
        labels: token.labels,
        note: token.note,
    };
    // The store gives the token a number of its own.
    let enrolment = Enrolment { id: EnrolmentId(0), terms, used: token.used, created: token.created };
    Ok(TransferItem::Enrolment(parsed("hash", &token.hash)?, enrolment))
}

fn read_stored(stored: TransferStored) -> Result<TransferItem, Wrong> {
    let sealed = STANDARD.decode(&stored.sealed).ok().filter(|sealed| sealed.len() <= MAX_SEALED);
    let sealed = sealed.ok_or_else(|| Wrong("sealed", format!("write at most {MAX_SEALED} bytes in base64")))?;
    Ok(TransferItem::Stored {
        holder: parsed("holder", &stored.holder)?,
        domain: parsed("domain", &stored.domain)?,
        sealed,
    })
}
