//! A PostgreSQL database of acme-dns.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use postgres::config::Host;
use postgres::fallible_iterator::FallibleIterator;
use postgres::{Client, Config, IsolationLevel, Row, Transaction};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::crypto::ring;

use crate::net::roots;

use super::error::ImportError;
use super::rows::{RecordRow, Rows};

/// The time limit of connecting, the TLS handshake included.
const CONNECT: Duration = Duration::from_secs(10);

/// How to reach the database. `Display` and `Debug` show no password.
#[derive(Clone)]
pub struct Postgres {
    config: Config,
    ca: Option<PathBuf>,
}

impl Postgres {
    /// Reads acme-dns's `connection`: `postgres://user:password@host/database?sslmode=...`, or the same as
    /// `key=value`s. `password` is used where the text has none.
    ///
    /// TLS certificates are always verified, against the system's authorities and `sslrootcert`. Without `sslmode`, TLS
    /// is used where the server offers it.
    pub fn parse(text: &str, password: Option<&str>) -> Result<Self, ImportError> {
        let (text, ca) = without_sslrootcert(text);
        let text =
            text.replace("sslmode=verify-full", "sslmode=require").replace("sslmode=verify-ca", "sslmode=require");
        // The error may name a key of the text, and never a value, which may be the password.
        let mut config: Config =
            text.parse().map_err(|error: postgres::Error| ImportError::Connection(sentence(&error)))?;
        if let (None, Some(password)) = (config.get_password(), password) {
            config.password(password);
        }
        config.connect_timeout(CONNECT).application_name("txtgate import");
        Ok(Self { config, ca })
    }

    pub(super) fn read(&self) -> Result<Rows, ImportError> {
        let mut client = self.connect()?;
        let rows = read_rows(&mut client).map_err(|error| self.failed(&error))?;
        let missing = "table `records` with its columns";
        rows.ok_or_else(|| ImportError::Foreign { database: self.to_string(), missing })
    }

    fn connect(&self) -> Result<Client, ImportError> {
        let store = roots::store(self.ca.as_deref()).map_err(ImportError::Connection)?;
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| ImportError::Connection(error.to_string()))?;
        let tls = builder.with_root_certificates(store).with_no_client_auth();
        self.config.connect(MakeRustlsConnect::new(tls)).map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &postgres::Error) -> ImportError {
        ImportError::Postgres { database: self.to_string(), problem: sentence(error) }
    }
}

impl fmt::Display for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = match self.config.get_hosts().first() {
            Some(Host::Tcp(name)) => name.clone(),
            Some(Host::Unix(path)) => path.display().to_string(),
            None => "localhost".into(),
        };
        write!(f, "PostgreSQL database {} at {host}", self.config.get_dbname().unwrap_or("of the user's name"))
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Removes `sslrootcert=FILE`, an option of libpq that the client library does not know.
fn without_sslrootcert(text: &str) -> (String, Option<PathBuf>) {
    let separator = if text.contains("://") { '&' } else { ' ' };
    let (base, options) = match text.split_once('?') {
        Some((base, options)) if separator == '&' => (format!("{base}?"), options),
        _ if separator == '&' => return (text.to_owned(), None),
        _ => (String::new(), text),
    };
    let (found, rest): (Vec<&str>, Vec<&str>) =
        options.split(separator).partition(|option| option.starts_with("sslrootcert="));
    let ca = found.first().and_then(|option| option.split_once('=')).map(|(_, path)| path.into());
    (base + &rest.join(&separator.to_string()), ca)
}

/// An error with its causes; the error itself mostly says "db error" alone.
fn sentence(error: &postgres::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    if text.contains("UnknownIssuer") {
        text.push_str("; name its authority with `sslrootcert=FILE` in the connection");
    }
    text
}

fn read_rows(client: &mut Client) -> Result<Option<Rows>, postgres::Error> {
    let builder = client.build_transaction().read_only(true).isolation_level(IsolationLevel::RepeatableRead);
    let mut transaction = builder.start()?;
    all_rows(&mut transaction)
}

/// All rows; `None` where the database belongs to another program.
fn all_rows(transaction: &mut Transaction<'_>) -> Result<Option<Rows>, postgres::Error> {
    let mut rows = Rows::default();
    let records = columns(transaction, "records")?;
    let has = |column: &str| records.iter().any(|found| found == column);
    if !["username", "password", "subdomain", "allowfrom"].into_iter().all(has) {
        return Ok(None);
    }
    each(transaction, "SELECT username, password::text, subdomain, allowfrom FROM records", |row| {
        rows.records.push(RecordRow {
            username: row.try_get(0)?,
            password: row.try_get(1)?,
            subdomain: row.try_get(2)?,
            allow_from: row.try_get(3)?,
            created: None,
        });
        Ok(())
    })?;
    let is_version_0 = columns(transaction, "txt")?.is_empty();
    let sql = match is_version_0 {
        false => "SELECT subdomain, value, lastupdate::bigint FROM txt WHERE value <> ''",
        true if has("value") && has("lastactive") => {
            "SELECT subdomain, value, lastactive::bigint FROM records WHERE value <> ''"
        }
        true => return Ok(Some(rows)),
    };
    each(transaction, sql, |row| {
        rows.add_value(row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
        Ok(())
    })?;
    Ok(Some(rows))
}

fn columns(transaction: &mut Transaction<'_>, table: &str) -> Result<Vec<String>, postgres::Error> {
    let sql = "SELECT column_name::text FROM information_schema.columns
               WHERE table_name = $1 AND table_schema = ANY (current_schemas(false))";
    transaction.query(sql, &[&table])?.iter().map(|row| row.try_get(0)).collect()
}

/// Calls `visit` for each row, so that no row is in memory twice.
fn each(
    transaction: &mut Transaction<'_>,
    sql: &str,
    mut visit: impl FnMut(&Row) -> Result<(), postgres::Error>,
) -> Result<(), postgres::Error> {
    let none: [&str; 0] = [];
    let mut rows = transaction.query_raw(sql, none)?;
    while let Some(row) = rows.next()? {
        visit(&row)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acme_dns_writes_is_read_and_no_password_shown() {
        for (text, shown) in [
            (
                "postgres://acmedns:hush@db.test/acmedns_db?sslmode=verify-full&sslrootcert=/ca.pem",
                "acmedns_db at db.test",
            ),
            ("postgres://acmedns:hush@db.test/acmedns_db", "acmedns_db at db.test"),
            ("user=acmedns password=hush host=/run/postgresql dbname=x sslmode=disable", "x at /run/postgresql"),
        ] {
            let server = Postgres::parse(text, Some("other")).unwrap();
            let said = format!("{server} {server:?}");
            assert!(said.contains(shown) && !said.contains("hush"), "{said}");
            assert_eq!(server.config.get_password(), Some(&b"hush"[..]));
        }
        let server = Postgres::parse("postgres://a@h/d?sslrootcert=/ca.pem&sslmode=require", Some("other")).unwrap();
        assert_eq!((server.config.get_password(), server.ca), (Some(&b"other"[..]), Some("/ca.pem".into())));
        let error = Postgres::parse("postgres://a:hush@h/d?sslmode=hush2", None).unwrap_err().to_string();
        assert!(!error.contains("hush"), "{error}");
    }
}
