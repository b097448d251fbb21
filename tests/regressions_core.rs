//! Bugs that were, in how connections begin and end, and in what configurations are refused.

mod util;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rlws::protocols::{RawEcho, RawProxy};
use rlws::{
    AdoptInfo, Call, ConnectInfo, Context, ContextInfo, Error, InitError, Listen, Mount, Options, Protocol,
    ProtocolTable, Pvo, Reason, Target, Verdict, VhostCall, VhostId, VhostInfo, WsiId, limits,
};
use socket2::{Domain, Socket, Type};
use util::*;

thread_local! {
    static NOTES: RefCell<Vec<Note>> = const { RefCell::new(Vec::new()) };
}

/// A callback of [`Noted`].
#[derive(Debug, Clone)]
struct Note {
    wsi: WsiId,
    reason: String,
    bound: Option<&'static str>,
}

fn notes() -> Vec<Note> {
    NOTES.with_borrow(Vec::clone)
}

fn count(reason: &str) -> usize {
    notes().iter().filter(|note| note.reason == reason).count()
}

/// Notes its callbacks, and does what its options say.
struct Noted;

struct Wishes {
    /// At this reason it writes [`plenty`] and closes.
    generous_at: Option<String>,
    /// It writes [`plenty`] whenever there is room.
    pours: bool,
    /// It wants a new connection for each that closes.
    restless: bool,
    onward: Option<Target>,
}

fn plenty() -> Vec<u8> {
    random_bytes(12, 500_000)
}

impl Protocol for Noted {
    const NAME: &'static str = "noted";
    type Session = ();
    type Vhost = Wishes;

    fn init(_: VhostCall<'_>, pvo: &Pvo) -> Result<Wishes, InitError> {
        Ok(Wishes {
            generous_at: pvo.get("generous-at").map(str::to_owned),
            pours: pvo.flag("pours"),
            restless: pvo.flag("restless"),
            onward: pvo.get("onward").map(str::parse).transpose()?,
        })
    }

    fn callback(call: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        let Call { wsi, cx, vhd, .. } = call;
        let name = format!("{reason:?}").split('(').next().unwrap_or_default().to_owned();
        let note = |reason: &str| Note { wsi: wsi.id(), reason: reason.to_owned(), bound: wsi.protocol_name() };
        let mut new = vec![note(&name)];
        if vhd.restless && name == "RawClose" {
            let again = ConnectInfo::new(wsi.vhost(), "ipv4:127.0.0.1:1".parse().expect("a target"), Self::NAME);
            let is_refused = matches!(cx.client_connect(again), Err(Error::NoVhost));
            new.push(note(if is_refused { "refused" } else { "allowed" }));
        }
        NOTES.with_borrow_mut(|notes| notes.extend(new));
        match (reason, &vhd.onward) {
            (Reason::Http(_), _) => wsi.return_http_status(200, None),
            (Reason::RawProxySrvAdopt, Some(onward)) => wsi.connect_onward(onward.clone()),
            _ => {}
        }
        if vhd.pours && ["RawAdopt", "RawWriteable"].contains(&name.as_str()) {
            wsi.write(&plenty()).expect("there is room for so much");
            wsi.callback_on_writable();
        }
        if vhd.generous_at.as_ref() == Some(&name) {
            wsi.write(&plenty()).expect("there is room for so much");
            return Verdict::Close;
        }
        Verdict::Continue
    }
}

/// A vhost whose connections all go to [`Noted`].
fn noted(own: &[(&str, &str)]) -> VhostInfo {
    VhostInfo {
        listen: Listen::on("127.0.0.1", 0),
        protocols: vec![ProtocolTable::of::<Noted>(), ProtocolTable::of::<RawEcho>()],
        pvo: options("noted", own),
        options: Options::ADOPT_APPLY_LISTEN_ACCEPT_CONFIG,
        ..Default::default()
    }
}

