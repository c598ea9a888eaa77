//! Fills a database with accounts that each hold one live value, and prints their names: what the scale figures are
//! measured on. The API would take a day for a million, for it hashes a key for each.
//!
//! `cargo run --profile dist --example fill -- <database> <zone> <count> [domain]`; a line `<name> <value>` for each
//! account. With a domain, the note of each account is a name in it, as accounts made in the console have one.

#![allow(clippy::print_stdout, reason = "what it prints is what it is for")]

use std::convert::Infallible;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use txtgate::metrics::Metrics;
use txtgate::model::account::{Account, AccountStatus, AllowFrom, Note, Username};
use txtgate::model::actor::Actor;
use txtgate::model::name::{Owner, Subdomain, ZoneName};
use txtgate::model::secret::ApiKeyHash;
use txtgate::model::time::{Clock, Moment};
use txtgate::model::txt::{LiveValue, TxtValue};
use txtgate::store::writer::{Abort, Tx, Writer};
use txtgate::store::{Store, StoreError};
use txtgate::zone::Zones;

type Failure = Box<dyn std::error::Error>;

/// Accounts in one transaction. The index for searches makes the time of a transaction grow with the square of this: 20,000
/// accounts take 3 s in transactions of 250, and a minute in one.
const BATCH: usize = 250;
/// How long the values live: longer than any measurement.
const LIFETIME: Duration = Duration::from_secs(30 * 86_400);
/// The hash of no key: nobody logs in here.
const KEY: &str = "$argon2id$v=19$m=8192,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$Wsq4qLMYRJ8MWgPqJ2Q4yYzyZ8v3M1z1Xq6bJk2cJvI";

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (database, zone, count, domain) = match &arguments[..] {
        [database, zone, count] => (database, zone, count, None),
        [database, zone, count, domain] => (database, zone, count, Some(domain.as_str())),
        _ => return Err("fill <database> <zone> <count> [domain]".into()),
    };
    let (zone, count): (ZoneName, usize) = (zone.parse()?, count.parse()?);
    let (store, clock) = (Store::open(Path::new(database))?, Clock::start(None));
    let (writer, thread) =
        Writer::start(store, Zones::default(), clock.clone(), Arc::new(Metrics::default()), Box::new(|_, _| {}))?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let mut out = BufWriter::new(std::io::stdout().lock());
    for start in (0..count).step_by(BATCH) {
        let accounts = (start..count.min(start + BATCH)).map(|number| {
            let note = domain.map(|domain| format!("host{number}.{domain}")).unwrap_or_default();
            account(&zone, note.parse()?, clock.moment())
        });
        let accounts: Vec<(Account, TxtValue)> = accounts.collect::<Result<_, Failure>>()?;
        for (account, txt) in &accounts {
            writeln!(out, "{} {txt}", account.owners[0])?;
        }
        let insert_all = move |tx: &Tx<'_>| {
            accounts.iter().try_for_each(|(account, txt)| insert(tx, account, *txt))?;
            Ok::<_, Abort<Infallible>>(())
        };
        runtime.block_on(writer.write(Actor::COMMAND_LINE, insert_all))?;
    }
    thread.stop();
    Ok(out.flush()?)
}

fn account(zone: &ZoneName, note: Note, now: Moment) -> Result<(Account, TxtValue), Failure> {
    let subdomain = Subdomain::random();
    let value = format!("{}-00000000", subdomain.as_str().replace('-', "_").get(1..).unwrap_or_default());
    let account = Account {
        username: Username::random(),
        key: KEY.parse::<ApiKeyHash>()?,
        former_key: None,
        tsig: None,
        allow_from: AllowFrom::default(),
        note,
        owners: vec![Owner::subdomain(zone.clone(), subdomain)],
        aliases: Vec::new(),
        created: now,
        last_update: Some(now.date),
        cadence: Default::default(),
        status: AccountStatus::Active,
    };
    Ok((account, value.get(..43).unwrap_or_default().parse()?))
}

fn insert(tx: &Tx<'_>, account: &Account, txt: TxtValue) -> Result<(), StoreError> {
    tx.insert_account(account)?;
    // An owner that has just been inserted is there.
    if let Some(row) = tx.owner(&account.owners[0])? {
        let Moment { date, running } = account.created;
        tx.put_value(row.id, &LiveValue { txt, published: date, expires: running.plus(LIFETIME) }, running)?;
    }
    Ok(())
}
