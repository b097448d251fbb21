//! Vhosts on one port, where they listen, and what is wrong with a configuration.

mod util;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::process::Command;

use nix::sys::socket::{setsockopt, sockopt};
use rlws::protocols::{HttpDummy, RawEcho, RawProxy};
use rlws::{
    Call, InitError, Listen, Mount, Options, Protocol, ProtocolTable, Pvo, Reason, UnixOwner, Verdict, VhostCall,
    VhostInfo,
};
use socket2::{Domain, Socket, Type};
use util::server::{assert_names, make_vhost, mistake};
use util::*;

/// A vhost whose answer to every request is its recorder's name.
fn answering<const N: usize>(name: &str) -> VhostInfo {
    VhostInfo {
        name: name.into(),
        listen: Listen::on("127.0.0.1", 0),
        protocols: vec![Recorder::<N>::table()],
        mounts: vec![Mount::callback("/", ["recorder", "second", "third"][N])],
        ..Default::default()
    }
}

/// Three vhosts that share a port: `first.test`, `x.com`, `deep.x.com`.
fn three() -> Server {
    Server::start(|context| {
        let port = make_vhost(context, answering::<0>("first.test"));
        assert_eq!(make_vhost(context, answering::<1>("x.com")), port);
        assert_eq!(make_vhost(context, answering::<2>("deep.x.com")), port);
        port
    })
}

#[test]
fn the_host_header_picks_the_vhost_of_the_port() {
    let server = three();
    for (host, answer) in [
        ("first.test", "recorder"),
        ("x.com", "second"),
        ("X.Com", "second"),
        ("x.com:1234", "second"),
        ("www.x.com", "second"),
        ("a.b.x.com:80", "second"),
        ("deep.x.com", "third"),
        ("very.deep.x.com", "third"),
        ("notx.com", "recorder"),
        ("com", "recorder"),
        ("127.0.0.1", "recorder"),
        ("[::1]:80", "recorder"),
    ] {
        assert_eq!(http::get(server.made, host, "/").text(), answer, "{host}");
    }
    server.assert_nothing_left();
}

#[test]
fn every_request_of_a_connection_picks_its_vhost_anew() {
    let server = three();
    let mut stream = connect(server.made);
    for (host, answer) in [("x.com", "second"), ("unknown.test", "recorder"), ("deep.x.com", "third")] {
        assert_eq!(http::ask(&mut stream, host, "/").text(), answer, "{host}");
    }
}

#[test]
fn vhosts_come_and_go_while_the_context_runs() {
    let server = three();
    let known = |name: &'static str| server.ask(move |context| context.cx().vhost_by_name(name).is_some());
    assert!(known("x.com") && known("X.COM"));
    server.ask(|context| {
        let id = context.cx().vhost_by_name("x.com").expect("it is there");
        context.destroy_vhost(id);
    });
    assert!(!known("x.com"));
    assert_eq!(http::get(server.made, "x.com", "/").text(), "recorder");
    server.ask(|context| make_vhost(context, answering::<2>("x.com")));
    assert_eq!(http::get(server.made, "x.com", "/").text(), "third");
    server.ask(|context| {
        let id = context.cx().vhost_by_name("first.test").expect("it is there");
        context.destroy_vhost(id);
    });
    assert_eq!(http::get(server.made, "unknown.test", "/").text(), "third", "the first that is left");
}

#[test]
fn the_last_vhost_of_a_port_takes_the_listen_socket_and_its_connections_along() {
    let server = Server::with_vhost(|| answering::<0>("only"));
    let mut stream = connect(server.made);
    assert_eq!(http::ask(&mut stream, "only", "/").text(), "recorder");
    server.ask(|context| {
        let id = context.cx().vhost_by_name("only").expect("it is there");
        context.destroy_vhost(id);
    });
    assert_eq!(read_until_closed(&mut stream).0, b"");
    drop(stream);
    eventually("no wsi is left", || server.wsi_count() == 0);
    // A program that another test is just starting may still hold a copy of the listen socket.
    eventually("nobody listens", || TcpStream::connect(("127.0.0.1", server.made)).is_err());
}

/// Answers with its `text` and with what is nested in `deep`.
struct Teller;

