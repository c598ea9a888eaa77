//! And out again.

use std::path::Path;

use rusqlite::Connection;

use crate::harness::value;

use super::source::{Old, VERSION_1, account, now, nowhere, start};

/// Both tables, row by row.
fn tables(path: &Path) -> Vec<String> {
    let sql = Connection::open(path).unwrap();
    let read = |query: &str| {
        let mut statement = sql.prepare(query).unwrap();
        let texts = |row: &rusqlite::Row<'_>| (0..4).map(|at| row.get(at)).collect::<rusqlite::Result<Vec<String>>>();
        statement.query_map([], texts).unwrap().map(|row| row.unwrap().join("|")).collect::<Vec<_>>()
    };
    // Hashes are bytes or text there, and the same to Go.
    let mut rows = read("SELECT Username, CAST(Password AS TEXT), Subdomain, AllowFrom FROM records ORDER BY 1");
    rows.extend(read("SELECT Subdomain, Value, CAST(LastUpdate AS TEXT), '' FROM txt ORDER BY Subdomain, LastUpdate"));
    rows
}

#[test]
fn what_came_in_goes_out_again() {
    let (old, home) = (Old::with(VERSION_1), nowhere());
    old.add(1, "[\"127.0.0.0/8\"]", [(&value(1), now() - 9), (&value(2), now() - 8)]);
    old.add(2, "[]", [(&value(3), now() - 7), ("", 0)]);
    old.add(3, "[]", [("", 0), ("", 0)]);
    old.import_ok(&home, &[]);
    let file = home.path().join("out.db");
    let said = home.run_ok(&["export", "--format", "acme-dns", file.to_str().unwrap()]);
    assert!(said.contains("3 accounts") && !said.contains("Argon2id"), "{said}");
    assert_eq!(tables(&file), tables(&old.path()));
    let (code, said) = home.run_err(&["export", "--format", "acme-dns", file.to_str().unwrap()]);
    assert!(code == Some(1) && said.contains("exists"), "{said}");

    // The same moves in elsewhere.
    let (again, there) = (Old::new(), nowhere());
    std::fs::copy(&file, again.path()).unwrap();
    assert!(again.import_ok(&there, &[]).contains("3 accounts moved in"));
    account(1).publish(start(&there).api(), &value(4));
}

#[test]
fn what_acme_dns_cannot_take_is_counted_or_named() {
    let (old, home) = (Old::with(VERSION_1), nowhere());
    for number in 1..=3 {
        old.add(number, "[]", [("", 0), ("", 0)]);
    }
    old.import_ok(&home, &[]);
    let daemon = start(&home);
    home.run_ok(&["account", "create", "a.test"]);
    home.run_ok(&["account", "disable", &account(2).username]);
    home.run_ok(&["account", "add-subdomain", &account(3).username, "more"]);
    let file = home.path().join("out.db");
    let said = home.run_ok(&["export", "--format", "acme-dns", file.to_str().unwrap()]);
    assert!(
        said.contains("2 accounts of") && said.contains("1 accounts stay: their keys are kept as Argon2id"),
        "{said}"
    );
    assert!(said.contains("more.") && said.contains("one subdomain an account"), "{said}");
    assert!(said.contains(&account(2).fulldomain) && said.contains("disabled"), "{said}");
    drop(daemon);
    let (code, said) = home.run_err(&["export", "--format", "acme-dns", "--zone", "other.test", "x.db"]);
    assert!(code == Some(2) && said.contains("no such zone"), "{said}");
}
