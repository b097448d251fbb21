//! Connections of our own, adopted ones, ids that have gone stale, and other threads.

mod util;

use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use rlws::protocols::RawEcho;
use rlws::{
    AdoptInfo, Call, ConnectInfo, Context, ContextInfo, InitError, Listen, Options, Protocol, ProtocolTable, Pvo,
    Reason, Verdict, VhostCall, VhostId, VhostInfo, VhostReason, WsiId, limits,
};
use socket2::SockRef;
use util::recorder::count;
use util::*;

/// A vhost without a listen socket, whose recorder says hello.
fn home() -> VhostInfo {
    VhostInfo {
        protocols: vec![Recorder::<0>::table(), ProtocolTable::of::<RawEcho>()],
        pvo: options("recorder", &[("greet", "1")]),
        ..Default::default()
    }
}

fn client() -> Server<VhostId> {
    client_within(Duration::from_secs(600))
}

fn client_within(connect_timeout: Duration) -> Server<VhostId> {
    let info = ContextInfo { connect_timeout, ..Default::default() };
    Server::start_with(info, |context| context.create_vhost(home()).expect("create_vhost"))
}

/// A listener whose connections all go to the recorder.
fn listening() -> VhostInfo {
    VhostInfo {
        listen: Listen::on("127.0.0.1", 0),
        options: Options::ADOPT_APPLY_LISTEN_ACCEPT_CONFIG,
        listen_accept_protocol: Some("recorder".into()),
        ..home()
    }
}

impl Server<VhostId> {
    /// Begins a connection, and sees that nothing is called from inside that.
    #[track_caller]
    fn connects_to(&self, target: &str) -> WsiId {
        let (vhost, target) = (self.made, target.parse().expect("a target"));
        self.ask(move |context| {
            let before = recorder::events().len();
            let id = context.cx().client_connect(ConnectInfo::new(vhost, target, "recorder")).expect("client_connect");
            assert_eq!(recorder::events().len(), before, "called back from inside");
            id
        })
    }

    #[track_caller]
    fn wait_for(&self, what: What) {
        eventually(&format!("{what:?}"), || count(&self.events(), what) > 0);
    }
}

#[test]
fn a_client_connects_speaks_first_and_hears_the_reply() {
    let (onward, server) = (Onward::echo(), client());
    let id = server.connects_to(&onward.target());
    eventually("the reply", || recorder::bytes(&server.events(), What::Rx) == b"hello");
    server.ask(move |context| context.cx().close_later(id));
    server.assert_nothing_left();
    let order = recorder::order(&server.events(), id);
    assert_eq!(order, [What::Bind, What::Connected, What::Rx, What::Close, What::Drop]);
    let seen = onward.connection(0);
    eventually("the server sees the end", || seen.closed());
}

/// What the system does where a peer is silent: whether it asks at all, then the limits that say when.
type Asks = (bool, Duration, Duration, u32);

impl Server<VhostId> {
    fn keepalive(&self, id: WsiId) -> Option<Asks> {
        self.ask(move |context| {
            let socket = context.cx().wsi(id)?.fd()?;
            let socket = SockRef::from(&socket);
            let time = socket.tcp_keepalive_time().ok()?;
            let interval = socket.tcp_keepalive_interval().ok()?;
            Some((socket.keepalive().ok()?, time, interval, socket.tcp_keepalive_retries().ok()?))
        })
    }
}

const KEPT_ALIVE: Option<Asks> =
    Some((true, limits::KEEPALIVE_IDLE, limits::KEEPALIVE_INTERVAL, limits::KEEPALIVE_PROBES));

#[test]
fn a_connection_of_ours_is_kept_alive_once_it_is_no_longer_young() {
    let (onward, server) = (Onward::echo(), client());
    let several: Vec<WsiId> =
        (0..2 * limits::KEEPALIVE_BATCH + 1).map(|_| server.connects_to(&onward.target())).collect();
    for id in several {
        eventually("keepalive", || server.keepalive(id) == KEPT_ALIVE);
    }
}

