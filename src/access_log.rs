//! Access logs: whole lines, written by a thread of their own, so that no disk stops the loop.
//!
//! ```text
//!   loop:    append, append, .. ── end of the turn ──▶ hand_over
//!                   │                                      │ wakes
//!                   ▼                                      ▼
//!            queue of steps: lines, a new file, lines ──▶ writer ── one write(2) a batch, O_APPEND ──▶ file
//!              (bounded)
//! ```
//!
//! What holds:
//! - appending neither waits nor fails; a line beyond [`limits::ACCESS_LOG_QUEUE`], or one that the disk does not take, is lost and
//!   counted, and a warning says how many and why, at most once in [`limits::ACCESS_LOG_WARN`];
//! - a batch is whole lines. One that was cut off by a full disk is completed before anything else of ours is written behind it; where
//!   several processes write to one file, another's line may come between;
//! - a new file is a step in the queue: what was appended before goes to the old one, whatever comes after to the new one.
//!
//! Counterpart in lws: `lws_access_log()`, which writes from the loop.

use std::collections::VecDeque;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::mem;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use crate::access_line::{Clock, Stamp};
use crate::limits;

/// A file that requests and connections are logged to (`access-log`). Clones are the same log, which vhosts, and contexts, may share.
///
/// Its format is in READMEs/README.access-log.md.
#[derive(Clone)]
pub struct AccessLog {
    handle: Arc<Handle>,
}

impl AccessLog {
    /// Opens a file to append to; one that is not there is made, for its owner alone.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(path: impl AsRef<Path>) -> io::Result<AccessLog> {
        let file = open(path.as_ref())?;
        Ok(AccessLog::named(file, Some(path.as_ref().to_owned())))
    }

    /// Takes a file that was opened before, perhaps by a process with more privileges. It is set to append.
    pub fn new(file: File) -> AccessLog {
        let name = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).ok();
        AccessLog::named(appending(file), name)
    }

    /// Goes on in another file, for whoever has this log. What was logged before is still written to the old one.
    pub fn reopen(&self, file: File) {
        self.shared().reopen(appending(file));
    }

    /// The same with a file that is opened here: after the old one was renamed, one of the old name.
    ///
    /// # Errors
    /// What the system says. The log then goes on where it was.
    pub fn reopen_path(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.shared().reopen(open(path.as_ref())?);
        Ok(())
    }

    fn named(file: File, name: Option<PathBuf>) -> AccessLog {
        let state = State { file: Some(file), ..State::default() };
        let shared = Shared { name, state: Mutex::new(state), work: Condvar::new(), idle: Condvar::new() };
        AccessLog { handle: Arc::new(Handle(Arc::new(shared))) }
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.handle.0
    }
}

impl fmt::Debug for AccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AccessLog").field(&self.shared().name).finish()
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

fn appending(file: File) -> File {
    if let Err(error) = fcntl_getfl(&file).and_then(|flags| fcntl_setfl(&file, flags | OFlags::APPEND)) {
        log::warn!("access log: O_APPEND: {error}");
    }
    file
}

/// The logs of a context: those that got lines in this turn of the loop, and those whose vhosts have gone.
#[derive(Default)]
pub(crate) struct Logs {
    to_hand_over: Vec<AccessLog>,
    retired: Vec<AccessLog>,
    clock: Clock,
}

impl Logs {
    /// Logs what `write` puts behind the bytes it is given: one line, without its end.
    pub(crate) fn append(&mut self, log: &AccessLog, write: impl FnOnce(&mut Vec<u8>)) {
        if log.shared().append(write) {
            self.to_hand_over.push(log.clone());
        }
    }

    /// A time as lines have it, seen from this turn of the loop.
    pub(crate) fn stamp(&mut self, now: Instant, then: Instant) -> Stamp {
        self.clock.at(now, then)
    }

