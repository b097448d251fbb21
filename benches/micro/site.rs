//! A context that serves a folder and echoes, without a listen socket's part in it: its connections are adopted socket pairs.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::{Duration, SystemTime};

use rlws::protocols::RawEcho;
use rlws::{AdoptInfo, Context, ContextInfo, Listen, Mount, ProtocolTable, VhostId, VhostInfo, limits};

/// Bytes of the page `/page.html`.
pub(crate) const PAGE: usize = 1024;

/// A context, its one vhost, and the folder that this serves.
pub(crate) struct Site {
    context: Context,
    vhost: VhostId,
    silent: Vec<UnixStream>,
    _folder: tempfile::TempDir,
}

impl Site {
    pub(crate) fn new() -> Site {
        let folder = tempfile::tempdir().expect("a folder");
        let page = folder.path().join("page.html");
        fs::write(&page, vec![b'x'; PAGE]).expect("write");
        // A file that has just changed is not kept yet.
        let settled = SystemTime::now() - 2 * limits::FILE_CACHE_SETTLED;
        fs::File::options().append(true).open(&page).and_then(|file| file.set_modified(settled)).expect("utimensat");
        let mut context = Context::new(ContextInfo::default()).expect("a context");
        let info = VhostInfo {
            name: "localhost".into(),
            listen: Listen::on("127.0.0.1", 0),
            mounts: vec![Mount::files("/", folder.path())],
            protocols: vec![ProtocolTable::of::<RawEcho>()],
            ..Default::default()
        };
        let vhost = context.create_vhost(info).expect("a vhost");
        Site { context, vhost, silent: Vec::new(), _folder: folder }
    }

    /// Adds connections that echo, and that nobody speaks on.
    pub(crate) fn with_silent(mut self, count: usize) -> Site {
        self.silent = (0..count).map(|_| self.echo()).collect();
        self.turn();
        self
    }

    /// The client's side of a connection that echoes.
    pub(crate) fn echo(&mut self) -> UnixStream {
        let (ours, theirs) = UnixStream::pair().expect("socketpair");
        ours.set_nonblocking(true).expect("fcntl");
        let info = AdoptInfo::new(self.vhost, "raw-echo");
        self.context.cx().adopt_unix(theirs, info).expect("adopted");
        self.turn();
        ours
    }

    /// The client's side of a connection that http serves.
    pub(crate) fn browser(&mut self) -> TcpStream {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind");
        let ours = TcpStream::connect(listener.local_addr().expect("an address")).expect("connect");
        let (theirs, _) = listener.accept().expect("accept");
        ours.set_nodelay(true).expect("TCP_NODELAY");
        ours.set_nonblocking(true).expect("fcntl");
        self.context.cx().adopt_accepted(theirs, self.vhost, b"").expect("adopted");
        self.turn();
        ours
    }

    pub(crate) fn context(&mut self) -> &mut Context {
        &mut self.context
    }

    pub(crate) fn vhost(&self) -> VhostId {
        self.vhost
    }

    /// A turn that does not wait.
    pub(crate) fn turn(&mut self) {
        self.context.service(Some(Duration::ZERO)).expect("a turn");
    }

    /// Sends, and turns the loop until `count` bytes have come back.
    pub(crate) fn exchange(&mut self, client: &mut (impl Read + Write), request: &[u8], count: usize, buf: &mut [u8]) {
        client.write_all(request).expect("there is room");
        let mut got = 0;
        while got < count {
            self.turn();
            match client.read(&mut buf[..count - got]) {
                Ok(0) => panic!("EOF after {got} of {count} bytes"),
                Ok(more) => got += more,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
}
