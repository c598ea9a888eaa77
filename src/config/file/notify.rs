//! `[notify]`

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `[notify]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Notify {
    pub webhook: Option<String>,
    pub webhook_secret_file: Option<PathBuf>,
    pub command: Vec<String>,
    pub mail_to: Vec<String>,
    pub mail_from: Option<String>,
    pub sendmail: PathBuf,
    pub timeout: String,
    pub grace: String,
    pub remind: String,
    pub disk_free_mib: u64,
    pub overdue: bool,
    pub unused_account: String,
}

impl Default for Notify {
    fn default() -> Self {
        Self {
            webhook: None,
            webhook_secret_file: None,
            command: Vec::new(),
            mail_to: Vec::new(),
            mail_from: None,
            sendmail: "/usr/sbin/sendmail".into(),
            timeout: "10s".into(),
            grace: "10m".into(),
            remind: "0s".into(),
            disk_free_mib: 256,
            overdue: false,
            unused_account: "200d".into(),
        }
    }
}
