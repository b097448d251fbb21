//! The keys of `global`.

use super::KeyKind::{Any, Bool, Names, Number, Pairs, Paths, Seconds, Text};
use super::Status::{Done, NoEffect, NotYet, Program};
use super::{Key, Section, key};
use crate::limits;

const fn g(name: &'static str) -> (Section, &'static str) {
    (Section::Global, name)
}

/// The highest id; the one above it means "as it is" in system calls.
const ID: super::KeyKind = Number { min: 0, max: 4_294_967_294 };
const IP_LIMIT: super::KeyKind = Number { min: 0, max: 65535 };

#[rustfmt::skip]
pub(super) const KEYS: &[Key] = &[
    key(g("uid"), ID, Program, ("as started", r#""48""#), "user id that serves, once listening"),
    key(g("gid"), ID, Program, ("as started", r#""48""#), "group id that serves"),
    key(g("username"), Text, Program, ("as started", r#""www-data""#), "user that serves; goes before `uid`"),
    key(g("groupname"), Text, Program, ("as started", r#""www-data""#), "group that serves; goes before `gid`"),
    key(g("count-threads"), Number { min: 1, max: 1024 }, Program, ("1", r#""4""#), "workers that share the ports, one core each"),
    key(g("init-ssl"), Bool, NoEffect, ("on", r#""yes""#), "TLS needs no switch here"),
    key(g("server-string"), Text, Done, ("rlws", r#""my server""#), "what http answers call the server"),
    key(g("plugin-dir"), Paths, NotYet, ("none", r#""/usr/local/share/plugins""#), "folders with protocols to load; may be repeated"),
    key(g("ws-pingpong-secs"), Seconds, Done, ("0: never", r#""200""#), "ping WebSockets after such a silence, and hang up after twice as much"),
    key(g("timeout-secs"), Seconds, Done, ("5", r#""10""#), "how long a peer may take to say what it is, and to send a request's head"),
    key(g("reject-service-keywords"), Pairs, Done, ("none", r#"[{"scumbot": "404 Not Found"}]"#), "answers for clients whose user agent has a word in it, case and all; the first that fits counts"),
    key(g("max-http-header-data"), Number { min: limits::HTTP_HEAD_LEAST as u64, max: limits::HTTP_HEAD_MOST as u64 }, Done, ("16384", r#""8192""#), "bytes of a request's head (not in lws's files)"),
    key(g("max-http-uri"), Number { min: 1, max: limits::HTTP_HEAD_MOST as u64 }, Done, ("16384", r#""4096""#), "bytes of its target (not in lws)"),
    key(g("max-http-headers"), Number { min: 1, max: limits::HTTP_HEADERS_MOST as u64 }, Done, ("100", r#""50""#), "headers of a request (not in lws)"),
    key(g("default-alpn"), Names, Done, ("http/1.1,http/1.0", r#""http/1.1""#), "`alpn` of vhosts that have none"),
    key(g("ip-limit-ah"), IP_LIMIT, Done, ("0: no limit", r#""24""#), "requests at a time from one address, with each worker; more wait up to `timeout-secs`, and then are a 503"),
    key(g("ip-limit-wsi"), IP_LIMIT, Done, ("0: no limit", r#""105""#), "TCP connections at a time from one address, of IPv6 from one /64, with each worker (those that finish after a reload count for themselves); more are hung up on"),
    key(g("ip-limit-undecided"), IP_LIMIT, Done, ("half of the connections that a worker may have; 0: no limit", r#""50""#), "those of them that have not said yet what they want, however many others there are; when one more comes, the one that has been there for longest is hung up on (not in lws)"),
    key(g("rlimit-nofile"), Number { min: 0, max: 1 << 30 }, Program, ("0: as started", r#""20000""#), "descriptors that a process may have open; so few that nobody could be served (20, and one for each listen socket) are an error"),
    key(g("count-async-threads"), Number { min: 0, max: 1024 }, NotYet, ("0", r#""2""#), "threads for what would block the loop"),
    key(g("quic-*"), Any, NotYet, ("", r#""1""#), "http/3"),
    key(g("cpd-bypass"), Any, NotYet, ("", r#""1""#), "leave out the detection of captive portals"),
    key(g("allow-early-data"), Bool, NotYet, ("off", r#""1""#), "TLS 1.3 early data, which can be replayed"),
];