impl Protocol for Teller {
    const NAME: &'static str = "teller";
    type Session = ();
    type Vhost = String;

    fn init(_: VhostCall<'_>, pvo: &Pvo) -> Result<String, InitError> {
        let text = pvo.get("text").ok_or("needs `text`")?;
        let deep = pvo.at(["deep", "deeper"]).map_or("nothing", Pvo::value);
        let all: Vec<&str> = pvo.all("more").collect();
        Ok(format!("{text}, {deep}, {}", all.join("+")))
    }

    fn callback(call: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        if let Reason::Http(_) = reason {
            call.wsi.return_http_status(200, Some(call.vhd));
        }
        Verdict::Continue
    }
}

#[test]
fn two_vhosts_give_one_protocol_different_options() {
    let teller = |name: &str, own: Pvo| VhostInfo {
        protocols: vec![ProtocolTable::of::<Teller>()],
        pvo: Pvo::default().with("teller", own),
        mounts: vec![Mount::callback("/", "teller")],
        ..answering::<0>(name)
    };
    let server = Server::start(move |context| {
        let one = Pvo::default().with("text", "one").with("more", "a").with("more", "b").with("more", "a");
        let two = Pvo::default().with("text", "two").with("deep", Pvo::default().with("deeper", "deepest"));
        make_vhost(context, teller("one.test", one));
        make_vhost(context, teller("two.test", two))
    });
    assert_eq!(http::get(server.made, "one.test", "/").text(), "one, nothing, a+b+a");
    assert_eq!(http::get(server.made, "two.test", "/").text(), "two, deepest, ");
}

#[test]
fn a_taken_port_is_an_error_that_names_it() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("bind");
    let port = taken.local_addr().expect("an address").port();
    let error = mistake(VhostInfo { listen: Listen::on("127.0.0.1", port), ..answering::<0>("late") });
    assert_names(&error, &["late", &format!("127.0.0.1:{port}"), "taken"]);
}

#[test]
fn two_vhosts_of_one_name_on_one_port_are_an_error() {
    let server = Server::with_vhost(|| answering::<0>("twin"));
    let error = server.ask(|context| context.create_vhost(answering::<1>("TWIN")).expect_err("a twin").to_string());
    assert_names(&error, &["TWIN"]);
    assert_eq!(http::get(server.made, "twin", "/").text(), "recorder");
    server.assert_nothing_left();
}

#[test]
fn unknown_names_are_errors_that_show_the_known_ones() {
    let role = VhostInfo { listen_accept_role: Some("raw-sckt".into()), ..answering::<0>("v") };
    assert_names(&mistake(role), &["v", "raw-sckt", "raw-skt", "raw-proxy"]);
    let protocol = VhostInfo { listen_accept_protocol: Some("recoder".into()), ..answering::<0>("v") };
    assert_names(&mistake(protocol), &["v", "recoder", "recorder"]);
    let mount = VhostInfo { mounts: vec![Mount::callback("/", "recoder")], ..answering::<0>("v") };
    assert_names(&mistake(mount), &["v", "recoder", "recorder"]);
}

#[test]
fn a_missing_or_malformed_onward_is_an_error_that_shows_the_forms() {
    let relay = |pvo: Pvo| VhostInfo {
        name: "relay".into(),
        protocols: vec![ProtocolTable::of::<RawProxy>()],
        mounts: Vec::new(),
        pvo,
        ..answering::<0>("")
    };
    let forms = ["relay", "onward", "ipv4:ADDR:PORT", "ipv6:[ADDR]:PORT", "unix:PATH"];
    assert_names(&mistake(relay(Pvo::default())), &forms);
    for bad in ["", "127.0.0.1:22", "ipv4:127.0.0.1", "ipv4:127.0.0.1:70000", "ipv6:::1:22", "unix:", "tls:a:1"] {
        let error = mistake(relay(options("raw-proxy", &[("onward", bad)])));
        assert_names(&error, &forms);
        assert_names(&error, &[bad]);
    }
}

