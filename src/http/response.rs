//! A response that a protocol makes.

use std::borrow::Cow;

use thiserror::Error;

use crate::headers;

/// The head of a response: status, type, length, headers. [`Wsi::respond`](crate::Wsi::respond) begins it.
///
/// `Date`, `Server`, `Connection`, the framing, and the headers of vhost and mount are added; one of the same name here takes the place of
/// a configured one. In lws: `lws_add_http_common_headers()`, `lws_add_http_header_by_name()`.
///
/// ```
/// use rlws::Response;
///
/// let page = Response::new(200).content_type("text/html; charset=utf-8").header("Cache-Control", "no-store");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "it is begun by Wsi::respond"]
pub struct Response {
    pub(crate) status: u16,
    pub(crate) content_type: Option<Cow<'static, str>>,
    pub(crate) content_length: Option<u64>,
    pub(crate) headers: Vec<(Cow<'static, str>, Cow<'static, str>)>,
}

/// Why a response could not be begun.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RespondError {
    /// No request waits for an answer on this connection: it is in another role, or between two requests.
    #[error("there is no request to answer on a connection in role {role}")]
    NoRequest {
        /// The role it is in.
        role: &'static str,
    },
    /// This request is being answered already.
    #[error("the request has its answer already")]
    Answered,
    /// Not a final status.
    #[error("{0} is no final status; a protocol answers 200 to 599")]
    Status(u16),
    /// A header that cannot be sent.
    #[error("header {name:?}: {why}")]
    Header {
        /// Its name.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

impl Response {
    /// With a final status, 200 to 599 (`lws_add_http_header_status`).
    pub fn new(status: u16) -> Response {
        Response { status, content_type: None, content_length: None, headers: Vec::new() }
    }

    /// Says what the body is.
    pub fn content_type(mut self, value: impl Into<Cow<'static, str>>) -> Response {
        self.content_type = Some(value.into());
        self
    }

    /// Says how long the body is (`lws_add_http_header_content_length`). It has to be exactly that. Without it, a body that is complete when
    /// the callback returns has its length said, and any other is sent in chunks; to a client of HTTP/1.0 until the connection ends.
    pub fn content_length(mut self, bytes: u64) -> Response {
        self.content_length = Some(bytes);
        self
    }

    /// Adds a header (`lws_add_http_header_by_name`).
    pub fn header(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Cow<'static, str>>) -> Response {
        let name = name.into();
        if name.eq_ignore_ascii_case("content-type") {
            return self.content_type(value);
        }
        self.headers.push((name, value.into()));
        self
    }

    /// Whether it can be sent.
    pub(crate) fn check(&self) -> Result<(), RespondError> {
        if !(200..=599).contains(&self.status) {
            return Err(RespondError::Status(self.status));
        }
        if let Some(content_type) = &self.content_type {
            check_own("Content-Type", content_type)?;
        }
        self.headers.iter().try_for_each(|(name, value)| check_own(name, value))
    }
}

/// Whether a protocol may add that header to a response, whoever makes it.
pub(crate) fn check_added(name: &str, value: &str) -> Result<(), RespondError> {
    refused(name, headers::what_is_wrong(name, value))
}

/// Whether it may be in a response that the protocol makes.
fn check_own(name: &str, value: &str) -> Result<(), RespondError> {
    refused(name, headers::what_is_wrong_in_own(name, value))
}

fn refused(name: &str, why: Option<&'static str>) -> Result<(), RespondError> {
    why.map_or(Ok(()), |why| Err(RespondError::Header { name: name.to_owned(), why }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_break_a_response_is_refused() {
        assert_eq!(Response::new(200).content_type("text/plain").header("X-A", "a\tb \u{e4}").check(), Ok(()));
        for status in [0, 100, 199, 600, 65535] {
            assert_eq!(Response::new(status).check(), Err(RespondError::Status(status)));
        }
        for (name, value) in [
            ("", "a"),
            ("a b", "a"),
            ("X-A", "a\r\nb: c"),
            ("content-length", "1"),
            ("Transfer-Encoding", "chunked"),
            ("connection", "close"),
            ("content-type", "a\0"),
        ] {
            let error = Response::new(200).header(name, value).check().expect_err(name);
            assert!(matches!(error, RespondError::Header { .. }), "{error}");
        }
    }

    #[test]
    fn a_content_type_is_there_once() {
        let response = Response::new(200).content_type("a/b").header("content-TYPE", "c/d");
        assert_eq!((response.content_type.as_deref(), response.headers.len()), (Some("c/d"), 0));
    }
}
