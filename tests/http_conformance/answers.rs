//! Reads answers, strictly (RFC 9112 sections 4 to 7).

/// An answer as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// In their order; without `Date`, which is another one a second later.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| &value[..])
    }

    pub fn closes(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

/// The whole answers at the start of `bytes`. Interim ones are left out: whether a `100` comes depends on how much has come already.
/// `to_head` says of each whether it is to a HEAD.
pub fn read(mut bytes: &[u8], to_head: &[bool], eof: bool) -> Result<Vec<Answer>, String> {
    let mut answers = Vec::new();
    while let Some(end) = bytes.windows(4).position(|end| end == b"\r\n\r\n") {
        let (head, rest) = bytes.split_at(end + 4);
        let mut answer = head_of(&head[..end])?;
        if answer.status == 100 {
            bytes = rest;
            continue;
        }
        let is_to_head = to_head.get(answers.len()).copied().unwrap_or(false);
        let Some(len) = body_of(&mut answer, rest, is_to_head, eof)? else { break };
        bytes = &rest[len..];
        forget_boundary(&mut answer);
        answers.push(answer);
    }
    if eof && !bytes.is_empty() {
        return Err(format!("behind {} answers: {}", answers.len(), bytes.escape_ascii()));
    }
    Ok(answers)
}

fn head_of(head: &[u8]) -> Result<Answer, String> {
    let text = std::str::from_utf8(head).map_err(|_| "a head that is no text".to_owned())?;
    let odd = || format!("an odd head: {text:?}");
    let mut lines = text.split("\r\n");
    let line = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")).ok_or_else(odd)?;
    let (status, _phrase) = line.split_once(' ').ok_or_else(odd)?;
    let status: u16 = status.parse().map_err(|_| odd())?;
    let mut headers = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(": ").ok_or_else(odd)?;
        if line.contains(['\r', '\n'])
            || headers.iter().any(|(own, _): &(String, String)| own.eq_ignore_ascii_case(name))
        {
            return Err(odd());
        }
        headers.push((name.to_owned(), value.to_owned()));
    }
    let is_dated = headers.iter().any(|(name, _)| name == "Date");
    headers.retain(|(name, _)| name != "Date");
    let answer = Answer { status, headers, body: Vec::new() };
    let is_whole = status == 100 || (is_dated && answer.header("Server").is_some());
    if is_whole { Ok(answer) } else { Err(odd()) }
}

/// Reads the body, and says how many bytes it took. `None`: it is not whole yet.
fn body_of(answer: &mut Answer, rest: &[u8], to_head: bool, eof: bool) -> Result<Option<usize>, String> {
    let length = answer.header("content-length").map(|value| value.parse::<usize>().map_err(|error| error.to_string()));
    let coding = answer.header("transfer-encoding").map(str::to_owned);
    let has_none = to_head || matches!(answer.status, 204 | 304);
    if matches!(answer.status, 204 | 304) && (length.is_some() || coding.is_some()) {
        return Err(format!("a {} with a body", answer.status));
    }
    Ok(match (length.transpose()?, coding) {
        (Some(_), Some(_)) => return Err("framed twice".to_owned()),
        _ if has_none => Some(0),
        (Some(length), None) => rest.get(..length).map(|body| {
            answer.body = body.to_vec();
            length
        }),
        (None, Some(_)) => {
            // The framing may depend on how the request was cut; what it carries may not.
            answer.headers.retain(|(name, _)| name != "Transfer-Encoding");
            unchunk(rest)?.map(|(body, len)| {
                answer.body = body;
                len
            })
        }
        (None, None) if !answer.closes() => return Err("no framing on a connection that is kept".to_owned()),
        (None, None) => eof.then(|| {
            answer.body = rest.to_vec();
            rest.len()
        }),
    })
}

/// The boundary of a multipart body is another one each time.
fn forget_boundary(answer: &mut Answer) {
    const KIND: &str = "multipart/byteranges; boundary=";
    let Some((_, kind)) = answer.headers.iter_mut().find(|(_, value)| value.starts_with(KIND)) else { return };
    let boundary = kind.split_off(KIND.len());
    answer.body = String::from_utf8_lossy(&answer.body).replace(&boundary, "").into_bytes();
}

fn unchunk(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, String> {
    let (mut at, mut body) = (0, Vec::new());
    loop {
        let rest = &bytes[at..];
        let Some(end) = rest.windows(2).position(|end| end == b"\r\n") else { return Ok(None) };
        let digits = std::str::from_utf8(&rest[..end]).map_err(|error| error.to_string())?;
        let size = usize::from_str_radix(digits, 16).map_err(|error| format!("{digits:?}: {error}"))?;
        let Some(data) = rest.get(end + 2..end + 2 + size) else { return Ok(None) };
        let behind = &rest[end + 2 + size..];
        if behind.len() < 2 {
            return Ok(None);
        }
        if !behind.starts_with(b"\r\n") {
            return Err("a chunk without its end".to_owned());
        }
        body.extend_from_slice(data);
        at += end + 2 + size + 2;
        if size == 0 {
            return Ok(Some((body, at)));
        }
    }
}
