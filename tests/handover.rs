//! A context that takes over the listen sockets of another one, which serves its connections to their end.

mod util;

use std::io::ErrorKind;
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rlws::protocols::RawEcho;
use rlws::{Listen, ListenSockets, Options, ProtocolTable, ReusePort, VhostId, VhostInfo};
use util::*;

/// Pages and an echo.
fn info(listen: Listen) -> VhostInfo {
    VhostInfo {
        listen,
        protocols: vec![ProtocolTable::of::<RawEcho>()],
        options: Options::FALLBACK_TO_APPLY_LISTEN_ACCEPT_CONFIG,
        ..Default::default()
    }
}

fn copies(sockets: &ListenSockets) -> ListenSockets {
    let fds: Vec<OwnedFd> = sockets.fds().map(|fd| fd.try_clone_to_owned().expect("dup")).collect();
    ListenSockets::of(sockets.place().clone(), fds)
}

fn served_by(sockets: &ListenSockets) -> Server<VhostId> {
    let (sockets, listen) = (copies(sockets), sockets.place().clone());
    Server::start(move |context| {
        context.use_listen_sockets(sockets);
        context.create_vhost(info(listen)).expect("create_vhost")
    })
}

fn port(server: &Server<VhostId>) -> u16 {
    let id = server.made;
    server.ask(move |context| context.cx().listen_port(id).expect("it listens"))
}

fn bound() -> ListenSockets {
    listening(&info(Listen::on("127.0.0.1", 0)))
}

fn listening(info: &VhostInfo) -> ListenSockets {
    let sockets = ListenSockets::bind(info, ReusePort::First).expect("bind");
    sockets.listen(info.backlog).expect("listen");
    sockets
}

#[test]
fn a_successor_takes_over_without_a_connection_refused() {
    let sockets = bound();
    let mut server = served_by(&sockets);
    let port = port(&server);
    // A connection that lives through all of it.
    let mut old = connect(port);
    send(&mut old, b"\0old");
    assert_eq!(read_exactly(&mut old, 4), b"\0old");

    let clients: Vec<_> = (0..4)
        .map(|_| {
            thread::spawn(move || {
                let mut served = 0;
                while !STOP.load(Ordering::Relaxed) {
                    let mut client = connect(port);
                    send(&mut client, b"\0ping");
                    assert_eq!(read_exactly(&mut client, 5), b"\0ping");
                    served += 1;
                }
                served
            })
        })
        .collect();
    let mut former = Vec::new();
    for _ in 0..10 {
        let successor = served_by(&sockets);
        server.ask(|context| context.cx().deprecate_later());
        former.push(std::mem::replace(&mut server, successor));
    }
    STOP.store(true, Ordering::Relaxed);
    let served: u32 = clients.into_iter().map(|client| client.join().expect("no connection failed")).sum();
    assert!(served > 10, "{served}");
    for (number, former) in former.iter().enumerate() {
        let left = usize::from(number == 0);
        eventually("only the old connection is left", || former.wsi_count() == left);
    }
    send(&mut old, b"still");
    assert_eq!(read_exactly(&mut old, 5), b"still");
}

static STOP: AtomicBool = AtomicBool::new(false);

#[test]
fn what_waits_at_a_listen_socket_is_still_served_and_then_nothing_listens() {
    let server = Server::start(|context| context.create_vhost(info(Listen::on("127.0.0.1", 0))).expect("create_vhost"));
    let port = port(&server);
    let mut waiting = Vec::new();
    server.ask(move |context| {
        // Between two turns of the loop nobody accepts.
        waiting.extend((0..100).map(|_| TcpStream::connect(("127.0.0.1", port)).expect("connect")));
        context.cx().deprecate_later();
        WAITING.with_borrow_mut(|all| all.append(&mut waiting));
    });
    eventually("nothing listens", || {
        TcpStream::connect(("127.0.0.1", port)).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    });
    let waited = server.ask(|_| WAITING.take());
    assert_eq!(waited.len(), 100);
    for client in waited {
        let mut client = net::with_deadline(client);
        send(&mut client, b"\0me");
        assert_eq!(read_exactly(&mut client, 3), b"\0me");
    }
    eventually("all are gone", || server.wsi_count() == 0);
}

