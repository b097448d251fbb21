//! A message to everybody, again and again, while one of them does not read: who does not is got rid of, and all others get every message
//! in order. `WS_READERS=8000` has it done with as many.

mod util;

use std::time::Duration;

use rlws::{
    Call, InitError, Listen, Protocol, ProtocolTable, Pvo, Reason, Verdict, VhostCall, VhostInfo, WriteError, WsWrite,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};
use util::server::Server;
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
    let readers: usize = std::env::var("WS_READERS").map_or(200, |count| count.parse().expect("a number"));
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).expect("setrlimit");
    let server = Server::with_vhost(|| VhostInfo {
        name: "localhost".into(),
        listen: Listen::on("127.0.0.1", 0),
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
    let mut lazy = small_window(server.made);
    ws::upgrade(&mut lazy, "");
    let mut streams: Vec<_> = (0..readers).map(|_| ws::open(server.made, "")).collect();
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

/// A connection into which little fits while nobody reads from it.
fn small_window(port: u16) -> std::net::TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(4096).expect("SO_RCVBUF");
    socket.connect(&std::net::SocketAddr::from(([127, 0, 0, 1], port)).into()).expect("connect");
    socket.set_read_timeout(Some(Duration::from_secs(5))).expect("SO_RCVTIMEO");
    socket.into()
}
