//! Bugs that were, in relayed pairs. Time is injected where a bug was about time.

mod util;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rlws::protocols::RawProxy;
use rlws::{Context, ContextInfo, Listen, Options, ProtocolTable, VhostInfo, limits};
use socket2::SockRef;
use util::*;

const MIB: usize = 1024 * 1024;

fn relay(listen: Listen, own: &[(&str, &str)]) -> VhostInfo {
    VhostInfo {
        listen,
        protocols: vec![ProtocolTable::of::<RawProxy>()],
        pvo: options("raw-proxy", own),
        options: Options::ADOPT_APPLY_LISTEN_ACCEPT_CONFIG,
        listen_accept_role: Some("raw-proxy".into()),
        ..Default::default()
    }
}

/// A relayed pair whose loop the test turns.
struct Pair {
    relay: Relay,
    client: TcpStream,
    onward: TcpStream,
}

struct Relay {
    context: Context,
    start: Instant,
}

impl Pair {
    #[track_caller]
    fn new(own: &[(&str, &str)]) -> Pair {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        listener.set_nonblocking(true).expect("own socket");
        let target = format!("ipv4:{}", listener.local_addr().expect("bound"));
        let own: Vec<(&str, &str)> = own.iter().copied().chain([("onward", target.as_str())]).collect();
        let mut context = Context::new(ContextInfo::default()).expect("context");
        let port = server::make_vhost(&mut context, relay(Listen::on("127.0.0.1", 0), &own));
        let client = connect(port);
        let (start, mut accepted) = (Instant::now(), None);
        eventually("the relay connects onward", || {
            context.service_at(start).expect("service");
            accepted = listener.accept().ok();
            accepted.is_some()
        });
        let (onward, _) = accepted.expect("accepted");
        for stream in [&client, &onward] {
            stream.set_nonblocking(true).expect("own socket");
        }
        let mut relay = Relay { context, start };
        relay.turns(0);
        assert!(relay.has_pair());
        Pair { relay, client, onward }
    }
}

impl Relay {
    /// Many turns, so many seconds after the start.
    fn turns(&mut self, seconds: u64) {
        for _ in 0..50 {
            self.context.service_at(self.start + Duration::from_secs(seconds)).expect("service");
        }
    }

    /// Sends until nothing moves any more, all in the same second.
    #[track_caller]
    fn stuff(&mut self, mut into: &TcpStream, seconds: u64) {
        let (bytes, mut sent) = ([7; 64 * 1024], 0);
        settled(|| {
            match into.write(&bytes) {
                Ok(count) => sent += count,
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}"),
            }
            self.turns(seconds);
            sent
        });
        assert!(sent > 0);
    }

    /// The listen socket and two.
    fn has_pair(&mut self) -> bool {
        self.context.cx().wsi_count() == 3
    }

    /// What the system has taken without a word of the poll gives the pair its time once more, and then it is over.
    #[track_caller]
    fn is_given_up(&mut self, patience: u64) {
        self.turns(patience + 1);
        self.wait_until_gone(2 * (patience + 1));
    }

    /// One half goes at once; the other may have something to get rid of, but not for ever.
    #[track_caller]
    fn wait_until_gone(&mut self, seconds: u64) {
        // What the system takes late counts as taken, so it may be longer than DRAIN_TIME.
        let drained = seconds + limits::DRAIN_LONGEST.as_secs() + 1;
        for (at, left, what) in [(seconds, 2, "the pair is no more"), (drained, 1, "both are gone")] {
            eventually(what, || {
                self.turns(at);
                self.context.cx().wsi_count() <= left
            });
        }
    }
}

#[test]
fn a_pair_whose_onward_server_never_reads_is_idle() {
    let Pair { mut relay, client, onward: _onward } = Pair::new(&[("idle-timeout-secs", "10")]);
    relay.stuff(&client, 0);
    for seconds in [3, 6, 9] {
        relay.turns(seconds);
        assert!(relay.has_pair(), "after {seconds} of 10 seconds");
    }
    relay.is_given_up(10);
}

#[test]
fn a_pair_whose_client_never_reads_is_idle() {
    let Pair { mut relay, client: _client, onward } = Pair::new(&[("idle-timeout-secs", "10")]);
    relay.stuff(&onward, 0);
    for seconds in [3, 6, 9] {
        relay.turns(seconds);
        assert!(relay.has_pair(), "after {seconds} of 10 seconds");
    }
    relay.is_given_up(10);
}