#[test]
fn a_role_and_a_protocol_that_do_not_fit_are_an_error() {
    let fit = |role: &str, protocol: &str| VhostInfo {
        name: "misfit".into(),
        protocols: vec![ProtocolTable::of::<RawProxy>(), ProtocolTable::of::<RawEcho>()],
        mounts: Vec::new(),
        pvo: options("raw-proxy", &[("onward", "ipv4:127.0.0.1:22")]),
        options: Options::FALLBACK_TO_APPLY_LISTEN_ACCEPT_CONFIG,
        listen_accept_role: Some(role.into()),
        listen_accept_protocol: Some(protocol.into()),
        ..answering::<0>("")
    };
    assert_names(&mistake(fit("raw-skt", "raw-proxy")), &["misfit", "raw-skt", "raw-proxy"]);
    assert_names(&mistake(fit("raw-proxy", "raw-echo")), &["misfit", "raw-proxy", "raw-echo"]);
}

#[test]
fn raw_proxy_may_be_written_with_an_underscore() {
    let server = Server::with_vhost(|| VhostInfo {
        protocols: vec![ProtocolTable::of::<HttpDummy>(), ProtocolTable::of::<RawProxy>()],
        mounts: Vec::new(),
        pvo: options("raw_proxy", &[("onward", "unix:/nonexistent")]),
        options: Options::FALLBACK_TO_APPLY_LISTEN_ACCEPT_CONFIG,
        listen_accept_role: Some("raw_proxy".into()),
        listen_accept_protocol: Some("raw_proxy".into()),
        ..answering::<0>("v")
    });
    assert_eq!(http::get(server.made, "v", "/").status, 404);
}

#[test]
fn a_mount_of_a_missing_folder_is_an_error_that_names_it() {
    let info = VhostInfo { mounts: vec![Mount::files("/", "/nonexistent/folder")], ..answering::<0>("v") };
    assert_names(&mistake(info), &["v", "/nonexistent/folder"]);
}

#[test]
fn a_vhost_without_a_listen_socket_is_a_home_for_others() {
    let server = Server::start(|context| {
        let id = context.create_vhost(VhostInfo::default()).expect("create_vhost");
        (context.cx().listen_port(id), context.cx().wsi_count())
    });
    assert_eq!(server.made, (None, 0));
}

#[test]
fn an_interface_can_be_a_name_or_an_address() {
    let by_name = Server::with_vhost(|| VhostInfo { listen: Listen::on("lo", 0), ..answering::<0>("v") });
    assert_eq!(http::get(by_name.made, "v", "/").text(), "recorder");
    let by_address = Server::with_vhost(|| VhostInfo { listen: Listen::on("127.0.0.5", 0), ..answering::<0>("v") });
    let mut stream = connect_to(&format!("127.0.0.5:{}", by_address.made));
    assert_eq!(http::ask(&mut stream, "v", "/").text(), "recorder");
    assert!(TcpStream::connect(("127.0.0.1", by_address.made)).is_err(), "another address of the same interface");
}

#[test]
fn a_listener_on_all_interfaces_takes_both_families_unless_told() {
    let reaches = |options: Options, address: &str| {
        let server = Server::with_vhost(move || VhostInfo { listen: Listen::port(0), options, ..answering::<0>("v") });
        TcpStream::connect(format!("{address}:{}", server.made)).is_ok()
    };
    assert!(reaches(Options::empty(), "127.0.0.1"));
    assert!(reaches(Options::DISABLE_IPV6, "127.0.0.1"));
    if TcpListener::bind("[::1]:0").is_err() {
        return eprintln!("this machine has no IPv6: half of the test is left out");
    }
    assert!(reaches(Options::empty(), "[::1]"));
    assert!(!reaches(Options::DISABLE_IPV6, "[::1]"));
    assert!(reaches(Options::IPV6_V6ONLY, "[::1]"));
    assert!(!reaches(Options::IPV6_V6ONLY, "127.0.0.1"));
}

#[test]
fn an_interface_that_does_not_exist_is_warned_about_and_holds_nothing_up() {
    let server = Server::start(|context| {
        let absent = VhostInfo { listen: Listen::on("rlws-absent", 0), ..answering::<1>("absent") };
        let id = context.create_vhost(absent).expect("not an error");
        assert_eq!(context.cx().listen_port(id), None);
        make_vhost(context, answering::<0>("present"))
    });
    server.wait_for_log(&["WARN", "absent", "rlws-absent"]);
    assert_eq!(http::get(server.made, "present", "/").text(), "recorder");
}

