//! The tools that people have: nsupdate, kdig and dnspython, which verify what they are replied.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Site, account_with_key};
use crate::harness::tsig::Key;
use crate::harness::{Settings, ZONE, skip, value};

const ALIAS: &str = "_acme-challenge.example.com";

fn is_there(command: &str, arguments: &[&str]) -> bool {
    Command::new(command).args(arguments).output().is_ok_and(|output| output.status.success())
}

fn piped(command: &mut Command, input: &str) -> Output {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the command");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

impl Key {
    /// As BIND's tools and kdig take it on the command line.
    fn argument(&self) -> String {
        format!("{}:{}:{}", self.algorithm, self.name, STANDARD.encode(&self.secret))
    }
}

impl Site {
    fn nsupdate(&self, options: &[&str], script: &str) -> (bool, String) {
        let server = self.daemon.dns();
        let script = format!("server {} {}\n{script}\nsend\n", server.ip(), server.port());
        let output = piped(Command::new("nsupdate").args(options).args(["-t", "20"]), &script);
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

#[test]
fn nsupdate() {
    if !is_there("nsupdate", &["-V"]) {
        return skip("nsupdate", "it is not installed (bind9-dnsutils)");
    }
    let site = Site::of(&Settings::default().with("dns", "tsig-md5 = true"));
    let home = site.daemon.home();
    home.run_ok(&["account", "alias", "add", &site.account.username, ALIAS]);
    let name = site.name();
    for algorithm in ["hmac-md5", "hmac-sha1", "hmac-sha256", "hmac-sha384", "hmac-sha512"] {
        let file = home.path().join("key");
        let created = home.run_ok(&["account", "tsig", "create", &site.account.username, "--algorithm", algorithm]);
        std::fs::write(&file, created).unwrap();
        let file = file.display().to_string();
        for options in [&["-k", &file][..], &["-v", "-k", &file]] {
            let works = |script: &str, left: usize| {
                let (is_ok, said) = site.nsupdate(options, script);
                assert!(is_ok && said.is_empty(), "{algorithm} {script}: {said}");
                assert_eq!(site.served().len(), left, "{algorithm} {script}");
            };
            // It finds the zone by a signed question for the SOA, in the answer or beside it.
            works(&format!("update add {name} 60 TXT {}", value(1)), 1);
            works(&format!("update add {ALIAS} 60 TXT {}", value(2)), 2);
            works(&format!("prereq yxrrset {ALIAS} TXT {0}\nprereq yxrrset {ALIAS} TXT {1}", value(1), value(2)), 2);
            works(&format!("update delete {ALIAS} TXT {}", value(1)), 1);
            works(&format!("zone {ZONE}\nprereq yxdomain {name}\nupdate delete {name}"), 0);
        }
    }
    let wrong = Key { secret: b"wrong".into(), ..site.key.clone() };
    for (key, script, expected) in [
        (&wrong, format!("zone {ZONE}\nupdate add {name} 60 TXT {}", value(1)), "BADKEY"),
        (
            &Key { algorithm: "hmac-sha512".into(), ..wrong.clone() },
            format!("zone {ZONE}\nupdate add {name} 60 TXT {}", value(1)),
            "BADSIG",
        ),
    ] {
        let (is_ok, said) = site.nsupdate(&["-y", &key.argument()], &script);
        assert!(!is_ok && said.contains(expected), "{said}");
    }
    let (account, key) = account_with_key(home, "hmac-sha256");
    for (script, expected) in [
        (format!("zone {ZONE}\nupdate add {name} 60 TXT {}", value(1)), "REFUSED"),
        (format!("zone {ZONE}\nupdate add {ALIAS} 60 TXT {}", value(1)), "NOTZONE"),
        (format!("zone example.com\nupdate add {ALIAS} 60 TXT {}", value(1)), "NOTAUTH"),
        (format!("zone {ZONE}\nprereq yxrrset {} TXT\nupdate delete {name}", account.fulldomain), "NXRRSET"),
    ] {
        let (is_ok, said) = site.nsupdate(&["-y", &key.argument()], &script);
        assert!(!is_ok && said.contains(expected), "{script}: {said}");
    }
}

#[test]
fn kdig() {
    if !is_there("kdig", &["-V"]) {
        return skip("kdig", "it is not installed (knot-dnsutils)");
    }
    let site = Site::new();
    site.account.publish(site.daemon.api(), &value(1));
    let server = site.daemon.dns();
    let ask = |key: &Key, more: &[&str]| {
        let address = format!("@{}", server.ip());
        let (port, key) = (server.port().to_string(), key.argument());
        let output =
            Command::new("kdig").args([&address, "-p", &port, "-y", &key, site.name(), "TXT"]).args(more).output();
        let output = output.unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    for more in [&["+notcp"][..], &["+tcp"]] {
        let said = ask(&site.key, more);
        assert!(said.contains(&value(1)) && said.contains("TSIG PSEUDOSECTION"), "{said}");
        assert!(!said.contains("WARNING") && !said.contains("ERROR:"), "{said}");
    }
    // It can tell: a reply that is not signed as it should be is an error to it.
    let wrong = Key { secret: b"wrong".into(), ..site.key.clone() };
    let said = ask(&wrong, &[]);
    assert!(said.contains("WARNING") || said.contains("ERROR:"), "{said}");
}

/// Each line it prints is a case and what came of it.
const DNSPYTHON: &str = include_str!("dnspython.py");

#[test]
fn dnspython() {
    // That of the distribution, which has the module.
    let python = "/usr/bin/python3";
    if !is_there(python, &["-c", "import dns.tsig"]) {
        return skip("dnspython", "it is not installed (python3-dnspython)");
    }
    let site = Site::of(&Settings::default().with("dns", "tsig-md5 = true"));
    let home = site.daemon.home();
    let mut keys = Vec::new();
    for algorithm in ["hmac-md5", "hmac-sha1", "hmac-sha256", "hmac-sha384", "hmac-sha512"] {
        let (account, key) = account_with_key(home, algorithm);
        keys.push(format!("{} {} {} {}", key.name, algorithm, STANDARD.encode(&key.secret), account.fulldomain));
    }
    let server = site.daemon.dns();
    let (ip, port) = (server.ip().to_string(), server.port().to_string());
    let output = piped(Command::new(python).args(["-c", DNSPYTHON, &ip, &port, ZONE]), &keys.join("\n"));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    let expected = "udp NOERROR\ntcp NOERROR\nagain NOERROR\nquery 2 values\nclear NOERROR\nquery 0 values\n\
                    refused REFUSED\nbadkey PeerBadKey\nbadsig PeerBadSignature\nbadtime PeerBadTime\n";
    assert_eq!(out, expected.repeat(keys.len()), "{err}");
}
