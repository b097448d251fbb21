//! Sockets that somebody else accepted, what one callback reaches of another's data, and loops that are not ours.

mod util;

use std::cell::Cell;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Token};
use rlws::protocols::RawEcho;
use rlws::{
    AdoptInfo, Call, Context, ContextInfo, InitError, Listen, Options, Protocol, ProtocolTable, Pvo, Reason, Verdict,
    VhostCall, VhostId, VhostInfo, WsiId,
};
use util::*;

/// Both ends of a TCP connection.
fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let ours = connect(listener.local_addr().expect("bound").port());
    (ours, listener.accept().expect("it connected").0)
}

/// Pages and an echo on one port, and the vhost's id.
fn front_door(info: VhostInfo) -> Server<VhostId> {
    let info = VhostInfo {
        listen: Listen::on("127.0.0.1", 0),
        protocols: vec![ProtocolTable::of::<RawEcho>()],
        options: Options::FALLBACK_TO_APPLY_LISTEN_ACCEPT_CONFIG,
        ..info
    };
    Server::start(move |context| context.create_vhost(info).expect("create_vhost"))
}

fn adopt(server: &Server<VhostId>, theirs: TcpStream, readbuf: &[u8]) {
    let (vhost, readbuf) = (server.made, readbuf.to_vec());
    server.ask(move |context| context.cx().adopt_accepted(theirs, vhost, &readbuf).expect("adopt_accepted"));
}

#[test]
fn what_somebody_else_accepted_and_began_to_read_is_served_like_our_own() {
    let server = front_door(VhostInfo::default());

    let (mut ours, theirs) = pair();
    adopt(&server, theirs, b"GET / HTTP/1.1\r\nHost: a\r\n");
    send(&mut ours, b"Connection: close\r\n\r\n");
    let answer = String::from_utf8(read_to_end(&mut ours)).expect("text");
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");

    let (mut ours, theirs) = pair();
    adopt(&server, theirs, b"SSH-2.0-");
    assert_eq!(read_exactly(&mut ours, 8), b"SSH-2.0-", "what was read already is enough to decide");
    send(&mut ours, b"me\r\n");
    assert_eq!(read_exactly(&mut ours, 4), b"me\r\n");
}

#[test]
fn what_somebody_else_accepted_speaks_tls() {
    let server = front_door(VhostInfo { tls: Some(certs::localhost().tls_info()), ..Default::default() });
    let config = tls::trusting().config();
    let (conn, hello) = tls::hello(&config, "localhost");
    let (ours, theirs) = pair();
    adopt(&server, theirs, &hello);
    let mut tls = tls::go_on(conn, ours);
    send(&mut tls, b"ping");
    assert_eq!(read_exactly(&mut tls, 4), b"ping");
}

#[test]
fn a_vhost_that_does_not_listen_accepts_nothing() {
    let server = Server::start(|context| context.create_vhost(VhostInfo::default()).expect("create_vhost"));
    let (_ours, theirs) = pair();
    let vhost = server.made;
    let error = server.ask(move |context| context.cx().adopt_accepted(theirs, vhost, b"").unwrap_err().to_string());
    server::assert_names(&error, &["vhost default", "does not listen"]);
}

#[test]
fn the_protocol_sees_first_what_was_read_before_the_adoption() {
    let server = front_door(VhostInfo::default());
    let (mut ours, theirs) = pair();
    let info = AdoptInfo::new(server.made, "raw-echo").readbuf(b"first ".to_vec());
    server.ask(move |context| context.cx().adopt_tcp(theirs, info).expect("adopt_tcp"));
    send(&mut ours, b"second");
    assert_eq!(read_exactly(&mut ours, 12), b"first second");
}

// -- one callback and another's data

/// Sums up what its connections say, in its vhost data and in the session data of the one that came first.
struct Sum;

#[derive(Default)]
struct Sums {
    all: usize,
    first: Option<WsiId>,
}

impl Protocol for Sum {
    const NAME: &'static str = "sum";
    type Session = usize;
    type Vhost = Sums;

    fn init(_: VhostCall<'_>, _: &Pvo) -> Result<Sums, InitError> {
        Ok(Sums::default())
    }

