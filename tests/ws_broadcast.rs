//! A message to everybody, again and again, while one of them does not read: who does not is got rid of, and all others get every message
//! in order. `WS_READERS=8000` has it done with as many.

mod util;

use std::io::{Read, Write};

use rlws::{
    Call, InitError, Listen, Protocol, ProtocolTable, Pvo, Reason, TlsInfo, Verdict, VhostCall, VhostInfo, WriteError,
    WsWrite,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use util::certs::localhost;
use util::server::Server;
use util::tls::{trusting, try_handshake};
use util::turned::client_of;
use util::*;

/// Bytes of a message, which says its number.
const SIZE: usize = 16 * 1024;

struct Broadcast;

/// What became of those who were written to.
#[derive(Default)]
struct Told {
    open: usize,
    culled: usize,
}

impl Protocol for Broadcast {
    const NAME: &'static str = "broadcast";
    const ROLES: &'static [&'static str] = &["ws"];
    type Session = ();
    type Vhost = Told;

    fn init(_: VhostCall<'_>, _: &Pvo) -> Result<Told, InitError> {
        Ok(Told::default())
    }

    fn callback(Call { wsi, vhd, .. }: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        match reason {
            Reason::Established => vhd.open += 1,
            Reason::Closed => vhd.open -= 1,
            Reason::User(number) => match wsi.write_ws(WsWrite::TEXT, message(number).as_bytes()) {
                Ok(()) => {}
                Err(WriteError::Full { .. }) => {
                    vhd.culled += 1;
                    return Verdict::Close;
                }
                Err(error) => panic!("{error}"),
            },
            _ => {}
        }
        Verdict::Continue
    }
}

fn message(number: u32) -> String {
    format!("{number:0SIZE$}")
}

#[test]
fn who_does_not_read_is_culled_and_all_others_get_every_message() {
    all_others_get_every_message(None);
}

#[test]
fn over_tls_too() {
    all_others_get_every_message(Some(localhost().tls_info()));
}

trait Stream: Read + Write {}

impl<S: Read + Write> Stream for S {}

#[track_caller]
fn all_others_get_every_message(tls: Option<TlsInfo>) {
    let readers: usize = std::env::var("WS_READERS").map_or(200, |count| count.parse().expect("a number"));
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).expect("setrlimit");
    let config = tls.is_some().then(|| trusting().config());
    let server = Server::with_vhost(move || VhostInfo {
        name: "localhost".into(),
        listen: Listen::on("127.0.0.1", 0),
        tls,
        protocols: vec![ProtocolTable::of::<Broadcast>()],
        ..Default::default()
    });
    let told = |of: fn(&Told) -> usize| {
        server.ask(move |context| {
            let cx = context.cx();
            let vhost = cx.vhost_by_name("localhost").expect("it is there");
            of(cx.vhd::<Broadcast>(vhost).expect("it is there"))
        })
    };
    let opened = |socket| {
        let mut stream: Box<dyn Stream> = match &config {
            Some(config) => Box::new(try_handshake(config, socket, "localhost").expect("a handshake")),
            None => Box::new(socket),
        };
        ws::upgrade(&mut stream, "");
        stream
    };
    let _lazy = opened(client_of(server.made, 4096));
    let mut streams: Vec<_> = (0..readers).map(|_| opened(connect(server.made))).collect();
    eventually("all are open", || told(|told| told.open) == readers + 1);

    let mut rounds = 0;
    // One more behind the end of the lazy one.
    let mut is_last = false;
    while !is_last {
        is_last = told(|told| told.culled) == 1;
        server.ask(move |context| {
            let cx = context.cx();
            let vhost = cx.vhost_by_name("localhost").expect("it is there");
            cx.callback_all_protocol(vhost, Broadcast::NAME, rounds);
        });
        let expected = message(rounds);
        for stream in &mut streams {
            assert!(ws::read_message(stream).0 == expected.as_bytes(), "message {rounds}");
        }
        rounds += 1;
        assert!(rounds < 10_000, "nobody is culled");
    }
    assert_eq!((told(|told| told.culled), told(|told| told.open)), (1, readers));
    eprintln!("{readers} readers got {rounds} messages each");
}
