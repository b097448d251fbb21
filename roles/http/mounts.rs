//! Which mount of a vhost a request is for, and where a redirect mount sends it.
//!
//! ```text
//!   path ──▶ exact mounts and the others, longest mountpoint first ──▶ the first that covers it
//! ```
//!
//! Nothing but the path counts: what else a client says must not take it past the guard of a mount.
//!
//! Counterpart in lws: `lws_find_mount()`, the redirects of `lws_http_redirect_hit()`.

use crate::mount::{Mount, Origin};
use crate::vhost::{OpenMount, Vhost};

use super::path::{Below, UrlPath};
use super::status::Status;

/// A mount that covers a path.
#[derive(Clone, Copy)]
pub(super) struct Hit<'v, 'p> {
    /// Its place in the vhost's list.
    pub(super) index: usize,
    pub(super) open: &'v OpenMount,
    pub(super) below: Below<'p>,
}

/// The mount with the longest mountpoint that covers the path; a vhost keeps them in that order.
pub(super) fn find<'v, 'p>(vhost: &'v Vhost, path: &'p UrlPath<'_>) -> Option<Hit<'v, 'p>> {
    vhost.mounts.iter().enumerate().find_map(|(index, open)| {
        let below = below(&open.mount, path)?;
        Some(Hit { index, open, below })
    })
}

/// The mount at this place in the vhost's list, if it covers the path.
pub(super) fn at<'v, 'p>(vhost: &'v Vhost, index: usize, path: &'p UrlPath<'_>) -> Option<Hit<'v, 'p>> {
    let open = vhost.mounts.get(index)?;
    Some(Hit { index, open, below: below(&open.mount, path)? })
}

/// What remains of a path below a mount. An exact one is asked for itself alone, and has its default file served for that: its slash
/// at the end, which a folder is sent to otherwise, may be another's.
fn below<'p>(mount: &Mount, path: &'p UrlPath<'_>) -> Option<Below<'p>> {
    match mount.exact_match {
        true => (path.as_str() == mount.mountpoint).then_some(Below { path: "", folder: true }),
        false => path.below(&mount.mountpoint),
    }
}

/// Where a redirect mount sends a request, and with which status. `None`: it is none.
pub(super) fn elsewhere(hit: &Hit<'_, '_>, path: &UrlPath<'_>) -> Option<(Status, String)> {
    let Mount { origin, append_path, exact_match, .. } = &hit.open.mount;
    let Origin::Redirect { code, url } = origin else { return None };
    let below = if *exact_match { Below { path: "", folder: false } } else { hit.below };
    let location = if *append_path { path.location_behind(url, below) } else { url.clone() };
    Some((Status::from_code(*code)?, location))
}