/// A loop that the test turns. For it no time passes.
struct Turned {
    context: Context,
    start: Instant,
    /// So many seconds after the start the loop thinks it is.
    seconds: u64,
    vhost: VhostId,
}

impl Turned {
    #[track_caller]
    fn new(info: VhostInfo) -> Turned {
        let mut context = Context::new(ContextInfo::default()).expect("context");
        let vhost = context.create_vhost(info).expect("vhost");
        Turned { context, start: Instant::now(), seconds: 0, vhost }
    }

    fn port(&mut self) -> u16 {
        self.context.cx().listen_port(self.vhost).expect("it listens")
    }

    /// So many seconds after its creation.
    fn at(&mut self, seconds: u64) {
        self.seconds = seconds;
        self.turns();
    }

    fn turn(&mut self) {
        self.context.service_at(self.start + Duration::from_secs(self.seconds)).expect("service");
    }

    fn turns(&mut self) {
        (0..20).for_each(|_| self.turn());
    }

    #[track_caller]
    fn until(&mut self, what: &str, mut done: impl FnMut(&mut Turned) -> bool) {
        eventually(what, || {
            self.turn();
            done(self)
        });
    }

    fn wsi_count(&mut self) -> usize {
        self.context.cx().wsi_count()
    }

    #[track_caller]
    fn connects_to(&mut self, target: &str) -> WsiId {
        let info = ConnectInfo::new(self.vhost, target.parse().expect("a target"), Noted::NAME);
        self.context.cx().client_connect(info).expect("client_connect")
    }

    /// What comes while the loop turns, and how it ends.
    #[track_caller]
    fn read_until_closed(&mut self, client: TcpStream) -> (Vec<u8>, End) {
        let reader = std::thread::spawn(move || util::read_until_closed(&mut &client));
        self.until("the connection ends", |_| reader.is_finished());
        reader.join().expect("it can be read")
    }
}

/// A client whose socket holds little, so that most of what it is sent waits at the server.
fn small_client(port: u16) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("socket");
    socket.set_recv_buffer_size(64 * 1024).expect("SO_RCVBUF");
    socket.connect(&SocketAddr::from(([127, 0, 0, 1], port)).into()).expect("connect");
    with_deadline(socket.into())
}

#[test]
fn what_was_written_before_a_close_arrives_whatever_the_client_says_meanwhile() {
    for (at, first) in [("RawAdopt", ""), ("RawRx", "go")] {
        let mut turned = Turned::new(noted(&[("generous-at", at)]));
        let mut client = small_client(turned.port());
        send(&mut client, first.as_bytes());
        let before = count("RawClose");
        turned.until("the protocol is done", |_| count("RawClose") > before);
        turned.turns();
        // Both are seen in the same turn.
        send(&mut client, b"late");
        half_close(&client);
        turned.turns();
        let (got, end) = turned.read_until_closed(client);
        assert_same_bytes(&got, &plenty());
        assert_eq!(end, End::Eof, "{at}");
        turned.until("nothing is left", |turned| turned.wsi_count() == 1);
    }
}

#[test]
fn a_connection_that_drains_is_not_closed_again() {
    let mut turned = Turned::new(noted(&[("generous-at", "RawRx")]));
    let mut client = small_client(turned.port());
    send(&mut client, b"go");
    turned.until("the protocol is done", |_| count("RawClose") == 1);
    let id = notes()[0].wsi;
    for _ in 0..3 {
        turned.context.cx().close_later(id);
        turned.turns();
        assert_eq!(turned.wsi_count(), 2, "it still drains");
    }
    send(&mut client, b"late");
    turned.turns();
    half_close(&client);
    let (got, end) = turned.read_until_closed(client);
    assert_same_bytes(&got, &plenty());
    assert_eq!(end, End::Eof);
    turned.until("nothing is left", |turned| turned.wsi_count() == 1);
    assert_eq!((count("RawClose"), count("RawSktDropProtocol")), (1, 1));
}

