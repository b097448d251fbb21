//! What the parent and its workers say to each other, over a unix socket that is a worker's stdin.
//!
//! ```text
//!   parent ── file LENGTH NAME, text, .. , pem LENGTH PATH, text, .. ,
//!             sockets N KEY (with N descriptors), .. , serve ──────────▶ worker
//!   parent ◀─────────────────────── ready ────────────────────── worker
//!   parent ── drain | stop SECONDS | reopen ───────────────────▶ worker
//! ```
//!
//! Lines of text. A worker that loses its parent drains and ends; a parent that loses a worker learns why from its exit status.

use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rlws::ListenSockets;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};

use crate::setup::{Loaded, Pems};

pub(crate) const SERVE: &str = "serve";
pub(crate) const READY: &str = "ready";
pub(crate) const DRAIN: &str = "drain";
pub(crate) const REOPEN: &str = "reopen";
/// Followed by seconds.
pub(crate) const STOP: &str = "stop";

/// Descriptors in one message; Linux takes 253.
const AT_ONCE: usize = 64;

/// Hands over what a worker needs: the configuration and the keys as they were checked, and its listen sockets.
pub(crate) fn hand_over(to: &UnixStream, loaded: &Loaded, sockets: &[ListenSockets]) -> io::Result<()> {
    let files = loaded.conf.texts().map(|(name, text)| ("file", name.into(), text.as_bytes()));
    let pems = loaded.pems.iter().map(|(path, text)| ("pem", path.to_string_lossy(), &**text));
    for (word, name, text) in files.chain(pems) {
        io::Write::write_all(&mut &*to, format!("{word} {} {name}\n", text.len()).as_bytes())?;
        io::Write::write_all(&mut &*to, text)?;
    }
    for sockets in sockets {
        let fds: Vec<BorrowedFd<'_>> = sockets.fds().collect();
        for fds in fds.chunks(AT_ONCE) {
            send_with(to, &format!("sockets {} {}\n", fds.len(), sockets.listen()), fds)?;
        }
    }
    send_with(to, &format!("{SERVE}\n"), &[])
}

fn send_with(to: &UnixStream, line: &str, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(AT_ONCE))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::Error::other("too many descriptors for one message"));
    }
    let sent = sendmsg(to, &[IoSlice::new(line.as_bytes())], &mut ancillary, SendFlags::NOSIGNAL)?;
    // The descriptors have gone with the first byte; the rest is text.
    io::Write::write_all(&mut &*to, &line.as_bytes()[sent..])
}

/// What a worker was handed.
#[derive(Default)]
pub(crate) struct Handed {
    /// Names and texts of the configuration's files.
    pub(crate) files: Vec<(String, String)>,
    /// The certificates and keys that it names.
    pub(crate) pems: Pems,
    /// Sockets, under the text of what they listen on.
    pub(crate) sockets: Vec<(String, Vec<OwnedFd>)>,
}

/// Takes what the parent hands over, until it says that this was all.
pub(crate) fn take_over(from: &UnixStream) -> io::Result<Handed> {
    let (mut text, mut fds, mut handed) = (Vec::new(), Vec::new(), Handed::default());
    loop {
        let Some(end) = text.iter().position(|byte| *byte == b'\n') else {
            receive(from, &mut text, &mut fds)?;
            continue;
        };
        let line: Vec<u8> = text.drain(..=end).collect();
        let line = String::from_utf8_lossy(&line[..end]).into_owned();
        let odd = || io::Error::new(ErrorKind::InvalidData, format!("{line:?} is no word of the parent's"));
        if line == SERVE {
            return Ok(handed);
        }
        let (word, count, name) = words(&line).ok_or_else(odd)?;
        if word == "sockets" {
            if count > fds.len() {
                return Err(odd());
            }
            handed.sockets.push((name.to_owned(), fds.drain(..count).collect()));
            continue;
        }
        while text.len() < count {
            receive(from, &mut text, &mut fds)?;
        }
        let whole: Vec<u8> = text.drain(..count).collect();
        match word {
            "file" => handed.files.push((name.to_owned(), String::from_utf8(whole).map_err(|_| odd())?)),
            "pem" => drop(handed.pems.insert(name.into(), whole)),
            _ => return Err(odd()),
        }
    }
}

/// `WORD COUNT NAME`
fn words(line: &str) -> Option<(&str, usize, &str)> {
    let (word, rest) = line.split_once(' ')?;
    let (count, name) = rest.split_once(' ')?;
    Some((word, count.parse().ok()?, name))
}

fn receive(from: &UnixStream, text: &mut Vec<u8>, fds: &mut Vec<OwnedFd>) -> io::Result<()> {
    let mut bytes = [0; 4096];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(AT_ONCE))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(from, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(handed) = message {
            fds.extend(handed);
        }
    }
    match received.bytes {
        0 => Err(ErrorKind::UnexpectedEof.into()),
        n => {
            text.extend_from_slice(&bytes[..n]);
            Ok(())
        }
    }
}

/// Bytes that come in pieces, as the lines they are.
#[derive(Default)]
pub(crate) struct Lines {
    begun: Vec<u8>,
}

impl Lines {
    pub(crate) fn add(&mut self, bytes: &[u8]) -> Vec<String> {
        self.begun.extend_from_slice(bytes);
        let Some(end) = self.begun.iter().rposition(|byte| *byte == b'\n') else { return Vec::new() };
        let whole: Vec<u8> = self.begun.drain(..=end).collect();
        String::from_utf8_lossy(&whole).lines().map(str::to_owned).collect()
    }
}
