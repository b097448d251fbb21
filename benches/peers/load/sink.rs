//! Reads what nobody wants, behind everybody else of the load.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::thread;

use rustix::event::epoll::EventFlags;

use super::TICK;
use crate::cores::stand_back;
use crate::poll::Poll;

/// A thread that reads. It ends with this.
pub(crate) struct Sink(Sender<TcpStream>);

/// Read at a time: little, for the next to be served soon.
const PIECE: usize = 64 * 1024;

impl Sink {
    pub(crate) fn start() -> Sink {
        let (sender, streams) = mpsc::channel();
        thread::spawn(move || {
            stand_back();
            if let Err(error) = read(&streams) {
                eprintln!("sink: {error}");
            }
        });
        Sink(sender)
    }

    /// Reads a stream, which does not block, to its end.
    pub(crate) fn take(&self, stream: TcpStream) {
        // Without the thread, which has said why, the stream ends.
        let _ = self.0.send(stream);
    }
}

fn read(streams: &Receiver<TcpStream>) -> std::io::Result<()> {
    let poll = Poll::new()?;
    let (mut events, mut buf) = (Vec::with_capacity(64), vec![0; PIECE]);
    let mut open: slab::Slab<TcpStream> = slab::Slab::new();
    loop {
        match streams.try_recv() {
            Ok(stream) => {
                let entry = open.vacant_entry();
                poll.add(&stream, entry.key(), EventFlags::IN)?;
                entry.insert(stream);
                continue;
            }
            Err(TryRecvError::Disconnected) => return Ok(()),
            Err(TryRecvError::Empty) => {}
        }
        poll.wait(&mut events, Some(TICK))?;
        for event in events.drain(..) {
            let number = event.data.u64() as usize;
            let Some(stream) = open.get_mut(number) else { continue };
            match stream.read(&mut buf) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Ok(0) | Err(_) => _ = open.remove(number),
                Ok(_) => {}
            }
        }
    }
}
