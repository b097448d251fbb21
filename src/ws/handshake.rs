//! The opening handshake (RFC 6455 section 4), as far as it is about headers.

use base64::prelude::{BASE64_STANDARD, Engine};
use sha1::{Digest, Sha1};

use crate::headers::is_token;
use crate::http::HttpRequest;

/// The one version there is (section 4.1).
pub(crate) const VERSION: &str = "13";

/// What a client asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Asks<'a> {
    pub(crate) key: &'a str,
    /// The subprotocols that it speaks, best first.
    pub(crate) subprotocols: Vec<&'a str>,
}

/// What is wrong with it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// It speaks another version; the answer names ours (section 4.2.2).
    Version,
    /// It is no handshake.
    Malformed,
}

impl<'a> Asks<'a> {
    /// Reads a request that says `Upgrade: websocket`.
    pub(crate) fn of(request: &'a HttpRequest) -> Result<Asks<'a>, Wrong> {
        let only = |name: &str| {
            let mut values = headers(request, name);
            values.next().filter(|_| values.next().is_none())
        };
        if only("sec-websocket-version") != Some(VERSION) {
            return Err(Wrong::Version);
        }
        let key = only("sec-websocket-key").filter(|key| is_nonce(key)).ok_or(Wrong::Malformed)?;
        let mut subprotocols = Vec::new();
        for name in headers(request, "sec-websocket-protocol").flat_map(elements) {
            if !is_token(name) || subprotocols.contains(&name) {
                return Err(Wrong::Malformed);
            }
            subprotocols.push(name);
        }
        if request.method() != "GET" || request.has_body() {
            return Err(Wrong::Malformed);
        }
        Ok(Asks { key, subprotocols })
    }
}

/// The values of a header that may be repeated.
pub(crate) fn headers<'a>(request: &'a HttpRequest, name: &str) -> impl Iterator<Item = &'a str> {
    request
        .headers()
        .filter(move |(header, _)| header.eq_ignore_ascii_case(name))
        .filter_map(|(_, value)| str::from_utf8(value).ok())
}

/// Those of a list, without the empty ones (RFC 9110 section 5.6.1).
pub(crate) fn elements(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|element| !element.is_empty())
}

/// 16 bytes in base64.
fn is_nonce(key: &str) -> bool {
    BASE64_STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == 16)
}

/// What the server makes of a key, to show that it speaks WebSocket (section 4.2.2).
pub(crate) fn accept_of(key: &str) -> String {
    const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    BASE64_STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accept_of_the_rfc_is_made() {
        assert_eq!(accept_of("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