    /// The end of a turn: what was appended is to be written.
    #[inline]
    pub(crate) fn hand_over(&mut self) {
        if self.to_hand_over.is_empty() {
            return;
        }
        for log in self.to_hand_over.drain(..) {
            log.shared().hand_over();
        }
    }

    /// Remembers a log whose vhost goes until all of it is written.
    pub(crate) fn retire(&mut self, log: AccessLog) {
        self.retired.retain(|log| !log.shared().lock().is_idle());
        if !self.retired.iter().any(|known| Arc::ptr_eq(&known.handle, &log.handle)) {
            self.retired.push(log);
        }
    }

    /// Waits until all is written, for a bounded time.
    pub(crate) fn finish(&mut self) {
        for log in self.to_hand_over.clone() {
            self.retire(log);
        }
        self.hand_over();
        let until = Instant::now() + limits::ACCESS_LOG_FLUSH;
        for log in self.retired.drain(..) {
            log.shared().flush(until);
        }
    }
}

/// What all clones of a log share with its writer. The writer ends after the last clone.
struct Handle(Arc<Shared>);

impl Drop for Handle {
    fn drop(&mut self) {
        let unwritten = {
            let mut state = self.0.lock();
            state.closing = true;
            !state.queue.is_empty()
        };
        if unwritten {
            self.0.hand_over();
        }
        self.0.work.notify_one();
    }
}

struct Shared {
    /// For warnings.
    name: Option<PathBuf>,
    state: Mutex<State>,
    /// There is something for the writer.
    work: Condvar,
    /// There is nothing more for it.
    idle: Condvar,
}

#[derive(Default)]
struct State {
    /// The writer has started. It does with the first lines, so that a process that forks before takes all of this along.
    started: bool,
    /// Until the writer has it.
    file: Option<File>,
    queue: VecDeque<Step>,
    /// In the queue, and in the writer's hands.
    bytes: usize,
    writing: bool,
    /// Lines came since they were last handed over.
    fresh: bool,
    /// Nobody can log to it any more.
    closing: bool,
    lost: Lost,
    /// An emptied batch, to be filled again.
    spare: Vec<u8>,
}

enum Step {
    Lines(Vec<u8>),
    File(File),
}

/// Lines that are in no file, and of which the operator has not heard yet.
#[derive(Default)]
struct Lost {
    lines: usize,
    why: String,
    warned: Option<Instant>,
}

impl State {
    fn is_idle(&self) -> bool {
        self.queue.is_empty() && !self.writing
    }

    /// There is nobody to write them.
    fn drop_lines(&mut self, why: impl fmt::Display) {
        let all = |step: &Step| if let Step::Lines(lines) = step { count(lines) } else { 0 };
        let lost = self.queue.iter().map(all).sum();
        self.queue.retain(|step| matches!(step, Step::File(_)));
        self.bytes = 0;
        self.lost.add(lost, why);
    }
}

impl Lost {
    fn add(&mut self, lines: usize, why: impl fmt::Display) {
        if self.lines == 0 && lines > 0 {
            self.why = why.to_string();
        }
        self.lines += lines;
    }

