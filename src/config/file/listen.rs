//! Where a listener listens, as the file says it.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// An address and a port to listen on.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Listen(pub SocketAddr);

impl Listen {
    pub(super) fn loopback(port: u16) -> Self {
        Self(SocketAddr::from(([127, 0, 0, 1], port)))
    }
}

/// Where the API listens: an address and a port, or a Unix socket.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ApiListen {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl TryFrom<String> for ApiListen {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.strip_prefix("unix:") {
            Some("") => Err("\"unix:\" has no path; write \"unix:/run/txtgate/api.sock\"".into()),
            Some(path) => Ok(Self::Unix(path.into())),
            None => text.parse().map(Self::Tcp).map_err(|_| {
                let wanted = "write address:port, like \"192.0.2.1:443\", \"0.0.0.0:443\" or \"[2001:db8::1]:443\", or a \
                              Unix socket, like \"unix:/run/txtgate/api.sock\"";
                format!("{wanted}; found {text:?}")
            }),
        }
    }
}

impl From<ApiListen> for String {
    fn from(listen: ApiListen) -> Self {
        match listen {
            ApiListen::Tcp(address) => address.to_string(),
            ApiListen::Unix(path) => format!("unix:{}", path.display()),
        }
    }
}

impl fmt::Debug for ApiListen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from(self.clone()))
    }
}

impl TryFrom<String> for Listen {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wanted = "write address:port, like \"192.0.2.1:53\", \"0.0.0.0:53\" or \"[2001:db8::1]:53\"";
        text.parse().map(Self).map_err(|_| format!("{wanted}; found {text:?}"))
    }
}

impl fmt::Debug for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
