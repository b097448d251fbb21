//! Role raw-proxy: the client's half and the onward half of a relay, in this order.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rlws::{AdoptInfo, TlsClient, TlsClientInfo, Verdict, VhostInfo};

use super::Scenario;
use super::page::Step;
use super::stage::*;
use super::util::tls::trusting;
use super::util::{BlackHole, Onward, Refusing, eventually, half_close, read_exactly, read_until_closed, reset, send};

/// A vhost that relays.
fn relaying(vhost: VhostInfo) -> VhostInfo {
    VhostInfo { listen_accept_role: Some("raw-proxy".into()), ..vhost }
}

/// A stage that relays all to a target.
fn to(target: &str) -> Stage {
    of_to(relaying(listening(APPLY)), target, None)
}

fn of_to(vhost: VhostInfo, target: &str, idle_timeout: Option<Duration>) -> Stage {
    let target: rlws::Target = target.parse().expect("a target");
    let onward = rlws::Onward::from(target).idle_timeout(idle_timeout);
    Stage::of(vhost).on("RawProxySrvAdopt", doing(move |wsi, _| wsi.connect_onward(onward.clone())))
}

/// The client's half, and the onward one where there was one.
fn halves(heard: Heard) -> Vec<Vec<Step>> {
    let mut halves = heard.each();
    halves.resize(2, Vec::new());
    halves
}

/// Relays to an echo, of which a client has had an answer.
fn after_an_echo(then: impl FnOnce(&Play)) -> Vec<Vec<Step>> {
    let onward = Onward::echo();
    let play = to(&onward.target()).start();
    let mut peer = play.connect();
    send(&mut peer, b"hello");
    read_exactly(&mut peer, 5);
    then(&play);
    read_until_closed(&mut peer);
    halves(play.end_of(2, peer))
}

/// Both halves are up, and one of them closes because of a reason that has been heard.
fn closes_on(reason: &'static str, connections: usize) -> Vec<Vec<Step>> {
    let onward = Onward::echo();
    let play = to(&onward.target()).on(reason, close).start();
    let mut peer = play.connect();
    send(&mut peer, b"hello");
    read_until_closed(&mut peer);
    halves(play.end_of(connections, peer))
}

