//! PROXY headers that a relay sends onward: first of all, before the client's bytes and before TLS.

mod util;

use std::io::Write;
use std::os::unix::net::UnixStream;

use rlws::protocols::{RawEcho, RawProxy, http_dummy};
use rlws::{
    Call, InitError, Listen, Onward as To, Options, Protocol, ProtocolTable, ProxyProtocol, Pvo, Reason, Target,
    Verdict, VhostCall, VhostInfo,
};
use util::balancer::{V1, binary, v2};
use util::certs::ca;
use util::server::{assert_names, make_vhost, mistake};
use util::*;

/// Relays everything.
fn relay(listen: Listen, pairs: &[(&str, &str)]) -> VhostInfo {
    VhostInfo {
        listen,
        options: Options::ADOPT_APPLY_LISTEN_ACCEPT_CONFIG,
        protocols: vec![ProtocolTable::of::<RawProxy>()],
        pvo: options("raw-proxy", pairs),
        listen_accept_role: Some("raw-proxy".into()),
        listen_accept_protocol: Some("raw-proxy".into()),
        ..Default::default()
    }
}

/// On a free port, with a header of that version.
fn relay_to(onward: &Onward, version: &'static str) -> impl FnOnce() -> VhostInfo + Send + 'static {
    let target = onward.target();
    move || relay(Listen::on("127.0.0.1", 0), &[("onward", &target), ("proxy-protocol", version)])
}

#[test]
fn the_header_comes_first_and_names_both_ends() {
    for version in ["v1", "v2"] {
        let onward = Onward::recorder();
        let server = Server::with_vhost(relay_to(&onward, version));
        let mut client = connect(server.made);
        let (from, to) = (client.local_addr().expect("bound").port(), server.made);
        let header = match version {
            "v1" => format!("PROXY TCP4 127.0.0.1 127.0.0.1 {from} {to}\r\n").into_bytes(),
            _ => {
                let ports = [from.to_be_bytes(), to.to_be_bytes()].concat();
                binary(0x21, 0x11, &[&[127, 0, 0, 1, 127, 0, 0, 1], &ports[..]].concat())
            }
        };
        let seen = onward.connection(0);
        eventually("the header is there before a byte of the client", || seen.bytes() == header);
        let bytes = random_bytes(4, 1_000_000);
        send(&mut client, &bytes);
        half_close(&client);
        eventually("the end", || seen.eof());
        assert_same_bytes(&seen.bytes(), &[header, bytes].concat());
        read_to_end(&mut client);
        server.assert_nothing_left_beside(1);
    }
}

#[test]
fn a_client_of_a_unix_socket_has_no_address_to_tell() {
    let nothing = [("v1", b"PROXY UNKNOWN\r\n".to_vec()), ("v2", binary(0x20, 0, b""))];
    for (version, header) in nothing {
        let (onward, folder) = (Onward::recorder(), tempfile::tempdir().expect("a folder"));
        let (target, path) = (onward.target(), folder.path().join("socket"));
        let listen = Listen::unix(&path);
        let _server = Server::start(move |context| {
            make_vhost(context, relay(listen, &[("onward", &target), ("proxy-protocol", version)]));
        });
        let mut client = UnixStream::connect(&path).expect("connect");
        client.write_all(b"hello").expect("send");
        drop(client);
        let seen = onward.connection(0);
        eventually("the end", || seen.eof());
        assert_eq!(seen.bytes(), [&header[..], b"hello"].concat(), "{version}");
    }
}

#[test]
fn what_a_balancer_said_is_passed_on() {
    for (version, header) in [("v1", V1.to_vec()), ("v2", v2(b""))] {
        for said in [V1.to_vec(), v2(&[4, 0, 1, 0])] {
            let onward = Onward::recorder();
            let info = relay_to(&onward, version);
            let server = Server::with_vhost(|| VhostInfo {
                proxy_protocol_from: vec!["127.0.0.1".parse().expect("an address")],
                ..info()
            });
            let mut client = connect(server.made);
            send(&mut client, &[&said[..], b"hello"].concat());
            half_close(&client);
            let seen = onward.connection(0);
            eventually("the end", || seen.eof());
            assert_eq!(seen.bytes(), [&header[..], b"hello"].concat(), "{version}");
        }
    }
}

#[test]
fn the_header_comes_before_tls() {
    let identity = ca().server(&["localhost"]);
    let server = Server::start(move |context| {
        // What is behind the first relay takes the header before the handshake, as haproxy and nginx do.
        let behind = VhostInfo {
            name: "behind".into(),
            tls: Some(identity.tls_info()),
            proxy_protocol_from: vec!["127.0.0.0/8".parse().expect("a network")],
            protocols: vec![ProtocolTable::of::<RawEcho>()],
            pvo: Pvo::default(),
            listen_accept_role: Some("raw-skt".into()),
            listen_accept_protocol: Some("raw-echo".into()),
            ..relay(Listen::on("127.0.0.2", 0), &[])
        };
        let behind = format!("ipv4:127.0.0.2:{}", make_vhost(context, behind));
        let folder = tempfile::tempdir().expect("a folder");
        let roots = folder.path().join("ca");
        std::fs::write(&roots, ca().text()).expect("write");
        let roots = roots.to_str().expect("a text");
        let pairs = [
            ("onward", &*behind),
            ("proxy-protocol", "v2"),
            ("onward-tls", "1"),
            ("onward-tls-name", "localhost"),
            ("onward-tls-ca", roots),
        ];
        make_vhost(context, relay(Listen::on("127.0.0.1", 0), &pairs))
    });
    let mut client = connect(server.made);
    send(&mut client, b"hello");
    assert_eq!(read_exactly(&mut client, 5), b"hello");
    let own = client.local_addr().expect("bound");
    half_close(&client);
    read_to_end(&mut client);
    server.wait_for_log(&["INFO", &format!("behind raw-skt {own}")]);
    server.assert_nothing_left_beside(1);
}

/// Relays to its option `to`, with a header.
struct Own;

impl Protocol for Own {
    const NAME: &'static str = "own";
    const ROLES: &'static [&'static str] = &["raw-proxy"];
    type Session = ();
    type Vhost = Target;

    fn init(_: VhostCall<'_>, pvo: &Pvo) -> Result<Target, InitError> {
        Ok(pvo.parse("to")?.ok_or("to")?)
    }

    fn callback(call: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        if let Reason::RawProxySrvAdopt = reason {
            call.wsi.connect_onward(To::from(call.vhd.clone()).proxy_protocol(Some(ProxyProtocol::V1)));
            return Verdict::Continue;
        }
        http_dummy::callback(call.wsi, call.cx, reason)
    }
}

#[test]
fn a_protocol_of_ones_own_asks_for_it_too() {
    let onward = Onward::recorder();
    let target = onward.target();
    let server = Server::with_vhost(move || VhostInfo {
        protocols: vec![ProtocolTable::of::<Own>()],
        pvo: options("own", &[("to", &target)]),
        listen_accept_protocol: Some("own".into()),
        ..relay(Listen::on("127.0.0.1", 0), &[])
    });
    let client = connect(server.made);
    let header =
        format!("PROXY TCP4 127.0.0.1 127.0.0.1 {} {}\r\n", client.local_addr().expect("bound").port(), server.made);
    let seen = onward.connection(0);
    eventually("the header", || seen.bytes() == header.as_bytes());
}

#[test]
fn another_version_is_a_mistake() {
    let pairs = [("onward", "ipv4:127.0.0.1:1"), ("proxy-protocol", "v3")];
    let error = mistake(relay(Listen::on("127.0.0.1", 0), &pairs));
    assert_names(&error, &["raw-proxy", "\"proxy-protocol\" is \"v3\"", "expected v1 or v2"]);
}
