//! Request heads of HTTP/1.0 and HTTP/1.1 (RFC 9112).
//!
//! ```text
//! rx bytes --parse--> Partial                  read more, come again with all of them
//!                     Complete { head, len }   the body, or the next request, begins at len
//!                     Bad(status)              answer it and close: nothing behind it can be trusted
//! ```
//!
//! Invariants:
//! - Pure: the verdict is a function of the bytes, given at the first byte that settles it, and more bytes never change
//!   it; so how they were cut into reads does not matter.
//! - Whatever two parsers could read in two ways (request smuggling) is refused, not repaired.
//! - No allocation: a [`Head`] borrows from the bytes.
//!
//! Counterpart in lws: `lws_parse()` and the `ah` tables.

use std::mem::MaybeUninit;

use memchr::memchr_iter;

use crate::context::ContextInfo;
use crate::limits;

use super::fields::Fields;
use super::host::{is_host, split_port};
use super::method::Method;
use super::status::Status;

/// The verdict on received bytes.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Parsed<'a> {
    /// Fine so far, and not the whole head.
    Partial,
    /// A whole head.
    Complete {
        /// The request.
        head: Head<'a>,
        /// Bytes of the head, empty lines before it included.
        len: usize,
    },
    /// Not a request to serve: what to answer before closing.
    Bad(Status),
}

/// A request head whose framing is beyond doubt.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct Head<'a> {
    /// What is asked for.
    pub(crate) method: Method,
    /// In origin form: begins with `/`, or with `?` where an absolute-form target had no path. `*` for an OPTIONS of
    /// the whole server, `host:port` for CONNECT.
    pub(crate) target: &'a str,
    /// What the client speaks.
    pub(crate) version: Version,
    /// The authority asked for, port included and valid: the target's own, else the `Host` header's. `None` in
    /// HTTP/1.0 only.
    pub(crate) host: Option<&'a str>,
    /// The client expects the connection to outlive this exchange.
    pub(crate) keep_alive: bool,
    /// What follows the head.
    pub(crate) body: Body,
    /// What chooses a file's representation, or a part of it.
    pub(crate) fields: Fields<'a>,
    /// The `Authorization` header's value; of several nothing, which is nobody's.
    pub(crate) authorization: Option<&'a [u8]>,
    /// What the client waits for before it sends the body.
    pub(crate) expect: Expect,
    /// What it would like best to speak instead, as `Connection` confirms it (RFC 9110 section 7.8).
    pub(crate) upgrade: Option<&'a str>,
}

/// What a request expects (RFC 9110 section 10.1.1).
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Expect {
    /// Nothing; also in HTTP/1.0, where the header means nothing.
    Nothing,
    /// A `100 Continue` before its body.
    Continue,
    /// What nobody knows.
    Unknown,
}

/// The version of a request.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
}

impl Version {
    /// Whether a client of it reads chunks (RFC 9112 section 7.1).
    pub(crate) fn has_chunks(self) -> bool {
        self == Version::Http11
    }
}

/// How a request's body is framed (RFC 9112 section 6.3).
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Body {
    /// No body.
    None,
    /// That many bytes, possibly none.
    Length(u64),
    /// Chunks.
    Chunked,
}

/// How large a head may be: [`ContextInfo`]'s bounds, none of them beyond what is possible.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Bounds {
    /// Bytes of it.
    pub(crate) head: usize,
    /// Bytes of its target.
    target: usize,
    headers: usize,
}

impl Bounds {
    pub(crate) fn of(info: &ContextInfo) -> Bounds {
        Bounds {
            head: info.max_http_header_data.clamp(limits::HTTP_HEAD_LEAST, limits::HTTP_HEAD_MOST),
            target: info.max_http_uri.max(1),
            headers: info.max_http_headers.clamp(1, limits::HTTP_HEADERS_MOST),
        }
    }
}

/// What to answer to a head that ended before it was whole.
pub(super) fn status_of_part(bytes: &[u8], bounds: Bounds) -> Status {
    match parse(bytes, bounds) {
        Parsed::Bad(status) => status,
        Parsed::Partial | Parsed::Complete { .. } => Status::BAD_REQUEST,
    }
}

