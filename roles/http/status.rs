//! Status codes and their reason phrases (RFC 9110 section 15).
//!
//! Counterpart in lws: `enum http_status` and the phrase tables of `lws_add_http_header_status()`.

/// The status code of a response, always of three digits.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Status(u16);

impl Status {
    /// The connection goes on in another protocol.
    pub(crate) const SWITCHING_PROTOCOLS: Status = Status(101);
    /// The request succeeded.
    pub(crate) const OK: Status = Status(200);
    /// It succeeded, and there is nothing to show.
    pub(crate) const NO_CONTENT: Status = Status(204);
    /// The client is to reset its form; there is no content, and a length says so.
    pub(crate) const RESET_CONTENT: Status = Status(205);
    /// Only what a `Range` asked for.
    pub(crate) const PARTIAL_CONTENT: Status = Status(206);
    /// The thing asked for is elsewhere, for good.
    pub(crate) const MOVED_PERMANENTLY: Status = Status(301);
    /// The client has it already.
    pub(crate) const NOT_MODIFIED: Status = Status(304);
    /// The request is malformed.
    pub(crate) const BAD_REQUEST: Status = Status(400);
    /// A password is asked for, and none that counts was sent.
    pub(crate) const UNAUTHORIZED: Status = Status(401);
    /// The thing asked for exists, and is not served.
    pub(crate) const FORBIDDEN: Status = Status(403);
    /// There is no such thing.
    pub(crate) const NOT_FOUND: Status = Status(404);
    /// A known method, which the thing asked for does not take.
    pub(crate) const METHOD_NOT_ALLOWED: Status = Status(405);
    /// The request did not come to its end in time.
    pub(crate) const REQUEST_TIMEOUT: Status = Status(408);
    /// The thing asked for is not in the state that the client expects.
    pub(crate) const PRECONDITION_FAILED: Status = Status(412);
    /// The body exceeds what its mount takes.
    pub(crate) const CONTENT_TOO_LARGE: Status = Status(413);
    /// The target exceeds [`HTTP_URI`](crate::limits::HTTP_URI), or the request line [`HTTP_HEAD`](crate::limits::HTTP_HEAD).
    pub(crate) const URI_TOO_LONG: Status = Status(414);
    /// A file of no known type.
    pub(crate) const UNSUPPORTED_MEDIA_TYPE: Status = Status(415);
    /// Nothing of the thing asked for is in the `Range`.
    pub(crate) const RANGE_NOT_SATISFIABLE: Status = Status(416);
    /// What the client expects is not what this server does.
    pub(crate) const EXPECTATION_FAILED: Status = Status(417);
    /// The connection is not good enough for the vhost asked for.
    pub(crate) const MISDIRECTED_REQUEST: Status = Status(421);
    /// It asks for a version of another protocol that is not spoken here.
    pub(crate) const UPGRADE_REQUIRED: Status = Status(426);
    /// The head exceeds [`HTTP_HEAD`](crate::limits::HTTP_HEAD) or [`HTTP_HEADERS`](crate::limits::HTTP_HEADERS).
    pub(crate) const HEAD_TOO_LARGE: Status = Status(431);
    /// The connection ended before there was an answer; for the access log alone (nginx has it too).
    pub(crate) const CLIENT_GONE: Status = Status(499);
    /// The fault is on this side.
    pub(crate) const INTERNAL_SERVER_ERROR: Status = Status(500);
    /// An unknown method or transfer coding.
    pub(crate) const NOT_IMPLEMENTED: Status = Status(501);
    /// The server cannot answer now.
    pub(crate) const SERVICE_UNAVAILABLE: Status = Status(503);
    /// A version other than HTTP/1.0 and HTTP/1.1.
    pub(crate) const VERSION_NOT_SUPPORTED: Status = Status(505);

    /// A final status chosen by a user's protocol: 200 to 599.
    pub(crate) fn from_code(code: u16) -> Option<Status> {
        (200..=599).contains(&code).then_some(Status(code))
    }

    /// Whether a response with it has content, and headers that describe it (RFC 9110 sections 15.3.5, 15.3.6, 15.4.5).
    pub(crate) fn has_content(self) -> bool {
        !matches!(self.0, 204 | 205 | 304)
    }

    /// The number.
    pub(crate) fn code(self) -> u16 {
        self.0
    }

    /// The registered reason phrase; empty for a code that has none, which the status line allows.
    pub(crate) fn phrase(self) -> &'static str {
        match self.0 {
            200 => "OK",
            201 => "Created",
            202 => "Accepted",
            203 => "Non-Authoritative Information",
            204 => "No Content",
            205 => "Reset Content",
            206 => "Partial Content",
            300 => "Multiple Choices",
            301 => "Moved Permanently",
            302 => "Found",
            303 => "See Other",
            304 => "Not Modified",
            307 => "Temporary Redirect",
            308 => "Permanent Redirect",
            400 => "Bad Request",
            401 => "Unauthorized",
            402 => "Payment Required",
            403 => "Forbidden",
            404 => "Not Found",
            405 => "Method Not Allowed",
            406 => "Not Acceptable",
            407 => "Proxy Authentication Required",
            408 => "Request Timeout",
            409 => "Conflict",
            410 => "Gone",
            411 => "Length Required",
            412 => "Precondition Failed",
            413 => "Content Too Large",
            414 => "URI Too Long",
            415 => "Unsupported Media Type",
            416 => "Range Not Satisfiable",
            417 => "Expectation Failed",
            421 => "Misdirected Request",
            422 => "Unprocessable Content",
            426 => "Upgrade Required",
            428 => "Precondition Required",
            429 => "Too Many Requests",
            431 => "Request Header Fields Too Large",
            500 => "Internal Server Error",
            501 => "Not Implemented",
            502 => "Bad Gateway",
            503 => "Service Unavailable",
            504 => "Gateway Timeout",
            505 => "HTTP Version Not Supported",
            _ => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_protocol_may_choose_final_codes_only() {
        for (code, taken) in [
            (0, false),
            (100, false),
            (199, false),
            (200, true),
            (299, true),
            (418, true),
            (599, true),
            (600, false),
            (65535, false),
        ] {
            assert_eq!(Status::from_code(code).map(Status::code), taken.then_some(code));
        }
    }

    #[test]
    fn an_unregistered_code_has_an_empty_phrase() {
        assert_eq!(Status::NOT_FOUND.phrase(), "Not Found");
        assert_eq!(Status(299).phrase(), "");
    }
}
