//! What real clients send, byte for byte as captured from them, with this run's credentials in their places.

use std::net::SocketAddr;

use crate::harness::dns::txts;
use crate::harness::http::{Reply, connect};
use crate::harness::{Account, Process, Settings};

/// A captured value, of 43 characters.
const TXT: &str = "8Ce-WETGoIH4Qeq-llc77UT5sl8q3-_HC3wpg1YerVM";
const TXT2: &str = "pOUs4eE34XGXrpJbzu6p9rCQwCklGRQ0ZYkiNgcKXbs";

/// Puts an account and a value into a captured request, and its lines' ends and lengths right.
fn fill(template: &str, account: &Account, txt: &str) -> Vec<u8> {
    let text = template.replace("USERNAME", &account.username).replace("PASSWORD", &account.password);
    let text = text.replace("SUBDOMAIN", &account.subdomain).replace("TXT", txt);
    let (head, body) = text.split_once("\n\n").expect("an empty line");
    let head = head.replace("LENGTH", &body.len().to_string()).replace('\n', "\r\n");
    format!("{head}\r\n\r\n{body}").into_bytes()
}

fn nobody() -> Account {
    let [username, password, subdomain, fulldomain] = [const { String::new() }; 4];
    Account { username, password, subdomain, fulldomain }
}

/// A client's registration, as it is on the wire.
fn registers(api: SocketAddr, template: &str) -> Reply {
    let reply = connect(api).exchange(fill(template, &nobody(), ""));
    assert_eq!(reply.status, 201, "{template}\n{reply:?}");
    assert!(reply.body.starts_with("{\"username\":\"") && reply.body.ends_with('}') && !reply.body.contains('\n'));
    reply
}

/// A client's updates with its own account; both values are served afterwards.
fn updates(daemon: &Process, account: &Account, template: &str) {
    for txt in [TXT, TXT2] {
        let reply = connect(daemon.api()).exchange(fill(template, account, txt));
        assert_eq!(reply.status, 200, "{template}\n{reply:?}");
        // acme.sh and dehydrated's hook look for the value in quotes.
        assert!(reply.body.contains(&format!("\"{txt}\"")), "{reply:?}");
    }
    assert_eq!(txts(daemon.dns(), &account.fulldomain), [TXT2, TXT]);
}

/// Registers and updates as one client.
fn works(register: &str, update: &str) {
    let daemon = Process::start(&Settings::default());
    let account = Account::of(&registers(daemon.api(), register).json());
    updates(&daemon, &account, update);
}

#[test]
fn acme_sh() {
    works(
        "POST /register HTTP/1.1\nHost: 127.0.0.1:5380\nUser-Agent: acme.sh/3.1.4 (https://github.com/acmesh-official/acme.sh)\nAccept: */*\n\n",
        "POST /update HTTP/1.1\nHost: 127.0.0.1:5380\nUser-Agent: acme.sh/3.1.4 (https://github.com/acmesh-official/acme.sh)\nAccept: */*\n\
         X-Api-User: USERNAME\nX-Api-Key: PASSWORD\nContent-Length: LENGTH\nContent-Type: application/x-www-form-urlencoded\n\n\
         {\"subdomain\":\"SUBDOMAIN\", \"txt\": \"TXT\"}",
    );
}

/// What acme.sh does with the reply: `sed 's/^{.*"username":[ ]*"\([^"]*\)".*}$/\1/'`.
#[test]
fn acme_sh_reads_the_registration_with_sed() {
    let daemon = Process::start(&Settings::default());
    let reply = registers(daemon.api(), "POST /register HTTP/1.1\nHost: x\n\n");
    let account = Account::of(&reply.json());
    for (key, expected) in [
        ("username", &account.username),
        ("password", &account.password),
        ("fulldomain", &account.fulldomain),
        ("subdomain", &account.subdomain),
    ] {
        let start = reply.body.find(&format!("\"{key}\":")).unwrap() + key.len() + 3;
        let value = reply.body[start..].trim_start_matches(' ').trim_start_matches('"');
        assert_eq!(value.split('"').next(), Some(expected.as_str()), "{key}");
    }
}