#[test]
fn the_reset_of_a_client_is_noticed_while_the_onward_server_does_not_read() {
    let Pair { mut relay, client, onward: _onward } = Pair::new(&[]);
    relay.stuff(&client, 0);
    reset(client);
    relay.wait_until_gone(0);
}

#[test]
fn a_half_closed_client_that_never_reads_its_reply_is_given_up() {
    let linger = limits::HALF_CLOSE_LINGER.as_secs();
    let Pair { mut relay, client, mut onward } = Pair::new(&[]);
    relay.stuff(&onward, 0);
    half_close(&client);
    relay.turns(0);
    assert_eq!(onward.read(&mut [0]).expect("the client's EOF is passed on"), 0);
    for seconds in [linger / 3, 2 * linger / 3, linger - 1] {
        relay.turns(seconds);
        assert!(relay.has_pair(), "after {seconds} of {linger} seconds");
    }
    relay.is_given_up(linger);
}

#[test]
fn a_half_closed_client_that_reads_its_reply_now_and_then_is_not_given_up() {
    let Pair { mut relay, mut client, onward } = Pair::new(&[]);
    // A receive buffer that grows would take the whole reply at once on some systems.
    SockRef::from(&client).set_recv_buffer_size(64 * 1024).expect("own socket");
    relay.stuff(&onward, 0);
    half_close(&client);
    for round in 1..=3 {
        let seconds = round * (limits::HALF_CLOSE_LINGER.as_secs() - 1);
        let mut got = 0;
        eventually("a megabyte comes", || {
            relay.turns(seconds);
            got += client.read(&mut [0; 64 * 1024]).unwrap_or_default();
            got >= MIB
        });
        relay.turns(seconds);
        assert!(relay.has_pair(), "round {round}");
    }
}

/// Reads that much, in one second of the relay.
#[track_caller]
fn read_some(relay: &mut Relay, mut client: &TcpStream, seconds: u64, wanted: usize) {
    let mut got = 0;
    eventually("some of it comes", || {
        relay.turns(seconds);
        let most = wanted - got;
        got += client.read(&mut [0; 64 * 1024][..most.min(64 * 1024)]).unwrap_or_default();
        got == wanted
    });
}

#[test]
fn who_reads_too_little_for_the_poll_to_tell_is_not_given_up() {
    const A_ROUND: usize = 256 * 1024;
    let linger = limits::HALF_CLOSE_LINGER.as_secs();
    for (own, patience, half_closes) in [(&[("idle-timeout-secs", "20")][..], 20, false), (&[][..], linger, true)] {
        let Pair { mut relay, client, onward } = Pair::new(own);
        // A receive buffer that grows would take all of it at once.
        SockRef::from(&client).set_recv_buffer_size(64 * 1024).expect("own socket");
        relay.stuff(&onward, 0);
        if half_closes {
            half_close(&client);
        }
        for round in 1..=5 {
            read_some(&mut relay, &client, round * patience - 1, A_ROUND);
            relay.turns(round * patience);
            assert!(relay.has_pair(), "round {round} of {own:?}");
        }
    }
}

#[test]
fn who_is_given_up_with_bytes_on_their_way_learns_by_a_reset_that_they_do_not_come() {
    let Pair { mut relay, mut client, onward } = Pair::new(&[("idle-timeout-secs", "10")]);
    SockRef::from(&client).set_recv_buffer_size(64 * 1024).expect("own socket");
    relay.stuff(&onward, 0);
    relay.is_given_up(10);
    let mut end = Ok(1);
    eventually("the end", || {
        end = client.read(&mut [0; 64 * 1024]);
        !matches!(&end, Ok(1..)) && !matches!(&end, Err(error) if error.kind() == ErrorKind::WouldBlock)
    });
    assert_eq!(end.expect_err("no orderly end").kind(), ErrorKind::ConnectionReset);
}

