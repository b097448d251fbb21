//! A loop whose turns and whose time are the test's, and one client of it.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rlws::{Context, ContextInfo, VhostInfo};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, Socket, Type};

use super::server::make_vhost;
use super::{DEADLINE, eventually, send, settled, with_deadline};

/// A client whose socket holds little, so that most of a response waits at the server.
pub fn small_client(port: u16) -> TcpStream {
    client_of(port, 64 * 1024)
}

/// A client whose socket holds no more bytes than that, if the system lets it be so few.
pub fn client_of(port: u16, bytes: usize) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("socket");
    socket.set_recv_buffer_size(bytes).expect("SO_RCVBUF");
    socket.connect(&SocketAddr::from(([127, 0, 0, 1], port)).into()).expect("connect");
    with_deadline(socket.into())
}

/// A loop that the test turns, and a client of it.
pub struct Turned {
    pub context: Context,
    start: Instant,
    /// So many seconds after the start the loop thinks it is.
    pub seconds: u64,
    pub client: TcpStream,
}

impl Turned {
    #[track_caller]
    pub fn new(info: VhostInfo) -> Turned {
        Turned::with(info, small_client)
    }

    /// With a client that is connected so.
    #[track_caller]
    pub fn with(info: VhostInfo, client: impl FnOnce(u16) -> TcpStream) -> Turned {
        let mut context = Context::new(ContextInfo::default()).expect("context");
        let client = client(make_vhost(&mut context, info));
        client.set_nonblocking(true).expect("own socket");
        let mut turned = Turned { context, start: Instant::now(), seconds: 0, client };
        eventually("the connection is accepted", || {
            turned.turn();
            turned.is_there()
        });
        // Accepted is not yet begun with.
        turned.turns(0);
        turned
    }

    pub fn turn(&mut self) {
        self.context.service_at(self.start + Duration::from_secs(self.seconds)).expect("service");
    }

    /// Many turns, so many seconds after the start.
    pub fn turns(&mut self, seconds: u64) {
        self.seconds = seconds;
        (0..50).for_each(|_| self.turn());
    }

    #[track_caller]
    pub fn send(&mut self, bytes: &[u8]) {
        send(&mut self.client, bytes);
    }

    /// Turns the loop until no more comes to a client that does not read.
    #[track_caller]
    pub fn fill(&mut self) {
        let mut look = vec![0; 8 * 1024 * 1024];
        let waiting = settled(|| {
            // A turn brings one response at most.
            (0..200).for_each(|_| self.turn());
            self.client.peek(&mut look).unwrap_or_default()
        });
        assert!(waiting > 0);
    }

    /// Whether the server has not said that it is the end.
    pub fn is_open(&mut self) -> bool {
        let mut fds = [PollFd::new(&self.client, PollFlags::RDHUP)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut fds, Some(&now)).expect("poll") == 0
    }

    pub fn is_there(&mut self) -> bool {
        self.context.cx().wsi_count() == 2
    }
}

impl Read for Turned {
    /// Turns the loop until something comes.
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let end = Instant::now() + DEADLINE;
        loop {
            match self.client.read(buf) {
                Err(error) if error.kind() == ErrorKind::WouldBlock && Instant::now() < end => self.turn(),
                result => return result,
            }
        }
    }
}

impl Write for Turned {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.client.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
