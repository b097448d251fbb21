//! Who is let in to a mount that asks for a password (RFC 7617).
//!
//! ```text
//!   Authorization ──▶ user, password ──▶ credentials of the file ── plain ──▶ compared at once ──▶ Allowed or Denied
//!    (bounded)                            (read when it changes)  └ bcrypt ──▶ known verdict? ────▶ Allowed or Denied
//!                                                                                 └ no: to a thread, Pending;
//!                                                                                   its answer wakes the connection, which asks again
//! ```
//!
//! What holds:
//! - while the file cannot be read, or says nothing that makes sense, nobody gets in;
//! - passwords are neither logged nor kept: of those of the file and those of clients there are digests;
//! - comparing takes the same time wherever the difference is, and where there is no such user. In a file with bcrypt entries each new
//!   password costs one bcrypt, of the highest cost in the file, whoever says it;
//! - what waits is bounded, and who was let in before does not wait behind those who try.
//!
//! Counterpart in lws: `lws_check_basic_auth()`, which reads the file for every request, and knows no hashes.

mod credentials;
mod passwords;

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::limits;
use crate::regular_file;
use crate::wsi::WsiId;

use credentials::{Credentials, Secret};
pub(crate) use passwords::Passwords;
use passwords::{Known, Question};

/// What a guard says about a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// It is one of these users.
    Allowed(Arc<str>),
    /// It is nobody who is let in.
    Denied,
    /// A thread is at it. The connection is woken when there is a verdict, and asks again.
    Pending,
    /// Too many wait for a verdict already.
    Busy,
}

/// The file of those who are let in to a mount.
pub(crate) struct Guard {
    path: PathBuf,
    challenge: Box<str>,
    /// What the file was when it was read; `None`: it could not be.
    seen: Option<Stamp>,
    looked_at: Option<Instant>,
    credentials: Credentials,
    /// What the last warning said of the file.
    complaint: Option<String>,
}

impl Guard {
    /// `realm` is what clients show their users.
    pub(crate) fn new(path: &Path, realm: &str) -> Guard {
        let realm: String = realm.chars().filter(|c| !c.is_control()).collect();
        let realm = realm.replace('\\', "\\\\").replace('"', "\\\"");
        let mut guard = Guard {
            path: path.to_owned(),
            challenge: format!("Basic realm=\"{realm}\", charset=\"UTF-8\"").into(),
            seen: None,
            looked_at: None,
            credentials: Credentials::default(),
            complaint: None,
        };
        // For the warnings alone. Who serves may be less privileged than who sets the server up, and reads it for itself.
        guard.read_again();
        guard.seen = None;
        guard
    }

    /// The value of `WWW-Authenticate` for those who are denied.
    pub(crate) fn challenge(&self) -> &str {
        &self.challenge
    }

    /// Whether a request is let in, by its `Authorization` header. `id`: the connection that is woken for a verdict.
    pub(crate) fn ask(&mut self, passwords: &mut Passwords, now: Instant, header: Option<&[u8]>, id: WsiId) -> Word {
        self.refresh(now);
        let mut buffer = [0; limits::BASIC_AUTH];
        let Some((user, password)) = header.and_then(|header| user_and_password(header, &mut buffer)) else {
            return Word::Denied;
        };
        let found = self.credentials.find(user);
        let is_plain_right = match found {
            Some((_, Secret::Plain(digest))) => credentials::is_same(digest, password),
            // It is compared all the same, lest the time tell.
            _ => credentials::is_same(&credentials::NOBODYS, password),
        };
        let name = found.map(|(name, _)| name);
        let Some(cost) = self.credentials.highest_cost() else { return verdict(is_plain_right, name) };
        let digest = passwords.digest(self.credentials.version(), user, password);
        if let Some(is_right) = passwords.verdict(&digest) {
            return verdict(is_right, name);
        }
        let question = match found {
            Some((_, Secret::Bcrypt(hash))) => Question::new(digest, hash, password, Known::Nothing, cost),
            _ => {
                let known = Known::Verdict(is_plain_right);
                Question::new(digest, &credentials::nobodys(cost).into(), password, known, cost)
            }
        };
        if passwords.ask(id, question) { Word::Pending } else { Word::Busy }
    }

