//! Who answers a request: a file, a redirect or a page at once, or a protocol in a transaction.

use std::sync::Arc;

use crate::cx::Cx;
use crate::http::{HttpRequest, RequestParts};
use crate::options::Options;
use crate::vhost::{OpenMount, ProtocolIndex, Served, Vhost};
use crate::wsi::Wsi;

use super::answer::{self, Answer};
use super::file_response::Asked;
use super::guard::{self, Admission};
use super::h1::{Body, Expect, Head, Version};
use super::host;
use super::method::Method;
use super::mounts::{self, Hit};
use super::path::UrlPath;
use super::status::Status;
use super::upgrade::{self, Upgrade};

/// What is done about a request.
#[expect(clippy::large_enum_variant, reason = "taken apart where it is returned; a file's answer allocates nothing")]
pub(super) enum Route {
    Answer(Answer),
    Protocol(Box<Bound>),
    /// A guard of the mount needs time: the same request is looked at again when the connection is woken.
    Wait,
}

/// What a protocol is bound for.
pub(super) struct Bound {
    pub(super) protocol: ProtocolIndex,
    pub(super) mount: Option<usize>,
    /// Bytes that the request's body may have.
    pub(super) limit: u64,
    pub(super) request: HttpRequest,
    /// What the mount serves by itself is sent if the protocol has nothing against it, and is not looked for before.
    pub(super) serves_mount: bool,
    /// It goes on as a WebSocket, if the protocol has nothing against it.
    pub(super) upgrade: Option<Upgrade>,
}

impl Route {
    /// For a request whose vhost has been chosen; `bytes` are its head.
    pub(super) fn of(wsi: &Wsi, cx: &mut Cx, head: &Head<'_>, bytes: &[u8]) -> Route {
        if let Some(answer) = regardless_of_path(head) {
            return Route::Answer(answer);
        }
        let Ok(path) = UrlPath::parse(head.target) else {
            return Route::Answer(Answer::page(Status::BAD_REQUEST).last());
        };
        let Cx { vhosts, passwords, now, .. } = cx;
        let Some(vhost) = vhosts.get_mut(&wsi.vhost) else { return Route::Answer(Answer::page(Status::NOT_FOUND)) };
        if head.upgrade.is_some() && !is_host_of(vhost, head) {
            return Route::Answer(Answer::page(Status::FORBIDDEN).last());
        }
        vhost.refresh_mounts(*now);
        let Some(Hit { index, .. }) = mounts::find(vhost, &path) else {
            let (protocol, limit) = (vhost.default_protocol, vhost.max_body);
            let request = request_of(head, bytes, &path, None, None);
            let upgrade = match upgrade::of(vhost, None, head, &request).transpose() {
                Ok(upgrade) => upgrade,
                Err(answer) => return Route::Answer(answer),
            };
            return by_protocol(Bound { protocol, mount: None, limit, request, serves_mount: false, upgrade });
        };
        let mount = Some(index);
        let user = match guard::admit(&mut vhost.mounts[index], passwords, *now, head, wsi.id) {
            Admission::Yes(user) => user,
            Admission::No(answer) => return Route::Answer(answer.of_mount(mount)),
            Admission::Later => return Route::Wait,
        };
        let open = &vhost.mounts[index];
        let called = if let Served::Protocol(protocol) = open.from { Some(protocol) } else { None };
        let bound = called.or(open.protocol);
        if bound.is_none() && head.upgrade.is_none() {
            return Route::Answer(by_mount(wsi, cx, head, &path, index).of_user(user));
        }
        let request = request_of(head, bytes, &path, Some(open), user.clone());
        let upgrade = match upgrade::of(vhost, Some(open), head, &request).transpose() {
            Ok(upgrade) => upgrade,
            Err(answer) => return Route::Answer(answer.of_mount(mount).of_user(user)),
        };
        let protocol = match (bound, &upgrade) {
            (Some(protocol), _) => protocol,
            (None, Some(_)) => vhost.default_protocol,
            (None, None) => return Route::Answer(by_mount(wsi, cx, head, &path, index).of_user(user)),
        };
        let limit = limit_of(vhost, open);
        by_protocol(Bound { protocol, mount, limit, request, serves_mount: called.is_none(), upgrade })
    }
}

