//! Makes a database as acme-dns leaves it, for `bench/import`: SQLite, and the same rows as files for PostgreSQL's COPY.
//!
//! `cargo run --profile dist --example acme_dns -- <folder> <accounts> <sample>`; prints username, key and subdomain of
//! `sample` accounts, whose hashes cost what acme-dns's do. The others' are cheap, or a day would not do. A tenth of all
//! has been renewed in the last week.

#![allow(clippy::print_stdout, reason = "what it prints is what it is for")]

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::SystemTime;

use rusqlite::{Connection, params};
use txtgate::model::account::Username;
use txtgate::model::name::Subdomain;
use txtgate::model::secret::ApiKey;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// acme-dns's cost, and bcrypt's least.
const COSTS: (u32, u32) = (10, 4);
const DAY: u64 = 86_400;

struct Account {
    username: String,
    hash: String,
    subdomain: String,
    /// Two values and their times.
    values: [(String, u64); 2],
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, count, sample] = &arguments[..] else { return Err("acme_dns <folder> <accounts> <sample>".into()) };
    let (folder, count, sample): (&Path, usize, usize) = (folder.as_ref(), count.parse()?, sample.parse()?);
    let every = count.checked_div(sample).unwrap_or(0).max(1);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let made: Vec<Result<Vec<Account>, Failure>> = std::thread::scope(|scope| {
        let part = |core: usize| (core..count).step_by(cores).map(|number| account(number, every)).collect();
        let threads: Vec<_> = (0..cores).map(|core| scope.spawn(move || part(core))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err("a thread panicked".into()))).collect()
    });
    let accounts: Vec<Account> = made.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
    write_sqlite(folder, &accounts)?;
    write_copies(folder, &accounts)
}

fn account(number: usize, every: usize) -> Result<Account, Failure> {
    let (username, subdomain, key) = (Username::random(), Subdomain::random(), ApiKey::random()?);
    let is_sampled = number.is_multiple_of(every);
    let cost = if is_sampled { COSTS.0 } else { COSTS.1 };
    let hash = bcrypt::hash_with_result(key.reveal(), cost)?.format_for_version(bcrypt::Version::TwoA);
    if is_sampled {
        println!("{username} {} {subdomain}", key.reveal());
    }
    let now = SystemTime::UNIX_EPOCH.elapsed()?.as_secs();
    let renewed = now - if number.is_multiple_of(10) { DAY } else { 30 * DAY };
    let values = [0, 1].map(|which| (format!("{number:_>40}__{which}"), renewed + which));
    Ok(Account { username: username.to_string(), hash, subdomain: subdomain.to_string(), values })
}

fn write_sqlite(folder: &Path, accounts: &[Account]) -> Result<(), Failure> {
    let mut connection = Connection::open(folder.join("acme-dns.db"))?;
    connection.execute_batch(
        "CREATE TABLE acmedns(Name TEXT, Value TEXT);
         CREATE TABLE records(Username TEXT UNIQUE NOT NULL PRIMARY KEY, Password TEXT UNIQUE NOT NULL,
             Subdomain TEXT UNIQUE NOT NULL, AllowFrom TEXT);
         CREATE TABLE txt(Subdomain TEXT NOT NULL, Value TEXT NOT NULL DEFAULT '', LastUpdate INT);
         INSERT INTO acmedns (Name, Value) VALUES ('db_version', '1');",
    )?;
    let transaction = connection.transaction()?;
    for account in accounts {
        let Account { username, hash, subdomain, values } = account;
        transaction.prepare_cached("INSERT INTO records VALUES (?1, ?2, ?3, '[]')")?.execute(params![
            username,
            hash.as_bytes(),
            subdomain
        ])?;
        for (value, time) in values {
            let row = params![subdomain, value, i64::try_from(*time)?];
            transaction.prepare_cached("INSERT INTO txt VALUES (?1, ?2, ?3)")?.execute(row)?;
        }
    }
    Ok(transaction.commit()?)
}

fn write_copies(folder: &Path, accounts: &[Account]) -> Result<(), Failure> {
    let create = |name: &str| File::create(folder.join(name)).map(BufWriter::new);
    let (mut records, mut txt) = (create("records.copy")?, create("txt.copy")?);
    for Account { username, hash, subdomain, values } in accounts {
        writeln!(records, "{username}\t{hash}\t{subdomain}\t[]")?;
        for (value, time) in values {
            writeln!(txt, "{subdomain}\t{value}\t{time}")?;
        }
    }
    records.flush()?;
    Ok(txt.flush()?)
}
