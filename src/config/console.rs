//! `[console]`: where the web console listens, and the names that browsers know it by.

use axum::http::HeaderName;

use super::api::address;
use super::read::Reader;
use super::{Console, ProxyUsers, file};

/// The longest name of a host (RFC 1035 section 2.3.4).
const MAX_HOST: usize = 253;

impl Reader<'_> {
    /// The certificate is the API's. Without one, a session would cross the network in the clear.
    pub(super) fn console(&self, file: &file::File) -> Console {
        let console = &file.console;
        let tls = self.api_tls(file);
        let is_outside = |listen| address(listen).is_some_and(|address| !address.ip().to_canonical().is_loopback());
        let outside = console.listen.iter().position(is_outside);
        if let (None, Some(index)) = (&tls, outside) {
            let problem = format!(
                "{} is reached from other machines, and sessions must not cross the network without TLS; add `certificate` \
                 and `key` to [api], or `mode = \"acme\"` to [api.tls], or listen on 127.0.0.1",
                String::from(console.listen[index].clone())
            );
            self.wrong(&format!("console.listen.{index}"), problem);
        }
        for (index, host) in console.hosts.iter().enumerate() {
            if !is_host(host) {
                let shown: String = host.chars().take(80).collect();
                let problem = format!(
                    "expected the name or address that browsers use, without scheme and port, like \"console.example.org\"; \
                     found {shown:?}"
                );
                self.wrong(&format!("console.hosts.{index}"), problem);
            }
        }
        let hosts = console.hosts.iter().map(|host| host.to_ascii_lowercase()).collect();
        Console {
            listen: console.listen.iter().filter_map(address).collect(),
            sockets: console.listen.iter().filter_map(|listen| self.socket(listen)).collect(),
            hosts,
            tls: outside.and(tls),
            proxy_users: self.proxy_users(console),
        }
    }

    /// Browsers know a console on a Unix socket by the proxy's name. Elsewhere anybody could send the header.
    fn proxy_users(&self, console: &file::Console) -> Option<ProxyUsers> {
        let has_socket = console.listen.iter().any(|listen| address(listen).is_none());
        if has_socket && console.hosts.is_empty() {
            let problem =
                "a Unix socket has no name for browsers; add that of the proxy, like [\"console.example.org\"]";
            self.wrong("console.hosts", problem);
        }
        let header = console.user_header.as_ref()?;
        if !has_socket {
            let problem = "the header is believed on Unix sockets alone, and no `listen` is one; add one, like \
                           \"unix:/run/txtgate/console.sock\"";
            self.wrong("console.user-header", problem);
        }
        let Ok(name) = header.parse::<HeaderName>() else {
            let problem = format!("{header:?} is no header name; write one like \"X-Remote-User\"");
            self.wrong("console.user-header", problem);
            return None;
        };
        Some(ProxyUsers { header: name, scope: console.user_scope })
    }
}

fn is_host(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    !text.is_empty() && text.len() <= MAX_HOST && text.bytes().all(is_allowed)
}