/// wget in place of curl sends a type and a length of 0.
#[test]
fn acme_sh_with_wget() {
    works(
        "POST /register HTTP/1.1\nHost: x\nUser-Agent: Wget/1.21.3\nAccept: */*\nAccept-Encoding: identity\nConnection: Keep-Alive\nContent-Type: application/x-www-form-urlencoded\nContent-Length: 0\n\n",
        "POST /update HTTP/1.1\nHost: x\nX-Api-User: USERNAME\nX-Api-Key: PASSWORD\nContent-Type: application/x-www-form-urlencoded\nContent-Length: LENGTH\n\n{\"subdomain\":\"SUBDOMAIN\", \"txt\": \"TXT\"}",
    );
}

/// lego up to 4.21, acme-dns-client.
#[test]
fn goacmedns_of_cpu() {
    let head = "Host: 127.0.0.1:5380\nUser-Agent: goacmedns (linux; amd64)\nContent-Length: LENGTH\nContent-Type: application/json\n";
    works(
        &format!("POST /sub/register HTTP/1.1\n{head}Accept-Encoding: gzip\n\n"),
        &format!(
            "POST /sub/update HTTP/1.1\n{head}X-Api-Key: PASSWORD\nX-Api-User: USERNAME\nAccept-Encoding: gzip\n\n{{\"SubDomain\":\"SUBDOMAIN\",\"Txt\":\"TXT\"}}"
        ),
    );
    works(
        &format!("POST /sub/register HTTP/1.1\n{head}Accept-Encoding: gzip\n\n{{\"AllowFrom\":[\"127.0.0.1/32\"]}}"),
        &format!(
            "POST /sub/update HTTP/1.1\n{head}X-Api-Key: PASSWORD\nX-Api-User: USERNAME\nAccept-Encoding: gzip\n\n{{\"SubDomain\":\"SUBDOMAIN\",\"Txt\":\"TXT\"}}"
        ),
    );
}

/// acme-dns-client's old builds ask for the network "", which is none: refused, as acme-dns refuses it.
#[test]
fn goacmedns_with_an_empty_network_is_refused() {
    let daemon = Process::start(&Settings::default());
    let template = "POST /register HTTP/1.1\nHost: x\nContent-Length: LENGTH\n\n{\"AllowFrom\":[\"\"]}";
    connect(daemon.api()).exchange(fill(template, &nobody(), "")).assert_error(400, "invalid_allowfrom_cidr");
}

/// lego from 4.22, Traefik, cert-manager.
#[test]
fn goacmedns_of_nrdcg() {
    let head = "Host: 127.0.0.1:5380\nUser-Agent: goacmedns (linux; amd64)\nContent-Length: LENGTH\nAccept: application/json\nContent-Type: application/json\n";
    for body in ["null\n", "{\"allowfrom\":[\"127.0.0.1/32\"]}\n"] {
        works(
            &format!("POST /sub/register HTTP/1.1\n{head}Accept-Encoding: gzip\n\n{body}"),
            &format!(
                "POST /sub/update HTTP/1.1\n{head}X-Api-Key: PASSWORD\nX-Api-User: USERNAME\nAccept-Encoding: gzip\n\n{{\"subdomain\":\"SUBDOMAIN\",\"txt\":\"TXT\"}}\n"
            ),
        );
    }
}

/// certbot's hook, and with a slash at the end of its URL the plugin that NGINX Proxy Manager uses.
#[test]
fn certbot_hook() {
    let head = "Host: 127.0.0.1:5380\nUser-Agent: python-requests/2.28.1\nAccept-Encoding: gzip, deflate\nAccept: */*\nConnection: keep-alive\n";
    for slash in ["", "/"] {
        works(
            &format!("POST {slash}/register HTTP/1.1\n{head}Content-Length: 0\n\n"),
            &format!(
                "POST {slash}/update HTTP/1.1\n{head}X-Api-User: USERNAME\nX-Api-Key: PASSWORD\nContent-Type: application/json\nContent-Length: LENGTH\n\n{{\"subdomain\": \"SUBDOMAIN\", \"txt\": \"TXT\"}}"
            ),
        );
    }
}

/// The hook calls `res.json()` on errors too.
#[test]
fn certbot_hook_reads_errors_as_json() {
    let daemon = Process::start(&Settings::default());
    let stranger =
        Account { username: "33333333-3333-4333-8333-333333333333".into(), password: "p".repeat(40), ..nobody() };
    let template = "POST /update HTTP/1.1\nHost: x\nX-Api-User: USERNAME\nX-Api-Key: PASSWORD\nContent-Type: application/json\nContent-Length: LENGTH\n\n{\"subdomain\": \"SUBDOMAIN\", \"txt\": \"TXT\"}";
    let reply = connect(daemon.api()).exchange(fill(template, &stranger, TXT));
    assert_eq!((reply.status, reply.json()["error"].as_str()), (401, Some("forbidden")));
}

