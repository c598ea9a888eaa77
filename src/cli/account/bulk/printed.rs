//! New accounts as a table, JSON lines or CSV.

use clap::ValueEnum;
use serde::Serialize;

use crate::api::types::accounts::AccountCredentials;
use crate::cli::output::as_line;
use crate::cli::table::table;

/// How to print a list of new accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    /// Columns for reading
    Table,
    /// A JSON object a line
    Jsonl,
    /// CSV with a header
    Csv,
}

/// A new account with its key, and the domain that it is for.
#[derive(Debug, Serialize)]
pub struct CreatedAccount<'a> {
    /// The domain.
    pub domain: &'a str,
    /// The account.
    #[serde(flatten)]
    pub account: &'a AccountCredentials,
    /// The records to add to the domain's DNS.
    pub records: Vec<String>,
}

impl ListFormat {
    /// The accounts as text.
    pub fn text(self, accounts: &[CreatedAccount<'_>]) -> String {
        match self {
            Self::Table => {
                table(&HEAD[..5], &accounts.iter().map(|account| account.cells()[..5].to_vec()).collect::<Vec<_>>())
            }
            Self::Jsonl => accounts.iter().map(as_line).collect::<Vec<_>>().join("\n"),
            Self::Csv => csv_of(accounts),
        }
    }
}

const HEAD: [&str; 10] = [
    "domain",
    "username",
    "password",
    "fulldomain",
    "records",
    "subdomain",
    "allowfrom",
    "tsig_name",
    "tsig_algorithm",
    "tsig_secret",
];

impl CreatedAccount<'_> {
    fn cells(&self) -> [String; 10] {
        let networks: Vec<String> = self.account.allowfrom.networks().iter().map(ToString::to_string).collect();
        let tsig = self.account.tsig.as_ref();
        [
            self.domain.to_owned(),
            self.account.username.to_string(),
            self.account.password.as_str().to_owned(),
            self.account.fulldomain.clone(),
            self.records.join("; "),
            self.account.subdomain.clone(),
            networks.join(" "),
            tsig.map(|key| key.name.clone()).unwrap_or_default(),
            tsig.map(|key| key.algorithm.to_string()).unwrap_or_default(),
            tsig.map(|key| key.secret.as_str().to_owned()).unwrap_or_default(),
        ]
    }
}

fn csv_of(accounts: &[CreatedAccount<'_>]) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    // Writing to memory does not fail.
    _ = writer.write_record(HEAD);
    for account in accounts {
        _ = writer.write_record(account.cells());
    }
    let bytes = writer.into_inner().unwrap_or_default();
    String::from_utf8_lossy(&bytes).trim_end().to_owned()
}