    fn callback(call: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        let Call { wsi, cx, pss, vhd } = call;
        match reason {
            Reason::RawAdopt => {
                vhd.first.get_or_insert(wsi.id());
            }
            Reason::RawRx(data) => {
                vhd.all += data.len();
                assert!(cx.pss::<Sum>(wsi.id()).is_none(), "the session in hand is in hand");
                assert!(cx.vhd::<Sum>(wsi.vhost()).is_none(), "so is the vhost's data");
                let first = vhd.first.and_then(|first| cx.pss::<Sum>(first)).unwrap_or(pss);
                *first += data.len();
                assert!(cx.pss::<Count>(wsi.id()).is_none(), "it is bound to another protocol");
                if let Some(count) = cx.vhd::<Count>(wsi.vhost()) {
                    count.set(count.get() + 1);
                }
            }
            _ => {}
        }
        Verdict::Continue
    }
}

/// Has a number that others count up.
struct Count;

impl Protocol for Count {
    const NAME: &'static str = "count";
    type Session = ();
    type Vhost = Cell<usize>;

    fn init(call: VhostCall<'_>, _: &Pvo) -> Result<Cell<usize>, InitError> {
        assert_eq!(call.cx.vhd::<Sum>(call.vhost).expect("it was initialised before").all, 0);
        assert!(call.cx.vhd::<Count>(call.vhost).is_none(), "it is being made");
        Ok(Cell::new(0))
    }

    fn callback(_: Call<'_, Self>, _: Reason<'_>) -> Verdict {
        Verdict::Continue
    }
}

#[test]
fn session_and_vhost_data_are_reached_from_outside() {
    let protocols = vec![ProtocolTable::of::<Sum>(), ProtocolTable::of::<Count>()];
    let info = VhostInfo { protocols, ..Default::default() };
    let server = Server::start(move |context| context.create_vhost(info).expect("create_vhost"));
    let vhost = server.made;
    let adopted = |theirs: TcpStream| {
        server.ask(move |context| context.cx().adopt_tcp(theirs, AdoptInfo::new(vhost, "sum")).expect("adopt_tcp"))
    };
    let ((mut one, their_one), (mut two, their_two)) = (pair(), pair());
    let (first, second) = (adopted(their_one), adopted(their_two));
    send(&mut one, b"12");
    let all = move |context: &mut Context| context.cx().vhd::<Sum>(vhost).map_or(0, |sums| sums.all);
    eventually("the first was heard", || server.ask(all) == 2);
    send(&mut two, b"345");
    eventually("the second was heard", || server.ask(all) == 5);

    let sessions = server.ask(move |context| [first, second].map(|id| context.cx().pss::<Sum>(id).copied()));
    assert_eq!(sessions, [Some(5), Some(0)]);
    assert!(server.ask(move |context| context.cx().vhd::<Count>(vhost).expect("its data").get()) >= 2);
    assert!(server.ask(move |context| context.cx().vhd::<RawEcho>(vhost).is_none()), "the vhost does not have it");
    drop(one);
    eventually("the first is gone", || server.ask(move |context| context.cx().pss::<Sum>(first).is_none()));
}

// -- another loop

#[test]
fn another_loop_can_wait_for_us() {
    let mut context = Context::new(ContextInfo::default()).expect("Context::new");
    let info = VhostInfo {
        listen: Listen::on("127.0.0.1", 0),
        protocols: vec![ProtocolTable::of::<RawEcho>()],
        options: Options::ADOPT_APPLY_LISTEN_ACCEPT_CONFIG,
        ..Default::default()
    };
    let port = server::make_vhost(&mut context, info);
    while context.next_timeout() == Some(Duration::ZERO) {
        context.service(Some(Duration::ZERO)).expect("service");
    }
    assert_eq!(context.next_timeout(), None, "nothing but events is waited for");

    let mut client = connect(port);
    client.write_all(b"ping").expect("write");
    client.set_nonblocking(true).expect("own socket");
    let mut theirs = mio::Poll::new().expect("another loop");
    theirs.registry().register(&mut SourceFd(&context.as_raw_fd()), Token(0), Interest::READABLE).expect("register");
    let (mut answer, mut events) = ([0; 4], Events::with_capacity(1));
    eventually("an answer", || {
        theirs.poll(&mut events, context.next_timeout().or(Some(DEADLINE))).expect("poll");
        context.service(Some(Duration::ZERO)).expect("service");
        client.peek(&mut answer).ok() == Some(4)
    });
    assert_eq!(&answer, b"ping");
}
