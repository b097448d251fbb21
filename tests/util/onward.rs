//! What a proxy connects to. Each has a port of its own and a thread per connection, and is gone when it is dropped.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use super::eventually;
use super::net::{random_bytes, reset, with_deadline};

/// A server that does one thing to each of its connections.
pub struct Onward {
    pub port: u16,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    connections: Mutex<Vec<Arc<Seen>>>,
}

/// What a server saw of one connection.
#[derive(Default)]
pub struct Seen {
    bytes: Mutex<Vec<u8>>,
    sent: AtomicUsize,
    eof: AtomicBool,
    closed: AtomicBool,
}

impl Seen {
    /// What was read; a sink keeps nothing.
    pub fn bytes(&self) -> Vec<u8> {
        self.bytes.lock().expect("no writer panicked").clone()
    }

    /// How many bytes a source has got rid of.
    pub fn sent(&self) -> usize {
        self.sent.load(Ordering::SeqCst)
    }

    /// The peer said EOF (and did not reset).
    pub fn eof(&self) -> bool {
        self.eof.load(Ordering::SeqCst)
    }

    /// The server is done with it.
    pub fn closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Reads until EOF or an error.
    fn read_all(&self, stream: &mut TcpStream, mut with: impl FnMut(&[u8])) {
        let mut chunk = vec![0; 64 * 1024];
        loop {
            match stream.read(&mut chunk) {
                Ok(0) => return self.eof.store(true, Ordering::SeqCst),
                Ok(count) => with(&chunk[..count]),
                Err(_) => return,
            }
        }
    }

    fn record_all(&self, stream: &mut TcpStream) {
        self.read_all(stream, |chunk| self.bytes.lock().expect("no writer panicked").extend_from_slice(chunk));
    }
}

impl Onward {
    /// Sends back what it gets until EOF, then closes.
    pub fn echo() -> Onward {
        Onward::serve(|stream, seen| {
            let mut back = stream.try_clone().expect("dup");
            seen.read_all(stream, |chunk| {
                let _ = back.write_all(chunk);
            });
        })
    }

    /// Reads, keeps nothing, closes after EOF.
    pub fn sink() -> Onward {
        Onward::serve(|stream, seen| seen.read_all(stream, |_| ()))
    }

    /// Keeps what each connection sent; closes after EOF.
    pub fn recorder() -> Onward {
        Onward::serve(|stream, seen| seen.record_all(stream))
    }

    /// Sends `bytes` as fast as they are taken, then EOF, and keeps what it gets meanwhile and after.
    pub fn source(bytes: Vec<u8>) -> Onward {
        Onward::serve(move |stream, seen| {
            let mut reader = stream.try_clone().expect("dup");
            std::thread::scope(|scope| {
                scope.spawn(|| seen.record_all(&mut reader));
                for chunk in bytes.chunks(64 * 1024) {
                    if stream.write_all(chunk).is_err() {
                        return;
                    }
                    seen.sent.fetch_add(chunk.len(), Ordering::SeqCst);
                }
                let _ = stream.shutdown(Shutdown::Write);
            });
        })
    }

    /// Sends without an end, until the peer is gone.
    pub fn spring() -> Onward {
        Onward::serve(|stream, seen| {
            let chunk = random_bytes(7, 64 * 1024);
            while stream.write_all(&chunk).is_ok() {
                seen.sent.fetch_add(chunk.len(), Ordering::SeqCst);
            }
        })
    }

    /// Waits for EOF, then sends `bytes` and closes.
    pub fn answers_after_eof(bytes: Vec<u8>) -> Onward {
        Onward::serve(move |stream, seen| {
            seen.record_all(stream);
            let _ = stream.write_all(&bytes);
        })
    }

    /// Reads `count` bytes, sends them back and resets the connection.
    pub fn resets_after(count: usize) -> Onward {
        Onward::serve(move |stream, _| {
            let mut bytes = vec![0; count];
            if stream.read_exact(&mut bytes).is_ok() {
                let _ = stream.write_all(&bytes);
            }
            reset(stream.try_clone().expect("dup"));
        })
    }

