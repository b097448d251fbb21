//! What a client asks a server for, and what it is told.

use base64::prelude::{BASE64_STANDARD, Engine};

use super::extension::{Agreed, Misfit, PermessageDeflate};
use super::handshake::{VERSION, accept_of, elements};
use super::settings::WsInfo;
use crate::headers::{is_field_value, is_token};

/// A WebSocket that a client asks for (the http part of `struct lws_client_connect_info`).
///
/// ```
/// use rlws::WsConnect;
/// let ws = WsConnect { path: "/chat".into(), subprotocols: vec!["lws-minimal".into()], ..WsConnect::to("example.org") };
/// # let _ = ws;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WsConnect {
    /// Path and query; `/`.
    pub path: String,
    /// The `Host:`, with the port where that is not the usual one.
    pub host: String,
    /// The `Origin:`, which browsers send; `None`: none is.
    pub origin: Option<String>,
    /// Subprotocols that are offered, best first. Without any the server chooses what it likes.
    pub subprotocols: Vec<String>,
    /// More headers, such as `Authorization`.
    pub headers: Vec<(String, String)>,
    /// Bounds on what the server sends, compression that is offered, and when it is pinged.
    pub info: WsInfo,
}

impl WsConnect {
    /// `/` of a host.
    pub fn to(host: &str) -> WsConnect {
        WsConnect {
            path: "/".to_owned(),
            host: host.to_owned(),
            origin: None,
            subprotocols: Vec::new(),
            headers: Vec::new(),
            info: WsInfo::default(),
        }
    }

    /// What of it cannot be sent.
    pub(crate) fn mistake(&self) -> Option<String> {
        let is_word = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        if !self.path.starts_with('/') || !is_word(&self.path) {
            return Some(format!("path {:?}: it begins with / and has no spaces", self.path));
        }
        if !is_word(&self.host) {
            return Some(format!("host {:?}", self.host));
        }
        if let Some(name) = self.subprotocols.iter().find(|name| !is_token(name)) {
            return Some(format!("subprotocol {name:?} is no token"));
        }
        if let Some(mistake) = self.info.deflate.as_ref().and_then(PermessageDeflate::mistake) {
            return Some(mistake);
        }
        let origin = self.origin.iter().map(|origin| ("Origin", origin.as_str()));
        let headers = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let wrong = origin.chain(headers).find(|(name, value)| !is_token(name) || !is_field_value(value));
        wrong.map(|(name, _)| format!("header {name:?}"))
    }

    /// The request.
    pub(crate) fn request(&self, key: &str) -> String {
        let mut lines = vec![
            format!("GET {} HTTP/1.1", self.path),
            format!("Host: {}", self.host),
            "Upgrade: websocket".to_owned(),
            "Connection: Upgrade".to_owned(),
            format!("Sec-WebSocket-Key: {key}"),
            format!("Sec-WebSocket-Version: {VERSION}"),
        ];
        lines.extend(self.origin.iter().map(|origin| format!("Origin: {origin}")));
        if !self.subprotocols.is_empty() {
            lines.push(format!("Sec-WebSocket-Protocol: {}", self.subprotocols.join(", ")));
        }
        let offer = self.info.deflate.as_ref().map(PermessageDeflate::offer);
        lines.extend(offer.map(|offer| format!("Sec-WebSocket-Extensions: {offer}")));
        lines.extend(self.headers.iter().map(|(name, value)| format!("{name}: {value}")));
        lines.join("\r\n") + "\r\n\r\n"
    }
}

/// A key for a request: 16 random bytes in base64.
pub(crate) fn key() -> Result<String, getrandom::Error> {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce)?;
    Ok(BASE64_STANDARD.encode(nonce))
}

/// What a server answers to a client that asks for a WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WsAnswer {
    /// The minor version of HTTP/1.
    minor: u8,
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
}

/// What was agreed on.
pub(crate) struct Opened {
    pub(crate) subprotocol: Option<String>,
    pub(crate) deflate: Option<Agreed>,
}