/// What a mount serves by itself, for a request whose protocol has nothing against it.
pub(super) fn serve_mount(wsi: &Wsi, cx: &mut Cx, head: &Head<'_>, mount: Option<usize>) -> Answer {
    match (UrlPath::parse(head.target), mount) {
        (Ok(path), Some(index)) => by_mount(wsi, cx, head, &path, index),
        _ => Answer::page(Status::NOT_FOUND),
    }
}

fn by_mount(wsi: &Wsi, cx: &mut Cx, head: &Head<'_>, path: &UrlPath<'_>, index: usize) -> Answer {
    let Cx { vhosts, files, date, now, .. } = cx;
    let Some((vhost, hit)) = vhosts.get(&wsi.vhost).and_then(|vhost| Some((vhost, mounts::at(vhost, index, path)?)))
    else {
        return Answer::page(Status::NOT_FOUND);
    };
    let asked = Asked::of_head(head, date.seconds_at(*now));
    let answer = match hit.open.from {
        Served::Folder(_) | Served::Gone => match head.method {
            Method::Get | Method::Head => answer::from_folder(vhost, wsi.vhost, hit, path, &asked, files, *now),
            Method::Options => Answer::empty(Status::NO_CONTENT).with("Allow", OF_FILES),
            _ => Answer::page(Status::METHOD_NOT_ALLOWED).with("Allow", OF_FILES),
        },
        Served::Redirect => match mounts::elsewhere(&hit, path) {
            Some((status, location)) => Answer::page(status).with("Location", location),
            None => Answer::page(Status::NOT_FOUND),
        },
        Served::Protocol(_) => Answer::page(Status::NOT_FOUND),
    };
    answer.of_mount(Some(index))
}

/// What files can be asked for.
const OF_FILES: &str = "GET, HEAD, OPTIONS";

/// What is answered before a mount is looked for.
fn regardless_of_path(head: &Head<'_>) -> Option<Answer> {
    match head.method {
        _ if head.expect == Expect::Unknown => Some(Answer::page(Status::EXPECTATION_FAILED)),
        Method::Options if head.target == "*" => Some(Answer::empty(Status::NO_CONTENT).with("Allow", OF_SERVER)),
        Method::Trace => Some(Answer::page(Status::METHOD_NOT_ALLOWED).with("Allow", OF_SERVER)),
        // What the client sends next may be for the tunnel that it asked for, and would be taken for a request.
        Method::Connect => Some(Answer::page(Status::METHOD_NOT_ALLOWED).with("Allow", OF_SERVER).last()),
        _ => None,
    }
}

/// What a protocol can be asked for. TRACE would show a client's cookies to its scripts, and there are no tunnels.
const OF_SERVER: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// Whether an upgrade is asked of the vhost by its own name, where that counts.
fn is_host_of(vhost: &Vhost, head: &Head<'_>) -> bool {
    let is_own = |host: &str| host::name_of_host(host).eq_ignore_ascii_case(vhost.name());
    !vhost.options().contains(Options::VHOST_UPG_STRICT_HOST_CHECK) || head.host.is_some_and(is_own)
}

/// The bytes that a body may have.
fn limit_of(vhost: &Vhost, open: &OpenMount) -> u64 {
    open.mount.max_body.unwrap_or(vhost.max_body)
}

fn by_protocol(bound: Bound) -> Route {
    match bound.request.content_length() {
        Some(length) if length > bound.limit => {
            Route::Answer(Answer::page(Status::CONTENT_TOO_LARGE).of_mount(bound.mount))
        }
        _ => Route::Protocol(Box::new(bound)),
    }
}

fn request_of(
    head: &Head<'_>,
    bytes: &[u8],
    path: &UrlPath<'_>,
    open: Option<&OpenMount>,
    user: Option<Arc<str>>,
) -> HttpRequest {
    let path = path.as_str();
    let mountpoint = open.map_or("", |open| open.mount.mountpoint.trim_end_matches('/'));
    let below = mountpoint.len() + usize::from(path[mountpoint.len()..].starts_with('/'));
    // Those that are made to have a body have an empty one where they say nothing of it.
    let has_body = head.body != Body::None || matches!(head.method, Method::Post | Method::Put | Method::Patch);
    HttpRequest::new(RequestParts {
        method: head.method.as_str(),
        target: head.target,
        path,
        below,
        is_mounted: open.is_some(),
        host: head.host,
        version_minor: u8::from(head.version == Version::Http11),
        content_length: if let Body::Length(length) = head.body { Some(length) } else { None },
        has_body,
        user,
        mount_options: open.map_or_else(Arc::default, |open| open.options.clone()),
        head: bytes,
    })
}