pub const NORMAL: &[Scenario] = &[
    ("bytes go both ways, then the client leaves", || {
        let onward = Onward::echo();
        let play = to(&onward.target()).start();
        let mut peer = play.connect();
        send(&mut peer, b"hello");
        read_exactly(&mut peer, 5);
        halves(play.end_of(2, peer))
    }),
    ("bytes go both ways, then the onward server leaves", || {
        let onward = Onward::serve(|stream, _| {
            let _ = std::io::copy(&mut Read::take(&*stream, 5), &mut &*stream);
        });
        let play = to(&onward.target()).start();
        let mut peer = play.connect();
        send(&mut peer, b"hello");
        assert_eq!(read_until_closed(&mut peer).0, b"hello");
        halves(play.end_of(2, peer))
    }),
    ("the client ends its side, and still hears the answer", || {
        let onward = Onward::answers_after_eof(b"answer".to_vec());
        let play = to(&onward.target()).start();
        let mut peer = play.connect();
        send(&mut peer, b"hello");
        half_close(&peer);
        assert_eq!(read_until_closed(&mut peer).0, b"answer");
        halves(play.end_of(2, peer))
    }),
    ("the client leaves before a byte", || {
        let onward = Onward::echo();
        let play = to(&onward.target()).start();
        let peer = play.connect();
        play.hears("RawProxyCliAdopt");
        halves(play.end_of(2, peer))
    }),
    ("it falls back from a first packet, then the client leaves", || {
        let onward = Onward::echo();
        let play = of_to(relaying(listening(FALLBACK)), &onward.target(), None).start();
        let mut peer = play.connect();
        send(&mut peer, b"SSH-2.0-x\r\n");
        read_exactly(&mut peer, 11);
        halves(play.end_of(2, peer))
    }),
    ("it falls back over TLS, then the client is cut off", || {
        let onward = Onward::echo();
        let play = of_to(relaying(tls_listening(FALLBACK)), &onward.target(), None).start();
        let mut peer = trusting().connect(play.port(), "localhost");
        send(&mut peer, b"SSH-2.0-x\r\n");
        read_exactly(&mut peer, 11);
        halves(play.end_of(2, peer))
    }),
    ("the client's half is adopted, then the client leaves", || {
        let onward = Onward::echo();
        let play = of_to(home(), &onward.target(), None).start();
        let (mut ours, theirs) = UnixStream::pair().expect("socketpair");
        let info = AdoptInfo::new(play.vhost(0), BOUND).role("raw-proxy");
        play.ask(move |context| context.cx().adopt_unix(theirs, info).expect("adopt_unix"));
        send(&mut ours, b"hello");
        read_exactly(&mut ours, 5);
        halves(play.end_of(2, ours))
    }),
    ("`set_timer` in both adopt reasons, `callback_all_protocol`, then the client leaves", || {
        let onward = Onward::echo();
        let timer = || doing(|wsi, cx| wsi.set_timer(cx, SOON));
        let stage = to(&onward.target()).on("RawProxySrvAdopt", timer()).on("RawProxyCliAdopt", timer());
        let play = stage.start();
        let peer = play.connect();
        play.hears("RawProxyCliAdopt");
        play.later(2 * SOON);
        play.hears_times("Timer", 2);
        let vhost = play.vhost(0);
        play.ask(move |context| context.cx().callback_all_protocol(vhost, BOUND, 7));
        play.hears_times("User", 2);
        halves(play.end_of(2, peer))
    }),
];

