//! `[console]`

use serde::{Deserialize, Serialize};

use crate::model::admin_token::AdminScope;

use super::ApiListen;

/// `[console]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Console {
    pub listen: Vec<ApiListen>,
    pub hosts: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_header: Option<String>,
    pub user_scope: AdminScope,
}

impl Default for Console {
    fn default() -> Self {
        Self { listen: Vec::new(), hosts: Vec::new(), user_header: None, user_scope: AdminScope::Read }
    }
}