/// An address of the loopback interface, for as long as it is in scope.
struct Address(&'static str);

impl Address {
    fn ip(&self, action: &str) -> bool {
        let args = ["addr", action, &format!("{}/32", self.0), "dev", "lo"];
        finish(Command::new(require("ip")).args(args)).status.success()
    }
}

impl Drop for Address {
    fn drop(&mut self) {
        self.ip("del");
    }
}

#[test]
fn an_address_that_appears_later_is_listened_on_then() {
    const LATER: &str = "198.51.100.77";
    let address = Address(LATER);
    if !address.ip("add") {
        std::mem::forget(address);
        return eprintln!("not allowed to add an address to lo: nothing was tested");
    }
    address.ip("del");
    let server = Server::start(|context| {
        let later = VhostInfo { listen: Listen::on(LATER, 0), ..answering::<0>("later") };
        context.create_vhost(later).expect("not an error")
    });
    server.wait_for_log(&["WARN", "later", LATER]);
    assert!(address.ip("add"), "it worked a moment ago");
    let id = server.made;
    let port = || server.ask(move |context| context.cx().listen_port(id));
    eventually("it listens", || port().is_some());
    let mut stream = connect_to(&format!("{LATER}:{}", port().expect("just seen")));
    assert_eq!(http::ask(&mut stream, "later", "/").text(), "recorder");
}

#[test]
fn a_unix_socket_can_be_listened_on_and_is_removed_afterwards() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("http.sock");
    // What a killed program left behind.
    drop(UnixListener::bind(&path).expect("bind"));
    let listen = Listen::Unix { path: path.clone(), mode: Some(0o600), owner: None };
    let server = Server::with_vhost(move || VhostInfo { listen, ..answering::<0>("v") });
    let mode = std::fs::metadata(&path).expect("the socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut curl = Command::new(require("curl"));
    let answer = succeed(curl.args(["-sS", "--fail", "--unix-socket"]).arg(&path).arg("http://v/"));
    assert_eq!(answer, b"recorder");
    let error = mistake(VhostInfo { listen: Listen::unix(&path), ..answering::<0>("second") });
    assert_names(&error, &["second", path.to_str().expect("a text"), "taken"]);
    server.ask(|context| {
        let id = context.cx().vhost_by_name("v").expect("it is there");
        context.destroy_vhost(id);
    });
    assert!(!path.exists());
}

/// Changing an owner takes root, which the tests are run as.
#[test]
fn a_unix_socket_belongs_to_whom_it_is_given() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("http.sock");
    let owner = Some(UnixOwner::new("nobody", "12345"));
    let listen = Listen::Unix { path: path.clone(), mode: Some(0o660), owner };
    let _server = Server::with_vhost(move || VhostInfo { listen, ..answering::<0>("v") });
    let socket = std::fs::metadata(&path).expect("the socket");
    let (nobody, _) = UnixOwner::new("nobody", "0").ids().expect("every system has it");
    assert_eq!((socket.uid(), socket.gid(), socket.mode() & 0o777), (nobody, 12345, 0o660));
}

#[test]
fn a_unix_socket_for_nobody_of_this_system_is_an_error_and_leaves_no_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("http.sock");
    let owner = Some(UnixOwner::new("root", "no-such-group"));
    let error =
        mistake(VhostInfo { listen: Listen::Unix { path: path.clone(), mode: None, owner }, ..answering::<0>("v") });
    assert_names(&error, &["vhost v", path.to_str().expect("a text"), "this system has no group \"no-such-group\""]);
    assert!(!path.exists());
}

#[test]
fn with_fast_open_the_first_bytes_come_as_ever() {
    let server = Server::with_vhost(|| VhostInfo { fast_open_queue: 16, ..answering::<0>("v") });
    for _ in 0..3 {
        let client = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        setsockopt(&client, sockopt::TcpFastOpenConnect, &true).expect("Linux has it");
        client.connect(&SocketAddr::from(([127, 0, 0, 1], server.made)).into()).expect("connect");
        let mut client = with_deadline(TcpStream::from(client));
        assert_eq!(http::ask(&mut client, "v", "/").text(), "recorder");
    }
    server.assert_nothing_left();
}
