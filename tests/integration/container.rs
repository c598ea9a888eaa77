//! What containers and small kernels lack: an init process, IPv6, a writable root; and what they bring: Unix sockets.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

use crate::harness::dns::{TXT, ask, query};
use crate::harness::process::Failed;
use crate::harness::{Home, Launch, PATIENCE, Process, Settings, ZONE, skip, until, value};

fn wrapped(words: &[&str]) -> Launch {
    Launch { wrapper: words.iter().map(|word| (*word).to_owned()).collect(), environment: Vec::new() }
}

/// The children of a process, zombies included.
fn children(process: i32) -> Vec<i32> {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).unwrap().map(|task| task.unwrap().path());
    let texts = tasks.filter_map(|task| std::fs::read_to_string(task.join("children")).ok());
    texts.flat_map(|text| text.split_whitespace().map(|id| id.parse().unwrap()).collect::<Vec<_>>()).collect()
}

#[test]
fn as_process_1_the_daemon_leaves_no_zombies() {
    let what = "the daemon as process 1";
    if !rustix::process::geteuid().is_root() {
        return skip(what, "this is not root");
    }
    let home = Home::new(&Settings::default());
    let daemon = match home.try_launch(&wrapped(&["unshare", "--pid", "--fork", "--kill-child"])) {
        Ok(daemon) => daemon,
        Err(Failed { log, .. }) => return skip(what, &log),
    };
    let init = children(daemon.pid())[0];
    let fifo = home.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    // The shell in the middle ends at once, and leaves what waits for the pipe to process 1.
    let script = format!("(cat <{0} >{0}.out &)", fifo.display());
    let target = init.to_string();
    let entered = Command::new("nsenter").args(["--target", &target, "--pid", "sh", "-c", &script]).status();
    if !entered.is_ok_and(|status| status.success()) {
        return skip(what, "there is no nsenter");
    }
    until("process 1 has an orphan", || !children(init).is_empty());
    drop(std::fs::OpenOptions::new().write(true).open(&fifo).unwrap());
    until("the orphan has ended and is not a zombie", || children(init).is_empty());
    ask(daemon.dns(), &query(ZONE, TXT));
}