pub const ENDED: &[Scenario] = &[
    ("the client resets after some bytes", || {
        let onward = Onward::recorder();
        let play = to(&onward.target()).start();
        let mut peer = play.connect();
        send(&mut peer, b"hello");
        play.hears("RawProxySrvRx");
        reset(peer);
        halves(play.end_of(2, ()))
    }),
    ("the onward server resets after an answer", || {
        let onward = Onward::serve(|stream, _| {
            let mut bytes = [0; 5];
            stream.read_exact(&mut bytes).and_then(|()| stream.write_all(&bytes)).expect("an echo");
            stream.read_exact(&mut bytes).expect("the word to go");
            reset(stream.try_clone().expect("dup"));
        });
        let play = to(&onward.target()).start();
        let mut peer = play.connect();
        send(&mut peer, b"hello");
        read_exactly(&mut peer, 5);
        send(&mut peer, b"leave");
        read_until_closed(&mut peer);
        halves(play.end_of(2, peer))
    }),
    ("`SrvBindProtocol` returns `Close`", || closes_on("RawProxySrvBindProtocol", 1)),
    ("`SrvAdopt` returns `Close`", || closes_on("RawProxySrvAdopt", 1)),
    ("`SrvAdopt` does not ask for `connect_onward`", || {
        let play = Stage::of(relaying(listening(APPLY))).start();
        let mut peer = play.connect();
        read_until_closed(&mut peer);
        halves(play.end(peer))
    }),
    ("`CliBindProtocol` returns `Close`", || closes_on("RawProxyCliBindProtocol", 2)),
    ("`CliAdopt` returns `Close`", || closes_on("RawProxyCliAdopt", 2)),
    ("`SrvRx` returns `Close`", || closes_on("RawProxySrvRx", 2)),
    ("`CliRx` returns `Close`", || closes_on("RawProxyCliRx", 2)),
    ("`WsiCreate` of the onward half returns `Close`", || {
        let onward = Onward::echo();
        let act = with_wsi(|wsi, _| if wsi.parent().is_some() { Verdict::Close } else { Verdict::Continue });
        let play = to(&onward.target()).on("WsiCreate", act).start();
        let mut peer = play.connect();
        read_until_closed(&mut peer);
        halves(play.end_of(2, peer))
    }),
    ("the onward server refuses", || {
        let refusing = Refusing::new();
        let play = to(&refusing.target()).start();
        let mut peer = play.connect();
        read_until_closed(&mut peer);
        halves(play.end_of(2, peer))
    }),
    ("the onward server does not answer until `connect_timeout`", || {
        let hole = BlackHole::new();
        let play = to(&hole.target()).start();
        let mut peer = play.connect();
        play.id(1);
        play.later(LONG);
        read_until_closed(&mut peer);
        halves(play.end_of(2, peer))
    }),
    ("the onward server does not speak TLS", || {
        let onward = Onward::echo();
        let target: rlws::Target = onward.target().parse().expect("a target");
        let tls = TlsClient::new(&TlsClientInfo { insecure: true, ..Default::default() }).expect("TlsClient::new");
        let plan = rlws::Onward::from(target).tls(Some(tls));
        let act = doing(move |wsi, _| wsi.connect_onward(plan.clone()));
        let play = Stage::of(relaying(listening(APPLY))).on("RawProxySrvAdopt", act).start();
        let mut peer = play.connect();
        read_until_closed(&mut peer);
        halves(play.end_of(2, peer))
    }),
    ("the client resets while the onward half connects", || {
        let hole = BlackHole::new();
        let play = to(&hole.target()).start();
        let peer = play.connect();
        play.id(1);
        reset(peer);
        halves(play.end_of(2, ()))
    }),
    ("no byte passes until the idle timeout", || {
        let onward = Onward::idle();
        let play = of_to(relaying(listening(APPLY)), &onward.target(), Some(SOON)).start();
        let mut peer = play.connect();
        play.hears("RawProxyCliAdopt");
        play.later(2 * SOON);
        read_until_closed(&mut peer);
        halves(play.end_of(2, peer))
    }),
    ("the client ends its side, and nothing more passes for a minute", || {
        let onward = Onward::idle();
        let play = to(&onward.target()).start();
        let mut peer = play.connect();
        send(&mut peer, b"hello");
        play.hears("RawProxySrvRx");
        half_close(&peer);
        play.later(LONG);
        read_until_closed(&mut peer);
        halves(play.end_of(2, peer))
    }),
    ("`set_timeout` from `SrvAdopt` passes", || {
        let onward = Onward::idle();
        let play = to(&onward.target()).on("RawProxySrvAdopt", doing(|wsi, cx| wsi.set_timeout(cx, SOON))).start();
        let mut peer = play.connect();
        play.hears("RawProxyCliAdopt");
        play.later(2 * SOON);
        read_until_closed(&mut peer);
        halves(play.end_of(2, peer))
    }),
    ("`close_later` of the client's half", || after_an_echo(|play| play.close_later(0))),
    ("`close_later` of the onward half", || after_an_echo(|play| play.close_later(1))),
    ("`close_later` of the client's half while the onward half connects", || {
        let hole = BlackHole::new();
        let play = to(&hole.target()).start();
        let peer = play.connect();
        play.id(1);
        play.close_later(0);
        play.hears("RawProxySrvClose");
        halves(play.end_of(2, peer))
    }),
    ("`close_later` of the onward half while it connects", || {
        let hole = BlackHole::new();
        let play = to(&hole.target()).start();
        let mut peer = play.connect();
        play.close_later(1);
        read_until_closed(&mut peer);
        halves(play.end_of(2, peer))
    }),
    ("its vhost is destroyed", || after_an_echo(|play| play.destroy_vhost(0))),
    ("the context ends", || {
        let onward = Onward::echo();
        let play = to(&onward.target()).start();
        let _peer = play.connect();
        play.hears("RawProxyCliAdopt");
        eventually("both know each other", || {
            play.turn();
            onward.connections().len() == 1
        });
        halves(play.end_at_once())
    }),
];
