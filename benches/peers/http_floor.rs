//! The floor of http: the least that a server of one small file can do. It accepts, reads without a look at what it read, and sends the same
//! bytes each time, with the end behind them where a connection is for one request. It is a yardstick and no server: a request comes in one piece.

use std::io::{ErrorKind, Read, Result, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;

use rustix::event::epoll::EventFlags;

use crate::floor::listen;
use crate::poll::Poll;

const LISTENER: usize = usize::MAX;
/// What a request has that is the only one of its connection.
const LAST: &[u8] = b"Connection: close";

/// Serves `file` to whoever connects to `port` of 127.0.0.1 and asks for anything, until it is killed.
///
/// # Errors
/// Where it cannot read the file, listen or poll.
pub(crate) fn run(port: u16, file: &Path) -> Result<()> {
    let content = std::fs::read(file)?;
    let mut response = format!(
        "HTTP/1.1 200 OK\r\nServer: floor\r\nDate: Mon, 23 Nov 2026 12:00:00 GMT\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\
         Last-Modified: Mon, 23 Nov 2026 12:00:00 GMT\r\nETag: \"floor\"\r\nAccept-Ranges: bytes\r\n\r\n",
        content.len()
    )
    .into_bytes();
    response.extend(content);

    let listener = listen(port)?;
    let poll = Poll::new()?;
    poll.add(&listener, LISTENER, EventFlags::IN)?;
    let mut clients: Vec<Option<TcpStream>> = Vec::new();
    let mut free = Vec::new();
    let mut buf = vec![0; 16 * 1024];
    let mut events = Vec::with_capacity(512);
    loop {
        poll.wait(&mut events, None)?;
        for event in events.drain(..) {
            let number = event.data.u64() as usize;
            if number == LISTENER {
                while let Ok((stream, _)) = listener.accept() {
                    stream.set_nonblocking(true)?;
                    // What has come already is served without the poll.
                    if answered(&stream, &mut buf, &response)? {
                        let number = free.pop().unwrap_or(clients.len());
                        clients.resize_with(clients.len().max(number + 1), || None);
                        poll.add(&stream, number, EventFlags::IN)?;
                        clients[number] = Some(stream);
                    }
                }
            } else if let Some(stream) = &clients[number]
                && !answered(stream, &mut buf, &response).unwrap_or(false)
            {
                clients[number] = None;
                free.push(number);
            }
        }
    }
}

/// Whether more is to come.
fn answered(mut stream: &TcpStream, buf: &mut [u8], response: &[u8]) -> Result<bool> {
    let request = match stream.read(buf) {
        Ok(0) => return Ok(false),
        Ok(count) => &buf[..count],
        Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(false),
        Err(error) => return Err(error),
    };
    stream.write_all(response)?;
    let is_last = request.windows(LAST.len()).any(|part| part == LAST);
    if is_last {
        stream.shutdown(Shutdown::Write)?;
    }
    Ok(!is_last)
}
