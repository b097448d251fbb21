//! Where the body of a response ends, and what of it is content (RFC 9112 section 6).

/// What is still to come.
pub enum Framing {
    /// So many bytes.
    Length(u64),
    Chunked(Chunk),
}

/// Where in a chunked body.
pub enum Chunk {
    /// In the line with its size, or the empty one behind its content.
    Line(Vec<u8>),
    Content(u64),
    /// In the line that ends the body.
    Last(Vec<u8>),
    Over,
}

impl Framing {
    /// By the two headers that say it.
    pub fn of(transfer_encoding: &str, content_length: &str) -> Result<Framing, String> {
        match (transfer_encoding, content_length.parse()) {
            ("chunked", _) => Ok(Framing::Chunked(Chunk::Line(Vec::new()))),
            ("", Ok(bytes)) => Ok(Framing::Length(bytes)),
            other => Err(format!("nothing says how long a body is: {other:?}")),
        }
    }

    pub fn is_over(&self) -> bool {
        matches!(self, Framing::Length(0) | Framing::Chunked(Chunk::Over))
    }

    /// The content that some bytes begin with, which may be none, and what is behind it. One piece at a time.
    pub fn take<'a>(&mut self, bytes: &'a [u8]) -> Result<(&'a [u8], &'a [u8]), String> {
        let chunk = match self {
            Framing::Length(left) => return Ok(split(bytes, left)),
            Framing::Chunked(chunk) => chunk,
        };
        match chunk {
            Chunk::Content(left) => {
                let taken = split(bytes, left);
                if *left == 0 {
                    *chunk = Chunk::Line(Vec::new());
                }
                return Ok(taken);
            }
            Chunk::Line(line) => {
                line.push(bytes[0]);
                if let Some(text) = line.strip_suffix(b"\r\n").filter(|text| !text.is_empty()) {
                    // The end of the chunk before it.
                    let text = String::from_utf8_lossy(text.strip_prefix(b"\r\n").unwrap_or(text)).into_owned();
                    let size = u64::from_str_radix(&text, 16).map_err(|_| format!("no size of a chunk: {text:?}"))?;
                    *chunk = if size == 0 { Chunk::Last(Vec::new()) } else { Chunk::Content(size) };
                }
            }
            Chunk::Last(line) => {
                line.push(bytes[0]);
                match &line[..] {
                    b"\r" => {}
                    b"\r\n" => *chunk = Chunk::Over,
                    other => return Err(format!("a trailer: \"{}\"", other.escape_ascii())),
                }
            }
            Chunk::Over => return Err("a body is over".to_owned()),
        }
        Ok((&[], &bytes[1..]))
    }
}

fn split<'a>(bytes: &'a [u8], left: &mut u64) -> (&'a [u8], &'a [u8]) {
    let taken = bytes.split_at(bytes.len().min(*left as usize));
    *left -= taken.0.len() as u64;
    taken
}

#[test]
fn a_chunked_body_is_told_from_its_framing_however_it_is_cut() {
    let text = b"5\r\nhello\r\n1\r\n \r\na\r\n0123456789\r\n0\r\n\r\n";
    for piece in 1..=text.len() {
        let (mut framing, mut content) = (Framing::Chunked(Chunk::Line(Vec::new())), Vec::new());
        for mut bytes in text.chunks(piece) {
            while !bytes.is_empty() {
                let (some, rest) = framing.take(bytes).expect("it is right");
                content.extend_from_slice(some);
                bytes = rest;
            }
        }
        assert!(framing.is_over());
        assert_eq!(content, b"hello 0123456789");
    }
}
