//! What a request is answered with: a file of a mount, a redirect, a page, or a protocol's word.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

use crate::cx::Cx;
use crate::http::{Exchange, HttpRequest, RequestParts, Whole};
use crate::protocol::{self, Verdict};
use crate::reason::Reason;
use crate::role::CloseReason;
use crate::vhost::{OpenMount, ProtocolIndex, Served, Vhost};
use crate::wsi::Wsi;

use super::file::{self, FoundFile, Opened};
use super::file_body::FileBody;
use super::guard::{self, Admission};
use super::h1::{Body, Head, Version};
use super::method::Method;
use super::mime::{self, ContentType};
use super::mounts::{self, Hit};
use super::path::{Below, UrlPath};
use super::response::{self, ResponseHead, Terms};
use super::status::Status;

/// The answer to one request, not framed yet.
pub(super) struct Answer {
    pub(super) status: Status,
    content_type: ContentType,
    /// One more header, such as `Location`.
    header: Option<(&'static str, Cow<'static, str>)>,
    /// Where in the vhost's list the mount is that it comes from.
    mount: Option<usize>,
    content: Content,
    /// Who asked, where the mount asks for a password.
    pub(super) user: Option<Arc<str>>,
    /// The connection ends behind it, whatever the client would like.
    pub(super) is_last: bool,
}

enum Content {
    File(FoundFile),
    Bytes(Vec<u8>),
}

const HTML: ContentType = ContentType::Known("text/html; charset=utf-8");
const TEXT: ContentType = ContentType::Known("text/plain; charset=utf-8");

impl Answer {
    /// The small page that says nothing but its status.
    pub(super) fn page(status: Status) -> Answer {
        Answer::new(status, HTML, Content::Bytes(response::error_page(status)))
    }

    fn text(status: Status, text: String) -> Answer {
        Answer::new(status, TEXT, Content::Bytes(text.into_bytes()))
    }

    fn new(status: Status, content_type: ContentType, content: Content) -> Answer {
        Answer { status, content_type, header: None, mount: None, content, user: None, is_last: false }
    }

