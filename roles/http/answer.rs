//! What a request is answered with: a file of a mount, a redirect, a page, or a protocol's word.

use std::borrow::Cow;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use crate::cx::Cx;
use crate::file_cache::{FileCache, FileKey};
use crate::http::KeptFile;
use crate::role::CloseReason;
use crate::vhost::{OpenMount, Served, Vhost, VhostId};
use crate::wsi::Wsi;

use super::encodings::Accepted;
use super::fields;
use super::file::{self, FoundFile, Opened};
use super::file_body::FileBody;
use super::file_response::{Asked, FileResponse, Refusal};
use super::h1::Head;
use super::kept::{self, KeptResponse};
use super::mime::{self, ContentType};
use super::mounts::{self, Hit};
use super::path::{Below, UrlPath};
use super::response::{self, ResponseHead, Terms};
use super::status::Status;

/// The answer to one request, not framed yet.
pub(super) struct Answer {
    pub(super) status: Status,
    content_type: ContentType,
    /// What its status needs beside, such as `Location`.
    headers: Vec<(&'static str, Cow<'static, str>)>,
    /// Where in the vhost's list the mount is that it comes from.
    mount: Option<usize>,
    /// What a protocol added.
    added: Vec<Field>,
    content: Content,
    /// Who asked, where the mount asks for a password.
    user: Option<Arc<str>>,
    /// The connection ends behind it, whatever the client would like.
    pub(super) is_last: bool,
}

/// A header's name and value.
pub(super) type Field = (Cow<'static, str>, Cow<'static, str>);

enum Content {
    File(FileResponse),
    Kept(KeptResponse),
    Bytes(Vec<u8>),
}

const HTML: ContentType = ContentType::Known("text/html; charset=utf-8");
const TEXT: ContentType = ContentType::Known("text/plain; charset=utf-8");

impl Answer {
    /// The small page that says nothing but its status.
    pub(super) fn page(status: Status) -> Answer {
        Answer::new(status, HTML, Content::Bytes(response::error_page(status)))
    }

    fn file(asked: &Asked<'_>, found: FoundFile, content_type: ContentType) -> Answer {
        match FileResponse::to(asked, found, &content_type) {
            Ok(file) => {
                let content_type = file.content_type().unwrap_or(content_type);
                Answer::new(file.status(), content_type, Content::File(file))
            }
            Err(refusal) => Answer::refusal(refusal),
        }
    }

    fn kept(asked: &Asked<'_>, file: Rc<KeptFile>) -> Answer {
        match KeptResponse::to(asked, file) {
            // The type is among its lines.
            Ok(kept) => Answer::new(kept.status(), TEXT, Content::Kept(kept)),
            Err(refusal) => Answer::refusal(refusal),
        }
    }

    fn refusal(refusal: Refusal) -> Answer {
        match refusal {
            Refusal::PreconditionFailed => Answer::page(Status::PRECONDITION_FAILED),
            Refusal::Unsatisfiable(len) => {
                Answer::page(Status::RANGE_NOT_SATISFIABLE).with("Content-Range", format!("bytes */{len}"))
            }
        }
    }

    pub(super) fn text(status: Status, text: String) -> Answer {
        Answer::new(status, TEXT, Content::Bytes(text.into_bytes()))
    }

    fn new(status: Status, content_type: ContentType, content: Content) -> Answer {
        Answer {
            status,
            content_type,
            headers: Vec::new(),
            mount: None,
            added: Vec::new(),
            content,
            user: None,
            is_last: false,
        }
    }

