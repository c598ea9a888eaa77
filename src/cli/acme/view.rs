//! The CA, and the daemon's account there, for people.

use crate::acme::directory::Directory;
use crate::api::types::acme::AcmeAccountReport;
use crate::cli::table::{pairs, printable, row};

/// What the CA offers. The URLs of its resources are for scripts.
pub fn directory_view(directory: &Directory) -> String {
    let meta = &directory.meta;
    let mut rows = vec![
        row("terms of service", &meta.terms_of_service),
        row("web site", &meta.website),
        row("names in CAA records", &meta.caa_identities.join(", ")),
    ];
    if !meta.issuer_domain_names.is_empty() {
        rows.push(row("names in persistent authorizations", &meta.issuer_domain_names.join(", ")));
    }
    let yes_or_no = |is_so| if is_so { "yes" } else { "no" };
    rows.push(row("accounts for its customers alone", &yes_or_no(meta.external_account_required)));
    rows.push(row("suggests when to renew", &yes_or_no(directory.renewal_info.is_some())));
    for (name, description) in &meta.profiles {
        rows.push(vec![format!("profile {}", printable(name)), printable(description)]);
    }
    pairs(&rows)
}

/// The account as the CA sees it.
pub fn account_view(report: &AcmeAccountReport) -> String {
    let mut rows = vec![
        row("CA", &report.directory),
        row("account", &report.account),
        row("status", &report.status),
        row("contact", &report.contact.join(", ")),
        row("terms of service", &report.terms),
        row("key (thumbprint)", &report.key),
        row("label for dns-account-01", &report.label),
        row("CAA record for it alone", &report.caa),
        row("file", &report.file),
    ];
    rows.extend(report.pending_key.as_ref().map(|key| row("key of a pending rollover", key)));
    let table = pairs(&rows);
    if report.pending_key.is_none() {
        return table;
    }
    format!(
        "{table}\n\nA key rollover is pending: the CA does not say which key it knows. The daemon asks again;\n\
         `txtgate acme account rollover --abandon` keeps the former key."
    )
}