    /// How long until the operator may be told; `None`: there is nothing to tell.
    fn due_in(&self, now: Instant) -> Option<Duration> {
        let next = self.warned.map(|at| at + limits::ACCESS_LOG_WARN);
        (self.lines > 0).then(|| next.map_or(Duration::ZERO, |next| next.saturating_duration_since(now)))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    // -- the loop's side

    /// Whether this is the first line since they were last handed over.
    fn append(&self, write: impl FnOnce(&mut Vec<u8>)) -> bool {
        let mut state = self.lock();
        let State { queue, spare, bytes, lost, fresh, .. } = &mut *state;
        if !matches!(queue.back(), Some(Step::Lines(_))) {
            queue.push_back(Step::Lines(mem::take(spare)));
        }
        if let Some(Step::Lines(lines)) = queue.back_mut() {
            let before = lines.len();
            write(lines);
            debug_assert!(!lines[before..].contains(&b'\n'), "a line is one line");
            lines.push(b'\n');
            *bytes += lines.len() - before;
            if *bytes > limits::ACCESS_LOG_QUEUE {
                *bytes -= lines.len() - before;
                lines.truncate(before);
                lost.add(1, "they come faster than they can be written");
            }
        }
        !mem::replace(fresh, true)
    }

    fn hand_over(self: &Arc<Self>) {
        let mut state = self.lock();
        state.fresh = false;
        if !state.started {
            let shared = self.clone();
            let writer = std::thread::Builder::new().name("access-log".to_owned());
            match writer.spawn(move || shared.write_all()) {
                Ok(_) => state.started = true,
                Err(error) => state.drop_lines(error),
            }
        }
        drop(state);
        self.work.notify_one();
        self.warn(false);
    }

    fn reopen(&self, file: File) {
        let mut state = self.lock();
        let State { file: first, queue, .. } = &mut *state;
        match queue.back_mut() {
            Some(Step::File(newest)) => *newest = file,
            None if first.is_some() => *first = Some(file),
            _ => queue.push_back(Step::File(file)),
        }
        drop(state);
        self.work.notify_one();
    }

    fn flush(self: &Arc<Self>, until: Instant) {
        self.hand_over();
        let mut state = self.lock();
        while !state.is_idle() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                log::warn!("{self}: {} bytes could not be written in time", state.bytes);
                return;
            }
            state = self.idle.wait_timeout(state, left).unwrap_or_else(|poisoned| poisoned.into_inner()).0;
        }
        drop(state);
        self.warn(true);
    }

    /// Tells the operator what was lost, if it is time, or if there will be no other.
    fn warn(&self, at_last: bool) {
        let mut state = self.lock();
        let now = Instant::now();
        if state.lost.due_in(now).is_some_and(|due| at_last || due.is_zero()) {
            let Lost { lines, why, .. } = mem::replace(&mut state.lost, Lost { warned: Some(now), ..Lost::default() });
            drop(state);
            log::warn!("{self}: {lines} lines are lost: {why}");
        }
    }

    // -- the writer's side

    /// The writer's thread.
    fn write_all(&self) {
        let Some(file) = self.lock().file.take() else { return };
        let mut writer = Writer { file, begun: Vec::new() };
        while let Some(step) = self.next() {
            match step {
                Step::File(file) => {
                    writer = Writer { file, begun: Vec::new() };
                    self.done(Vec::new(), Ok(()));
                }
                Step::Lines(lines) => {
                    let written = writer.write(&lines);
                    self.done(lines, written);
                }
            }
        }
    }

    /// What is to be done next; waits for it. `None`: nothing, ever again.
    fn next(&self) -> Option<Step> {
        loop {
            self.warn(false);
            let mut state = self.lock();
            if let Some(step) = state.queue.pop_front() {
                state.writing = true;
                return Some(step);
            }
            if state.closing {
                drop(state);
                self.warn(true);
                return None;
            }
            match state.lost.due_in(Instant::now()) {
                Some(due) => drop(self.work.wait_timeout(state, due)),
                None => drop(self.work.wait(state)),
            }
        }
    }

    fn done(&self, mut lines: Vec<u8>, written: Result<(), (usize, io::Error)>) {
        let mut state = self.lock();
        state.bytes -= lines.len();
        state.writing = false;
        if let Err((lost, error)) = written {
            state.lost.add(lost, error);
        }
        if lines.capacity() <= limits::ACCESS_LOG_SPARE {
            lines.clear();
            state.spare = lines;
        }
        if state.is_idle() {
            self.idle.notify_all();
        }
    }
}

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "access log {}", name.display()),
            None => f.write_str("access log"),
        }
    }
}

/// A file, and what is still to be written of a line that it has the beginning of.
struct Writer {
    file: File,
    begun: Vec<u8>,
}

