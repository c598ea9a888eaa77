//! Databases of acme-dns, read to be imported: its schema of versions 0 and 1, in SQLite and in PostgreSQL, and that of
//! acme-dns-rust, which adds columns. A source is read and never written.

mod contents;
mod error;
#[cfg(feature = "postgres")]
mod postgres;
mod rows;
mod source;
mod sqlite;
#[cfg(not(feature = "postgres"))]
mod without_postgres;

pub use contents::{Contents, ForeignAccount, Left};
pub use error::ImportError;
#[cfg(feature = "postgres")]
pub use postgres::Postgres;
pub use source::Source;
#[cfg(not(feature = "postgres"))]
pub use without_postgres::Postgres;
