//! A certificate authority in the test's own process, over plain HTTP on loopback: for what a real one never does when
//! it is wanted. It verifies every signature and every nonce, and really looks at the daemon's DNS.

use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use serde_json::{Value, json};

use super::Settings;
use super::dns::{Change, TXT, ask, ask_tcp, query};
use super::ports::free_port;
use super::tls::Authority;

/// Something that the CA does once, in place of what it should, at a path that begins with this.
pub struct Fault {
    pub path: String,
    pub what: What,
}

#[derive(Clone)]
pub enum What {
    /// A reply: status, the error's name, seconds of Retry-After.
    Refuse(u16, &'static str, Option<u32>),
    /// This body with 200.
    Say(String),
    /// This status and body, whatever ACME wants.
    Reply(u16, String),
    /// Closes the connection without a reply.
    Drop,
    /// Tells the test, and never replies; what was asked for is done before, or not.
    Hang { done: bool },
    /// Tells the test, and does what it should when the test says so.
    Hold,
}

#[derive(Default)]
struct State {
    nonces: Vec<String>,
    nonce: u64,
    /// Accounts' keys; `None` where deactivated.
    accounts: Vec<Option<Value>>,
    orders: Vec<Ordered>,
    faults: VecDeque<Fault>,
    /// Faults that never end.
    standing: Vec<Fault>,
    /// Paths at which it holds.
    held: Vec<&'static str>,
    requests: Vec<String>,
    published: Vec<String>,
}

#[derive(Clone, Default)]
struct Ordered {
    names: Vec<String>,
    replaces: Value,
    proven: Vec<bool>,
    /// How often the order is still in process when it is asked for.
    processing: u32,
    certificate: Option<String>,
}

/// What it is and does all the time.
#[derive(Clone, Default)]
pub struct ResponsePolicy {
    /// Refuses every nonce.
    pub no_nonces: bool,
    /// Says that a deactivated account is valid.
    pub keeps_accounts: bool,
    /// Names are proven already.
    pub knows_names: bool,
    /// How often an order is in process before it is done.
    pub processing: u32,
    /// Answers nobody without an external account, not even whether there is an account.
    pub for_customers: bool,
    /// Bids whoever waits for an order to come back at once.
    pub impatient: bool,
    /// More members of the directory.
    pub directory: Value,
    /// The suggested window of renewals.
    pub window: Option<(String, String)>,
    /// Whoever asks for an account that is there hears another address of it than whoever made it.
    pub respells_accounts: bool,
    /// How many alternate chains it tells of, and has none of them.
    pub alternates: usize,
    /// The methods that it offers, instead of http-01 and dns-01.
    pub methods: Vec<&'static str>,
}

/// By which name persistent authorizations know it.
pub const ISSUER: &str = "ca.test";

pub struct StandIn {
    address: SocketAddr,
    daemon: SocketAddr,
    asked: SocketAddr,
    authority: Arc<Authority>,
    state: Arc<Mutex<State>>,
    hung: Receiver<()>,
}

/// What a handler replies: status, Location or Retry-After, body.
type Answer = (u16, Vec<(&'static str, String)>, String);

#[derive(Clone)]
struct Server {
    base: String,
    asked: SocketAddr,
    policy: ResponsePolicy,
    authority: Arc<Authority>,
    state: Arc<Mutex<State>>,
    hung: Sender<()>,
}

impl StandIn {
    pub fn start(policy: ResponsePolicy) -> Self {
        let daemon = free_port();
        Self::asking(policy, daemon, daemon)
    }

    /// One that asks a resolver in front of the daemon, which listens at `daemon`.
    pub fn asking(policy: ResponsePolicy, daemon: SocketAddr, asked: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, (hung, hears)) = (listener.local_addr().unwrap(), channel());
        let (authority, state) = (Arc::new(Authority::new()), Arc::<Mutex<State>>::default());
        let base = format!("http://{address}");
        let server = Server { base, asked, policy, authority: authority.clone(), state: state.clone(), hung };
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let server = server.clone();
                std::thread::spawn(move || server.serve(stream));
            }
        });
        Self { address, daemon, asked, authority, state, hung: hears }
    }

    /// A daemon's settings, as this CA's client with a certificate of its own.
    pub fn settings(&self) -> Settings {
        let acme = format!("directory = \"http://{}/dir\"\nterms-agreed = true", self.address);
        Settings::default()
            .top(&format!("resolvers = [\"{}\"]", self.asked))
            .with("dns", &format!("listen = [\"{}\"]", self.daemon))
            .with("acme", &acme)
    }

    /// What its addresses begin with.
    pub fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn fault(&self, path: &'static str, what: What) {
        if matches!(what, What::Hold) {
            self.lock().held.push(path);
        }
        self.fault_at(path.to_owned(), what);
    }

    /// The same at a path that is known only now.
    pub fn fault_at(&self, path: String, what: What) {
        self.lock().faults.push_back(Fault { path, what });
    }

    /// The CA does this at a path for ever, as one that lacks a step.
    pub fn always(&self, path: &'static str, what: What) {
        self.lock().standing.push(Fault { path: path.to_owned(), what });
    }

    /// Lets what is held at a path go on.
    pub fn release(&self, path: &str) {
        self.lock().held.retain(|held| *held != path);
    }

    /// Waits until a request hangs.
    pub fn hangs(&self) {
        self.hung.recv_timeout(super::PATIENCE).expect("a request that hangs");
    }

    /// How many requests there were at paths that begin so.
    pub fn asked(&self, path: &str) -> usize {
        self.lock().requests.iter().filter(|asked| asked.starts_with(path)).count()
    }

    pub fn accounts(&self) -> usize {
        self.lock().accounts.len()
    }

    pub fn orders(&self) -> usize {
        self.lock().orders.len()
    }

    /// What the newest order replaces.
    pub fn replaces(&self) -> Value {
        self.lock().orders.last().unwrap().replaces.clone()
    }

    /// The thumbprint of the first account's key.
    pub fn thumbprint(&self) -> String {
        thumbprint(self.lock().accounts[0].as_ref().unwrap())
    }
}