/// Looks for a request head at the start of `bytes`, which are all that came since the last one.
pub(crate) fn parse(bytes: &[u8], bounds: Bounds) -> Parsed<'_> {
    let window = &bytes[..bytes.len().min(bounds.head)];
    let judge = |window| judge(window, bounds);
    let parsed = judge(window);
    if let Parsed::Complete { .. } = parsed {
        return parsed;
    }
    // To httparse a bare LF ends a line; here it ends the request, at the first one that stands before another fault.
    match bare_lf(window).map(|at| judge(&window[..=at])) {
        None => parsed,
        Some(Parsed::Bad(status)) => Parsed::Bad(status),
        Some(_) => Parsed::Bad(Status::BAD_REQUEST),
    }
}

/// The verdict on `window`, where a bare LF matters only once the head is whole.
fn judge(window: &[u8], bounds: Bounds) -> Parsed<'_> {
    let mut headers = [const { MaybeUninit::uninit() }; limits::HTTP_HEADERS_MOST];
    let mut request = httparse::Request::new(&mut []);
    let outcome = request.parse_with_uninit_headers(window, &mut headers[..bounds.headers]);
    if is_target_too_long(&request, window, bounds.target) {
        return Parsed::Bad(Status::URI_TOO_LONG);
    }

    // Known before the headers are, so that what comes behind a bad request line never changes the answer.
    let line = match RequestLine::of(&request) {
        Ok(line) => line,
        Err(status) => return Parsed::Bad(status),
    };
    let undecided = match (outcome, line) {
        (Ok(httparse::Status::Complete(len)), Some(line)) => {
            return match head(line, request.headers, &window[..len]) {
                Ok(head) => Parsed::Complete { head, len },
                Err(status) => Parsed::Bad(status),
            };
        }
        (Ok(_), _) => None,
        (Err(httparse::Error::Version), _) => match behind_a_later_minor(&request, window) {
            Some(at) => return judge_as_1_1(&request, window, at, bounds),
            None => unsupported_version(&request, window),
        },
        (Err(httparse::Error::TooManyHeaders), _) => Some(Status::HEAD_TOO_LARGE),
        (Err(_), _) => Some(Status::BAD_REQUEST),
    };
    match undecided {
        Some(status) => Parsed::Bad(status),
        None if window.len() < bounds.head => Parsed::Partial,
        None => Parsed::Bad(too_large(&request, window)),
    }
}

/// Whether more bytes than `most` belong to the target, whatever comes behind them.
fn is_target_too_long(request: &httparse::Request<'_, '_>, window: &[u8], most: usize) -> bool {
    match (request.method, request.path) {
        (_, Some(target)) => target.len() > most,
        (None, None) => false,
        (Some(method), None) => {
            let end = empty_lines(window) + method.len() + " ".len() + most;
            let Some(start) = window.get(..=end) else { return false };
            let mut line = httparse::Request::new(&mut []);
            line.parse(start).is_ok() && line.path.is_none()
        }
    }
}

/// Where the version of a request line ends that is a later one of HTTP/1: such a request is one of HTTP/1.1 (RFC 9110 section 2.5).
fn behind_a_later_minor(request: &httparse::Request<'_, '_>, window: &[u8]) -> Option<usize> {
    let before = request.method?.len() + request.path?.len() + "  ".len();
    let at = empty_lines(window) + before;
    let minor = window[at..].strip_prefix(b"HTTP/1.")?.first()?;
    minor.is_ascii_digit().then_some(at + "HTTP/1.2".len())
}

/// The verdict on `window`, whose version httparse does not know and which ends at `at`.
fn judge_as_1_1<'a>(request: &httparse::Request<'_, 'a>, window: &'a [u8], at: usize, bounds: Bounds) -> Parsed<'a> {
    let line = match request.method.zip(request.path).map(|(name, raw)| RequestLine::new(name, raw, Version::Http11)) {
        Some(Ok(line)) => line,
        Some(Err(status)) => return Parsed::Bad(status),
        None => return Parsed::Bad(Status::BAD_REQUEST),
    };
    let mut headers = [httparse::EMPTY_HEADER; limits::HTTP_HEADERS_MOST];
    let outcome = match &window[at..] {
        [] | [b'\r'] => Ok(httparse::Status::Partial),
        [b'\r', b'\n', lines @ ..] => httparse::parse_headers(lines, &mut headers[..bounds.headers]),
        _ => return Parsed::Bad(Status::BAD_REQUEST),
    };
    match outcome {
        Ok(httparse::Status::Complete((lines, headers))) => {
            let len = at + "\r\n".len() + lines;
            match head(line, headers, &window[..len]) {
                Ok(head) => Parsed::Complete { head, len },
                Err(status) => Parsed::Bad(status),
            }
        }
        Ok(httparse::Status::Partial) if window.len() < bounds.head => Parsed::Partial,
        Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => Parsed::Bad(Status::HEAD_TOO_LARGE),
        Err(_) => Parsed::Bad(Status::BAD_REQUEST),
    }
}

