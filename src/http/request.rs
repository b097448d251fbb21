//! A request that a protocol answers.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use crate::forms::urlencoded;
use crate::pvo::Pvo;

/// The head of a request, for as long as its transaction lasts: in `Reason::Http`, and from any callback by
/// [`Wsi::http_request`](crate::Wsi::http_request).
///
/// In lws: the `ah` of a wsi, `lws_hdr_copy()`, `lws_http_get_uri_and_method()`.
#[derive(Debug)]
pub struct HttpRequest {
    method: &'static str,
    target: Box<str>,
    path: Box<str>,
    /// Where in the path what is below the mountpoint begins.
    below: usize,
    is_mounted: bool,
    host: Option<Box<str>>,
    version_minor: u8,
    content_length: Option<u64>,
    has_body: bool,
    user: Option<Arc<str>>,
    mount_options: Arc<Pvo>,
    head: Box<[u8]>,
    /// Names and values of the headers, in `head`.
    headers: Vec<(Range<usize>, Range<usize>)>,
}

/// What role `http` knows of a request.
pub(crate) struct RequestParts<'a> {
    pub(crate) method: &'static str,
    pub(crate) target: &'a str,
    pub(crate) path: &'a str,
    pub(crate) below: usize,
    pub(crate) is_mounted: bool,
    pub(crate) host: Option<&'a str>,
    pub(crate) version_minor: u8,
    pub(crate) content_length: Option<u64>,
    pub(crate) has_body: bool,
    pub(crate) user: Option<Arc<str>>,
    pub(crate) mount_options: Arc<Pvo>,
    /// The bytes of the head, which have been found to be one.
    pub(crate) head: &'a [u8],
}

impl HttpRequest {
    pub(crate) fn new(parts: RequestParts<'_>) -> HttpRequest {
        HttpRequest {
            method: parts.method,
            target: parts.target.into(),
            path: parts.path.into(),
            below: parts.below,
            is_mounted: parts.is_mounted,
            host: parts.host.map(Into::into),
            version_minor: parts.version_minor,
            content_length: parts.content_length,
            has_body: parts.has_body,
            user: parts.user,
            mount_options: parts.mount_options,
            head: parts.head.into(),
            headers: header_lines(parts.head),
        }
    }

    /// `GET`, `HEAD`, `POST`, ..
    pub fn method(&self) -> &str {
        self.method
    }

    /// The path, from its `/` on and without the query: percent escapes decoded, `.` and `..` resolved.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What of the path is below the mountpoint, without a `/` before it; all of it where no mount is.
    pub fn below(&self) -> &str {
        &self.path[self.below..]
    }

    /// The path that the mount begins at, without a `/` behind it; `None` where no mount is.
    pub fn mountpoint(&self) -> Option<&str> {
        self.is_mounted.then(|| self.path[..self.below].trim_end_matches('/'))
    }

    /// The target as it was sent: the path with its escapes, and the query. Of an absolute target only these.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// What is behind the `?`, as it was sent.
    pub fn query(&self) -> Option<&str> {
        let target = self.target.split_once('#').map_or(&*self.target, |(before, _)| before);
        target.split_once('?').map(|(_, query)| query)
    }

    /// 0 of HTTP/1.0, 1 of HTTP/1.1.
    pub fn version_minor(&self) -> u8 {
        self.version_minor
    }

    /// The host that is asked for, with the port if one was said. `None` in HTTP/1.0 only.
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// The value of the first header of that name, case ignored (`lws_hdr_copy`).
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The same as a text; `None` also where it is none.
    pub fn header_str(&self, name: &str) -> Option<&str> {
        str::from_utf8(self.header(name)?).ok()
    }