impl Server {
    fn serve(&self, stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut stream = stream;
        while let Some((method, path, body)) = read_request(&mut reader) {
            let Some((status, headers, text)) = self.answer(&method, &path, &body) else { return };
            let mut reply = format!("HTTP/1.1 {status} x\r\nReplay-Nonce: {}\r\n", self.nonce());
            headers.iter().for_each(|(name, value)| reply.push_str(&format!("{name}: {value}\r\n")));
            reply.push_str(&format!("Content-Length: {}\r\n\r\n", text.len()));
            if method != "HEAD" {
                reply.push_str(&text);
            }
            if stream.write_all(reply.as_bytes()).is_err() {
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn nonce(&self) -> String {
        let mut state = self.lock();
        state.nonce += 1;
        let nonce = format!("nonce-{}", state.nonce);
        state.nonces.push(nonce.clone());
        nonce
    }

    /// `None`: it hangs.
    fn answer(&self, method: &str, path: &str, body: &[u8]) -> Option<Answer> {
        let mut state = self.lock();
        state.requests.push(path.to_owned());
        let at = state.faults.iter().position(|fault| path.starts_with(&fault.path));
        let once = at.and_then(|at| state.faults.remove(at)).map(|fault| fault.what);
        let standing = state.standing.iter().find(|fault| path.starts_with(&fault.path));
        let fault = once.or_else(|| standing.map(|fault| fault.what.clone()));
        drop(state);
        match fault {
            Some(What::Refuse(status, name, wait)) => return Some(refusal(status, name, wait)),
            Some(What::Say(text)) => return Some((200, Vec::new(), text)),
            Some(What::Reply(status, text)) => return Some((status, Vec::new(), text)),
            Some(What::Drop) => return None,
            Some(What::Hang { done }) => {
                if done {
                    self.act(method, path, body);
                }
                self.hung.send(()).unwrap();
                std::thread::park_timeout(super::PATIENCE);
                return None;
            }
            Some(What::Hold) => {
                self.hung.send(()).unwrap();
                super::until("what is held is let go", || !self.lock().held.iter().any(|held| path.starts_with(held)));
            }
            None => {}
        }
        Some(self.act(method, path, body))
    }

    fn act(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        match path {
            "/dir" => return ok(&self.directory()),
            "/nonce" => return (200, Vec::new(), String::new()),
            _ if method == "GET" => return self.renewal(),
            _ => {}
        }
        let jws: Value = serde_json::from_slice(body).unwrap();
        let header: Value = decoded(&jws["protected"]);
        assert_eq!(header["url"], format!("{}{path}", self.base), "the address is signed");
        let mut state = self.lock();
        let is_fresh = state.nonces.iter().position(|nonce| header["nonce"] == **nonce);
        if is_fresh.map(|at| state.nonces.remove(at)).is_none() || self.policy.no_nonces {
            return refusal(400, "badNonce", None);
        }
        let (key, account) = match header["kid"].as_str() {
            None => (header["jwk"].clone(), None),
            Some(kid) => {
                let number: usize = kid.rsplit('/').next().unwrap().parse().unwrap();
                match state.accounts.get(number) {
                    Some(Some(key)) => (key.clone(), Some(number)),
                    _ => return refusal(401, "unauthorized", None),
                }
            }
        };
        if !verifies(&jws, &key) {
            return refusal(400, "malformed", None);
        }
        let payload = if jws["payload"] == "" { Value::Null } else { decoded(&jws["payload"]) };
        let (kind, number) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
        let (number, method) = number.split_once('/').unwrap_or((number, "dns-01"));
        let number = number.parse().unwrap_or(0);
        match (kind, account) {
            ("new-account", _) => self.new_account(&mut state, &key, &payload),
            ("account" | "acct", Some(account)) => self.account(&mut state, account, &payload),
            ("key-change", Some(account)) => Self::key_change(&mut state, account, &payload),
            ("new-order", Some(_)) => self.new_order(&mut state, &payload),
            ("order", Some(_)) => self.order(&mut state, number),
            ("authorization", Some(_)) => self.authorization(&state, number),
            ("challenge", Some(account)) => self.challenge(&mut state, number, method, (account, &key)),
            ("finalize", Some(_)) => self.finalize(&mut state, number, &payload),
            ("certificate", Some(_)) => self.certificate(&state, number),
            ("revoke", _) => (200, Vec::new(), String::new()),
            ("alternate", Some(_)) => refusal(404, "malformed", None),
            other => panic!("{other:?} at {path}"),
        }
    }

    fn directory(&self) -> Value {
        let at = |path: &str| format!("{}{path}", self.base);
        let mut directory = json!({
            "newNonce": at("/nonce"), "newAccount": at("/new-account"), "newOrder": at("/new-order"),
            "revokeCert": at("/revoke"), "keyChange": at("/key-change"),
        });
        if self.policy.window.is_some() {
            directory["renewalInfo"] = at("/renewal").into();
        }
        for (name, value) in self.policy.directory.as_object().into_iter().flatten() {
            directory[name] = value.clone();
        }
        directory
    }

    fn renewal(&self) -> Answer {
        let (start, end) = self.policy.window.clone().unwrap();
        let body =
            json!({ "suggestedWindow": { "start": start, "end": end }, "explanationURL": "https://ca.test/why" });
        (200, vec![("Retry-After", "3600".into())], body.to_string())
    }

    fn new_account(&self, state: &mut State, key: &Value, payload: &Value) -> Answer {
        let known = state.accounts.iter().position(|known| known.as_ref() == Some(key));
        let (status, number) = match known {
            Some(number) => (200, number),
            None if self.policy.for_customers && payload["externalAccountBinding"].is_null() => {
                return refusal(401, "externalAccountRequired", None);
            }
            None if payload["onlyReturnExisting"] == true => return refusal(400, "accountDoesNotExist", None),
            None => {
                state.accounts.push(Some(key.clone()));
                (201, state.accounts.len() - 1)
            }
        };
        let word = if status == 200 && self.policy.respells_accounts { "acct" } else { "account" };
        let location = format!("{}/{word}/{number}", self.base);
        (status, vec![("Location", location)], json!({ "status": "valid", "contact": payload["contact"] }).to_string())
    }

    fn account(&self, state: &mut State, account: usize, payload: &Value) -> Answer {
        let mut status = "valid";
        if payload["status"] == "deactivated" && !self.policy.keeps_accounts {
            (state.accounts[account], status) = (None, "deactivated");
        }
        ok(&json!({ "status": status, "contact": [] }))
    }

    fn key_change(state: &mut State, account: usize, payload: &Value) -> Answer {
        let (inner, claim): (Value, Value) = (decoded(&payload["protected"]), decoded(&payload["payload"]));
        let is_right = verifies(payload, &inner["jwk"]) && Some(&claim["oldKey"]) == state.accounts[account].as_ref();
        if !is_right || !inner["nonce"].is_null() {
            return refusal(400, "malformed", None);
        }
        state.accounts[account] = Some(inner["jwk"].clone());
        ok(&json!({ "status": "valid" }))
    }

    fn new_order(&self, state: &mut State, payload: &Value) -> Answer {
        let names: Vec<String> =
            payload["identifiers"].as_array().unwrap().iter().map(|name| text(&name["value"])).collect();
        let proven = vec![self.policy.knows_names; names.len()];
        let (replaces, processing) = (payload["replaces"].clone(), self.policy.processing);
        state.orders.push(Ordered { names, replaces, proven, processing, certificate: None });
        let number = state.orders.len() - 1;
        let (_, _, body) = self.order(state, number);
        (201, vec![("Location", format!("{}/order/{number}", self.base))], body)
    }

    fn order(&self, state: &mut State, number: usize) -> Answer {
        let order = &mut state.orders[number];
        let status = match &order.certificate {
            Some(_) if order.processing > 0 => "processing",
            Some(_) => "valid",
            None if order.proven.iter().all(|proven| *proven) => "ready",
            None => "pending",
        };
        if order.certificate.is_some() {
            order.processing = order.processing.saturating_sub(1);
        }
        let names: Vec<Value> = order.names.iter().map(|name| json!({ "type": "dns", "value": name })).collect();
        // A thousand orders of a hundred names are more than a test has.
        let urls: Vec<String> =
            (0..order.names.len()).map(|at| format!("{}/authorization/{}", self.base, number * 100 + at)).collect();
        let mut body = json!({
            "status": status, "identifiers": names, "authorizations": urls,
            "finalize": format!("{}/finalize/{number}", self.base),
        });
        if status == "valid" {
            body["certificate"] = format!("{}/certificate/{number}", self.base).into();
        }
        let wait = if self.policy.impatient { "0" } else { "1" };
        (200, vec![("Retry-After", wait.into())], body.to_string())
    }

    fn authorization(&self, state: &State, number: usize) -> Answer {
        let (order, at) = (&state.orders[number / 100], number % 100);
        let (name, status) = (&order.names[at], if order.proven[at] { "valid" } else { "pending" });
        let base = name.strip_prefix("*.").unwrap_or(name);
        let methods = if self.policy.methods.is_empty() { &["http-01", "dns-01"][..] } else { &self.policy.methods };
        let challenges: Vec<Value> = methods.iter().map(|method| self.offered(method, number, status)).collect();
        ok(&json!({
            "status": status, "identifier": { "type": "dns", "value": base }, "wildcard": base != name,
            "challenges": challenges,
        }))
    }

    fn offered(&self, method: &str, number: usize, status: &str) -> Value {
        let url = format!("{}/challenge/{number}/{method}", self.base);
        let mut challenge = json!({ "type": method, "url": url, "status": status });
        match method {
            "dns-persist-01" if self.hash_prefix().is_some() => challenge["issuerDomainNames"] = json!([ISSUER]),
            "dns-persist-01" => challenge["issuer-domain-names"] = json!([ISSUER]),
            _ => challenge["token"] = token(number).into(),
        }
        challenge
    }

    /// What the hashed names of accounts begin with, at a CA that wants them hashed.
    fn hash_prefix(&self) -> Option<&str> {
        self.policy.directory["meta"]["accountHashPrefix"].as_str()
    }

    /// How a persistent authorization names an account.
    fn named(&self, account: &str, key: &Value, base: &str) -> String {
        let Some(prefix) = self.hash_prefix() else { return account.to_owned() };
        let hashed = format!("{}{base}{}{account}", char::from(u8::try_from(base.len()).unwrap()), thumbprint(key));
        format!("{prefix}sha-256/{}", URL_SAFE_NO_PAD.encode(digest(&SHA256, hashed.as_bytes())))
    }

    /// What the CA sees at a name.
    fn sees(&self, name: &str) -> Vec<String> {
        let question = query(name, TXT).edns(1_232);
        let reply = ask(self.asked, &question);
        if reply.is_truncated() { ask_tcp(self.asked, &question).txts() } else { reply.txts() }
    }

    fn challenge(&self, state: &mut State, number: usize, method: &str, by: (usize, &Value)) -> Answer {
        let (order, at) = (&mut state.orders[number / 100], number % 100);
        let name = order.names[at].clone();
        let base = name.trim_start_matches("*.");
        let account = format!("{}/account/{}", self.base, by.0);
        let authorization = format!("{}.{}", token(number), thumbprint(by.1));
        let wanted = URL_SAFE_NO_PAD.encode(digest(&SHA256, authorization.as_bytes()));
        let looked_at = match method {
            "dns-01" => format!("_acme-challenge.{base}"),
            "dns-account-01" => format!("{}._acme-challenge.{base}", label(&account)),
            "dns-persist-01" => format!("_validation-persist.{base}"),
            other => panic!("{other}"),
        };
        let shown = self.sees(&looked_at);
        if method == "dns-persist-01" {
            let policy = if base == name { "" } else { "policy=wildcard" };
            let account = self.named(&account, by.1, base);
            let is_right = |record: &String| grants(record, &account, policy);
            assert!(shown.iter().any(is_right), "{looked_at}: none of {shown:?} is for {account} with {policy:?}");
        } else {
            assert!(shown.contains(&wanted), "{looked_at}: {wanted} not in {shown:?}");
            state.published.push(wanted);
        }
        order.proven[at] = true;
        ok(&self.offered(method, number, "processing"))
    }

    fn finalize(&self, state: &mut State, number: usize, payload: &Value) -> Answer {
        let request = URL_SAFE_NO_PAD.decode(text(&payload["csr"])).unwrap();
        let names: Vec<&str> = state.orders[number].names.iter().map(String::as_str).collect();
        state.orders[number].certificate = Some(self.authority.sign(&request, &names));
        self.order(state, number)
    }

    fn certificate(&self, state: &State, number: usize) -> Answer {
        let alternates =
            (0..self.policy.alternates).map(|at| ("Link", format!("<{}/alternate/{at}>;rel=\"alternate\"", self.base)));
        (200, alternates.collect(), state.orders[number].certificate.clone().unwrap())
    }
}

fn ok(body: &Value) -> Answer {
    (200, Vec::new(), body.to_string())
}

/// An error as this CA tells it.
pub fn refusal(status: u16, name: &str, wait: Option<u32>) -> Answer {
    let body =
        json!({ "type": format!("urn:ietf:params:acme:error:{name}"), "detail": format!("the stand-in says {name}") });
    (status, wait.map(|wait| ("Retry-After", wait.to_string())).into_iter().collect(), body.to_string())
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("a string: {value}")).to_owned()
}

/// An account's label: base32 as RFC 4648 has it, five bits a digit (draft-ietf-acme-dns-account-label section 3.1).
pub fn label(account: &str) -> String {
    let digest = digest(&SHA256, account.as_bytes());
    let bits = digest.as_ref()[..10].iter().fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
    let digit = |at: u32| char::from(b"abcdefghijklmnopqrstuvwxyz234567"[(bits >> (75 - 5 * at)) as usize & 31]);
    format!("_{}", (0..16).map(digit).collect::<String>())
}

/// Whether a record lets an account get certificates (draft-ietf-acme-dns-persist section 4).
fn grants(record: &str, account: &str, policy: &str) -> bool {
    let parts: Vec<&str> = record.split(';').map(str::trim).collect();
    let has = |wanted: &str| wanted.is_empty() || parts.contains(&wanted);
    parts[0] == ISSUER && has(&format!("accounturi={account}")) && has(policy)
}

fn token(number: usize) -> String {
    format!("token-{number}")
}

fn decoded(value: &Value) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text(value)).unwrap()).unwrap()
}

