//! What a worker is given to begin with, and the descriptors that it is given later.
//!
//! ```text
//!   parent ── [blob, words] ── [sockets and logs, in pieces] ── .. ── [reopened logs] ──▶ worker
//! ```
//!
//! One message each on a SOCK_SEQPACKET pair, with one byte, and descriptors beside it (SCM_RIGHTS). The blob is a file in memory: all
//! that is text, in one piece, each part behind its length. So handing over never waits for a worker: what it does not take at once is in
//! the kernel's hands. `words` is the stream that [`control`](crate::control) is about.

use std::fs::File;
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Seek, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

/// Descriptors in one message; Linux takes 253.
const AT_ONCE: usize = 200;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// All that is text.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct HandOver {
    /// Names and texts of the configuration's files.
    pub(crate) files: Vec<(String, String)>,
    /// The certificates and keys that it names.
    pub(crate) pems: Vec<(PathBuf, Vec<u8>)>,
    /// Of which vhost (by its place in the configuration) how many sockets come, in this order.
    pub(crate) sockets: Vec<(usize, usize)>,
    /// The access logs of the descriptors that come behind the sockets.
    pub(crate) logs: Vec<PathBuf>,
}

impl HandOver {
    /// How many descriptors belong to it.
    pub(crate) fn descriptors(&self) -> usize {
        self.sockets.iter().map(|(_, count)| *count).fold(self.logs.len(), usize::saturating_add)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut blob = Blob(Vec::new());
        blob.bytes(VERSION.as_bytes());
        blob.number(self.files.len());
        for (name, text) in &self.files {
            blob.bytes(name.as_bytes());
            blob.bytes(text.as_bytes());
        }
        blob.number(self.pems.len());
        for (path, text) in &self.pems {
            blob.path(path);
            blob.bytes(text);
        }
        blob.number(self.sockets.len());
        for (vhost, count) in &self.sockets {
            blob.number(*vhost);
            blob.number(*count);
        }
        blob.number(self.logs.len());
        self.logs.iter().for_each(|path| blob.path(path));
        blob.0
    }

    /// # Errors
    /// It is cut off, goes on behind its end, or comes from a parent of another version.
    pub(crate) fn decode(blob: &[u8]) -> Result<HandOver, String> {
        let mut parts = Parts(blob);
        let version = parts.text()?;
        if version != VERSION {
            return Err(format!("it is of version {version}, and this is {VERSION}; restart lwsws"));
        }
        let hand_over = HandOver {
            files: parts.list(|parts| Ok((parts.text()?, parts.text()?)))?,
            pems: parts.list(|parts| Ok((parts.path()?, parts.bytes()?.to_vec())))?,
            sockets: parts.list(|parts| Ok((parts.number()?, parts.number()?)))?,
            logs: parts.list(Parts::path)?,
        };
        if parts.0.is_empty() { Ok(hand_over) } else { Err(format!("{} bytes too many", parts.0.len())) }
    }
}

/// Lengths and numbers are 8 bytes, the lowest first.
struct Blob(Vec<u8>);

impl Blob {
    fn number(&mut self, number: usize) {
        self.0.extend_from_slice(&(number as u64).to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    fn path(&mut self, path: &Path) {
        self.bytes(path.as_os_str().as_bytes());
    }
}

/// What is still to be read.
struct Parts<'b>(&'b [u8]);

impl<'b> Parts<'b> {
    fn take(&mut self, count: usize) -> Result<&'b [u8], String> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or("it is cut off")?;
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self) -> Result<usize, String> {
        let bytes = self.take(8)?.try_into().map_err(|_| "it is cut off")?;
        usize::try_from(u64::from_le_bytes(bytes)).map_err(|error| error.to_string())
    }

    fn bytes(&mut self) -> Result<&'b [u8], String> {
        let count = self.number()?;
        self.take(count)
    }

    fn text(&mut self) -> Result<String, String> {
        String::from_utf8(self.bytes()?.to_vec()).map_err(|error| error.to_string())
    }

    fn path(&mut self) -> Result<PathBuf, String> {
        Ok(std::ffi::OsString::from_vec(self.bytes()?.to_vec()).into())
    }

    fn list<T>(&mut self, part: impl Fn(&mut Self) -> Result<T, String>) -> Result<Vec<T>, String> {
        let count = self.number()?;
        // Not collected with a capacity: the count is not to be believed before the parts are there.
        let mut list = Vec::new();
        for _ in 0..count {
            list.push(part(self)?);
        }
        Ok(list)
    }
}

