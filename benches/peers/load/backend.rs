//! What a relay connects to.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use rustix::event::epoll::EventFlags;

use super::TICK;
use super::sink::Sink;
use crate::floor::listen;
use crate::poll::Poll;

/// What a backend does to each connection.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub(crate) enum Backend {
    /// Sends back what comes; a connection that does not begin as ssh does is read and forgotten.
    Echo,
    /// The same, but it is another thread that reads what is forgotten, and that one stands back: an echo waits for no stream.
    EchoAhead,
    /// Sends as fast as it goes.
    Source,
}

/// A backend on a thread of its own. Dropping it ends it, and closes its connections.
pub(crate) struct Running {
    pub(crate) port: u16,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Backend {
    /// # Errors
    /// Where the system has no port or descriptor left.
    pub(crate) fn start(self) -> Result<Running, String> {
        let listener = listen(0).map_err(|error| format!("backend: {error}"))?;
        let port = listener.local_addr().map_err(|error| error.to_string())?.port();
        let stop = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let stop = stop.clone();
            move || {
                if let Err(error) = serve(self, &listener, &stop) {
                    eprintln!("backend: {error}");
                }
            }
        });
        Ok(Running { port, stop, thread: Some(thread) })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

const LISTENER: usize = usize::MAX;
const BUFFER: usize = 1024 * 1024;
/// Written at a time by a source.
const PIECE: usize = 256 * 1024;

struct Connection {
    stream: TcpStream,
    /// Decided by its first bytes.
    echoes: Option<bool>,
}

fn serve(backend: Backend, listener: &TcpListener, stop: &AtomicBool) -> std::io::Result<()> {
    let poll = Poll::new()?;
    poll.add(listener, LISTENER, EventFlags::IN)?;
    let flags = if backend == Backend::Source { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
    let (mut events, mut buf) = (Vec::with_capacity(512), vec![0; BUFFER]);
    let mut connections: slab::Slab<Connection> = slab::Slab::new();
    let sink = (backend == Backend::EchoAhead).then(Sink::start);
    while !stop.load(Ordering::Relaxed) {
        poll.wait(&mut events, Some(TICK))?;
        for event in events.drain(..) {
            let number = event.data.u64() as usize;
            if number == LISTENER {
                while let Ok((stream, _)) = listener.accept() {
                    stream.set_nonblocking(true)?;
                    stream.set_nodelay(true)?;
                    let entry = connections.vacant_entry();
                    poll.add(&stream, entry.key(), flags)?;
                    entry.insert(Connection { stream, echoes: None });
                }
            } else if let Some(connection) = connections.get_mut(number)
                && turn(connection, event.flags, &mut buf).is_none()
            {
                connections.remove(number);
            } else if let Some(sink) = &sink
                && connections.get(number).is_some_and(|connection| connection.echoes == Some(false))
            {
                let Connection { stream, .. } = connections.remove(number);
                poll.remove(&stream)?;
                sink.take(stream);
            }
        }
    }
    Ok(())
}

/// `None` is the connection's end.
fn turn(connection: &mut Connection, flags: EventFlags, buf: &mut [u8]) -> Option<()> {
    if flags.contains(EventFlags::OUT) {
        progress(connection.stream.write(&buf[..PIECE]))?;
    }
    if !flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
        return Some(());
    }
    let count = match connection.stream.read(buf) {
        Ok(0) => return None,
        read => progress(read)?,
    };
    if count > 0 && *connection.echoes.get_or_insert(buf.starts_with(b"SSH-")) && !flags.contains(EventFlags::OUT) {
        let mut rest = &buf[..count];
        while !rest.is_empty() {
            rest = &rest[progress(connection.stream.write(rest))?..];
        }
    }
    Some(())
}

fn progress(moved: std::io::Result<usize>) -> Option<usize> {
    match moved {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Some(0),
        moved => moved.ok(),
    }
}
