//! A real haproxy before us, a real nginx behind us, and ssh through both kinds of header.

mod util;

use std::net::SocketAddr;
use std::process::Command;

use rlws::protocols::{HttpDummy, RawProxy};
use rlws::{Listen, Mount, Options, ProtocolTable, VhostInfo};
use util::access::{Connection, Request};
use util::balancer::{Haproxy, Nginx};
use util::certs::{ca, localhost};
use util::*;

/// An address of this machine that nobody uses but the client.
const CLIENT: &str = "127.0.0.9";

/// What haproxy can send.
const SENDS: [&str; 3] = ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id"];

/// http with pages, the rest relayed to `onward`; trusts the balancer.
fn web_and_relay(site: &Site, log: &LogFile, onward: &str) -> VhostInfo {
    VhostInfo {
        name: "localhost".into(),
        listen: Listen::on("127.0.0.1", 0),
        proxy_protocol_from: vec!["127.0.0.1".parse().expect("an address")],
        protocols: vec![ProtocolTable::of::<HttpDummy>(), ProtocolTable::of::<RawProxy>()],
        mounts: vec![Mount::files("/", site.root())],
        options: Options::FALLBACK_TO_APPLY_LISTEN_ACCEPT_CONFIG,
        pvo: options("raw-proxy", &[("onward", onward)]),
        listen_accept_role: Some("raw-proxy".into()),
        listen_accept_protocol: Some("raw-proxy".into()),
        access_log: Some(log.log.clone()),
        ..Default::default()
    }
}

fn curl(url: &str) -> Vec<u8> {
    let args = ["-sSk", "--fail", "--noproxy", "*", "--interface", CLIENT, url];
    succeed(Command::new(require("curl")).args(args))
}

#[test]
fn http_and_https_behind_haproxy_know_their_client() {
    for scheme in ["http", "https"] {
        let (site, log) = (Site::new(), LogFile::new());
        let mut info = web_and_relay(&site, &log, "ipv4:127.0.0.1:1");
        info.tls = (scheme == "https").then(|| localhost().tls_info());
        let server = Server::with_vhost(|| info);
        let haproxy = Haproxy::start(server.made, &SENDS);
        for (port, option) in haproxy.ports.iter().zip(SENDS) {
            assert_eq!(curl(&format!("{scheme}://127.0.0.1:{port}/")), site::INDEX.as_bytes(), "{option}");
        }
        let is_request = |line: &&String| line.contains("\"GET ");
        let requests = || util::access::lines(&log.path()).iter().filter(is_request).cloned().collect::<Vec<_>>();
        eventually("three requests are logged", || requests().len() == SENDS.len());
        for line in requests() {
            assert_eq!(Request::parse(&line).peer, CLIENT, "{line}");
        }
    }
}

#[test]
fn ssh_goes_through_haproxy_and_the_relay() {
    let (sshd, site, log) = (Sshd::start(), Site::new(), LogFile::new());
    let info = web_and_relay(&site, &log, &format!("ipv4:127.0.0.1:{}", sshd.port));
    let server = Server::with_vhost(|| info);
    let haproxy = Haproxy::start(server.made, &SENDS);
    for (port, option) in haproxy.ports.iter().zip(SENDS) {
        let mut ssh = sshd.ssh(*port);
        // Options go before the command, and this one is a word of ssh's own.
        let output = succeed(ssh.args(["-b", CLIENT, "echo", "through"]));
        assert_eq!(output, b"through\n", "{option}");
    }
    let is_session = |line: &&String| line.contains("listen-accept/match");
    let sessions = || util::access::lines(&log.path()).iter().filter(is_session).cloned().collect::<Vec<_>>();
    eventually("three sessions are logged", || sessions().len() == SENDS.len());
    for line in sessions() {
        let peer: SocketAddr = Connection::parse(&line).peer.parse().expect("an address");
        assert_eq!(peer.ip().to_string(), CLIENT, "{line}");
    }
}

#[test]
fn nginx_behind_the_relay_knows_the_client() {
    let nginx = Nginx::start(localhost());
    let roots = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(roots.path(), ca().text()).expect("write");
    let roots = roots.path().to_str().expect("a path").to_owned();
    let mut lines = 0;
    for version in ["v1", "v2"] {
        for tls in [false, true] {
            let (port, roots) = (if tls { nginx.tls_port } else { nginx.port }, roots.clone());
            let server = Server::with_vhost(move || {
                let target = format!("ipv4:127.0.0.1:{port}");
                let mut pairs = vec![("onward", &*target), ("proxy-protocol", version)];
                if tls {
                    pairs.extend([("onward-tls", "1"), ("onward-tls-name", "localhost"), ("onward-tls-ca", &*roots)]);
                }
                VhostInfo {
                    listen: Listen::on("127.0.0.1", 0),
                    options: Options::ADOPT_APPLY_LISTEN_ACCEPT_CONFIG,
                    protocols: vec![ProtocolTable::of::<RawProxy>()],
                    pvo: options("raw-proxy", &pairs),
                    listen_accept_role: Some("raw-proxy".into()),
                    listen_accept_protocol: Some("raw-proxy".into()),
                    ..Default::default()
                }
            });
            assert_eq!(curl(&format!("http://127.0.0.1:{}/", server.made)), b"hello", "{version}, TLS: {tls}");
            lines += 1;
            let line = nginx.log(lines).pop().expect("a line");
            let scheme = if tls { "https" } else { "http" };
            let to = format!("127.0.0.1:{} {scheme}", server.made);
            assert!(line.starts_with(&format!("{CLIENT}:")) && line.ends_with(&to), "{version}: {line}");
        }
    }
}