/// A request line that is fine in itself.
struct RequestLine<'a> {
    method: Method,
    target: &'a str,
    /// The authority that the target names.
    authority: Option<&'a str>,
    version: Version,
}

impl<'a> RequestLine<'a> {
    /// The request line, once its version is there.
    fn of(request: &httparse::Request<'_, 'a>) -> Result<Option<RequestLine<'a>>, Status> {
        let (Some(name), Some(raw), Some(minor)) = (request.method, request.path, request.version) else {
            return Ok(None);
        };
        let version = if minor == 0 { Version::Http10 } else { Version::Http11 };
        RequestLine::new(name, raw, version).map(Some)
    }

    fn new(name: &str, raw: &'a str, version: Version) -> Result<RequestLine<'a>, Status> {
        let method = Method::from_name(name).ok_or(Status::NOT_IMPLEMENTED)?;
        let (authority, target) = split_target(method, raw).ok_or(Status::BAD_REQUEST)?;
        Ok(RequestLine { method, target, authority, version })
    }
}

/// Splits a target into its authority, where it has one, and the rest; `None` where the form does not fit the method
/// (RFC 9112 section 3.2).
fn split_target(method: Method, target: &str) -> Option<(Option<&str>, &str)> {
    if method == Method::Connect {
        let has_port = split_port(target).1.is_some_and(|port| !port.is_empty());
        return (has_port && is_host(target)).then_some((Some(target), target));
    }
    if target.starts_with('/') || (target == "*" && method == Method::Options) {
        return Some((None, target));
    }
    let (scheme, rest) = target.split_once("://")?;
    if !["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return None;
    }
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let path = match path {
        "" if method == Method::Options => "*",
        "" => "/",
        _ => path,
    };
    is_host(authority).then_some((Some(authority), path))
}

/// Judges a whole head, `bytes`, by its headers.
fn head<'a>(line: RequestLine<'a>, headers: &[httparse::Header<'a>], bytes: &'a [u8]) -> Result<Head<'a>, Status> {
    // No CR is bare at this point, so equal numbers mean that no LF is.
    let count = |end| memchr_iter(end, bytes).count();
    if count(b'\n') != count(b'\r') {
        return Err(Status::BAD_REQUEST);
    }
    let (mut host, mut length, mut coding) = (None, None, None);
    let (mut close, mut keep_alive, mut upgrades) = (false, false, false);
    let (mut expect, mut upgrade, mut authorization) = (Expect::Nothing, None, None);
    let mut fields = Fields::of(bytes);
    for header in headers {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        let once = if is("host") {
            &mut host
        } else if is("content-length") {
            &mut length
        } else if is("transfer-encoding") {
            &mut coding
        } else {
            if is("connection") {
                for option in header.value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
                    close |= option.eq_ignore_ascii_case(b"close");
                    keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
                    upgrades |= option.eq_ignore_ascii_case(b"upgrade");
                }
            } else if is("authorization") {
                authorization = Some(if authorization.is_none() { header.value } else { &[] });
            } else if is("upgrade") {
                let first = header.value.split(|&byte| byte == b',').next().unwrap_or_default();
                upgrade = upgrade.or(str::from_utf8(first.trim_ascii()).ok());
            } else if is("expect") && line.version == Version::Http11 {
                expect = match header.value.eq_ignore_ascii_case(b"100-continue") && expect != Expect::Unknown {
                    true => Expect::Continue,
                    false => Expect::Unknown,
                };
            } else {
                fields.note(header.name);
            }
            continue;
        };
        if once.replace(header.value).is_some() {
            return Err(Status::BAD_REQUEST);
        }
    }
    Ok(Head {
        method: line.method,
        target: line.target,
        version: line.version,
        // Checked even where the target's own authority is the one that counts (RFC 9112 section 3.2.2).
        host: line.authority.or(host_of(host, line.version)?),
        keep_alive: !close && (keep_alive || line.version == Version::Http11),
        body: body_of(length, coding, line.version)?,
        fields,
        authorization,
        expect,
        upgrade: upgrade.filter(|_| upgrades && line.version == Version::Http11),
    })
}

