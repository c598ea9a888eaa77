//! An account, as a registration shows it.

use std::io::{Read, Write};
use std::net::SocketAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::http::{self, Reply, Wire};

#[derive(Clone, Debug)]
pub struct Account {
    pub username: String,
    pub password: String,
    pub subdomain: String,
    pub fulldomain: String,
}

impl Account {
    /// Registers one.
    pub fn register(api: SocketAddr) -> Self {
        let reply = http::post(api, "/register", &[], "");
        assert_eq!(reply.status, 201, "{reply:?}");
        Self::of(&reply.json())
    }

    /// From a registration's reply.
    pub fn of(reply: &Value) -> Self {
        let text = |key: &str| reply[key].as_str().unwrap_or_else(|| panic!("{key} in {reply}")).to_owned();
        let (username, password) = (text("username"), text("password"));
        Self { username, password, subdomain: text("subdomain"), fulldomain: text("fulldomain") }
    }

    /// `X-Api-User` and `X-Api-Key`, as lines.
    pub fn headers(&self) -> [String; 2] {
        [format!("X-Api-User: {}", self.username), format!("X-Api-Key: {}", self.password)]
    }

    /// The same as HTTP Basic credentials, as a line.
    pub fn basic(&self) -> String {
        format!("Authorization: Basic {}", STANDARD.encode(format!("{}:{}", self.username, self.password)))
    }

    /// An update's body.
    pub fn body(&self, txt: &str) -> String {
        format!(r#"{{"subdomain":"{}","txt":"{txt}"}}"#, self.subdomain)
    }

    /// A request with this account's credentials.
    pub fn request(&self, method: &str, path: &str, body: &str) -> Vec<u8> {
        let [user, key] = self.headers();
        http::request(method, path, &[&user, &key], body)
    }

    pub fn send(&self, api: SocketAddr, method: &str, path: &str, body: &str) -> Reply {
        http::connect(api).exchange(self.request(method, path, body))
    }

    /// Publishes a value.
    pub fn update(&self, api: SocketAddr, txt: &str) -> Reply {
        self.send(api, "POST", "/update", &self.body(txt))
    }

    /// Publishes a value, which must succeed.
    pub fn publish(&self, api: SocketAddr, txt: &str) {
        let reply = self.update(api, txt);
        assert_eq!((reply.status, reply.body.as_str()), (200, format!("{{\"txt\": \"{txt}\"}}").as_str()));
    }

    /// Publishes a value over a connection that stays.
    pub fn update_on<S: Read + Write>(&self, wire: &mut Wire<S>, txt: &str) -> Option<Reply> {
        wire.0.write_all(&self.request("POST", "/update", &self.body(txt))).ok()?;
        wire.try_receive()
    }
}
