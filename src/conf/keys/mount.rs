//! The keys of `vhosts[].mounts[]`.

use super::KeyKind::{Bool, Number, Pairs, Path, Seconds, Text};
use super::Status::{Done, NotYet};
use super::{Key, Section, key};

const fn m(name: &'static str) -> (Section, &'static str) {
    (Section::Mount, name)
}

#[rustfmt::skip]
pub(super) const KEYS: &[Key] = &[
    key(m("mountpoint"), Text, Done, ("required", r#""/docs""#), "the URL path it begins at; the longest that fits wins"),
    key(m("origin"), Text, Done, ("required", r#""file:///srv/www""#), "what serves it: see below"),
    key(m("default"), Text, Done, ("index.html", r#""start.html""#), "the file served for a folder"),
    key(m("protocol"), Text, Done, ("none", r#""my-protocol""#), "protocol that is asked about requests for files, and can add headers"),
    key(m("auth-mask"), Number { min: 0, max: 4_294_967_295 }, NotYet, ("0", r#""0""#), "rights that a session needs; a mount that asks for some is left out"),
    key(m("basic-auth"), Path, Done, ("open to all", r#""/etc/lwsws/passwords""#), "file of `user:password` lines: see below"),
    key(m("interceptor-path"), Text, NotYet, ("none", r#""/sso""#), "where clients without a session are sent; a mount that has it is left out"),
    key(m("cache-max-age"), Seconds, Done, ("0", r#""60""#), "how long clients may keep a file"),
    key(m("cache-reuse"), Bool, Done, ("off", r#""1""#), "they may use it again at all"),
    key(m("cache-revalidate"), Bool, Done, ("off", r#""1""#), "they have to ask whether it is still good"),
    key(m("cache-no"), Bool, Done, ("off", r#""1""#), "they have to ask each time"),
    key(m("cache-intermediaries"), Bool, Done, ("off", r#""1""#), "proxies may keep it too"),
    key(m("exact-match"), Bool, Done, ("off", r#""1""#), "serve the mountpoint itself, and nothing below it"),
    key(m("append-path"), Bool, Done, ("off", r#""1""#), "redirects keep the rest of the path, and the query"),
    key(m("no-ws-upgrades"), Bool, Done, ("off", r#""1""#), "serve requests that ask for an upgrade as if they had not asked"),
    key(m("extra-mimetypes"), Pairs, Done, ("none", r#"{".zip": "application/zip"}"#), "types of files by suffix"),
    key(m("interpret"), Pairs, NotYet, ("none", r#"{".html": "my-protocol"}"#), "protocols that answer for files by suffix"),
    key(m("headers"), Pairs, Done, ("none", r#"[{"x-frame-options": "DENY"}]"#), "headers to send with every answer"),
    key(m("keepalive-timeout"), Seconds, Done, ("the vhost's", r#""10""#), "as the vhost's `keepalive_timeout`, after a request of this mount"),
    key(m("pmo"), Pairs, Done, ("none", r#"[{"name": "value"}]"#), "options for the mount's protocol"),
    key(m("max-body"), Number { min: 0, max: u64::MAX }, Done, ("the vhost's", r#""67108864""#), "bytes of a request's body, 0 for no limit (not in lws's files)"),
    key(m("precompressed"), Bool, Done, ("off", r#""1""#), "send `app.js.br` or `app.js.gz` for `app.js` to who takes it (not in lws)"),
    key(m("cgi-timeout"), Seconds, NotYet, ("", r#""30""#), "how long a cgi may take"),
    key(m("cgi-env"), Pairs, NotYet, ("none", r#"[{"LANG": "C"}]"#), "environment of a cgi"),
    key(m("cgi-chroot"), Path, NotYet, ("none", r#""/srv/jail""#), "root folder of a cgi"),
    key(m("cgi-chdir"), Path, NotYet, ("none", r#""/srv""#), "current folder of a cgi"),
];
