//! Many connections that have said something once, and are silent.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::exchanges::Exchange;
use super::sockets::{Echo, upgrade};
use crate::util::tls::{TlsStream, trusting, try_handshake};
use crate::util::ws;

/// Connections that are held. Dropping it closes them.
pub(crate) enum Crowd {
    Plain { _held: Vec<TcpStream> },
    Tls { _held: Vec<TlsStream> },
}

/// Plain or TLS.
trait Stream: Read + Write {}

impl<S: Read + Write> Stream for S {}

/// How long one of them may take to be answered.
const PATIENCE: Duration = Duration::from_secs(5);

impl Crowd {
    /// Opens so many connections one by one, each with the same exchanges.
    ///
    /// # Errors
    /// Where one is refused, or not answered in time.
    pub(crate) fn gather(port: u16, count: usize, exchanges: &[Exchange]) -> Result<Crowd, String> {
        let one = |_| {
            let mut stream = connect(port)?;
            greet(&mut stream, exchanges)?;
            Ok(stream)
        };
        let held = (0..count).map(one).collect::<std::io::Result<_>>();
        Ok(Crowd::Plain { _held: held.map_err(|error| format!("a silent connection: {error}"))? })
    }

    /// The same over TLS.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn gather_tls(port: u16, count: usize, exchanges: &[Exchange]) -> Result<Crowd, String> {
        let config = trusting().config();
        let one = |_| {
            let socket = connect(port).map_err(|error| error.to_string())?;
            let mut stream = try_handshake(&config, socket, "localhost")?;
            greet(&mut stream, exchanges).map_err(|error| error.to_string())?;
            Ok(stream)
        };
        Ok(Crowd::Tls { _held: (0..count).map(one).collect::<Result<_, String>>()? })
    }
}

/// A connection whose reads and writes wait, but not for ever.
pub(super) fn connect(port: u16) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn greet(stream: &mut (impl Read + Write), exchanges: &[Exchange]) -> std::io::Result<()> {
    exchanges.iter().try_for_each(|exchange| {
        stream.write_all(&exchange.request)?;
        stream.read_exact(&mut vec![0; exchange.reply])
    })
}

/// A GET of `path` as an exchange, with the length of the answer as the server gives it now.
///
/// # Errors
/// Where the server does not answer `200`.
pub(crate) fn get(port: u16, tls: bool, path: &str) -> Result<Exchange, String> {
    let request = format!("GET /{path} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes();
    let socket = connect(port).map_err(|error| error.to_string())?;
    let reply = if tls {
        response_len(&mut try_handshake(&trusting().config(), socket, "localhost")?, &request)
    } else {
        response_len(&mut &socket, &request)
    };
    Ok(Exchange { request, reply: reply.map_err(|why| format!("GET /{path}: {why}"))?, is_last: false })
}

/// The opening of a WebSocket and one message, with the lengths of what the server says to it now. `deflate`: compression is offered.
///
/// # Errors
/// Where the server does not agree.
pub(crate) fn socket(port: u16, tls: bool, deflate: bool) -> Result<Vec<Exchange>, String> {
    let more = if deflate { "Sec-WebSocket-Extensions: permessage-deflate\r\n" } else { "" };
    let message = ws::text(&"all work and no play. ".repeat(3));
    let measure = |stream: &mut dyn Stream| -> std::io::Result<[usize; 2]> {
        let opening = upgrade(stream, more)?;
        stream.write_all(&message)?;
        let (mut echo, mut len, mut byte) = (Echo::default(), 0, [0]);
        loop {
            stream.read_exact(&mut byte)?;
            len += 1;
            if echo.take(&byte) {
                return Ok([opening, len]);
            }
        }
    };
    let socket = connect(port).map_err(|error| error.to_string())?;
    let lengths = if tls {
        measure(&mut try_handshake(&trusting().config(), socket, "localhost")?)
    } else {
        measure(&mut &socket)
    };
    let [opening, echo] = lengths.map_err(|error| format!("a WebSocket: {error}"))?;
    let opening = Exchange { request: ws::request("/", more).into_bytes(), reply: opening, is_last: false };
    Ok(vec![opening, Exchange { request: message.clone(), reply: echo, is_last: false }])
}

fn response_len(stream: &mut (impl Read + Write), request: &[u8]) -> Result<usize, String> {
    stream.write_all(request).map_err(|error| error.to_string())?;
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).map_err(|error| error.to_string())?;
        head.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    match length {
        Some(length) if text.starts_with("http/1.1 200") => Ok(head.len() + length),
        _ => Err(text.lines().next().unwrap_or_default().to_owned()),
    }
}