    /// All headers, names as they were sent, in order (`lws_hdr_custom_name_foreach`).
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let name = |at: &Range<usize>| str::from_utf8(&self.head[at.clone()]).unwrap_or_default();
        self.headers.iter().map(move |(of, value)| (name(of), &self.head[value.clone()]))
    }

    /// The head as it came, its request line first.
    pub(crate) fn head(&self) -> &[u8] {
        &self.head
    }

    /// The body's bytes, where the request says how many; `None` of a chunked one, and without a body.
    pub fn content_length(&self) -> Option<u64> {
        self.content_length
    }

    /// Whether a body follows: `HttpBodyCompletion` comes then, and `HttpBody` before it if it is not empty.
    pub fn has_body(&self) -> bool {
        self.has_body
    }

    /// The first argument of that name in the query, decoded (`lws_get_urlarg_by_name_safe`).
    ///
    /// An argument without a `=` has an empty value. What is no UTF-8 becomes U+FFFD.
    pub fn arg(&self, name: &str) -> Option<Cow<'_, str>> {
        self.args().find(|(other, _)| other == name).map(|(_, value)| value)
    }

    /// All arguments of the query, decoded, in order.
    pub fn args(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        urlencoded::parse(self.query().unwrap_or_default())
    }

    /// The value of a cookie, as it was sent (`lws_http_cookie_get`).
    pub fn cookie(&self, name: &str) -> Option<&str> {
        let cookies = self.headers().filter(|(header, _)| header.eq_ignore_ascii_case("cookie"));
        let pairs = cookies.filter_map(|(_, value)| str::from_utf8(value).ok()).flat_map(|value| value.split(';'));
        pairs.filter_map(|pair| pair.trim().split_once('=')).find(|(other, _)| *other == name).map(|(_, value)| value)
    }

    /// Who asks, by the mount's basic auth.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The options of the mount (`pmo`, `LWS_CALLBACK_HTTP_PMO`); empty where it has none.
    pub fn mount_options(&self) -> &Pvo {
        &self.mount_options
    }
}

/// The places of names and values in a head whose form has been checked.
fn header_lines(head: &[u8]) -> Vec<(Range<usize>, Range<usize>)> {
    let start = head.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(head.len());
    let mut found = Vec::new();
    let mut at = start;
    for (number, line) in head[start..].split_inclusive(|byte| *byte == b'\n').enumerate() {
        let begin = at;
        at += line.len();
        if let Some(colon) = line.iter().position(|byte| *byte == b':').filter(|_| number > 0) {
            let value = &line[colon + 1..];
            let from = begin + colon + 1 + (value.len() - value.trim_ascii_start().len());
            found.push((begin..begin + colon, from..from + value.trim_ascii().len()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(head: &str, target: &str) -> HttpRequest {
        HttpRequest::new(RequestParts {
            method: "GET",
            target,
            path: "/a/b c",
            below: 3,
            is_mounted: true,
            host: Some("x:1"),
            version_minor: 1,
            content_length: None,
            has_body: false,
            user: None,
            mount_options: Arc::default(),
            head: head.as_bytes(),
        })
    }

    #[test]
    fn headers_are_found_by_name_in_any_case() {
        let head = "\r\nGET / HTTP/1.1\r\nHost: x\r\nX-A:  1 \r\nx-a: 2\r\nEmpty:\r\nCookie: a=1; b=\"2\"\r\ncookie: c=3=4\r\n\r\n";
        let request = request(head, "/");
        assert_eq!(request.header("x-A"), Some(&b"1"[..]));
        assert_eq!(request.header_str("EMPTY"), Some(""));
        assert_eq!(request.header("GET / HTTP/1.1"), None);
        let names: Vec<&str> = request.headers().map(|(name, _)| name).collect();
        assert_eq!(names, ["Host", "X-A", "x-a", "Empty", "Cookie", "cookie"]);
        assert_eq!((request.cookie("a"), request.cookie("b")), (Some("1"), Some("\"2\"")));
        assert_eq!((request.cookie("c"), request.cookie("d")), (Some("3=4"), None));
        assert_eq!((request.mountpoint(), request.below()), (Some("/a"), "b c"));
    }

    #[test]
    fn arguments_are_decoded() {
        let request = request("", "/a?x=1&y=a%20b+c&x=2&flag&=e&bad=%zz%ff#y=3");
        assert_eq!(request.query(), Some("x=1&y=a%20b+c&x=2&flag&=e&bad=%zz%ff"));
        let value = |name| request.arg(name).map(Cow::into_owned);
        assert_eq!(value("x").as_deref(), Some("1"));
        assert_eq!(value("y").as_deref(), Some("a b c"));
        assert_eq!(value("flag").as_deref(), Some(""));
        assert_eq!(value("").as_deref(), Some("e"));
        assert_eq!(value("bad").as_deref(), Some("%zz\u{fffd}"));
        assert_eq!(value("z"), None);
        assert_eq!(request.args().count(), 6);
    }
}