    /// Looks, at most once in [`limits::MOUNT_CHECK`], whether the file has changed.
    fn refresh(&mut self, now: Instant) {
        let fresh = |at: Instant| now.saturating_duration_since(at) < limits::MOUNT_CHECK;
        if self.looked_at.is_some_and(fresh) {
            return;
        }
        self.looked_at = Some(now);
        let is_settled = |stamp: &Stamp| stamp.is_settled && Stamp::of(&self.path).ok().as_ref() == Some(stamp);
        if !self.seen.as_ref().is_some_and(is_settled) {
            self.read_again();
        }
    }

    fn read_again(&mut self) {
        let complaint = match read(&self.path) {
            Ok((stamp, text)) => {
                self.seen = Some(stamp);
                if self.credentials.is_of(&text) {
                    return;
                }
                let (credentials, mistakes) = Credentials::parse(&text);
                self.credentials = credentials;
                mistakes
            }
            Err(error) => {
                self.seen = None;
                self.credentials = Credentials::default();
                Some(format!("{error}; nobody is let in"))
            }
        };
        if let Some(what) = complaint.as_ref().filter(|what| self.complaint.as_ref() != Some(what)) {
            log::warn!("basic auth {}: {what}", self.path.display());
        }
        self.complaint = complaint;
    }
}

fn verdict(is_right: bool, user: Option<&Arc<str>>) -> Word {
    user.filter(|_| is_right).map_or(Word::Denied, |user| Word::Allowed(user.clone()))
}

/// What tells one state of a file from the next.
#[derive(Clone, PartialEq, Eq)]
struct Stamp {
    place: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    /// It was changed long enough before that another change would show: clocks of file systems have ticks.
    is_settled: bool,
}

/// Longer than the ticks of any file system's clock (FAT: 2 s).
const SETTLED: Duration = Duration::from_secs(3);

impl Stamp {
    fn of(path: &Path) -> io::Result<Stamp> {
        Ok(Stamp::new(&path.metadata()?))
    }

    fn new(meta: &std::fs::Metadata) -> Stamp {
        let now = SystemTime::now();
        let age = meta.modified().ok().and_then(|modified| now.duration_since(modified).ok());
        Stamp {
            place: (meta.dev(), meta.ino()),
            size: meta.size(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
            is_settled: age.is_some_and(|age| age > SETTLED),
        }
    }
}

/// Reads a credentials file, of no more than [`limits::CREDENTIALS`] bytes.
fn read(path: &Path) -> io::Result<(Stamp, Vec<u8>)> {
    let (meta, text) = regular_file::read(path, limits::CREDENTIALS)?;
    Ok((Stamp::new(&meta), text))
}

/// The credentials of an `Authorization` header, decoded into `buffer`. `None`: there are none in it (RFC 7617 section 2).
fn user_and_password<'b>(header: &[u8], buffer: &'b mut [u8; limits::BASIC_AUTH]) -> Option<(&'b str, &'b [u8])> {
    let (scheme, rest) = header.split_at_checked("Basic".len())?;
    if !scheme.eq_ignore_ascii_case(b"Basic") || !rest.starts_with(b" ") {
        return None;
    }
    let length = STANDARD.decode_slice(rest.trim_ascii(), buffer).ok()?;
    let text = &buffer[..length];
    let colon = text.iter().position(|byte| *byte == b':')?;
    let (user, password) = (&text[..colon], &text[colon + 1..]);
    if text.iter().any(u8::is_ascii_control) {
        return None;
    }
    Some((str::from_utf8(user).ok()?, password))
}

#[cfg(test)]
mod tests;