#[test]
fn who_is_accepted_is_kept_alive_from_the_beginning() {
    let server =
        Server::start_with(ContextInfo::default(), |context| context.create_vhost(listening()).expect("create_vhost"));
    let vhost = server.made;
    let port = server.ask(move |context| context.cx().listen_port(vhost)).expect("it listens");
    let _client = connect(port);
    server.wait_for(What::Adopt);
    assert_eq!(server.keepalive(server.events()[0].wsi), KEPT_ALIVE);
}

#[test]
fn a_client_connects_by_host_name() {
    let (onward, server) = (Onward::recorder(), client());
    server.connects_to(&format!("ipv4:localhost:{}", onward.port));
    let seen = onward.connection(0);
    eventually("the greeting", || seen.bytes() == b"hello");
}

#[test]
fn every_address_of_a_host_is_tried_in_turn() {
    // On most machines localhost is ::1 first, where nobody listens on that port.
    let (onward, server) = (Onward::recorder(), client());
    server.connects_to(&format!("tcp:localhost:{}", onward.port));
    let seen = onward.connection(0);
    eventually("the greeting", || seen.bytes() == b"hello");
    assert_eq!(count(&server.events(), What::ConnectionError), 0);
}

#[test]
fn a_refused_connection_is_one_connection_error() {
    let (refusing, server) = (Refusing::new(), client());
    server.connects_to(&refusing.target());
    server.wait_for(What::ConnectionError);
    server.assert_nothing_left();
    let events = server.events();
    assert_eq!((count(&events, What::ConnectionError), count(&events, What::Connected)), (1, 0));
    assert_ne!(recorder::bytes(&events, What::ConnectionError), b"", "it says why");
}

#[test]
fn a_connection_into_a_black_hole_ends_at_the_connect_timeout() {
    let (hole, server) = (BlackHole::new(), client_within(Duration::from_millis(200)));
    server.connects_to(&hole.target());
    server.wait_for(What::ConnectionError);
    server.assert_nothing_left();
}

#[test]
fn a_name_that_does_not_resolve_is_a_connection_error() {
    let server = client();
    server.connects_to("ipv4:no-such-host.invalid:80");
    server.wait_for(What::ConnectionError);
    server.assert_nothing_left();
}

#[test]
fn connections_under_way_end_with_their_context() {
    let (hole, server) = (BlackHole::new(), client());
    for _ in 0..10 {
        server.connects_to(&hole.target());
    }
    assert_eq!(server.wsi_count(), 10);
}

#[test]
fn mistakes_in_a_connection_are_errors_at_once() {
    let server = client();
    let vhost = server.made;
    server.ask(move |context| {
        let target = || "ipv4:127.0.0.1:1".parse().expect("a target");
        let mut protocol = ConnectInfo::new(vhost, target(), "recoder");
        let error = context.cx().client_connect(protocol.clone()).expect_err("no such protocol").to_string();
        assert!(error.contains("recoder"), "{error}");
        protocol.protocol = "recorder".into();
        protocol.role = "raw-sckt".into();
        let error = context.cx().client_connect(protocol.clone()).expect_err("no such role").to_string();
        assert!(error.contains("raw-sckt"), "{error}");
        context.destroy_vhost(vhost);
        protocol.role = "raw-skt".into();
        context.cx().client_connect(protocol).expect_err("no such vhost");
    });
    assert_eq!(server.wsi_count(), 0);
}

#[test]
fn a_foreign_tcp_socket_is_adopted() {
    let server = client();
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = listener.local_addr().expect("an address");
    let mut ours = with_deadline(TcpStream::connect(address).expect("connect"));
    let (theirs, _) = listener.accept().expect("accept");
    // There before the adoption: nothing may be lost.
    send(&mut ours, b"early");
    let vhost = server.made;
    server.ask(move |context| {
        context.cx().adopt_tcp(theirs, AdoptInfo::new(vhost, "recorder")).expect("adopt_tcp");
    });
    assert_eq!(read_exactly(&mut ours, 5), b"hello");
    send(&mut ours, b" and late");
    half_close(&ours);
    assert_eq!(read_to_end(&mut ours), b"");
    let events = server.events();
    assert_eq!(recorder::bytes(&events, What::Rx), b"early and late");
    let order = recorder::order(&events, events[0].wsi);
    assert_eq!(order, [What::Bind, What::Adopt, What::Rx, What::Close, What::Drop]);
}

