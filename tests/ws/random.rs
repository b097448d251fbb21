//! Random talks with tungstenite, as our client and as our server: what it says is heard and comes back, however its bytes are cut.
//!
//! Each run prints its seed; `PROPTEST_RNG_SEED=17 cargo test --test ws random` repeats one. A talk that fails is made shorter, and told.

use std::cell::RefCell;
use std::hash::{BuildHasher, RandomState};
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::rc::Rc;

use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestRunner};
use rlws::{CloseCode, ConnectInfo, Reason, WsConnect};
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Error, Message, WebSocket};

use super::opened;
use super::util::script::{Loop, NAME, home, on_call};
use super::util::{eventually, random_bytes, with_deadline, ws};

/// What tungstenite says; of any length form.
#[derive(Debug, Clone)]
enum Said {
    /// In fragments of so many bytes, between which there are pings where that is said.
    Message {
        is_text: bool,
        parts: Vec<usize>,
        with_pings: bool,
    },
    Ping(usize),
}

/// How the bytes of frames are cut.
#[derive(Debug, Clone)]
enum Cut {
    Whole,
    /// Of long payloads the beginning and the end.
    ByteByByte,
    /// Into pieces of those lengths, over and over.
    Into(Vec<usize>),
}

/// Whether each was text, and what it was.
type Messages = Vec<(bool, Vec<u8>)>;

/// What comes of a talk, on either side.
#[derive(Debug, Default, PartialEq)]
struct Heard {
    /// By us.
    messages: Messages,
    /// By tungstenite.
    echoes: Messages,
    pongs: Vec<Vec<u8>>,
    /// What the close was answered with.
    code: u16,
}

fn length() -> impl Strategy<Value = usize> {
    prop_oneof![
        5 => 0..=125_usize,
        3 => prop::sample::select(vec![0, 1, 125, 126, 127, 65_535, 65_536, 65_537]),
        3 => 126..5000_usize,
        1 => 65_536..150_000_usize,
    ]
}

fn said() -> impl Strategy<Value = Said> {
    let parts = prop::collection::vec(length(), 1..5);
    prop_oneof![
        4 => (any::<bool>(), parts, any::<bool>())
            .prop_map(|(is_text, parts, with_pings)| Said::Message { is_text, parts, with_pings }),
        1 => (0..=125_usize).prop_map(Said::Ping),
    ]
}

fn cut() -> impl Strategy<Value = Cut> {
    let few = prop::collection::vec(1..40_usize, 0..6);
    (few, 1000..100_000_usize).prop_map(|(mut lengths, long)| {
        lengths.push(long);
        Cut::Into(lengths)
    })
}

#[test]
fn tungstenite_as_a_client_is_heard_and_echoed() {
    each_talk_is_heard_and_echoed(Role::Client);
}

#[test]
fn tungstenite_as_a_server_is_heard_and_echoed() {
    each_talk_is_heard_and_echoed(Role::Server);
}

#[track_caller]
fn each_talk_is_heard_and_echoed(role: Role) {
    let mut config =
        ProptestConfig { cases: 40, max_shrink_iters: 200, failure_persistence: None, ..Default::default() };
    if let RngSeed::Random = config.rng_seed {
        config.rng_seed = RngSeed::Fixed(RandomState::new().hash_one(0) >> 32);
    }
    let RngSeed::Fixed(seed) = config.rng_seed else { unreachable!("it was chosen") };
    eprintln!("PROPTEST_RNG_SEED={seed}");
    let talks = (prop::collection::vec(said(), 0..8), cut());
    let result = TestRunner::new(config).run(&talks, |(said, cut)| {
        let expected = expected(&said);
        for cut in [Cut::Whole, Cut::ByteByByte, cut] {
            let heard = talk(role, &said, &cut);
            prop_assert_eq!(lengths(&heard), lengths(&expected), "{:?}", cut);
            prop_assert!(heard == expected, "{:?}: other bytes of the same lengths", cut);
        }
        Ok(())
    });
    if let Err(why) = result {
        panic!("PROPTEST_RNG_SEED={seed}: {why}");
    }
}