/// Runs a program without a family of sockets: `socket(10, ...)` fails as in a kernel without IPv6.
const WITHOUT_IPV6: &str = "
import ctypes, os, platform, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
number = {'x86_64': 41, 'aarch64': 198}[platform.machine()]
op = lambda code, jt, jf, k: struct.pack('HBBI', code, jt, jf, k)
code = op(0x20, 0, 0, 0) + op(0x15, 0, 3, number) + op(0x20, 0, 0, 16) + op(0x15, 0, 1, 10)
code += op(0x06, 0, 0, 0x00050000 | 97) + op(0x06, 0, 0, 0x7fff0000)
buffer = ctypes.create_string_buffer(code)
program = struct.pack('HxxxxxxP', len(code) // 8, ctypes.addressof(buffer))
libc.prctl(38, 1, 0, 0, 0)
if libc.prctl(22, 2, ctypes.c_char_p(program), 0, 0) != 0:
    sys.exit('no seccomp')
os.execvp(sys.argv[1], sys.argv[1:])
";

#[test]
fn without_ipv6_a_wildcard_beside_that_of_ipv4_is_a_warning() {
    let what = "a kernel without IPv6";
    let is_there = Command::new("python3").args(["-c", WITHOUT_IPV6, "true"]).status();
    if !is_there.is_ok_and(|status| status.success()) {
        return skip(what, "there is no python3, or no seccomp");
    }
    let both = "listen = [\"0.0.0.0:0\", \"[::]:0\"]";
    let settings = Settings::default().with("dns", both).with("metrics", "listen = [\"[::]:0\", \"0.0.0.0:0\"]");
    let daemon = Home::new(&settings).launch(&wrapped(&["python3", "-c", WITHOUT_IPV6]));
    assert_eq!(daemon.lines().iter().filter(|line| line.starts_with("dns ")).count(), 1, "{:?}", daemon.lines());
    assert!(daemon.log().contains("this kernel has no IPv6, so nothing listens on [::]:0"), "{}", daemon.log());
    let alone = Settings::default().with("dns", "listen = [\"[::]:0\"]");
    let failed = Home::new(&alone).try_launch(&wrapped(&["python3", "-c", WITHOUT_IPV6])).err().expect("no listener");
    assert!(failed.log.contains("this kernel has no IPv6") && failed.log.contains("0.0.0.0:0"), "{}", failed.log);
}

#[test]
fn an_address_that_no_interface_has_is_explained() {
    let settings = Settings::default().with("dns", "listen = [\"203.0.113.7:53\"]");
    let home = Home::new(&settings);
    let failed = home.try_launch(&Launch::default()).err().expect("no such address");
    let (_, checked) = home.run_err(&["config", "check"]);
    for said in [&failed.log, &checked] {
        for part in ["203.0.113.7", "1:1 NAT", "127.0.0.1 (lo)", "0.0.0.0:53"] {
            assert!(said.contains(part), "{part} in {said}");
        }
    }
}

#[test]
fn a_read_only_file_system_is_no_obstacle_and_the_admin_sockets_key_is_named() {
    let what = "a read-only file system";
    let state = tempfile::tempdir().unwrap();
    let database = format!("database = {:?}", state.path().join("t.db"));
    let home = Home::new(&Settings::default().top(&database));
    let read_only =
        format!("mount --bind {0} {0} && mount -o remount,ro,bind {0} || exit 99; exec \"$@\"", home.path().display());
    let launch = wrapped(&["unshare", "--map-root-user", "--mount", "sh", "-c", &read_only, "sh"]);
    let failed = home.try_launch(&launch).err().expect("nowhere to listen");
    if failed.code == Some(99) || failed.log.contains("unshare") {
        return skip(what, &failed.log);
    }
    for part in ["admin-socket: cannot listen on ", "Read-only file system", "/run/txtgate/admin.sock"] {
        assert!(failed.log.contains(part), "{part} in {}", failed.log);
    }
    let socket = format!("admin-socket = {:?}", state.path().join("t.sock"));
    home.write(&Settings::default().top(&database).top(&socket));
    let daemon = home.try_launch(&launch).expect("all that is written lies elsewhere");
    ask(daemon.dns(), &query(ZONE, TXT));
}

fn get(socket: &Path, path: &str) -> String {
    let mut stream = UnixStream::connect(socket).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    reply
}

#[test]
fn the_api_listens_on_a_unix_socket() {
    let listen = "listen = [\"unix:api.sock\", \"127.0.0.1:0\"]\n";
    let proxies = "trusted-proxies = [\"unix\"]\nclient-ip-header = \"X-Real-IP\"\nregistration = \"closed\"";
    let daemon = Process::start(&Settings::default().with("api", &format!("{listen}{proxies}")));
    let socket = daemon.home().path().join("api.sock");
    assert!(daemon.lines().contains(&format!("api unix:{}", socket.display())), "{:?}", daemon.lines());
    assert!(get(&socket, "/health").starts_with("HTTP/1.1 200"), "{}", get(&socket, "/health"));
    let checked = daemon.home().run(&["config", "check"]);
    assert!(checked.status.success(), "{checked:?}");
    assert!(daemon.terminate().0.success());
    assert!(!socket.exists(), "the file goes with the daemon");
}

/// A PROXY header of version 2 for a client at 198.51.100.9.
const PROXY: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xc6\x33\x64\x09\x7f\x00\x00\x01\x30\x39\x01\xbb";

/// What the API replies to these bytes before a request.
fn reply(api: SocketAddr, before: &[u8], request: &str) -> String {
    let mut stream = TcpStream::connect(api).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut reply = Vec::new();
    // A connection that is closed at once may refuse the rest.
    _ = stream.write_all(&[before, request.as_bytes()].concat());
    _ = stream.read_to_end(&mut reply);
    String::from_utf8_lossy(&reply).into_owned()
}

#[test]
fn a_proxys_header_names_the_client_of_the_api() {
    let proxies = "proxy-protocol = true\ntrusted-proxies = [\"127.0.0.1/32\"]\nregistration = \"closed\"";
    let daemon = Process::start(&Settings::default().with("api", proxies));
    let made = ["account", "create", "example.com", "--allowfrom", "198.51.100.0/24", "--json"];
    let account: serde_json::Value = serde_json::from_str(&daemon.home().run_ok(&made)).unwrap();
    let field = |name: &str| account[name].as_str().unwrap().to_owned();
    let body = format!("{{\"subdomain\": {:?}, \"txt\": {:?}}}", field("subdomain"), value(1));
    let request = format!(
        "POST /update HTTP/1.1\r\nHost: x\r\nX-Api-User: {}\r\nX-Api-Key: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        field("username"),
        field("password"),
        body.len()
    );
    assert!(reply(daemon.api(), PROXY, &request).starts_with("HTTP/1.1 200"), "{}", daemon.log());
    let other = [&PROXY[..16], &[192, 0, 2, 1], &PROXY[20..]].concat();
    assert!(reply(daemon.api(), &other, &request).starts_with("HTTP/1.1 401"), "not in its networks");
    assert_eq!(reply(daemon.api(), b"", &request), "", "a proxy that names no client is closed");
}

#[test]
fn a_header_that_nobody_asked_for_is_logged_and_closed() {
    let daemon = Process::start(&Settings::default());
    let request = "GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert_eq!(reply(daemon.api(), PROXY, request), "");
    until("a line in the log", || daemon.log().contains("HTTP: a PROXY protocol header arrived unasked"));
    assert!(reply(daemon.api(), b"", request).starts_with("HTTP/1.1 200"));
}
