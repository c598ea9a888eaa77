//! Which requests a scope is enough for.

use axum::extract::{MatchedPath, Request};
use axum::http::Method;

use crate::model::admin_token::AdminScope;

use super::super::error::Failure;

/// What a route needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    /// A scope.
    Scope(AdminScope),
    /// The operator's socket: no token is enough.
    Socket,
}

/// Refuses a request that `scope` is not enough for.
pub fn permitted(scope: AdminScope, request: &Request) -> Result<(), Failure> {
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    match needed(request.method(), route) {
        Need::Scope(needed) if scope.covers(needed) => Ok(()),
        Need::Scope(needed) => {
            Err(Failure::Scope(format!("this needs a token with the scope `{needed}`; this one has `{scope}`")))
        }
        Need::Socket => Err(Failure::Scope(
            "tokens and sign-in links are made on the daemon's machine alone: run `txtgate admin token create` or `txtgate \
             console login` there"
                .into(),
        )),
    }
}

/// What a request needs. Whatever is not listed needs the widest scope.
fn needed(method: &Method, route: &str) -> Need {
    let topic = route.split('/').nth(1).unwrap_or_default();
    let is_read = matches!(*method, Method::GET | Method::HEAD);
    match topic {
        // A token that made others would outlive its own end.
        "admin-tokens" if !is_read && *method != Method::DELETE => Need::Socket,
        "console" => Need::Socket,
        "accounts" | "enrolments" | "txt" | "persist" | "certificates" | "acme" | "doctor" | "server" | "status"
        | "watch" | "queries"
            if is_read =>
        {
            Need::Scope(AdminScope::Read)
        }
        "accounts" | "bulk" | "enrolments" | "txt" | "persist" => Need::Scope(AdminScope::Accounts),
        _ => Need::Scope(AdminScope::All),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_route_has_a_scope_and_what_is_unknown_the_widest() {
        let scope = |method: &str, route: &str| needed(&method.parse().unwrap(), route);
        for (method, route, need) in [
            ("GET", "/accounts", Need::Scope(AdminScope::Read)),
            ("HEAD", "/accounts/{who}", Need::Scope(AdminScope::Read)),
            ("GET", "/watch", Need::Scope(AdminScope::Read)),
            ("POST", "/accounts", Need::Scope(AdminScope::Accounts)),
            ("POST", "/bulk/accounts", Need::Scope(AdminScope::Accounts)),
            ("DELETE", "/enrolments/{id}", Need::Scope(AdminScope::Accounts)),
            ("POST", "/certificates", Need::Scope(AdminScope::All)),
            ("POST", "/acme/account/rollover", Need::Scope(AdminScope::All)),
            ("POST", "/clock/trust", Need::Scope(AdminScope::All)),
            ("GET", "/doctor", Need::Scope(AdminScope::Read)),
            ("POST", "/doctor", Need::Scope(AdminScope::All)),
            ("GET", "/admin-tokens", Need::Scope(AdminScope::All)),
            ("DELETE", "/admin-tokens/{id}", Need::Scope(AdminScope::All)),
            ("POST", "/admin-tokens", Need::Socket),
            ("POST", "/console/links", Need::Socket),
            ("GET", "", Need::Scope(AdminScope::All)),
            ("GET", "/anything/new", Need::Scope(AdminScope::All)),
        ] {
            assert_eq!(scope(method, route), need, "{method} {route}");
        }
    }
}