/// Short enough to be told.
fn lengths(heard: &Heard) -> impl PartialEq + std::fmt::Debug {
    let of = |messages: &[(bool, Vec<u8>)]| messages.iter().map(|(text, it)| (*text, it.len())).collect::<Vec<_>>();
    let pongs: Vec<usize> = heard.pongs.iter().map(Vec::len).collect();
    (of(&heard.messages), of(&heard.echoes), pongs, heard.code)
}

/// Bytes that depend on where they are in the talk; as text with characters of every length.
fn payload(is_text: bool, number: usize, len: usize) -> Vec<u8> {
    if !is_text {
        return random_bytes(number as u64, len);
    }
    let mut text: String = format!("{number} ");
    text.truncate(len);
    for next in "aß€😀".chars().cycle() {
        if text.len() + next.len_utf8() > len {
            break;
        }
        text.push(next);
    }
    text.push_str(&"...."[..len - text.len()]);
    text.into_bytes()
}

fn expected(said: &[Said]) -> Heard {
    let mut expected = Heard { code: CloseCode::NORMAL.code(), ..Heard::default() };
    for (number, said) in said.iter().enumerate() {
        match said {
            Said::Ping(len) => expected.pongs.push(payload(false, number, *len)),
            Said::Message { is_text, parts, with_pings } => {
                expected.messages.push((*is_text, payload(*is_text, number, parts.iter().sum())));
                let between = if *with_pings { parts.len() - 1 } else { 0 };
                expected.pongs.extend((0..between).map(|part| vec![part as u8]));
            }
        }
    }
    expected.echoes = expected.messages.clone();
    expected
}

/// Says all of it, and has it written frame by frame.
fn says(peer: &mut Peer, said: &[Said]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let mut write = |message| {
        peer.write(message).expect("memory");
        frames.push(std::mem::take(&mut peer.get_mut().written));
    };
    for (number, said) in said.iter().enumerate() {
        let (is_text, parts, with_pings) = match said {
            Said::Ping(len) => {
                write(Message::Ping(payload(false, number, *len).into()));
                continue;
            }
            Said::Message { is_text, parts, with_pings } => (*is_text, parts, *with_pings),
        };
        let message = payload(is_text, number, parts.iter().sum());
        let mut rest = &message[..];
        for (part, len) in parts.iter().enumerate() {
            let (data, behind) = rest.split_at(*len);
            rest = behind;
            if part > 0 && with_pings {
                write(Message::Ping(vec![part as u8 - 1].into()));
            }
            let opcode = match (part, is_text) {
                (0, true) => Data::Text,
                (0, false) => Data::Binary,
                _ => Data::Continue,
            };
            let is_last = part + 1 == parts.len();
            write(Message::Frame(Frame::message(data.to_vec(), OpCode::Data(opcode), is_last)));
        }
    }
    frames
}

/// The bytes of frames in pieces.
fn pieces(frames: &[Vec<u8>], cut: &Cut) -> Vec<Vec<u8>> {
    /// A head and some of what is behind it.
    const EDGE: usize = 20;
    let all = frames.concat();
    match cut {
        Cut::Whole => vec![all],
        Cut::ByteByByte => {
            let mut pieces = Vec::new();
            for frame in frames {
                let middle = EDGE.min(frame.len())..frame.len().saturating_sub(EDGE).max(EDGE.min(frame.len()));
                pieces.extend(frame[..middle.start].chunks(1));
                pieces.extend(frame[middle.clone()].chunks(if middle.len() <= 125 { 1 } else { 5000 }));
                pieces.extend(frame[middle.end..].chunks(1));
            }
            pieces.into_iter().map(<[u8]>::to_vec).collect()
        }
        Cut::Into(lengths) => {
            let (mut rest, mut lengths, mut pieces) = (&all[..], lengths.iter().cycle(), Vec::new());
            while !rest.is_empty() {
                let (piece, behind) = rest.split_at(rest.len().min(*lengths.next().expect("endless")));
                pieces.push(piece.to_vec());
                rest = behind;
            }
            pieces
        }
    }
}

type Peer = WebSocket<Memory>;

/// What tungstenite has written, and what there is for it to read.
#[derive(Default)]
struct Memory {
    written: Vec<u8>,
    unread: std::io::Cursor<Vec<u8>>,
}

