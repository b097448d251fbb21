//! A reader of access logs that takes nothing but what README.access-log.md says.

use std::path::{Path, PathBuf};

use rlws::AccessLog;
use tempfile::TempDir;

use super::eventually;

/// A log in a folder of its own.
pub struct LogFile {
    folder: TempDir,
    pub log: AccessLog,
}

impl LogFile {
    pub fn new() -> LogFile {
        let folder = tempfile::tempdir().expect("a folder");
        let log = AccessLog::open(folder.path().join("access.log")).expect("open");
        LogFile { folder, log }
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("access.log")
    }

    /// All lines, once there are that many.
    #[track_caller]
    pub fn lines(&self, count: usize) -> Vec<String> {
        eventually(&format!("{count} lines in the log"), || lines(&self.path()).len() >= count);
        let lines = lines(&self.path());
        assert_eq!(lines.len(), count, "{lines:#?}");
        lines
    }

    #[track_caller]
    pub fn requests(&self, count: usize) -> Vec<Request> {
        self.lines(count).iter().map(|line| Request::parse(line)).collect()
    }

    /// The line of the only connection.
    #[track_caller]
    pub fn connection(&self) -> Connection {
        Connection::parse(&self.lines(1)[0])
    }
}

/// The whole lines of a file.
#[track_caller]
pub fn lines(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).expect("a log is ASCII");
    text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')).map(str::to_owned).collect()
}

/// The line of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub peer: String,
    pub line: String,
    pub status: u16,
    pub bytes: u64,
    pub referer: String,
    pub user_agent: String,
}

/// The line of a connection that was not http.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    pub peer: String,
    pub listener: String,
    /// Verdict and why.
    pub verdict: String,
    pub role: String,
    pub protocol: String,
    pub onward: String,
    pub received: u64,
    pub sent: u64,
    pub millis: u64,
    pub first: String,
    pub how: String,
}

impl Request {
    #[track_caller]
    pub fn parse(line: &str) -> Request {
        let mut rest = line;
        let peer = start(&mut rest, "-");
        let request = quoted(&mut rest);
        let (status, bytes) = (word(&mut rest), word(&mut rest));
        assert_eq!(status.len(), 3, "{line}");
        let request = Request {
            peer,
            line: request,
            status: status.parse().expect(line),
            bytes: if bytes == "-" { 0 } else { bytes.parse().expect(line) },
            referer: quoted(&mut rest),
            user_agent: quoted(&mut rest),
        };
        assert_eq!((rest, bytes == "0"), ("", false), "{line}");
        request
    }
}

impl Connection {
    #[track_caller]
    pub fn parse(line: &str) -> Connection {
        let mut rest = line;
        let peer = start(&mut rest, "raw");
        let raw = quoted(&mut rest);
        let [kind, listener, verdict] = raw.split(' ').collect::<Vec<_>>().try_into().expect(line);
        assert_eq!(kind, "RAW", "{line}");
        let (role, protocol, onward) = (word(&mut rest), word(&mut rest), word(&mut rest));
        let mut number = || word(&mut rest).parse().expect(line);
        let (received, sent) = (number(), number());
        let time = word(&mut rest);
        let (seconds, millis) = time.split_once('.').expect(line);
        assert_eq!(millis.len(), 3, "{line}");
        let millis = format!("{seconds}{millis}").parse().expect(line);
        let (first, how) = (word(&mut rest), quoted(&mut rest));
        assert_eq!(rest, "", "{line}");
        Connection {
            peer,
            listener: listener.to_owned(),
            verdict: verdict.to_owned(),
            role,
            protocol,
            onward,
            received,
            sent,
            millis,
            first,
            how,
        }
    }
}

/// Whether a line is that of a connection that was not http.
pub fn is_raw(line: &str) -> bool {
    line.split(' ').nth(1) == Some("raw")
}

/// `PEER - - [23/Nov/2026:10:00:00 +0000] `, with that identity; the peer.
#[track_caller]
fn start(rest: &mut &str, identity: &str) -> String {
    let peer = word(rest);
    assert_eq!((word(rest), word(rest)), (identity.to_owned(), "-".to_owned()));
    let (stamp, behind) = rest.split_once(' ').and_then(|(_, _)| rest.split_once("] ")).expect(rest);
    let shape: String = stamp.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
    let month = &stamp[4..7];
    assert!("JanFebMarAprMayJunJulAugSepOctNovDec".contains(month), "{stamp}");
    assert_eq!(shape.replace(month, "Mon"), "[99/Mon/9999:99:99:99 +9999");
    assert!(stamp.ends_with(" +0000"), "{stamp}");
    *rest = behind;
    peer
}

/// A field without quotes, and the space behind it.
#[track_caller]
fn word(rest: &mut &str) -> String {
    let (word, behind) = rest.split_once(' ').expect(rest);
    assert!(!word.is_empty() && !word.contains('"'), "{word}");
    *rest = behind;
    word.to_owned()
}

/// A field in quotes, as it stands there, and the space behind it.
#[track_caller]
fn quoted(rest: &mut &str) -> String {
    let inside = rest.strip_prefix('"').expect(rest);
    let mut escaped = false;
    let end = inside.find(|c| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    let (field, behind) = inside.split_at(end.expect(rest));
    assert!(field.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()), "{field:?}");
    let behind = &behind[1..];
    *rest = behind.strip_prefix(' ').unwrap_or(behind);
    field.to_owned()
}