#[test]
fn closing_a_connection_that_drains_gives_it_no_more_time() {
    let mut turned = Turned::new(noted(&[]));
    let _client = connect(turned.port());
    turned.until("it is adopted", |_| count("RawAdopt") == 1);
    let id = notes()[0].wsi;
    for eighths in [0, 4, 7, 9] {
        turned.context.cx().close_later(id);
        turned.context.service_at(turned.start + limits::DRAIN_TIME * eighths / 8).expect("service");
        assert_eq!(turned.wsi_count() == 2, eighths < 8, "its peer does not hang up");
    }
    assert_eq!((count("RawClose"), count("RawSktDropProtocol")), (1, 1));
}

/// What waits at the server when it closes is what its system does not take either.
#[test]
fn who_reads_what_was_written_before_a_close_is_waited_for_and_who_does_not_is_reset() {
    const STEP: usize = 100_000;
    let mut turned = Turned::new(noted(&[("pours", "1")]));
    let (mut reader, mut sleeper) = (small_client(turned.port()), small_client(turned.port()));
    turned.until("both are there", |turned| turned.wsi_count() == 3);
    settled(|| {
        turned.turns();
        count("RawWriteable")
    });
    let poured = notes().into_iter().filter(|note| ["RawAdopt", "RawWriteable"].contains(&note.reason.as_str()));
    let mut pieces = BTreeMap::new();
    poured.for_each(|note| *pieces.entry(note.wsi).or_insert(0) += 1);
    pieces.keys().for_each(|id| turned.context.cx().close_later(*id));
    turned.until("the protocol is done", |_| count("RawClose") == 2);

    let mut got = 0;
    let mut reads = |turned: &mut Turned, seconds, wanted| {
        turned.at(seconds);
        turned.until("more comes", |_| {
            got += reader.read(&mut vec![0; STEP.min(wanted - got)]).expect("it is there");
            got == wanted
        });
    };
    let often = (limits::DRAIN_TIME.as_secs() - 1) as usize;
    let steps = (0..limits::DRAIN_LONGEST.as_secs()).step_by(often).zip(1..);
    let last = steps.map(|(seconds, step)| reads(&mut turned, seconds, step * STEP)).count();
    let [all, all_of_other] = [0, 1].map(|nth| pieces.values().nth(nth).map_or(0, |pieces| pieces * plenty().len()));
    assert!(last * STEP < all, "it is not done while the server waits");
    reads(&mut turned, limits::DRAIN_LONGEST.as_secs() - 1, all);
    assert_eq!(reader.read(&mut [0]).expect("an orderly end"), 0);

    let (mut taken, mut end) = (0, None);
    turned.until("the other's end", |_| {
        match sleeper.read(&mut [0; 64 * 1024]) {
            Ok(0) => end = Some(None),
            Ok(count) => taken += count,
            Err(error) => end = Some(Some(error.kind())),
        }
        end.is_some()
    });
    let is_cut = end == Some(Some(ErrorKind::ConnectionReset));
    assert!(
        is_cut || (taken, end) == (all_of_other, Some(None)),
        "a part does not look like all: {taken} bytes, {end:?}"
    );
    drop(reader);
    turned.until("nothing is left", |turned| turned.wsi_count() == 1);
}

/// No time passes, and the server sends without an end.
#[test]
fn a_connection_of_ours_reads_little_of_what_nobody_wants_any_more() {
    let spring = Onward::spring();
    script::on_call(|_, _, _| Verdict::Continue);
    let mut frozen = script::Loop::frozen(script::home());
    let id = frozen.connects_to(&spring.target());
    frozen.until("bytes come", || script::received_len(id) > 0);
    frozen.cx().close_later(id);
    frozen.gone(id);
    let seen = spring.connection(0);
    eventually("the server has noticed", || seen.closed());
}