    /// With one more header.
    pub(super) fn with(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Answer {
        self.headers.push((name, value.into()));
        self
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

    /// No content, for statuses that have none.
    pub(super) fn empty(status: Status) -> Answer {
        Answer::new(status, TEXT, Content::Bytes(Vec::new()))
    }

    /// As the last one of its connection.
    pub(super) fn last(self) -> Answer {
        Answer { is_last: true, ..self }
    }

    /// With the headers of that mount of its vhost.
    pub(super) fn of_mount(self, mount: Option<usize>) -> Answer {
        Answer { mount, ..self }
    }

    /// Where in the vhost's list the mount is that it comes from.
    pub(super) fn mount(&self) -> Option<usize> {
        self.mount
    }

    /// For a user whom its mount let in.
    pub(super) fn of_user(self, user: Option<Arc<str>>) -> Answer {
        Answer { user, ..self }
    }

    /// The user whom its mount let in.
    pub(super) fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// What the mount says of keeping its files goes with it.
    fn is_cacheable(&self) -> bool {
        match &self.content {
            Content::File(file) => file.is_cacheable(),
            Content::Kept(_) => true,
            Content::Bytes(_) => false,
        }
    }

    /// Whether it is a file's content.
    pub(super) fn is_file(&self) -> bool {
        matches!(self.content, Content::File(_) | Content::Kept(_))
    }

    /// With what its protocol adds. Of one name these take the place of those that are configured.
    pub(super) fn adding(self, added: Vec<Field>) -> Answer {
        Answer { added, ..self }
    }

    /// What a protocol says with a status, and a text perhaps.
    pub(super) fn by_status(wsi: &Wsi, cx: &mut Cx, code: u16, body: Option<String>) -> Answer {
        let Some(status) = Status::from_code(code) else {
            let what = format_args!("{code} is no final status; a protocol answers 200 to 599");
            cx.warn_seldom(wsi, |warned| &mut warned.protocol, what);
            return Answer::page(Status::INTERNAL_SERVER_ERROR);
        };
        match (status, body) {
            (Status::NOT_FOUND, None) => cx.vhost(wsi.vhost).map_or_else(|| Answer::page(status), not_found),
            (status, None) => Answer::page(status),
            (status, Some(body)) => Answer::text(status, body),
        }
    }

    /// Sends the client to where its protocol says.
    pub(super) fn by_redirect(wsi: &Wsi, cx: &mut Cx, code: u16, location: String) -> Answer {
        match Status::from_code(code).filter(|_| matches!(code, 301 | 302 | 303 | 307 | 308)) {
            Some(status) => Answer::page(status).with("Location", location),
            None => {
                let what = format_args!("{code} redirects nobody; 301, 302, 303, 307 and 308 do");
                cx.warn_seldom(wsi, |warned| &mut warned.protocol, what);
                Answer::page(Status::INTERNAL_SERVER_ERROR)
            }
        }
    }

    /// The file that a protocol serves. Its type, unless said, goes by its name, as in a mount.
    pub(super) fn by_file(wsi: &Wsi, cx: &mut Cx, path: &Path, content_type: Option<String>) -> Answer {
        let now = cx.date.seconds_at(cx.now);
        let found = match file::open_path(path) {
            Ok(found) => found,
            Err(error) => {
                log::info!("{}: {}: {error}", cx.tag(wsi), path.display());
                return Answer::by_status(wsi, cx, error.status().code(), None);
            }
        };
        let own =
            cx.vhost(wsi.vhost).and_then(|vhost| wsi.http.as_ref()?.mount.map(|index| &vhost.mounts[index].mimetypes));
        let known = || mime::type_of(&path.to_string_lossy(), own.map_or(&[], |own| own));
        match content_type.map(|of| ContentType::OfMount(of.into())).or_else(known) {
            Some(content_type) => match &wsi.http {
                Some(exchange) => Answer::file(&Asked::of_request(&exchange.request, now), found, content_type),
                None => Answer::page(Status::INTERNAL_SERVER_ERROR),
            },
            None => Answer::page(Status::UNSUPPORTED_MEDIA_TYPE),
        }
    }

    /// The same; or a 503, where it would hold a file open and connections have all descriptors.
    pub(super) fn within_descriptors(self, cx: &Cx) -> Answer {
        match self.content {
            Content::File(_) if cx.descriptors_left() == 0 => Answer::page(Status::SERVICE_UNAVAILABLE),
            _ => self,
        }
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
        cx.put_back(out);
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
            Content::File(file) => file.content_length(),
            Content::Kept(kept) => kept.content_length(),
            Content::Bytes(bytes) => bytes.len() as u64,
        };
        let date = *cx.date.at(cx.now);
        let vhost = cx.vhost(wsi.vhost);
        let mount = vhost.and_then(|vhost| vhost.mounts.get(self.mount?));
        let headers = mount.and_then(|mount| mount.headers.as_ref()).or(vhost.map(|vhost| &vhost.headers));
        let mut head = ResponseHead::begin(out, self.status, &cx.info.server_string, &date)
            .connection(terms.version, terms.keep_alive);
        let has_content = self.status.has_content();
        if let Content::Kept(kept) = &self.content {
            head = kept.headers(head);
        } else if has_content {
            head = head.typed(&self.content_type).content_length(length);
        } else if self.status == Status::RESET_CONTENT {
            head = head.content_length(0);
        }
        for (name, value) in &self.headers {
            head = head.header(name, value.as_bytes());
        }
        if let Some(headers) = headers {
            head = head.lines_but(headers.lines(wsi.is_tls()), &self.added);
        }
        if let Content::File(file) = &self.content {
            head = file.headers(head);
        }
        if self.is_cacheable()
            && let Some(cache_control) = mount.and_then(|mount| mount.cache_control.as_deref())
        {
            head = head.lines_but(cache_control, &self.added);
        }
        for (name, value) in &self.added {
            head = head.field(name, value);
        }
        head.end();
        let (head, closes) = (out.len(), !terms.keep_alive);
        match self.content {
            _ if terms.head_only || !has_content || length == 0 => {}
            Content::Bytes(bytes) => out.extend_from_slice(&bytes),
            Content::File(file) => {
                let body = file.into_body(cx.open_files.clone());
                return send_file(body.closing(closes), head, out, wsi, cx);
            }
            Content::Kept(kept) => return send_file(kept.into_body().closing(closes), head, out, wsi, cx),
        }
        match closes {
            true => wsi.transmit_last(&cx.registry, out)?,
            false => wsi.transmit(&cx.registry, out)?,
        }
        Ok((head, None))
    }
}

/// Sends a file behind its head, which has `head` bytes.
fn send_file(
    mut body: FileBody,
    head: usize,
    out: &mut Vec<u8>,
    wsi: &mut Wsi,
    cx: &mut Cx,
) -> Result<(usize, Option<FileBody>), CloseReason> {
    let is_out = body.send_behind(out, wsi, cx)?;
    Ok((head, (!is_out).then_some(body)))
}

fn own_authority(wsi: &Wsi, cx: &Cx) -> String {
    let name = cx.vhost(wsi.vhost).map_or("localhost", Vhost::name);
    match cx.listen_port(wsi.vhost) {
        None | Some(443) => name.to_owned(),
        Some(port) => format!("{name}:{port}"),
    }
}

/// A file of a mount, or what there is to say where it has none.
pub(super) fn from_folder(
    vhost: &Vhost,
    id: VhostId,
    Hit { index, open: mount, below }: Hit<'_, '_>,
    path: &UrlPath<'_>,
    asked: &Asked<'_>,
    files: &mut FileCache,
    now: Instant,
) -> Answer {
    let accepted =
        mount.mount.precompressed.then(|| Accepted::parse(asked.fields.values(fields::Field::AcceptEncoding)));
    let codings = accepted.map_or(0, Accepted::order);
    let key = FileKey { vhost: id, mount: index, path: below.path, folder: below.folder, codings };
    if !asked.in_part()
        && let Some(file) = files.fresh(key, now)
    {
        return Answer::kept(asked, file);
    }
    let (plain, content_type) = match open(mount, below) {
        Ok(Some(found)) => found,
        nothing => {
            files.forget(key);
            return match nothing {
                Err(Status::NOT_FOUND) => not_found(vhost),
                Err(status) => Answer::page(status),
                Ok(_) => Answer::page(Status::MOVED_PERMANENTLY).with("Location", path.folder_location()),
            };
        }
    };
    let found = match (&mount.from, accepted) {
        (Served::Folder(folder), Some(accepted)) => {
            file::precompressed(folder, below, &mount.mount.default, plain, accepted)
        }
        _ => plain,
    };
    if !asked.in_part()
        && let Some(file) = kept::of_found(files, key, &found, &content_type, now)
    {
        return Answer::kept(asked, file);
    }
    Answer::file(asked, found, content_type)
}

/// The vhost's own document for a 404, where it has one that can be served. One behind a password, or behind a protocol that has a word in
/// what is served, is for nobody else.
fn not_found(vhost: &Vhost) -> Answer {
    let document = || {
        let path = UrlPath::parse(vhost.error_document_404.as_deref()?).ok()?;
        let is_free = |hit: &Hit<'_, '_>| hit.open.mount.basic_auth.is_none() && hit.open.protocol.is_none();
        let hit = mounts::find(vhost, &path).filter(is_free)?;
        let (found, content_type) = open(hit.open, hit.below).ok()??;
        let file = FileResponse::document(Status::NOT_FOUND, found);
        Some(Answer::new(file.status(), content_type, Content::File(file)))
    };
    document().unwrap_or_else(|| Answer::page(Status::NOT_FOUND))
}

/// A file and its type. `None`: a folder that was asked for without its slash.
fn open(mount: &OpenMount, below: Below<'_>) -> Result<Option<(FoundFile, ContentType)>, Status> {
    let Served::Folder(folder) = &mount.from else { return Err(Status::NOT_FOUND) };
    let name = if below.folder { &mount.mount.default } else { below.path };
    match file::open(folder, below, &mount.mount.default) {
        Ok(Opened::File(found)) => {
            // As in lws: what has no known type is not served.
            let content_type = mime::type_of(name, &mount.mimetypes).ok_or(Status::UNSUPPORTED_MEDIA_TYPE)?;
            Ok(Some((found, content_type)))
        }
        Ok(Opened::Redirect) => Ok(None),
        Err(error) => {
            log::debug!("{}{}: {error}", mount.mount.mountpoint, below.path);
            Err(error.status())
        }
    }
}