/// One end of the pair that descriptors go over.
#[derive(Debug)]
pub(crate) struct Channel(OwnedFd);

impl Channel {
    /// The parent's end, and the worker's.
    pub(crate) fn pair() -> io::Result<(Channel, OwnedFd)> {
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok((Channel(ours), theirs))
    }

    pub(crate) fn of(fd: OwnedFd) -> Channel {
        Channel(fd)
    }

    /// Sends the blob, the stream for words, and descriptors.
    pub(crate) fn begin(&self, what: &HandOver, words: BorrowedFd<'_>, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let mut blob = File::from(memfd_create("lwsws", MemfdFlags::CLOEXEC)?);
        blob.write_all(&what.encode())?;
        self.message(&[blob.as_fd(), words])?;
        self.send(fds)
    }

    /// The worker's side of [`begin`](Self::begin): what comes first. The descriptors come with [`receive`](Self::receive).
    pub(crate) fn began(&self) -> io::Result<(HandOver, OwnedFd)> {
        let odd = |why: String| io::Error::new(ErrorKind::InvalidData, why);
        let Ok([blob, words]) = <[OwnedFd; 2]>::try_from(self.take()?) else {
            return Err(odd("it does not begin with a configuration".to_owned()));
        };
        let (mut blob, mut bytes) = (File::from(blob), Vec::new());
        blob.rewind()?;
        blob.read_to_end(&mut bytes)?;
        Ok((HandOver::decode(&bytes).map_err(odd)?, words))
    }

    /// Sends descriptors, without waiting.
    ///
    /// # Errors
    /// [`ErrorKind::WouldBlock`]: the worker has not taken what it was sent before, and no more fits in between.
    pub(crate) fn send(&self, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        fds.chunks(AT_ONCE).try_for_each(|fds| self.message(fds))
    }

    /// Takes so many descriptors that were sent together, waiting for them. Where some cannot be had none is, and none is left for the next call.
    pub(crate) fn receive(&self, count: usize) -> io::Result<Vec<OwnedFd>> {
        // All of them, whatever becomes of the first.
        let taken: Vec<io::Result<Vec<OwnedFd>>> = (0..count.div_ceil(AT_ONCE)).map(|_| self.take()).collect();
        let fds: Vec<OwnedFd> = taken.into_iter().collect::<io::Result<Vec<_>>>()?.into_iter().flatten().collect();
        if fds.len() == count { Ok(fds) } else { Err(ErrorKind::InvalidData.into()) }
    }

