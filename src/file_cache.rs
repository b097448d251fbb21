//! Small files as they were when they were read, so that a file that many ask for is not opened and read for each of them.
//!
//! ```text
//!   fresh(key) ──▶ looked at less than limits::FILE_CACHE_FRESH ago: serve it
//!       │ None
//!   the file is opened, as without a cache ──▶ confirm(key, state): its state is the same, so is its content
//!                                                  │ None
//!                                              read ──▶ keep(key, file)
//! ```
//!
//! Invariants: nothing is served that opening would not have found less than `FILE_CACHE_FRESH` ago; what cannot be opened has no entry.
//! Entries and bytes are bounded. An entry has a few places, by the hash of its key, and takes that of the one used longest ago; where there are
//! too many bytes, a hand goes round and clears the places it comes by. So nothing takes longer the more is kept.
//!
//! Who fills it decides what is worth it, and reads. Counterpart in lws: none; `lws_serve_http_file()` opens each time.

use std::hash::{BuildHasher, RandomState};
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::fs::Stat;

use crate::http::KeptFile;
use crate::limits;
use crate::vhost::VhostId;

/// What the system says of a file's state.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct FileState {
    /// When it was modified, in seconds since 1970 and nanoseconds.
    pub(crate) modified: (i64, u64),
    /// When that or its owner, its permissions or its links changed. Nobody can set it.
    pub(crate) changed: (i64, u64),
    /// Bytes.
    pub(crate) len: u64,
    /// Its number on its device.
    pub(crate) inode: u64,
    pub(crate) device: u64,
}

impl FileState {
    pub(crate) fn of(stat: &Stat) -> FileState {
        FileState {
            modified: (stat.st_mtime, stat.st_mtime_nsec),
            changed: (stat.st_ctime, stat.st_ctime_nsec),
            len: u64::try_from(stat.st_size).unwrap_or(0),
            inode: stat.st_ino,
            device: stat.st_dev,
        }
    }

    /// Whether another change would show. One within the same tick of the file system's clock would not, so what has changed just now
    /// proves nothing yet.
    pub(crate) fn is_settled(&self, now: SystemTime) -> bool {
        let since_1970 = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let is_past = |(seconds, nanos): (i64, u64)| match u64::try_from(seconds) {
            Ok(seconds) => {
                Duration::from_secs(seconds) + Duration::from_nanos(nanos) + limits::FILE_CACHE_SETTLED < since_1970
            }
            Err(_) => true,
        };
        is_past(self.modified) && is_past(self.changed)
    }
}

/// What was asked for: where, by which name, and in which coding.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct FileKey<'a> {
    pub(crate) vhost: VhostId,
    /// The mount's place in the vhost's list.
    pub(crate) mount: usize,
    /// Below the mount.
    pub(crate) path: &'a str,
    /// The folder's default file was asked for.
    pub(crate) folder: bool,
    /// Which codings were liked, in a number.
    pub(crate) codings: u8,
}

/// Files by what was asked for.
#[derive(Default)]
pub(crate) struct FileCache {
    /// Nothing until something is kept, then [`limits::FILE_CACHE_ENTRIES`].
    places: Vec<Option<Box<Entry>>>,
    bytes: usize,
    /// Where the next place is cleared for the sake of bytes.
    hand: usize,
    hasher: RandomState,
}

/// Places that a key can have.
const WAYS: usize = 4;

const _: () =
    assert!(limits::FILE_CACHE_ENTRIES.is_multiple_of(WAYS) && limits::FILE_CACHE_FILE < limits::FILE_CACHE_BYTES);

struct Entry {
    /// The key, whose path is here.
    rest: FileKey<'static>,
    path: Box<str>,
    file: Rc<KeptFile>,
    /// When the file was last opened.
    seen: Instant,
    used: Instant,
}

impl FileCache {
    /// The file, if it has been looked at a moment ago.
    pub(crate) fn fresh(&mut self, key: FileKey<'_>, now: Instant) -> Option<Rc<KeptFile>> {
        let entry = self.entry(key)?;
        if now.saturating_duration_since(entry.seen) >= limits::FILE_CACHE_FRESH {
            return None;
        }
        entry.used = now;
        Some(entry.file.clone())
    }

    /// The file, if it is still in the state in which it has just been found. What is kept of another state is dropped.
    pub(crate) fn confirm(&mut self, key: FileKey<'_>, state: &FileState, now: Instant) -> Option<Rc<KeptFile>> {
        let at = self.place(key)?;
        match &mut self.places[at] {
            Some(entry) if entry.file.state == *state => {
                (entry.seen, entry.used) = (now, now);
                Some(entry.file.clone())
            }
            _ => {
                self.clear(at);
                None
            }
        }
    }

    /// Drops what is kept, for it is not there any more.
    pub(crate) fn forget(&mut self, key: FileKey<'_>) {
        if let Some(at) = self.place(key) {
            self.clear(at);
        }
    }

    /// Keeps a file that has just been opened and read, of no more than [`limits::FILE_CACHE_FILE`] bytes.
    pub(crate) fn keep(&mut self, key: FileKey<'_>, file: KeptFile, now: Instant) -> Rc<KeptFile> {
        if self.places.is_empty() {
            self.places.resize_with(limits::FILE_CACHE_ENTRIES, || None);
        }
        let at = self.place(key).unwrap_or_else(|| self.place_for(key));
        self.clear(at);
        while self.bytes + file.bytes() > limits::FILE_CACHE_BYTES {
            self.hand = (self.hand + 1) % limits::FILE_CACHE_ENTRIES;
            self.clear(self.hand);
        }
        self.bytes += file.bytes();
        let file = Rc::new(file);
        let (path, rest) = (key.path.into(), FileKey { path: "", ..key });
        self.places[at] = Some(Box::new(Entry { rest, path, file: file.clone(), seen: now, used: now }));
        file
    }