impl WsAnswer {
    /// 101 where it agrees.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// A header's value; of several of that name the first. Case is ignored.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.all(name).next()
    }

    /// All headers, in order.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.headers().filter(move |(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        self.all(name).filter_map(|value| str::from_utf8(value).ok())
    }

    /// Reads an answer, and how many bytes it has; `None`: it is not complete.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(WsAnswer, usize)>, httparse::Error> {
        const HEADERS: usize = 64;
        let mut headers = [httparse::EMPTY_HEADER; HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(len) = response.parse(bytes)? else { return Ok(None) };
        let status = response.code.unwrap_or_default();
        let headers = response.headers.iter().map(|header| (header.name.to_owned(), header.value.to_owned())).collect();
        Ok(Some((WsAnswer { minor: response.version.unwrap_or_default(), status, headers }, len)))
    }

    /// Whether another answer follows, which counts (RFC 9110 section 15.2).
    pub(crate) fn is_interim(&self) -> bool {
        self.status != 101 && (100..=199).contains(&self.status)
    }

    /// Whether it agrees to what was asked for (RFC 6455 section 4.1, 1 to 6); if not, why.
    pub(crate) fn agrees(&self, asked: &WsConnect, key: &str) -> Result<Opened, String> {
        if self.status != 101 {
            return Err(format!("the server answers with status {}", self.status));
        }
        if self.minor == 0 {
            return Err("the server speaks HTTP/1.0, in which there is no upgrade".to_owned());
        }
        let has_word = |name: &str, word: &str| {
            self.texts(name).flat_map(|value| value.split(',')).any(|part| part.trim().eq_ignore_ascii_case(word))
        };
        if !has_word("upgrade", "websocket") || !has_word("connection", "upgrade") {
            return Err("the server does not upgrade to websocket".to_owned());
        }
        if self.texts("sec-websocket-accept").next() != Some(accept_of(key).as_str()) {
            return Err("the server's Sec-WebSocket-Accept does not fit the key".to_owned());
        }
        let mut subprotocols = self.texts("sec-websocket-protocol").map(str::to_owned);
        let subprotocol = subprotocols.next();
        if let Some(name) = &subprotocol
            && (!asked.subprotocols.contains(name) || subprotocols.next().is_some())
        {
            return Err(format!("the server chooses subprotocol {name:?}, which was not offered"));
        }
        let mut extensions = self.texts("sec-websocket-extensions").flat_map(elements);
        let deflate = match &asked.info.deflate {
            Some(deflate) => deflate.agree(extensions),
            None => extensions.next().map_or(Ok(None), |more| Err(Misfit::NotOffered(more))),
        };
        let deflate = deflate.map_err(|misfit| misfit.to_string())?;
        Ok(Opened { subprotocol, deflate })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    const GOOD: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

    fn asked() -> WsConnect {
        WsConnect { subprotocols: vec!["chat".into()], ..WsConnect::to("example.org") }
    }

    fn agrees(answer: &str) -> Result<Opened, String> {
        let text = format!("{answer}\r\n");
        let (answer, len) = WsAnswer::parse(text.as_bytes()).expect("http").expect("complete");
        assert_eq!(len, text.len());
        answer.agrees(&asked(), KEY)
    }

    #[test]
    fn what_a_server_agrees_to_is_checked() {
        assert!(agrees(GOOD).is_ok_and(|opened| opened.subprotocol.is_none() && opened.deflate.is_none()));
        let named = agrees(&format!("{GOOD}Sec-WebSocket-Protocol: chat\r\n")).expect("it was offered");
        assert_eq!(named.subprotocol.as_deref(), Some("chat"));
        for (answer, why) in [
            ("HTTP/1.1 403 Forbidden\r\n".to_owned(), "status 403"),
            (GOOD.replace("HTTP/1.1", "HTTP/1.0"), "HTTP/1.0"),
            (GOOD.replace("WebSocket\r\n", "h2c\r\n"), "does not upgrade"),
            (GOOD.replace("keep-alive, Upgrade", "close"), "does not upgrade"),
            (GOOD.replace("s3pP", "S3pP"), "Accept"),
            (format!("{GOOD}Sec-WebSocket-Protocol: other\r\n"), "\"other\""),
            (format!("{GOOD}Sec-WebSocket-Extensions: permessage-deflate\r\n"), "\"permessage-deflate\", an extension"),
        ] {
            let error = agrees(&answer).err().expect("it does not agree");
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn each_key_is_another() {
        assert_ne!(key().expect("random"), key().expect("random"));
    }

    #[test]
    fn what_cannot_be_sent_is_a_mistake() {
        assert_eq!(asked().mistake(), None);
        let with = |change: fn(&mut WsConnect)| {
            let mut wrong = asked();
            change(&mut wrong);
            wrong.mistake()
        };
        assert!(with(|ws| ws.path = "chat".into()).is_some());
        assert!(with(|ws| ws.path = "/a b".into()).is_some());
        assert!(with(|ws| ws.host = "a\r\nb".into()).is_some());
        assert!(with(|ws| ws.subprotocols.push("a,b".into())).is_some());
        assert!(with(|ws| ws.info.deflate = Some(PermessageDeflate { level: 20, ..Default::default() })).is_some());
        assert!(with(|ws| ws.headers.push(("X".into(), "a\nb".into()))).is_some());
    }
}