    fn message(&self, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(AT_ONCE))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(io::Error::other("too many descriptors for one message"));
        }
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        sendmsg(&self.0, &[IoSlice::new(b".")], &mut ancillary, flags)?;
        Ok(())
    }

    fn take(&self) -> io::Result<Vec<OwnedFd>> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(AT_ONCE))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        let received = recvmsg(&self.0, &mut [IoSliceMut::new(&mut byte)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
        if received.bytes == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if received.flags.contains(ReturnFlags::CTRUNC) {
            return Err(io::Error::other(
                "there are more sockets than this process may have descriptors: rlimit-nofile",
            ));
        }
        let rights = ancillary.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(fds) => Some(fds),
            _ => None,
        });
        Ok(rights.flatten().collect())
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use proptest::prelude::*;
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    use super::*;

    fn any_path() -> impl Strategy<Value = PathBuf> {
        prop::collection::vec(any::<u8>(), 0..20).prop_map(|bytes| std::ffi::OsString::from_vec(bytes).into())
    }

    prop_compose! {
        fn any_hand_over()(
            files in prop::collection::vec((any::<String>(), any::<String>()), 0..4),
            pems in prop::collection::vec((any_path(), any::<Vec<u8>>()), 0..4),
            sockets in prop::collection::vec((any::<usize>(), any::<usize>()), 0..4),
            logs in prop::collection::vec(any_path(), 0..4),
        ) -> HandOver {
            HandOver { files, pems, sockets, logs }
        }
    }

    proptest! {
        #[test]
        fn what_is_decoded_is_what_was_encoded(sent in any_hand_over()) {
            prop_assert_eq!(HandOver::decode(&sent.encode()), Ok(sent));
        }

        #[test]
        fn what_is_cut_off_or_too_long_is_an_error(sent in any_hand_over(), cut in any::<prop::sample::Index>()) {
            let mut blob = sent.encode();
            prop_assert!(HandOver::decode(&blob[..cut.index(blob.len())]).is_err());
            blob.push(0);
            prop_assert!(HandOver::decode(&blob).is_err());
        }

        #[test]
        fn other_bytes_are_an_error_or_something_and_never_a_panic(
            sent in any_hand_over(), at in any::<prop::sample::Index>(), byte in any::<u8>(), noise in any::<Vec<u8>>()
        ) {
            let mut blob = sent.encode();
            let at = at.index(blob.len());
            blob[at] = byte;
            let _either = HandOver::decode(&blob).is_ok();
            prop_assert!(HandOver::decode(&noise).is_err());
        }
    }

    #[test]
    fn another_version_is_named() {
        let mut blob = Blob(Vec::new());
        blob.bytes(b"0.0.0");
        let error = HandOver::decode(&blob.0).expect_err("it is another");
        assert!(error.contains("0.0.0") && error.contains(VERSION), "{error}");
    }

    #[test]
    fn descriptors_come_in_order_and_nobody_waits_for_a_worker_that_takes_none() {
        let (ours, theirs) = Channel::pair().expect("a pair");
        let theirs = Channel::of(theirs);
        let files: Vec<File> = (0..AT_ONCE + 50).map(|_| tempfile::tempfile().expect("a file")).collect();
        for (number, mut file) in files.iter().enumerate() {
            file.write_all(number.to_string().as_bytes()).expect("write");
        }
        let fds: Vec<BorrowedFd<'_>> = files.iter().map(AsFd::as_fd).collect();
        let what = HandOver { sockets: vec![(0, AT_ONCE), (3, 50)], ..HandOver::default() };
        ours.begin(&what, files[0].as_fd(), &fds).expect("there is room");
        let (began, _words) = theirs.began().expect("it was sent");
        assert_eq!((&began, began.descriptors()), (&what, fds.len()));
        for (number, fd) in theirs.receive(fds.len()).expect("they were sent").into_iter().enumerate() {
            let (mut file, mut text) = (File::from(fd), String::new());
            file.rewind().and_then(|()| file.read_to_string(&mut text)).expect("read");
            assert_eq!(text, number.to_string());
        }
        let full = (0..100_000).find_map(|_| ours.send(&fds[..1]).err()).expect("it is full some time");
        assert_eq!(full.kind(), ErrorKind::WouldBlock);
        drop(ours);
        assert_eq!(theirs.receive(1_000_000).expect_err("nobody is there").kind(), ErrorKind::UnexpectedEof);
    }

    #[test]
    fn what_cannot_be_received_does_not_come_with_the_next_ones() {
        let (ours, theirs) = Channel::pair().expect("a pair");
        let theirs = Channel::of(theirs);
        let (first, mut next) = (tempfile::tempfile().expect("a file"), tempfile::tempfile().expect("a file"));
        next.write_all(b"next").expect("write");
        ours.send(&[first.as_fd(); AT_ONCE + 1]).expect("there is room");
        let before = getrlimit(Resource::Nofile);
        let free = first.try_clone().expect("dup").as_raw_fd() as u64;
        setrlimit(Resource::Nofile, Rlimit { current: Some(free + 10), ..before }).expect("setrlimit");
        let error = theirs.receive(AT_ONCE + 1).expect_err("there are too many");
        setrlimit(Resource::Nofile, before).expect("setrlimit");
        assert!(error.to_string().contains("rlimit-nofile"), "{error}");
        ours.send(&[next.as_fd()]).expect("there is room");
        let (mut file, mut text) = (File::from(theirs.receive(1).expect("one").remove(0)), String::new());
        file.rewind().and_then(|()| file.read_to_string(&mut text)).expect("read");
        assert_eq!(text, "next");
    }
}