#[test]
fn a_connection_that_is_closed_twice_is_closed_once() {
    let mut turned = Turned::new(noted(&[]));
    let client = connect(turned.port());
    turned.until("it is adopted", |_| count("RawAdopt") == 1);
    let id = notes()[0].wsi;
    turned.context.cx().close_later(id);
    turned.context.cx().close_later(id);
    turned.turns();
    turned.context.cx().close_later(id);
    turned.turns();
    drop(client);
    turned.until("nothing is left", |turned| turned.wsi_count() == 1);
    let order: Vec<String> = notes().into_iter().map(|note| note.reason).collect();
    assert_eq!(order, ["RawSktBindProtocol", "RawAdopt", "RawClose", "RawSktDropProtocol"]);
}

#[test]
fn a_vhost_that_goes_takes_no_new_connections() {
    let mut turned = Turned::new(noted(&[("restless", "1")]));
    let vhost = turned.vhost;
    let peers: Vec<UnixStream> = (0..3)
        .map(|_| {
            let (ours, theirs) = UnixStream::pair().expect("socketpair");
            let info = AdoptInfo::new(vhost, Noted::NAME);
            turned.context.cx().adopt_unix(theirs, info).expect("adopt_unix");
            ours
        })
        .collect();
    turned.until("they are adopted", |_| count("RawAdopt") == 3);
    turned.context.destroy_vhost(vhost);
    turned.turns();
    drop(peers);
    turned.until("nothing is left", |turned| turned.wsi_count() == 0);
    assert_eq!((count("refused"), count("allowed"), count("ClientConnectionError")), (3, 0, 0));
}

#[test]
fn two_connections_may_wait_for_the_same_name() {
    let (onward, other) = (Onward::recorder(), Onward::recorder());
    let mut turned = Turned::new(noted(&[]));
    let ids: BTreeSet<WsiId> =
        [&onward, &onward, &other].map(|onward| turned.connects_to(&format!("ipv4:localhost:{}", onward.port))).into();
    // One of those who wait may go.
    let gone = turned.connects_to(&format!("ipv4:localhost:{}", onward.port));
    turned.turn();
    turned.context.cx().close_later(gone);
    turned.until("all are connected", |_| count("RawConnected") == 3);
    turned.turns();
    let connected = notes().into_iter().filter(|note| note.reason == "RawConnected").map(|note| note.wsi);
    assert_eq!(connected.collect::<BTreeSet<_>>(), ids);
    let failed: Vec<Note> = notes().into_iter().filter(|note| note.reason == "ClientConnectionError").collect();
    assert!(failed.iter().all(|note| note.wsi == gone) && failed.len() == 1, "{failed:?}");
}

#[test]
fn a_connection_under_way_that_is_closed_says_so_once_and_is_gone() {
    let hole = BlackHole::new();
    let mut turned = Turned::new(VhostInfo { listen: Listen::None, ..noted(&[]) });
    let id = turned.connects_to(&hole.target());
    turned.turns();
    assert_eq!((turned.wsi_count(), count("ClientConnectionError")), (1, 0));
    turned.context.cx().close_later(id);
    turned.context.cx().close_later(id);
    turned.turn();
    assert_eq!((turned.wsi_count(), count("ClientConnectionError")), (0, 1));
    turned.turns();
    assert_eq!(notes().len(), 1, "{:?}", notes());
}

#[test]
fn a_connection_that_is_closed_before_it_began_says_so_once_too() {
    let hole = BlackHole::new();
    let mut turned = Turned::new(VhostInfo { listen: Listen::None, ..noted(&[]) });
    let id = turned.connects_to(&hole.target());
    turned.context.cx().close_later(id);
    turned.turns();
    assert_eq!((turned.wsi_count(), count("ClientConnectionError")), (0, 1));
}