#[test]
fn the_last_word_of_an_onward_server_that_resets_arrives_in_the_middle_of_an_upload() {
    let onward = Onward::serve(|stream, _| {
        // Unread input makes the close a reset.
        let _something = stream.peek(&mut [0]).expect("the upload begins");
        stream.write_all(b"413 too much").expect("the relay reads");
    });
    let target = onward.target();
    let server = Server::with_vhost(move || relay(Listen::on("127.0.0.1", 0), &[("onward", &target)]));
    for round in 0..20 {
        let mut client = connect(server.made);
        let mut upload = client.try_clone().expect("dup");
        let answer = std::thread::scope(|scope| {
            scope.spawn(move || {
                let chunk = vec![7; MIB];
                // It ends with the connection, or with what it has.
                for _ in 0..8 {
                    if upload.write_all(&chunk).is_err() {
                        return;
                    }
                }
                let _ = upload.shutdown(Shutdown::Write);
            });
            read_until_closed(&mut client).0
        });
        assert_eq!(shown(&answer), shown(b"413 too much"), "round {round}");
    }
    server.assert_nothing_left();
}

#[test]
fn the_last_word_of_an_onward_server_that_resets_arrives_although_the_upload_is_stuck() {
    let Pair { mut relay, mut client, mut onward } = Pair::new(&[]);
    relay.stuff(&client, 0);
    onward.write_all(b"413 too much").expect("send");
    // With unread input, so this is a reset.
    drop(onward);
    let mut got = Vec::new();
    eventually("the last word arrives", || {
        relay.turns(0);
        let mut piece = [0; 64];
        let count = client.read(&mut piece).unwrap_or_default();
        got.extend_from_slice(&piece[..count]);
        got.len() >= b"413 too much".len()
    });
    assert_eq!(shown(&got), shown(b"413 too much"));
}

/// A relay on a unix socket whose onward server's name has to be looked up, which takes a turn of the loop at least.
fn unix_relay(path: &Path, onward: &Onward) -> Context {
    let mut context = Context::new(ContextInfo::default()).expect("context");
    let target = format!("ipv4:localhost:{}", onward.port);
    context.create_vhost(relay(Listen::unix(path), &[("onward", &target)])).expect("vhost");
    context
}

#[test]
fn what_a_unix_client_says_before_it_goes_arrives_although_nobody_was_connected_yet() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("relay");
    let onward = Onward::recorder();
    let mut context = unix_relay(&path, &onward);
    let start = Instant::now();
    for (number, is_accepted_first) in [true, false].into_iter().enumerate() {
        let mut client = UnixStream::connect(&path).expect("connect");
        if is_accepted_first {
            eventually("the relay connects onward", || {
                context.service_at(start).expect("service");
                context.cx().wsi_count() == 3
            });
            assert_eq!(onward.connections().len(), number, "its name is looked up first");
        }
        client.write_all(b"remember me").expect("send");
        drop(client);
        eventually("the onward server has been told", || {
            context.service_at(start).expect("service");
            onward.connections().get(number).is_some_and(|seen| seen.eof())
        });
        assert_eq!(onward.connection(number).bytes(), b"remember me");
        eventually("nothing is left", || {
            context.service_at(start).expect("service");
            context.cx().wsi_count() == 1
        });
    }
}

#[test]
fn what_came_with_the_clients_end_arrives_though_the_onward_server_ends_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
    listener.set_nonblocking(true).expect("own socket");
    let target = format!("ipv4:{}", listener.local_addr().expect("bound"));
    let options = Options::FALLBACK_TO_APPLY_LISTEN_ACCEPT_CONFIG;
    let info = VhostInfo { options, ..relay(Listen::on("127.0.0.1", 0), &[("onward", &target)]) };
    let mut context = Context::new(ContextInfo::default()).expect("context");
    let mut client = connect(server::make_vhost(&mut context, info));
    // Its end is what decides that this is not http, so both were read before anybody was connected.
    send(&mut client, b"GE");
    half_close(&client);
    let start = Instant::now();
    let mut accepted = None;
    eventually("the relay connects onward", || {
        // Accepted here before the relay has heard that it is connected.
        accepted = listener.accept().ok();
        if accepted.is_none() {
            context.service_at(start).expect("service");
        }
        accepted.is_some()
    });
    let (onward, _) = accepted.expect("accepted");
    half_close(&onward);
    let mut onward = with_deadline(onward);
    (0..50).for_each(|_| context.service_at(start).expect("service"));
    assert_eq!(read_to_end(&mut onward), b"GE");
    assert_eq!(read_to_end(&mut client), b"");
}
