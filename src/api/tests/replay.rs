//! Requests as real clients sent them, header for header; only credentials and labels are this test's own.

use super::*;

const TXT: &str = "8Ce-WETGoIH4Qeq-llc77UT5sl8q3-_HC3wpg1YerVM";

fn filled(request: &str, account: &Registered) -> String {
    let request = request
        .replace("USER", account.text("username"))
        .replace("KEY", account.text("password"))
        .replace("SUB", account.text("subdomain"))
        .replace("TXT", TXT);
    let (head, body) = request.split_once("\n\n").unwrap();
    let head = head.replace("LENGTH", &body.len().to_string()).replace('\n', "\r\n");
    // Captured clients keep the connection; this test reads to its end.
    let head = head.replace("Connection: keep-alive\r\n", "");
    format!("{head}\r\nConnection: close\r\n\r\n{body}")
}

async fn replays(register: &[&str], update: &str) {
    let site = Site::new("").await;
    let mut account = site.register("").await;
    for request in register {
        let reply = site.raw(&filled(request, &account)).await;
        assert_eq!(reply.status, 201, "{request}: {reply:?}");
        // As acme.sh reads it: from the line's start to its end.
        assert!(reply.body.starts_with("{\"username\":\"") && reply.body.ends_with('}'), "{reply:?}");
        account = Registered(reply.json());
    }
    for _ in 0..2 {
        let reply = site.raw(&filled(update, &account)).await;
        assert_eq!((reply.status, reply.body), (200, format!("{{\"txt\": \"{TXT}\"}}")), "{update}");
    }
    assert_eq!(site.live(account.text("fulldomain")), [TXT]);
}

#[tokio::test]
async fn acme_sh() {
    replays(
        &["POST /register HTTP/1.1\nHost: 127.0.0.1:5380\nUser-Agent: acme.sh/3.1.4 (https://github.com/acmesh-official/acme.sh)\nAccept: */*\n\n"],
        "POST /update HTTP/1.1\nHost: 127.0.0.1:5380\nUser-Agent: acme.sh/3.1.4 (https://github.com/acmesh-official/acme.sh)\nAccept: */*\nX-Api-User: USER\nX-Api-Key: KEY\nContent-Length: LENGTH\nContent-Type: application/x-www-form-urlencoded\n\n{\"subdomain\":\"SUB\", \"txt\": \"TXT\"}",
    )
    .await;
}

#[tokio::test]
async fn goacmedns_by_nrdcg() {
    replays(
        &[
            "POST /sub/register HTTP/1.1\nHost: 127.0.0.1:5380\nUser-Agent: goacmedns (linux; amd64)\nContent-Length: LENGTH\nAccept: application/json\nContent-Type: application/json\nAccept-Encoding: gzip\n\nnull\n",
            "POST /sub/register HTTP/1.1\nHost: 127.0.0.1:5380\nUser-Agent: goacmedns (linux; amd64)\nContent-Length: LENGTH\nAccept: application/json\nContent-Type: application/json\nAccept-Encoding: gzip\n\n{\"allowfrom\":[\"127.0.0.1/32\"]}\n",
        ],
        "POST /sub/update HTTP/1.1\nHost: 127.0.0.1:5380\nUser-Agent: goacmedns (linux; amd64)\nContent-Length: LENGTH\nAccept: application/json\nContent-Type: application/json\nX-Api-Key: KEY\nX-Api-User: USER\nAccept-Encoding: gzip\n\n{\"subdomain\":\"SUB\",\"txt\":\"TXT\"}\n",
    )
    .await;
}

#[tokio::test]
async fn goacmedns_by_cpu() {
    replays(
        &[
            "POST /sub/register HTTP/1.1\nHost: 127.0.0.1:5380\nUser-Agent: goacmedns (linux; amd64)\nContent-Length: 0\nContent-Type: application/json\nAccept-Encoding: gzip\n\n",
            "POST /sub/register HTTP/1.1\nHost: 127.0.0.1:5380\nUser-Agent: goacmedns (linux; amd64)\nContent-Length: LENGTH\nContent-Type: application/json\nAccept-Encoding: gzip\n\n{\"AllowFrom\":[\"127.0.0.1/32\"]}",
        ],
        "POST /sub/update HTTP/1.1\nHost: 127.0.0.1:5380\nUser-Agent: goacmedns (linux; amd64)\nContent-Length: LENGTH\nContent-Type: application/json\nX-Api-Key: KEY\nX-Api-User: USER\nAccept-Encoding: gzip\n\n{\"SubDomain\":\"SUB\",\"Txt\":\"TXT\"}",
    )
    .await;
}

#[tokio::test]
async fn certbot_with_acme_dnss_hook() {
    replays(
        &["POST /register HTTP/1.1\nHost: 127.0.0.1:5380\nUser-Agent: python-requests/2.28.1\nAccept-Encoding: gzip, deflate\nAccept: */*\nConnection: keep-alive\nContent-Length: 0\n\n"],
        "POST /update HTTP/1.1\nHost: 127.0.0.1:5380\nUser-Agent: python-requests/2.28.1\nAccept-Encoding: gzip, deflate\nAccept: */*\nConnection: keep-alive\nX-Api-User: USER\nX-Api-Key: KEY\nContent-Type: application/json\nContent-Length: LENGTH\n\n{\"subdomain\": \"SUB\", \"txt\": \"TXT\"}",
    )
    .await;
}