#[test]
fn every_callback_can_ask_for_its_protocol() {
    let (onward, refusing) = (Onward::echo(), Refusing::new());
    let raw_or_http = Options::FALLBACK_TO_APPLY_LISTEN_ACCEPT_CONFIG;
    let mut turned = Turned::new(VhostInfo { options: raw_or_http, ..noted(&[]) });
    let target = onward.target();
    let relay = VhostInfo {
        name: "relay".into(),
        listen: Listen::on("127.0.0.2", 0),
        listen_accept_role: Some("raw-proxy".into()),
        ..noted(&[("onward", &target)])
    };
    let relay_port = server::make_vhost(&mut turned.context, relay);
    let port = turned.port();

    for (address, bytes) in [
        (format!("127.0.0.1:{port}"), "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"),
        (format!("127.0.0.1:{port}"), "\0raw"),
        (format!("127.0.0.2:{relay_port}"), "relayed"),
    ] {
        let mut client = connect_to(&address);
        client.write_all(bytes.as_bytes()).expect("send");
        half_close(&client);
        turned.read_until_closed(client);
    }
    turned.connects_to(&refusing.target());
    turned.connects_to(&onward.target());
    turned.until("all were called", |_| count("ClientConnectionError") + count("RawConnected") == 2);

    let strange: Vec<Note> = notes().into_iter().filter(|note| note.bound != Some("noted")).collect();
    assert!(strange.is_empty(), "{strange:?}");
    for reason in [
        "Http",
        "RawSktBindProtocol",
        "RawAdopt",
        "RawRx",
        "RawClose",
        "RawSktDropProtocol",
        "RawProxySrvBindProtocol",
        "RawProxySrvAdopt",
        "RawProxySrvClose",
        "RawProxySrvDropProtocol",
        "RawProxyCliBindProtocol",
        "RawProxyCliAdopt",
        "RawProxyCliClose",
        "RawProxyCliDropProtocol",
        "ClientConnectionError",
        "RawConnected",
    ] {
        assert!(count(reason) > 0, "{reason} never came");
    }
}

/// What is wrong with a vhost.
#[track_caller]
fn refused(info: VhostInfo) -> Error {
    let mut context = Context::new(ContextInfo::default()).expect("context");
    let error = context.create_vhost(info).expect_err("it is refused");
    assert_eq!(context.cx().wsi_count(), 0);
    error
}

#[test]
fn a_mount_is_not_served_by_a_protocol_that_knows_no_http() {
    let protocols = vec![ProtocolTable::of::<Noted>(), ProtocolTable::of::<RawEcho>()];
    let mounts = vec![Mount::callback("/echo", "raw-echo")];
    match refused(VhostInfo { protocols: protocols.clone(), mounts, ..Default::default() }) {
        Error::RoleMisfit { protocol, role, .. } => {
            assert_eq!((protocol.as_str(), role.as_str()), ("raw-echo", "http"))
        }
        other => panic!("{other}"),
    }
    let mounts = vec![Mount::callback("/noted", "noted")];
    Turned::new(VhostInfo { protocols, mounts, ..Default::default() });
}

#[test]
fn two_protocols_of_one_name_are_an_error() {
    let protocols = vec![ProtocolTable::of::<RawEcho>(), ProtocolTable::of::<Noted>(), ProtocolTable::of::<RawEcho>()];
    let error = refused(VhostInfo { name: "twins".into(), protocols, ..Default::default() }).to_string();
    assert!(error.contains("twins") && error.contains("raw-echo"), "{error}");
}

#[test]
fn options_for_a_protocol_that_is_not_there_are_warned_about() {
    log::keep();
    let protocols = vec![ProtocolTable::of::<RawEcho>(), ProtocolTable::of::<RawProxy>()];
    let pvo = options("raw-proxy", &[("onward", "ipv4:127.0.0.1:1")]).with("raw-ecko", Pvo::default());
    Turned::new(VhostInfo { name: "typo".into(), protocols, pvo, ..Default::default() });
    let warnings: Vec<String> = log::of(std::thread::current().id());
    let warnings: Vec<&String> = warnings.iter().filter(|line| line.starts_with("WARN")).collect();
    let [only] = warnings[..] else { panic!("{warnings:?}") };
    assert!(only.contains("typo") && only.contains("raw-ecko"), "{only}");
}