/// RFC 7638, on the members of an EC key.
fn thumbprint(key: &Value) -> String {
    let members: Vec<String> = ["crv", "kty", "x", "y"].map(|name| format!("\"{name}\":{}", key[name])).into();
    URL_SAFE_NO_PAD.encode(digest(&SHA256, format!("{{{}}}", members.join(",")).as_bytes()))
}

fn verifies(jws: &Value, key: &Value) -> bool {
    let coordinate = |name: &str| URL_SAFE_NO_PAD.decode(text(&key[name])).unwrap();
    let point = [vec![4], coordinate("x"), coordinate("y")].concat();
    let message = format!("{}.{}", text(&jws["protected"]), text(&jws["payload"]));
    let signature = URL_SAFE_NO_PAD.decode(text(&jws["signature"])).unwrap();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message.as_bytes(), &signature).is_ok()
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<(String, String, Vec<u8>)> {
    let mut headers = HashMap::new();
    let mut first = String::new();
    reader.read_line(&mut first).ok().filter(|read| *read > 0)?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let mut words = first.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    assert!(headers.get("user-agent").is_some_and(|agent| agent.starts_with("txtgate/")), "{headers:?}");
    assert!(method != "POST" || headers.get("content-type").is_some_and(|kind| kind == "application/jose+json"));
    let mut body = vec![0; headers.get("content-length").map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut body).ok()?;
    Some((method, path, body))
}
