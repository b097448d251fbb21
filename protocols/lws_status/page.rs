//! The files of the status page, which are part of the program.

use crate::{HttpRequest, Response, Verdict, Wsi};

struct Asset {
    /// Below the mountpoint.
    path: &'static str,
    content_type: &'static str,
    body: &'static str,
}

const ASSETS: [Asset; 4] = [
    Asset { path: "", content_type: "text/html; charset=utf-8", body: include_str!("page/index.html") },
    Asset { path: "status.css", content_type: "text/css; charset=utf-8", body: include_str!("page/status.css") },
    Asset { path: "status.js", content_type: "text/javascript; charset=utf-8", body: include_str!("page/status.js") },
    Asset { path: "icon.svg", content_type: "image/svg+xml", body: include_str!("page/icon.svg") },
];

/// The page runs its own script, and nothing else; nothing else shows it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Answers what is asked for below the page's mount.
pub(super) fn serve(wsi: &mut Wsi, request: &HttpRequest) -> Verdict {
    if !matches!(request.method(), "GET" | "HEAD") {
        return answer(wsi, Response::new(405).header("Allow", "GET, HEAD"), "");
    }
    if request.below().is_empty() && !request.path().ends_with('/') {
        // Its files are named from there.
        wsi.http_redirect(301, &format!("{}/", request.path()));
        return Verdict::Continue;
    }
    let Some(asset) = ASSETS.iter().find(|asset| asset.path == request.below()) else {
        wsi.return_http_status(404, None);
        return Verdict::Continue;
    };
    let response = Response::new(200)
        .content_type(asset.content_type)
        .header("Content-Security-Policy", POLICY)
        .header("X-Content-Type-Options", "nosniff")
        .header("Referrer-Policy", "no-referrer")
        .header("Cache-Control", "no-cache");
    answer(wsi, response, asset.body)
}

fn answer(wsi: &mut Wsi, response: Response, body: &str) -> Verdict {
    match wsi.respond_with(response, body) {
        Ok(()) => Verdict::Continue,
        Err(error) => {
            log::error!("wsi {}: {error}", wsi.id());
            Verdict::Close
        }
    }
}