    pub(super) fn with(self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Answer {
        Answer { header: Some((name, value.into())), ..self }
    }

    /// To the same place under https: the authority as the client wrote it, else the vhost's name and the listener's port.
    pub(super) fn moved_to_https(wsi: &Wsi, cx: &Cx, head: &Head<'_>) -> Answer {
        // `*` and the authority of a CONNECT are nowhere to go to.
        if !head.target.starts_with(['/', '?']) {
            return Answer::page(Status::BAD_REQUEST);
        }
        let authority = head.host.map_or_else(|| own_authority(wsi, cx), str::to_owned);
        let location = format!("https://{authority}{}", head.target);
        Answer::page(Status::MOVED_PERMANENTLY).with("Location", location)
    }

    /// Finds the answer to a request. The connection's vhost has been chosen.
    pub(super) fn to(wsi: &mut Wsi, cx: &mut Cx, head: &Head<'_>, bytes: &[u8]) -> Answer {
        let Ok(path) = UrlPath::parse(head.target) else { return Answer::page(Status::BAD_REQUEST) };
        let Cx { vhosts, passwords, now, .. } = cx;
        let Some(vhost) = vhosts.get_mut(&wsi.vhost) else { return Answer::page(Status::NOT_FOUND) };
        vhost.refresh_mounts(*now);
        let Some(Hit { index, below, .. }) = mounts::find(vhost, &path, false) else {
            let index = vhost.default_protocol;
            return by_protocol(wsi, cx, index, request_of(head, bytes, &path, 0));
        };
        let user = match guard::admit(&mut vhost.mounts[index], passwords, *now, head, wsi.id) {
            Admission::Yes(user) => user,
            Admission::No(answer) => return Answer { mount: Some(index), ..answer },
            Admission::Later => return Answer::page(Status::SERVICE_UNAVAILABLE),
        };
        let hit = Hit { index, open: &vhost.mounts[index], below };
        let mut answer = match &hit.open.from {
            Served::Folder(_) if !matches!(head.method, Method::Get | Method::Head) => {
                Answer::page(Status::METHOD_NOT_ALLOWED).with("Allow", "GET, HEAD")
            }
            Served::Folder(_) => from_folder(vhost, hit.open, hit.below, &path),
            Served::Protocol(index) => {
                let index = *index;
                let folder = usize::from(hit.below.folder && !hit.below.path.is_empty());
                let below = path.as_str().len() - hit.below.path.len() - folder;
                by_protocol(wsi, cx, index, request_of(head, bytes, &path, below))
            }
            Served::Redirect => match mounts::elsewhere(&hit, &path) {
                Some((status, location)) => Answer::page(status).with("Location", location),
                None => Answer::page(Status::NOT_FOUND),
            },
        };
        answer.mount = Some(index);
        answer.user = user;
        answer
    }

    /// Frames and sends it. The bytes of its head are returned, and what remains of a file that did not fit, to be sent as the peer reads.
    pub(super) fn send(
        self,
        wsi: &mut Wsi,
        cx: &mut Cx,
        terms: Terms,
    ) -> Result<(usize, Option<FileBody>), CloseReason> {
        let mut out = std::mem::take(&mut cx.out);
        let rest = self.write(wsi, cx, terms, &mut out);
        out.clear();
        cx.out = out;
        rest
    }

    fn write(
        self,
        wsi: &mut Wsi,
        cx: &mut Cx,
        terms: Terms,
        out: &mut Vec<u8>,
    ) -> Result<(usize, Option<FileBody>), CloseReason> {
        let length = match &self.content {
            Content::File(found) => found.len,
            Content::Bytes(bytes) => bytes.len() as u64,
        };
        let date = *cx.date.at(cx.now);
        let vhost = cx.vhost(wsi.vhost);
        let mount = vhost.and_then(|vhost| vhost.mounts.get(self.mount?));
        let headers = mount.and_then(|mount| mount.headers.as_ref()).or(vhost.map(|vhost| &vhost.headers));
        let mut head = ResponseHead::begin(out, self.status, &cx.info.server_string, &date)
            .connection(terms.version, terms.keep_alive);
        let has_content = self.status.has_content();
        if has_content {
            if let Some(content_type) = self.content_type.value() {
                head = head.content_type(content_type);
            }
            head = head.content_length(length);
        } else if self.status == Status::RESET_CONTENT {
            head = head.content_length(0);
        }
        if let Some((name, value)) = &self.header {
            head = head.header(name, value.as_bytes());
        }
        if let Some(headers) = headers {
            head = head.lines(headers.lines(wsi.is_tls()));
        }
        if let (Content::File(_), Status::OK, Some(mount)) = (&self.content, self.status, mount) {
            head = head.lines(mount.cache_control.as_deref().unwrap_or_default());
        }
        head.end();
        let head = out.len();
        match self.content {
            _ if terms.head_only || !has_content || length == 0 => {}
            Content::Bytes(bytes) => out.extend_from_slice(&bytes),
            Content::File(found) => {
                let mut body = FileBody::new(found.file, 0..found.len);
                let is_out = body.send_behind(out, wsi, cx)?;
                return Ok((head, (!is_out).then_some(body)));
            }
        }
        wsi.transmit(&cx.registry, out)?;
        Ok((head, None))
    }
}

fn own_authority(wsi: &Wsi, cx: &Cx) -> String {
    let name = cx.vhost(wsi.vhost).map_or("localhost", Vhost::name);
    match cx.listen_port(wsi.vhost) {
        None | Some(443) => name.to_owned(),
        Some(port) => format!("{name}:{port}"),
    }
}

fn from_folder(vhost: &Vhost, mount: &OpenMount, below: Below<'_>, path: &UrlPath<'_>) -> Answer {
    match open(mount, below, Status::OK) {
        Ok(Some(answer)) => answer,
        Ok(None) => Answer::page(Status::MOVED_PERMANENTLY).with("Location", path.folder_location()),
        Err(Status::NOT_FOUND) => not_found(vhost),
        Err(status) => Answer::page(status),
    }
}

/// The vhost's own document for a 404, where it has one that can be served. One behind a password is for nobody else.
fn not_found(vhost: &Vhost) -> Answer {
    let document = || {
        let path = UrlPath::parse(vhost.error_document_404.as_deref()?).ok()?;
        let hit = mounts::find(vhost, &path, false).filter(|hit| hit.open.mount.basic_auth.is_none())?;
        open(hit.open, hit.below, Status::NOT_FOUND).ok()?
    };
    document().unwrap_or_else(|| Answer::page(Status::NOT_FOUND))
}

/// `None`: a folder that was asked for without its slash.
fn open(mount: &OpenMount, below: Below<'_>, status: Status) -> Result<Option<Answer>, Status> {
    let Served::Folder(folder) = &mount.from else { return Err(Status::NOT_FOUND) };
    let name = if below.folder { &mount.mount.default } else { below.path };
    match file::open(folder, below, &mount.mount.default) {
        Ok(Opened::File(found)) => {
            // As in lws: what has no known type is not served.
            let content_type = mime::type_of(name, &mount.mimetypes).ok_or(Status::UNSUPPORTED_MEDIA_TYPE)?;
            Ok(Some(Answer::new(status, content_type, Content::File(found))))
        }
        Ok(Opened::Redirect) => Ok(None),
        Err(error) => {
            log::debug!("{}{}: {error}", mount.mount.mountpoint, below.path);
            Err(error.status())
        }
    }
}

/// Asks a protocol, which is bound for the length of this one question.
fn by_protocol(wsi: &mut Wsi, cx: &mut Cx, index: ProtocolIndex, request: HttpRequest) -> Answer {
    if protocol::attach(wsi, cx, index).is_err() {
        return Answer::page(Status::NOT_FOUND);
    }
    let request = Rc::new(request);
    wsi.http = Some(Box::new(Exchange::new(request.clone())));
    let verdict = protocol::call(wsi, cx, Reason::Http(&request));
    protocol::detach(wsi);
    let closes = verdict == Verdict::Close;
    let answer = match wsi.http.take().and_then(|exchange| exchange.whole) {
        Some(Whole::Status(code, body)) => by_status(wsi, cx, code, body),
        _ if closes => Answer::page(Status::FORBIDDEN),
        _ => Answer::page(Status::NOT_FOUND),
    };
    Answer { is_last: closes, ..answer }
}

fn request_of(head: &Head<'_>, bytes: &[u8], path: &UrlPath<'_>, below: usize) -> HttpRequest {
    HttpRequest::new(RequestParts {
        method: head.method.as_str(),
        target: head.target,
        path: path.as_str(),
        below,
        host: head.host,
        version_minor: u8::from(head.version == Version::Http11),
        content_length: if let Body::Length(length) = head.body { Some(length) } else { None },
        has_body: head.body != Body::None,
        user: None,
        mount_options: Arc::default(),
        head: bytes,
    })
}

fn by_status(wsi: &Wsi, cx: &Cx, code: u16, body: Option<String>) -> Answer {
    let Some(status) = Status::from_code(code) else {
        log::warn!("{}: {code} is no final status; a protocol answers 200 to 599", cx.tag(wsi));
        return Answer::page(Status::INTERNAL_SERVER_ERROR);
    };
    match (status, body) {
        (Status::NOT_FOUND, None) => cx.vhost(wsi.vhost).map_or_else(|| Answer::page(status), not_found),
        (status, None) => Answer::page(status),
        (status, Some(body)) => Answer::text(status, body),
    }
}