/// The `Host` header's value: needed in HTTP/1.1, valid wherever there is one (RFC 9112 section 3.2).
fn host_of(value: Option<&[u8]>, version: Version) -> Result<Option<&str>, Status> {
    match value {
        None if version == Version::Http10 => Ok(None),
        None => Err(Status::BAD_REQUEST),
        Some(value) => match str::from_utf8(value) {
            Ok(host) if is_host(host) => Ok(Some(host)),
            _ => Err(Status::BAD_REQUEST),
        },
    }
}

/// The body's framing (RFC 9112 sections 6.1 to 6.3).
fn body_of(length: Option<&[u8]>, coding: Option<&[u8]>, version: Version) -> Result<Body, Status> {
    match (length, coding) {
        (None, None) => Ok(Body::None),
        (Some(length), None) => number(length).map(Body::Length).ok_or(Status::BAD_REQUEST),
        (None, Some(coding)) if version == Version::Http11 => {
            if coding.eq_ignore_ascii_case(b"chunked") {
                Ok(Body::Chunked)
            } else {
                Err(refusal_of_coding(coding))
            }
        }
        _ => Err(Status::BAD_REQUEST),
    }
}

/// A list that ends in `chunked` frames the body, with codings that are not implemented here; any other leaves the
/// body's end unknown.
fn refusal_of_coding(list: &[u8]) -> Status {
    let is_chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
    let mut codings = list.rsplit(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    if codings.next().is_some_and(is_chunked) && codings.all(|coding| !coding.is_empty() && !is_chunked(coding)) {
        Status::NOT_IMPLEMENTED
    } else {
        Status::BAD_REQUEST
    }
}

/// A decimal number made of digits alone: no sign, no list, no space.
fn number(digits: &[u8]) -> Option<u64> {
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    str::from_utf8(digits).ok()?.parse().ok()
}

/// The answer to a version that the parser refused: `505` for a version of HTTP; `None` while it may become one.
fn unsupported_version(request: &httparse::Request<'_, '_>, window: &[u8]) -> Option<Status> {
    let before = request.method.map_or(0, str::len) + request.path.map_or(0, str::len) + "  ".len();
    let version = &window[empty_lines(window) + before..];
    let fits = |(&byte, &form): (&u8, &u8)| {
        if form == b'1' { byte.is_ascii_digit() } else { byte == form }
    };
    let form = b"HTTP/1.1";
    if !version.iter().zip(form).all(fits) {
        Some(Status::BAD_REQUEST)
    } else if version.len() >= form.len() {
        Some(Status::VERSION_NOT_SUPPORTED)
    } else {
        None
    }
}

/// The answer to a head that is as large as it may be and is not over, by the part that is not.
fn too_large(request: &httparse::Request<'_, '_>, window: &[u8]) -> Status {
    if request.version.is_some() {
        Status::HEAD_TOO_LARGE
    } else if request.method.is_some() {
        Status::URI_TOO_LONG
    } else if empty_lines(window) < window.len() {
        // A method longer than any that is known (RFC 9112 section 3).
        Status::NOT_IMPLEMENTED
    } else {
        Status::BAD_REQUEST
    }
}

/// Whether these are the first bytes of a HEAD, which is answered without a body even where it is refused (RFC 9110 section 9.3.2).
pub(crate) fn is_head(bytes: &[u8]) -> bool {
    bytes[empty_lines(bytes)..].starts_with(b"HEAD ")
}

/// Where the first LF stands that has no CR before it.
fn bare_lf(bytes: &[u8]) -> Option<usize> {
    let mut before = 0;
    bytes.iter().position(|&byte| std::mem::replace(&mut before, byte) != b'\r' && byte == b'\n')
}

/// Bytes of the empty lines before a request line, which some clients send behind a body (RFC 9112 section 2.2).
fn empty_lines(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count()
}

/// How many whole empty lines there are before a request line.
pub(super) fn empty_lines_before(bytes: &[u8]) -> usize {
    bytes.chunks_exact(2).take_while(|line| *line == b"\r\n").count()
}

#[cfg(test)]
mod tests;
