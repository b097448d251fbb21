//! Any bytes as an http connection, through the first packet and role http: a protocol is told of the same requests however they are
//! cut, each in a place where the simplest of readers finds it, and what is answered is the same.
//!
//! The first byte says how they are cut.

#![no_main]

use std::cell::RefCell;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::time::Instant;

use libfuzzer_sys::fuzz_target;
use rlws::{
    Call, Context, ContextInfo, HttpRequest, InitError, Interests, Listen, Mount, Protocol, ProtocolTable, Pvo, Reason,
    Response, Verdict, VhostCall, VhostInfo, limits,
};
use rlws_fuzz::cut_into;

/// A request, as a protocol was told of it.
#[derive(Debug, Default, PartialEq)]
struct Told {
    method: String,
    target: String,
    headers: Vec<(String, Vec<u8>)>,
    /// All of its body, once it is all there.
    body: Option<Vec<u8>>,
}

thread_local! {
    static TOLD: RefCell<Vec<Told>> = const { RefCell::new(Vec::new()) };
    static SERVER: RefCell<Server> = RefCell::new(Server::new());
}

fuzz_target!(|input: &[u8]| {
    let [seed, bytes @ ..] = input else { return };
    let (told, statuses) = SERVER.with_borrow_mut(|server| server.serve([bytes]));
    let again = SERVER.with_borrow_mut(|server| server.serve(cut_into(bytes, *seed, bytes.len() / 6 + 1)));
    assert_eq!((&again.0, &again.1), (&told, &statuses));
    for status in &statuses {
        assert!([200, 204, 400, 404, 405, 413, 414, 417, 421, 431, 501, 505].contains(status), "{status}");
    }
    assert!(told.len() <= statuses.len() + 1, "at most one is not answered");
    find_all(bytes, &told);
});

/// A loop with a vhost on a unix socket that gives every request to a protocol.
struct Server {
    context: Context,
    at: SocketAddr,
    now: Instant,
}

impl Server {
    fn new() -> Server {
        let mut context = Context::new(ContextInfo::default()).expect("a context");
        let name = format!("rlws-fuzz-{}", std::process::id());
        let vhost = VhostInfo {
            listen: Listen::unix(format!("@{name}")),
            mounts: vec![Mount::callback("/", Teller::NAME)],
            protocols: vec![ProtocolTable::of::<Teller>()],
            ..Default::default()
        };
        context.create_vhost(vhost).expect("a vhost");
        let at = SocketAddr::from_abstract_name(name).expect("an abstract name");
        Server { context, at, now: Instant::now() }
    }

    /// The requests of a connection that sends these pieces and ends, and the final statuses of what is answered.
    fn serve<'p>(&mut self, pieces: impl IntoIterator<Item = &'p [u8]>) -> (Vec<Told>, Vec<u16>) {
        let mut client = UnixStream::connect_addr(&self.at).expect("the listener's backlog is empty");
        client.set_nonblocking(true).expect("own socket");
        self.turn();
        for piece in pieces {
            if client.write_all(piece).is_err() {
                break; // the server has closed
            }
            self.turn();
        }
        let _closed_already = client.shutdown(Shutdown::Write);
        let mut answer = Vec::new();
        for turn in 0.. {
            assert!(turn < 1000, "it does not end");
            self.turn();
            match client.read_to_end(&mut answer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                _ => break,
            }
        }
        drop(client);
        while self.context.cx().wsi_count() > 1 {
            self.turn();
        }
        (TOLD.take(), statuses(&answer))
    }

    /// Time stands still, so nothing times out.
    fn turn(&mut self) {
        self.context.service_at(self.now).expect("a turn");
    }
}

/// Those of an answer. No page has what begins a response in it.
fn statuses(answer: &[u8]) -> Vec<u16> {
    let text = str::from_utf8(answer).expect("answers are text");
    let numbers = text.split("HTTP/1.1 ").skip(1).map(|response| response[..3].parse().expect("a status"));
    numbers.filter(|status| *status >= 200).collect()
}

/// Notes what it is told, and answers 200.
struct Teller;

impl Protocol for Teller {
    const NAME: &'static str = "teller";
    const ROLES: &'static [&'static str] = &["http"];
    const INTERESTS: Interests = Interests::empty();
    type Session = Vec<u8>;
    type Vhost = ();

    fn init(_: VhostCall<'_>, _: &Pvo) -> Result<(), InitError> {
        Ok(())
    }

    fn callback(Call { wsi, pss, .. }: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        match reason {
            Reason::Http(request) => {
                TOLD.with_borrow_mut(|told| told.push(note(request)));
                pss.clear();
                if !request.has_body() {
                    TOLD.with_borrow_mut(|told| told.last_mut().expect("just told").body = Some(Vec::new()));
                    wsi.respond_with(Response::new(200), "").expect("a request to answer");
                }
            }
            Reason::HttpBody(data) => pss.extend_from_slice(data),
            Reason::HttpBodyCompletion => {
                TOLD.with_borrow_mut(|told| told.last_mut().expect("told before").body = Some(std::mem::take(pss)));
                wsi.respond_with(Response::new(200), "").expect("a request to answer");
            }
            _ => {}
        }
        Verdict::Continue
    }
}