/// The order of the keys is PowerShell's; Basic credentials are for a proxy on the way.
#[test]
fn posh_acme() {
    let head = "Host: x\nUser-Agent: Posh-ACME/4.20.0 PowerShell/7.2.0\nAuthorization: Basic cHJveHk6c2VjcmV0\nContent-Type: application/json\nContent-Length: LENGTH\n";
    for body in ["{}", "{\"allowfrom\":[\"127.0.0.0/8\"]}"] {
        works(
            &format!("POST /base/register HTTP/1.1\n{head}\n{body}"),
            &format!(
                "POST /base/update HTTP/1.1\n{head}X-Api-User: USERNAME\nX-Api-Key: PASSWORD\n\n{{\"txt\":\"TXT\",\"subdomain\":\"SUBDOMAIN\"}}"
            ),
        );
    }
}

/// Always an Authorization, here of an empty user; the registration is text.
#[test]
fn win_acme() {
    let head = "Host: x\nUser-Agent: win-acme/2.2.9\nContent-Length: LENGTH\n";
    for authorization in ["Authorization: Basic \n", "Authorization: Basic Og==\n"] {
        works(
            &format!("POST /register HTTP/1.1\n{head}{authorization}Content-Type: text/plain; charset=utf-8\n\n"),
            &format!(
                "POST /update HTTP/1.1\n{head}{authorization}X-Api-User: USERNAME\nX-Api-Key: PASSWORD\nContent-Type: application/json; charset=utf-8\n\n{{\"subdomain\":\"SUBDOMAIN\",\"txt\":\"TXT\"}}"
            ),
        );
    }
}

/// A whole registration object with fields that are null or empty, as text; Basic in URL-safe base64 without padding.
#[test]
fn certify_the_web() {
    let head = "Host: x\nUser-Agent: Certify/DnsProviderAcmeDns\nAuthorization: Basic dXNlcjpwYXNzLV8\nContent-Type: text/plain; charset=utf-8\nContent-Length: LENGTH\n";
    for body in [
        "{}",
        "{\"username\":null,\"password\":null,\"fulldomain\":null,\"subdomain\":null,\"allowfrom\":null}",
        "{\"username\":\"\",\"password\":\"\",\"fulldomain\":\"\",\"subdomain\":\"\",\"allowfrom\":[],\"subject\":\"example.com\"}",
        "{\"allowfrom\":[\"127.0.0.0/8\"]}",
    ] {
        works(
            &format!("POST /register HTTP/1.1\n{head}\n{body}"),
            &format!(
                "POST /update HTTP/1.1\n{head}X-Api-User: USERNAME\nX-Api-Key: PASSWORD\n\n{{\"subdomain\":\"SUBDOMAIN\",\"txt\":\"TXT\"}}"
            ),
        );
    }
}

/// Caddy: never registers, wants exactly 200, and puts `/update` behind whatever its configuration says.
#[test]
fn libdns() {
    let daemon = Process::start(&Settings::default());
    for path in ["/update", "//update", "/base//update"] {
        let account = Account::register(daemon.api());
        updates(
            &daemon,
            &account,
            &format!(
                "POST {path} HTTP/1.1\nHost: x\nUser-Agent: Go-http-client/1.1\nContent-Length: LENGTH\nContent-Type: application/json\nX-Api-Key: PASSWORD\nX-Api-User: USERNAME\nAccept-Encoding: gzip\n\n{{\"subdomain\":\"SUBDOMAIN\",\"txt\":\"TXT\"}}"
            ),
        );
    }
}

/// dehydrated's hook: `curl -d`, and a grep for the value in quotes.
#[test]
fn dehydrated_hook() {
    let daemon = Process::start(&Settings::default());
    let account = Account::register(daemon.api());
    updates(
        &daemon,
        &account,
        "POST /update HTTP/1.1\nHost: x\nUser-Agent: curl/7.88.1\nAccept: */*\nX-Api-User: USERNAME\nX-Api-Key: PASSWORD\nContent-Length: LENGTH\nContent-Type: application/x-www-form-urlencoded\n\n{\"subdomain\": \"SUBDOMAIN\", \"txt\": \"TXT\"}",
    );
}