thread_local! {
    static WAITING: std::cell::RefCell<Vec<TcpStream>> = const { std::cell::RefCell::new(Vec::new()) };
}

#[test]
fn a_deprecated_context_ends_http_connections_behind_the_next_response() {
    let server = Server::start(|context| context.create_vhost(info(Listen::on("127.0.0.1", 0))).expect("create_vhost"));
    let mut client = connect(port(&server));
    assert_eq!(http::ask(&mut client, "a", "/").header("connection"), None);
    server.ask(|context| context.cx().deprecate_later());
    assert_eq!(http::ask(&mut client, "a", "/").header("connection"), Some("close"));
    assert!(read_to_end(&mut client).is_empty());
    eventually("all are gone", || server.wsi_count() == 0);
}

#[test]
fn nobody_can_connect_before_it_listens_and_whoever_does_then_is_served() {
    let sockets = ListenSockets::bind(&info(Listen::on("127.0.0.1", 0)), ReusePort::First).expect("bind");
    let at = sockets.fds().next().expect("one").try_clone_to_owned().expect("dup");
    let port = std::net::TcpListener::from(at).local_addr().expect("bound").port();
    let refused = TcpStream::connect(("127.0.0.1", port)).expect_err("nobody listens");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    let (handed, listen) = (copies(&sockets), sockets.place().clone());
    let mut early = Vec::new();
    let server = Server::start(move |context| {
        // Registered before it listens, and connected to before the loop runs.
        context.use_listen_sockets(handed);
        let id = context.create_vhost(info(listen)).expect("create_vhost");
        sockets.listen(128).expect("listen");
        early.extend((0..3).map(|_| TcpStream::connect(("127.0.0.1", port)).expect("connect")));
        EARLY.lock().expect("no panic").append(&mut early);
        id
    });
    let early = std::mem::take(&mut *EARLY.lock().expect("no panic"));
    for mut client in early.into_iter().map(net::with_deadline).chain([connect(port)]) {
        send(&mut client, b"\0ping");
        assert_eq!(read_exactly(&mut client, 5), b"\0ping");
    }
    drop(server);
}

static EARLY: std::sync::Mutex<Vec<TcpStream>> = std::sync::Mutex::new(Vec::new());

#[test]
fn a_vhost_that_is_handed_no_socket_binds_none() {
    let listen = bound().place().clone();
    let server = Server::start(move |context| {
        context.use_listen_sockets(ListenSockets::of(listen.clone(), Vec::new()));
        context.create_vhost(info(listen)).expect("create_vhost")
    });
    let id = server.made;
    assert_eq!(server.ask(move |context| context.cx().listen_port(id)), None);
}

#[test]
fn who_else_listens_is_noticed_though_ports_are_shared() {
    let first = bound();
    let server = served_by(&first);
    let again = info(Listen::on("127.0.0.1", port(&server)));
    let error = ListenSockets::bind(&again, ReusePort::First).expect_err("it is taken").to_string();
    server::assert_names(&error, &["vhost default", "127.0.0.1", "taken"]);
    let another = ListenSockets::bind(&again, ReusePort::Another).expect("one more of ours");
    assert_eq!(another.fds().count(), 1);
}

#[test]
fn a_unix_socket_is_handed_over_with_its_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("sock");
    let sockets = listening(&info(Listen::unix(&path)));
    let ping = || {
        let mut client = UnixStream::connect(&path).expect("connect");
        client.set_read_timeout(Some(DEADLINE)).expect("a deadline");
        send(&mut client, b"\0ping");
        assert_eq!(read_exactly(&mut client, 5), b"\0ping");
    };
    let first = served_by(&sockets);
    ping();
    let second = served_by(&sockets);
    first.ask(|context| context.cx().deprecate_later());
    eventually("the first is done", || first.wsi_count() == 0);
    drop(first);
    ping();
    drop(second);
    assert!(path.exists(), "its file belongs to who bound it");
}