fn note(request: &HttpRequest) -> Told {
    Told {
        method: request.method().to_owned(),
        target: request.target().to_owned(),
        headers: request.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        body: None,
    }
}

/// Reads the connection's bytes the simple way, and finds there what was told, in order. What was answered without the protocol lies
/// between.
fn find_all(bytes: &[u8], told: &[Told]) {
    let mut told = told.iter().peekable();
    let mut at = 0;
    while let Some(next) = told.peek() {
        let (head, len) = read_head(&bytes[at..]).expect("a head of what was told");
        at += len;
        let is_it = head.method == next.method
            && (head.target == next.target || !head.target.starts_with('/'))
            && head.headers == next.headers;
        let rest = &bytes[at..];
        let body = match head.framing() {
            Some(Framing::Length(length)) => rest.get(..length).map(|data| (data.to_vec(), length)),
            Some(Framing::Chunked) => unchunked(rest),
            None => Some((Vec::new(), 0)),
        };
        match (&body, &next.body) {
            (Some((data, _)), Some(of_told)) if is_it => assert_eq!(data, of_told),
            (_, Some(_)) if is_it => panic!("a body that is not there"),
            _ => {}
        }
        if is_it {
            told.next();
        }
        match body {
            Some((_, len)) => at += len,
            None => assert!(told.peek().is_none(), "nothing comes behind what has no end"),
        }
    }
}

struct Head {
    method: String,
    target: String,
    headers: Vec<(String, Vec<u8>)>,
}

enum Framing {
    Length(usize),
    Chunked,
}

/// A head and its length, empty lines before it included.
fn read_head(bytes: &[u8]) -> Option<(Head, usize)> {
    let start = bytes.iter().take_while(|byte| b"\r\n".contains(byte)).count();
    let len = bytes[start..].windows(4).position(|end| end == b"\r\n\r\n")?;
    let mut lines =
        bytes[start..start + len].split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let line = str::from_utf8(lines.next()?).ok()?;
    let words: Vec<&str> = line.split(' ').collect();
    assert!(words.len() == 3 && len <= limits::HTTP_HEAD && !bytes[..start + len].contains(&0));
    let headers = lines.map(|line| {
        assert!(!line.contains(&b'\r'), "a bare CR");
        let colon = line.iter().position(|byte| *byte == b':').expect("a header has a colon");
        let name = str::from_utf8(&line[..colon]).expect("a header's name is text");
        assert!(colon > 0 && !name.contains(|c: char| c.is_whitespace() || c.is_control()));
        (name.to_owned(), line[colon + 1..].trim_ascii().to_owned())
    });
    let (method, target, headers) = (words[0].to_owned(), words[1].to_owned(), headers.collect());
    Some((Head { method, target, headers }, start + len + 4))
}

impl Head {
    fn values(&self, name: &str) -> Vec<&[u8]> {
        let of_name = self.headers.iter().filter(|(of, _)| of.eq_ignore_ascii_case(name));
        of_name.map(|(_, value)| &value[..]).collect()
    }

    /// What was served is framed in one way at most.
    fn framing(&self) -> Option<Framing> {
        assert!(self.values("host").len() <= 1);
        match (&self.values("content-length")[..], &self.values("transfer-encoding")[..]) {
            ([], []) => None,
            ([length], []) => {
                assert!(length.iter().all(u8::is_ascii_digit));
                Some(Framing::Length(str::from_utf8(length).ok()?.parse().expect("a length")))
            }
            ([], [coding]) if coding.eq_ignore_ascii_case(b"chunked") => Some(Framing::Chunked),
            _ => panic!("framed twice"),
        }
    }
}

/// The data of chunks and the bytes they take, read the simple way, which takes on trust what the strict one has checked. `None`: they
/// are not all there.
fn unchunked(bytes: &[u8]) -> Option<(Vec<u8>, usize)> {
    let (mut rest, mut data) = (bytes, Vec::new());
    loop {
        let end = rest.windows(2).position(|end| end == b"\r\n")?;
        let digits = rest[..end].iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let size = usize::from_str_radix(str::from_utf8(&rest[..digits]).ok()?, 16).ok()?;
        if size == 0 {
            // Trailers, if any, up to an empty line.
            let end = rest[digits..].windows(4).position(|end| end == b"\r\n\r\n")?;
            return Some((data, bytes.len() - rest.len() + digits + end + 4));
        }
        let behind = rest.get(end + 2..)?;
        data.extend_from_slice(behind.get(..size)?);
        rest = behind[size..].strip_prefix(b"\r\n")?;
    }
}