    fn entry(&mut self, key: FileKey<'_>) -> Option<&mut Entry> {
        let at = self.place(key)?;
        self.places[at].as_deref_mut()
    }

    /// Where a key's entry is.
    fn place(&self, key: FileKey<'_>) -> Option<usize> {
        let first = self.first_place(key);
        let is_it = |entry: &Entry| *entry.path == *key.path && FileKey { path: "", ..key } == entry.rest;
        (first..first + WAYS).find(|at| self.places.get(*at).and_then(Option::as_deref).is_some_and(is_it))
    }

    /// Where a new entry goes: to a free place, or to that of the one used longest ago.
    fn place_for(&self, key: FileKey<'_>) -> usize {
        let first = self.first_place(key);
        (first..first + WAYS).min_by_key(|at| self.places[*at].as_ref().map(|entry| entry.used)).unwrap_or(first)
    }

    fn first_place(&self, key: FileKey<'_>) -> usize {
        self.hasher.hash_one(key) as usize % (limits::FILE_CACHE_ENTRIES / WAYS) * WAYS
    }

    fn clear(&mut self, at: usize) {
        if let Some(entry) = self.places[at].take() {
            self.bytes -= entry.file.bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATE: FileState = FileState { modified: (100, 5), changed: (100, 5), len: 3, inode: 9, device: 1 };

    fn key(path: &str) -> FileKey<'_> {
        FileKey { vhost: VhostId(1), mount: 0, path, folder: false, codings: 0 }
    }

    fn file(len: usize) -> KeptFile {
        KeptFile {
            content: vec![b'x'; len].into(),
            state: STATE,
            etag: [0; 34],
            validator_lines: Box::default(),
            content_lines: Box::default(),
        }
    }

    #[test]
    fn a_file_is_fresh_for_a_moment_and_then_to_be_looked_at() {
        let (mut cache, start) = (FileCache::default(), Instant::now());
        assert!(cache.fresh(key("a"), start).is_none());
        cache.keep(key("a"), file(3), start);
        let later = start + limits::FILE_CACHE_FRESH;
        assert!(cache.fresh(key("a"), later - Duration::from_nanos(1)).is_some());
        assert!(cache.fresh(key("a"), later).is_none());
        assert!(cache.confirm(key("a"), &STATE, later).is_some());
        assert!(cache.fresh(key("a"), later).is_some());
    }

    #[test]
    fn a_file_in_another_state_is_dropped() {
        let now = Instant::now();
        for other in [
            FileState { modified: (100, 6), ..STATE },
            FileState { changed: (101, 5), ..STATE },
            FileState { len: 4, ..STATE },
            FileState { inode: 8, ..STATE },
            FileState { device: 2, ..STATE },
        ] {
            let mut cache = FileCache::default();
            cache.keep(key("a"), file(3), now);
            assert!(cache.confirm(key("a"), &other, now).is_none(), "{other:?}");
            assert!(cache.fresh(key("a"), now).is_none() && cache.bytes == 0);
        }
    }

    #[test]
    fn every_part_of_a_key_counts() {
        let (mut cache, now) = (FileCache::default(), Instant::now());
        cache.keep(key("a"), file(3), now);
        for other in [
            FileKey { vhost: VhostId(2), ..key("a") },
            FileKey { mount: 1, ..key("a") },
            FileKey { folder: true, ..key("a") },
            FileKey { codings: 1, ..key("a") },
            key("b"),
            key(""),
        ] {
            assert!(cache.fresh(other, now).is_none(), "{other:?}");
        }
        cache.forget(key("b"));
        assert!(cache.fresh(key("a"), now).is_some());
        cache.forget(key("a"));
        assert!(cache.fresh(key("a"), now).is_none());
    }

    #[test]
    fn bytes_and_entries_are_bounded() {
        let (mut cache, now) = (FileCache::default(), Instant::now());
        for number in 0..4 * limits::FILE_CACHE_ENTRIES {
            let name = number.to_string();
            let len = if number % 2 == 0 { limits::FILE_CACHE_FILE } else { 1 };
            cache.keep(key(&name), file(len), now);
            assert!(cache.bytes <= limits::FILE_CACHE_BYTES);
            assert!(cache.fresh(key(&name), now).is_some(), "the latest is there");
        }
        let kept: Vec<&Box<Entry>> = cache.places.iter().flatten().collect();
        assert_eq!(cache.places.len(), limits::FILE_CACHE_ENTRIES);
        assert_eq!(cache.bytes, kept.iter().map(|entry| entry.file.bytes()).sum::<usize>());
    }

    #[test]
    fn who_is_asked_for_stays() {
        let (mut cache, start) = (FileCache::default(), Instant::now());
        cache.keep(key("asked for"), file(1), start);
        for number in 1..=limits::FILE_CACHE_ENTRIES as u32 {
            let now = start + number * Duration::from_micros(1);
            cache.keep(key(&number.to_string()), file(1), now);
            assert!(cache.fresh(key("asked for"), now).is_some(), "{number}");
        }
    }

    #[test]
    fn what_changed_just_now_or_in_the_future_is_not_settled() {
        let at = |state: FileState, seconds| state.is_settled(UNIX_EPOCH + Duration::from_secs(seconds));
        assert!(!at(STATE, 100) && !at(STATE, 101) && at(STATE, 103));
        assert!(!at(FileState { changed: (200, 0), ..STATE }, 103));
        assert!(!at(FileState { modified: (200, 0), ..STATE }, 103));
        assert!(at(FileState { modified: (-5, 0), ..STATE }, 103));
    }
}
