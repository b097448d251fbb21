//! What a row says.

/// A request that every row is followed by: answered where the connection is kept, and never where it is closed.
pub const PROBE: &str = "GET /probe.txt HTTP/1.1\r\nHost: a\r\n\r\n";

/// The answer's body.
pub const PROBED: &[u8] = b"probed\n";

pub struct Row {
    pub bytes: Vec<u8>,
    pub answers: Vec<Wanted>,
    pub fate: Fate,
    /// The client says EOF behind its bytes, and no probe.
    pub ends: bool,
}

/// What becomes of the connection behind the answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The next request is answered.
    Kept,
    /// It is closed, as the last answer says, and what follows is not looked at.
    Closed,
    /// It is closed though the answer, which was on its way already, did not say so.
    CutOff,
}

/// An answer as it should be.
pub struct Wanted {
    pub status: u16,
    pub to_head: bool,
    /// Headers, and what is in each.
    pub with: Vec<(&'static str, String)>,
    pub without: Vec<&'static str>,
    pub body: Option<Vec<u8>>,
}

/// A row of these bytes.
pub fn row(bytes: impl AsRef<[u8]>) -> Row {
    Row { bytes: bytes.as_ref().to_vec(), answers: Vec::new(), fate: Fate::Kept, ends: false }
}

/// A GET of the index with these lines, each with its end.
pub fn lines(lines: impl AsRef<[u8]>) -> Row {
    row([b"GET / HTTP/1.1\r\nHost: a\r\n", lines.as_ref(), b"\r\n"].concat())
}

/// A POST to the echo with these lines, each with its end, and what follows the head.
pub fn post(lines: &str, behind: impl AsRef<[u8]>) -> Row {
    let head = format!("POST /cb/echo HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
    row([head.as_bytes(), behind.as_ref()].concat())
}

/// A chunked POST to the echo.
pub fn chunked(body: impl AsRef<[u8]>) -> Row {
    post("Transfer-Encoding: chunked\r\n", body)
}

impl Row {
    /// One more answer.
    pub fn gets(mut self, status: u16) -> Row {
        self.answers.push(Wanted { status, to_head: false, with: Vec::new(), without: Vec::new(), body: None });
        self
    }

    /// The answer is to a HEAD.
    pub fn to_head(self) -> Row {
        self.last(|answer| answer.to_head = true)
    }

    /// It has this header, with this in it.
    pub fn with(self, name: &'static str, value: impl Into<String>) -> Row {
        self.last(|answer| answer.with.push((name, value.into())))
    }

    pub fn without(self, name: &'static str) -> Row {
        self.last(|answer| answer.without.push(name))
    }

    pub fn body(self, body: impl AsRef<[u8]>) -> Row {
        self.last(|answer| answer.body = Some(body.as_ref().to_vec()))
    }

    pub fn closed(mut self) -> Row {
        self.fate = Fate::Closed;
        self
    }

    pub fn cut_off(mut self) -> Row {
        self.fate = Fate::CutOff;
        self
    }

    /// The client sends no more.
    pub fn then_eof(mut self) -> Row {
        self.ends = true;
        self
    }

    fn last(mut self, change: impl FnOnce(&mut Wanted)) -> Row {
        change(self.answers.last_mut().expect("an answer comes first"));
        self
    }
}