impl Writer {
    /// Writes whole lines. On an error: how many of them are lost.
    fn write(&mut self, lines: &[u8]) -> Result<(), (usize, io::Error)> {
        if let Err((done, error)) = write_all(&mut self.file, &self.begun) {
            self.begun.drain(..done);
            return Err((count(lines), error));
        }
        self.begun.clear();
        write_all(&mut self.file, lines).map_err(|(done, error)| {
            let (written, rest) = lines.split_at(done);
            if written.is_empty() || written.ends_with(b"\n") {
                return (count(rest), error);
            }
            let end = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1);
            self.begun.extend_from_slice(&rest[..end]);
            (count(&rest[end..]), error)
        })
    }
}

/// On an error: how many bytes were written before it.
fn write_all(file: &mut impl Write, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
    let mut done = 0;
    while done < bytes.len() {
        match file.write(&bytes[done..]) {
            Ok(0) => return Err((done, ErrorKind::WriteZero.into())),
            Ok(n) => done += n,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err((done, error)),
        }
    }
    Ok(())
}

fn count(lines: &[u8]) -> usize {
    lines.iter().filter(|byte| **byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::OwnedFd;

    use super::*;

    #[test]
    fn a_line_that_was_cut_off_is_completed_before_the_next() {
        let (mut reader, pipe) = io::pipe().expect("pipe");
        fcntl_setfl(&pipe, OFlags::NONBLOCK).expect("a pipe");
        let mut writer = Writer { file: File::from(OwnedFd::from(pipe)), begun: Vec::new() };
        let line = |n: usize| format!("{n:06} {}\n", "x".repeat(992));
        let batch: String = (0..200).map(line).collect();
        // A pipe takes 65536 bytes, and 536 of them are the 66th line's first.
        let (lost, error) = writer.write(batch.as_bytes()).expect_err("a pipe is not that large");
        assert_eq!((lost, error.kind()), (134, ErrorKind::WouldBlock));
        assert_eq!(writer.begun.len(), 464);
        let mut got = vec![0; 65_536];
        reader.read_exact(&mut got).expect("what was written");
        writer.write(line(777).as_bytes()).expect("there is room");
        drop(writer);
        reader.read_to_end(&mut got).expect("the rest");
        let all: String = (0..66).chain([777]).map(line).collect();
        assert!(got == all.as_bytes());
    }

    #[test]
    fn a_log_may_be_reopened_by_another_thread() {
        fn is_shareable<T: Send + Sync>() {}
        is_shareable::<AccessLog>();
    }

    #[test]
    fn a_log_in_a_new_file_owes_it_nothing_of_the_old_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let (old, new) = (folder.path().join("old"), folder.path().join("new"));
        let (log, mut logs) = (AccessLog::open(&old).expect("open"), Logs::default());
        logs.append(&log, |line| line.extend_from_slice(b"one"));
        // Before anything was handed over, and once more behind it.
        for _ in 0..3 {
            log.reopen_path(&new).expect("reopen");
        }
        logs.append(&log, |line| line.extend_from_slice(b"two"));
        drop(log);
        logs.finish();
        assert_eq!(std::fs::read(old).expect("read"), b"one\n");
        assert_eq!(std::fs::read(new).expect("read"), b"two\n");
    }

    #[test]
    fn clones_end_with_the_last_of_them_and_nothing_is_left_behind() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        let log = AccessLog::open(&path).expect("open");
        let mut logs = Logs::default();
        logs.append(&log.clone(), |line| line.extend_from_slice(b"a line"));
        let shared = Arc::downgrade(log.shared());
        drop(log);
        drop(logs);
        let end = Instant::now() + Duration::from_secs(30);
        while shared.strong_count() > 0 {
            assert!(Instant::now() < end, "the writer goes on");
            std::thread::yield_now();
        }
        assert_eq!(std::fs::read(path).expect("read"), b"a line\n");
    }
}
