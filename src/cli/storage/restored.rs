//! What `restore` has done, and what the former database has that the backup lacks.

use std::fmt::{Display, Write};
use std::path::Path;

use crate::store::StoreError;
use crate::store::backup::{Former, Newer, NewerAccount, NewerSerial};

/// The most lines of a list.
const MAX_LINES: usize = 20;

/// The report for people.
pub fn report(database: &Path, former: Option<&Former>) -> String {
    let mut out = format!("{} restored", database.display());
    let Some(former) = former else {
        out += "\nThere was no database before, so nothing is known of accounts that are newer than the backup. Serials go on \
                from the backup's, or from the date. If secondaries have greater ones, restore once more with \
                `--after-serial SERIAL`.\n";
        return out;
    };
    if let Some(path) = &former.path {
        _ = write!(out, "; the one before is {}", path.display());
    }
    out.push('\n');
    match &former.comparison.newer {
        Ok(newer) => add_newer(&mut out, newer),
        Err(error) => add_unreadable(&mut out, error),
    }
    match &former.comparison.serials {
        Ok(serials) => add_serials(&mut out, serials),
        Err(_) => {
            out += "The serials of the database before cannot be read: if secondaries have greater ones than the backup, \
                    restore once more with `--after-serial SERIAL`.\n";
        }
    }
    if let (Ok(newer), Some(path)) = (&former.comparison.newer, &former.path)
        && !newer.is_empty()
    {
        _ = writeln!(out, "To go back: `txtgate restore {}`", path.display());
    }
    out
}

fn add_unreadable(out: &mut String, error: &StoreError) {
    _ = writeln!(out, "What is newer than the backup cannot be said: the database before cannot be read ({error}).");
}

fn add_newer(out: &mut String, newer: &Newer) {
    if let (Some(backup), Some(former)) = newer.last_change {
        _ = writeln!(out, "The last change in the backup is of {backup}, in the database before of {former}.");
    }
    if newer.is_empty() {
        *out += "Nothing else is newer in the database before.\n";
        return;
    }
    let accounts: Vec<String> = newer.accounts.iter().map(account).collect();
    add_list(
        out,
        "Accounts newer than the backup, which are gone; their keys fail, and their names do not exist",
        &accounts,
    );
    add_list(out, "Names newer than the backup, which are gone, of accounts that stay", &newer.names);
    add_list(
        out,
        "Names newer than the backup at which this server's certificates are proven, which stay",
        &newer.managed,
    );
    add_list(out, "Accounts that were removed since, and are back", &newer.returning);
    add_list(out, "Accounts with a newer key, which have the one before it again", &newer.rotated);
    add_list(out, "Tokens that were revoked since, and are valid again", &newer.revoked);
}

fn account(account: &NewerAccount) -> String {
    let owners = account.owners.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let note = if account.note.is_empty() { String::new() } else { format!(" ({})", account.note) };
    format!("{} {owners}{note}", account.username)
}

fn add_list(out: &mut String, what: &str, items: &[impl Display]) {
    if items.is_empty() {
        return;
    }
    _ = writeln!(out, "{what} ({}):", items.len());
    for item in items.iter().take(MAX_LINES) {
        _ = writeln!(out, "  {item}");
    }
    if items.len() > MAX_LINES {
        _ = writeln!(out, "  and {} more", items.len() - MAX_LINES);
    }
}

fn add_serials(out: &mut String, serials: &[NewerSerial]) {
    for NewerSerial { zone, backup, former } in serials {
        let backup = backup.map_or_else(|| "none".to_owned(), |serial| serial.to_string());
        _ = writeln!(
            out,
            "Serial of {zone}: {backup} in the backup, {former} before; the next one is greater than both."
        );
    }
}