    /// Accepts, and neither reads nor writes until it is dropped.
    pub fn idle() -> Onward {
        Onward::serve_until(|_, _, stop| {
            while !stop.load(Ordering::SeqCst) {
                std::thread::park_timeout(Duration::from_millis(10));
            }
        })
    }

    /// Does `serve` to each connection, then closes it.
    pub fn serve(serve: impl Fn(&mut TcpStream, &Seen) + Send + Sync + 'static) -> Onward {
        Onward::serve_until(move |stream, seen, _| serve(stream, seen))
    }

    fn serve_until(serve: impl Fn(&mut TcpStream, &Seen, &AtomicBool) + Send + Sync + 'static) -> Onward {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind");
        let port = listener.local_addr().expect("an address").port();
        let shared = Arc::new(Shared::default());
        let serve = Arc::new(serve);
        let thread = std::thread::spawn({
            let shared = shared.clone();
            move || {
                for stream in listener.incoming() {
                    if shared.stop.load(Ordering::SeqCst) {
                        return;
                    }
                    let mut stream = with_deadline(stream.expect("accept"));
                    let seen = Arc::new(Seen::default());
                    shared.connections.lock().expect("no panic").push(seen.clone());
                    let (serve, shared) = (serve.clone(), shared.clone());
                    std::thread::spawn(move || {
                        serve(&mut stream, &seen, &shared.stop);
                        drop(stream);
                        seen.closed.store(true, Ordering::SeqCst);
                    });
                }
            }
        });
        Onward { port, shared, thread: Some(thread) }
    }

    /// As the `onward` option wants it.
    pub fn target(&self) -> String {
        format!("ipv4:127.0.0.1:{}", self.port)
    }

    /// The connections accepted so far, also those that are over.
    pub fn connections(&self) -> Vec<Arc<Seen>> {
        self.shared.connections.lock().expect("no panic").clone()
    }

    /// Waits for the connection with this number, counted from 0.
    #[track_caller]
    pub fn connection(&self, number: usize) -> Arc<Seen> {
        eventually(&format!("connection {number} arrives"), || self.connections().len() > number);
        self.connections()[number].clone()
    }
}

impl Drop for Onward {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        // Ends the accept.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// An echo server on a unix socket, for as long as the process lives.
pub fn unix_echo(path: &Path) {
    let listener = UnixListener::bind(path).expect("bind");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("accept");
            std::thread::spawn(move || {
                let mut back = stream.try_clone().expect("dup");
                let _ = std::io::copy(&mut stream, &mut back);
                let _ = back.shutdown(Shutdown::Both);
            });
        }
    });
}

/// A port that is taken and refuses connections: bound, and never listened on.
pub struct Refusing {
    pub port: u16,
    socket: Socket,
}

impl Refusing {
    pub fn new() -> Refusing {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("socket");
        let (socket, port) = bound(socket);
        Refusing { port, socket }
    }

    /// Refuses no more.
    pub fn listen(self) -> TcpListener {
        self.socket.listen(16).expect("listen");
        self.socket.into()
    }

    pub fn target(&self) -> String {
        format!("ipv4:127.0.0.1:{}", self.port)
    }
}

/// A port that answers nothing, as behind a firewall that drops: its listen backlog is full, so the kernel ignores SYNs.
pub struct BlackHole {
    pub port: u16,
    _listener: Socket,
    _backlog: Vec<TcpStream>,
}

impl BlackHole {
    pub fn new() -> BlackHole {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("socket");
        let (listener, port) = bound(socket);
        listener.listen(0).expect("listen");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut backlog = Vec::new();
        // A SYN on loopback is answered at once or not at all.
        while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
            backlog.push(stream);
            assert!(backlog.len() < 1000, "a backlog without a bottom");
        }
        BlackHole { port, _listener: listener, _backlog: backlog }
    }

    pub fn target(&self) -> String {
        format!("ipv4:127.0.0.1:{}", self.port)
    }
}

fn bound(socket: Socket) -> (Socket, u16) {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    socket.bind(&any.into()).expect("bind");
    let address = socket.local_addr().expect("an address");
    let port = address.as_socket().expect("an ip address").port();
    (socket, port)
}