#[test]
fn a_foreign_unix_socket_is_adopted() {
    let server = client();
    let (mut ours, theirs) = UnixStream::pair().expect("socketpair");
    ours.set_read_timeout(Some(DEADLINE)).expect("SO_RCVTIMEO");
    let vhost = server.made;
    server.ask(move |context| {
        context.cx().adopt_unix(theirs, AdoptInfo::new(vhost, "raw-echo")).expect("adopt_unix");
    });
    send(&mut ours, b"echo this");
    assert_eq!(read_exactly(&mut ours, 9), b"echo this");
    drop(ours);
    eventually("it is closed", || server.wsi_count() == 0);
}

#[test]
fn a_stale_id_finds_nothing_and_does_nothing() {
    let server = Server::with_vhost(listening);
    let mut first = connect(server.made);
    assert_eq!(read_exactly(&mut first, 5), b"hello");
    drop(first);
    server.assert_nothing_left();
    let stale = server.events()[0].wsi;

    let mut second = connect(server.made);
    assert_eq!(read_exactly(&mut second, 5), b"hello");
    let events = server.events();
    let alive = events.last().expect("an event").wsi;
    assert_ne!(stale, alive);
    server.ask(move |context| {
        context.cx().callback_on_writable(stale);
        context.cx().close_later(stale);
    });
    server.turn();
    assert_eq!(server.events().len(), events.len(), "nobody was called");
    send(&mut second, b"still here");
    eventually("it still reads", || recorder::bytes(&server.events(), What::Rx) == b"still here");

    server.ask(move |context| context.cx().callback_on_writable(alive));
    eventually("the live one is writeable", || count(&server.events(), What::Writeable) == 1);
    server.ask(move |context| context.cx().close_later(alive));
    assert_eq!(read_until_closed(&mut second).0, b"");
    server.assert_nothing_left_beside(1);
}

#[test]
fn all_connections_of_a_protocol_can_be_made_writeable_at_once() {
    let server = Server::with_vhost(listening);
    let mut clients: Vec<TcpStream> = (0..5).map(|_| connect(server.made)).collect();
    for client in &mut clients {
        read_exactly(client, 5);
    }
    server.ask(|context| {
        let vhost = context.cx().vhost_by_name("default").expect("it is there");
        context.cx().callback_on_writable_all_protocol(vhost, "recorder");
    });
    eventually("five callbacks", || count(&server.events(), What::Writeable) == 5);
}

static ASKED: AtomicUsize = AtomicUsize::new(0);
static DONE: AtomicUsize = AtomicUsize::new(0);

/// Does what other threads asked for, when they wake its loop.
struct Worker;

impl Protocol for Worker {
    const NAME: &'static str = "worker";
    type Session = ();
    type Vhost = ();

    fn init(_: VhostCall<'_>, _: &Pvo) -> Result<(), InitError> {
        Ok(())
    }

    fn callback(_: Call<'_, Self>, _: Reason<'_>) -> Verdict {
        Verdict::Continue
    }

    fn vhost_callback(_: VhostCall<'_>, (): &mut (), reason: VhostReason<'_>) -> Verdict {
        if let VhostReason::EventWaitCancelled = reason {
            DONE.fetch_add(ASKED.swap(0, Ordering::SeqCst), Ordering::SeqCst);
        }
        Verdict::Continue
    }
}

#[test]
fn four_threads_wake_the_loop_and_no_wake_is_lost() {
    let server = Server::start(|context| {
        let protocols = vec![ProtocolTable::of::<Worker>()];
        context.create_vhost(VhostInfo { protocols, ..Default::default() }).expect("create_vhost");
    });
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let waker = server.waker.clone();
            scope.spawn(move || {
                for _ in 0..1000 {
                    ASKED.fetch_add(1, Ordering::SeqCst);
                    waker.wake();
                }
            });
        }
    });
    eventually("all was done", || DONE.load(Ordering::SeqCst) == 4000);
}

#[test]
fn another_thread_ends_run() {
    let (tell, told) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        let mut context = Context::new(ContextInfo::default()).expect("Context::new");
        tell.send(context.waker()).expect("the test waits for this");
        context.run()
    });
    told.recv().expect("a waker").stop();
    eventually("run returns", || thread.is_finished());
    thread.join().expect("no panic").expect("no error");
}