impl Read for Memory {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        match self.unread.read(buf) {
            Ok(0) => Err(ErrorKind::WouldBlock.into()),
            read => read,
        }
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.written.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A talk on a connection of its own, up to its end.
fn talk(role: Role, said: &[Said], cut: &Cut) -> Heard {
    let config = WebSocketConfig::default().write_buffer_size(0);
    let mut peer = WebSocket::from_raw_socket(Memory::default(), role, Some(config));
    let frames = says(&mut peer, said);
    let mut line = Line::open(role);
    for piece in pieces(&frames, cut) {
        line.carry(&piece, &mut peer);
    }
    let expected = expected(said);
    eventually("all has come back", || {
        line.carry(b"", &mut peer);
        line.heard.echoes.len() >= expected.echoes.len() && line.heard.pongs.len() >= expected.pongs.len()
    });
    let normal = tungstenite::protocol::frame::coding::CloseCode::Normal;
    peer.close(Some(tungstenite::protocol::CloseFrame { code: normal, reason: "bye".into() })).expect("memory");
    let close = std::mem::take(&mut peer.get_mut().written);
    line.carry(&close, &mut peer);
    eventually("it is closed", || {
        line.carry(b"", &mut peer);
        line.heard.code != 0
    });
    line.heard.messages = line.received.take();
    line.heard
}

/// A connection between a loop of ours and tungstenite.
struct Line {
    here: Loop,
    stream: TcpStream,
    received: Rc<RefCell<Messages>>,
    heard: Heard,
}

impl Line {
    fn open(role: Role) -> Line {
        let mut here = Loop::new(if role == Role::Client { ws::vhost() } else { home() });
        let received = echoing();
        let stream = match role {
            Role::Client => opened(&mut here, ""),
            Role::Server => {
                let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
                let target = format!("ipv4:{}", listener.local_addr().expect("bound")).parse().expect("a target");
                let info = ConnectInfo::ws(here.vhost, target, NAME, WsConnect::to("localhost"));
                here.cx().client_connect(info).expect("client_connect");
                here.during(move || {
                    let mut stream = with_deadline(listener.accept().expect("accept").0);
                    ws::agree(&mut stream, "");
                    stream
                })
            }
        };
        stream.set_nonblocking(true).expect("own socket");
        Line { here, stream, received, heard: Heard::default() }
    }

    /// Takes bytes of tungstenite's to us, and gives it what comes back; each piece has a turn of the loop.
    fn carry(&mut self, mut bytes: &[u8], peer: &mut Peer) {
        loop {
            match self.stream.write(bytes) {
                Ok(sent) => bytes = &bytes[sent..],
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}"),
            }
            self.here.turn();
            self.hears(peer);
            if bytes.is_empty() {
                return;
            }
        }
    }

    fn hears(&mut self, peer: &mut Peer) {
        let mut came = Vec::new();
        match self.stream.read_to_end(&mut came) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            end => assert_eq!(end.expect("no reset"), came.len()),
        }
        if came.is_empty() {
            return;
        }
        let unread = &mut peer.get_mut().unread;
        let kept = unread.get_ref()[unread.position() as usize..].to_vec();
        *unread = std::io::Cursor::new([kept, came].concat());
        loop {
            match peer.read() {
                Ok(Message::Text(text)) => self.heard.echoes.push((true, text.as_bytes().to_vec())),
                Ok(Message::Binary(bytes)) => self.heard.echoes.push((false, bytes.to_vec())),
                Ok(Message::Pong(bytes)) => self.heard.pongs.push(bytes.to_vec()),
                Ok(Message::Close(close)) => self.heard.code = close.expect("a code").code.into(),
                Ok(other) => panic!("{other:?}"),
                Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => return,
                Err(Error::ConnectionClosed) => return,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// Each part is sent back as it comes; the messages that they are.
fn echoing() -> Rc<RefCell<Messages>> {
    let received: Rc<RefCell<Messages>> = Rc::default();
    let noted = received.clone();
    on_call(move |wsi, cx, reason| {
        if let Reason::Receive(data) | Reason::ClientReceive(data) = reason {
            let mut noted = noted.borrow_mut();
            if wsi.is_first_fragment() {
                noted.push((!wsi.frame_is_binary(), Vec::new()));
            }
            noted.last_mut().expect("a first part").1.extend_from_slice(data);
        }
        ws::echo(wsi, cx, reason)
    });
    received
}
