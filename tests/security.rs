//! `SECURITY.md`: each bound that it names has the value that it says, and it names all that there are.

use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rlws::{ContextInfo, VhostInfo, conf, limits};

/// What each of its tables of bounds begins with.
const HEAD: &str = "| what | bound | default | key | beyond it |";

/// One row of them.
#[derive(Debug)]
struct Row {
    bound: String,
    default: String,
    key: Option<String>,
}

impl Row {
    fn of(line: &str) -> Row {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let ["", what, bound, default, key, _, ""] = cells[..] else { panic!("not five cells: {line}") };
        let key = (!key.is_empty()).then(|| code(key).unwrap_or_else(|| panic!("a key without backticks: {line}")));
        let bound = code(bound).unwrap_or_else(|| panic!("a bound without backticks: {line}"));
        assert!(!what.is_empty() && !default.is_empty(), "an empty cell: {line}");
        Row { bound, default: default.to_owned(), key }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What stands in backticks, if that is all.
fn code(cell: &str) -> Option<String> {
    cell.strip_prefix('`')?.strip_suffix('`').map(str::to_owned)
}

fn rows() -> Vec<Row> {
    let page = read("SECURITY.md");
    let tables = page.split(HEAD).skip(1);
    // Behind the head and the line below it.
    tables.flat_map(|table| table.lines().skip(2).take_while(|line| line.starts_with('|'))).map(Row::of).collect()
}

/// A number, of whatever it is: bytes of `16 KiB`, nanoseconds of `5 s`.
fn number(text: &str) -> Option<u128> {
    let (number, unit) = text.split_once(' ').unwrap_or((text, ""));
    let factor = match unit {
        "" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        _ => return None,
    };
    Some(number.parse::<u128>().ok()? * factor)
}

trait Bound {
    fn number(&self) -> u128;
}

impl Bound for Duration {
    fn number(&self) -> u128 {
        self.as_nanos()
    }
}

impl Bound for RangeInclusive<u32> {
    fn number(&self) -> u128 {
        (*self.end()).into()
    }
}

macro_rules! numbers {
    ($($type:ty),*) => {$(impl Bound for $type {
        fn number(&self) -> u128 {
            *self as u128
        }
    })*};
}
numbers!(u32, u64, usize);

macro_rules! constants {
    ($($name:ident)*) => { [$((concat!("limits::", stringify!($name)), limits::$name.number())),*] };
}

/// Those of `src/limits.rs`.
#[rustfmt::skip]
fn constants() -> Vec<(&'static str, u128)> {
    constants![
        SERVICE_BUFFER SLICE_WHILE_OTHERS_WAIT EVENTS ACCEPT_BATCH ACCEPT_PAUSE DESCRIPTOR_RESERVE WARN_AGAIN INTERFACE_RETRY SWAPS
        MEMORY_PAUSE MEMORY_TRIES SPLICE SPLICE_WHILE_OTHERS_WAIT BULK_READ BULK_TURNS PIPES PIPES_SPARE HTTP_SENDFILE
        TX WS_MESSAGE WS_FRAGMENTS WS_CONTROL_FRAMES WS_CONTROL_PAUSE WS_COLLECTED WS_ANSWERS WS_CLOSE_WAIT WS_INFLATED WS_MESSAGE_STALL WS_DEFLATING WS_INFLATING WS_INTERIM WS_UNCOPIED DATAGRAM DATAGRAM_BATCH DATAGRAM_ERRORS TLS_SEND
        TLS12_RECORDS TLS_HANDSHAKES FIRST_READ PROXY_V1_HEADER PROXY_V2_HEADER
        HTTP_EMPTY_LINES HTTP_HEAD HTTP_HEAD_LEAST HTTP_HEAD_MOST HTTP_URI HTTP_HEADERS HTTP_HEADERS_MOST HTTP_BODY BASIC_AUTH PEM
        CREDENTIALS BCRYPT_COST BCRYPT_PASSWORD BCRYPT_THREADS BCRYPT_QUEUE BASIC_AUTH_VERDICTS BASIC_AUTH_WAIT HTTP_BODY_OVERHEAD
        HTTP_LEAST_RATE HTTP_BODY_STALL HTTP_PIPELINED MOUNT_CHECK HTTP_CLOSE_AT_ONCE HTTP_FILE_CHUNK FILE_CACHE_FILE FILE_CACHE_ENTRIES
        FILE_CACHE_BYTES FILE_CACHE_FRESH FILE_CACHE_SETTLED HTTP_RANGES HTTP_OPEN_TRIES HTTP_UNSENT HTTP_SEND_STALL HALF_CLOSE_LINGER
        DRAIN_TIME DRAIN_LONGEST DRAIN_BYTES HTTP_UNREAD_BODY RESOLVER_THREADS RESOLVER_QUEUE ACCESS_LOG_QUEUE ACCESS_LOG_FIELD ACCESS_LOG_SPARE ACCESS_LOG_WARN
        ACCESS_LOG_FLUSH LONGEST_WAIT KEEPALIVE_IDLE KEEPALIVE_AFTER KEEPALIVE_BATCH KEEPALIVE_INTERVAL KEEPALIVE_PROBES
    ]
    .into()
}

/// No peer runs into these.
const NOBODYS: [&str; 4] =
    ["limits::INTERFACE_RETRY", "limits::LONGEST_WAIT", "limits::KEEPALIVE_AFTER", "limits::KEEPALIVE_BATCH"];

#[test]
fn each_bound_has_the_value_that_the_page_says() {
    let (context, vhost) = (ContextInfo::default(), VhostInfo::default());
    let mut known = constants();
    known.extend([
        ("ContextInfo::timeout", context.timeout.number()),
        ("ContextInfo::connect_timeout", context.connect_timeout.number()),
        ("VhostInfo::keepalive_timeout", vhost.keepalive_timeout.number()),
        ("VhostInfo::backlog", vhost.backlog.number()),
    ]);
    for row in rows() {
        match known.iter().find(|(name, _)| *name == row.bound) {
            Some((_, value)) => assert_eq!(number(&row.default), Some(*value), "{row:?}"),
            None => assert_eq!(number(&row.default), None, "{row:?}: nothing here knows it"),
        }
    }
    assert_eq!((context.ip_limit_wsi, context.ip_limit_ah, context.max_connections), (None, None, None));
    assert_eq!(context.ip_limit_undecided, None, "half of them");
    assert_eq!(context.max_http_header_data.number(), limits::HTTP_HEAD.number());
    assert_eq!(context.max_http_uri.number(), limits::HTTP_URI.number());
    assert_eq!(context.max_http_headers.number(), limits::HTTP_HEADERS.number());
    assert_eq!(vhost.max_body, limits::HTTP_BODY);
}

#[test]
fn no_bound_is_missing() {
    let rows = rows();
    // A table with another head would not be looked at.
    let page = read("SECURITY.md");
    let bounds = page.lines().filter(|line| line.split('|').nth(2).is_some_and(|cell| cell.starts_with(" `limits::")));
    let of_limits = rows.iter().filter(|row| row.bound.starts_with("limits::"));
    assert_eq!(bounds.count(), of_limits.count());
    let source = read("src/limits.rs");
    let names = source.lines().filter_map(|line| line.strip_prefix("pub const ")?.split(':').next());
    for name in names.map(|name| format!("limits::{name}")) {
        assert!(constants().iter().any(|(known, _)| *known == name), "{name} is not in this test");
        let is_there = rows.iter().any(|row| row.bound == name);
        assert!(is_there != NOBODYS.contains(&&*name), "{name}: in SECURITY.md, or no bound of a peer");
    }
}

#[test]
fn the_keys_are_keys() {
    let of_protocol = ["idle-timeout-secs"];
    for row in rows() {
        let Some(key) = row.key else { continue };
        assert!(conf::keys().any(|known| known.name == key) || of_protocol.contains(&&*key), "{key}");
    }
}

#[test]
fn the_configuration_to_begin_with_is_good() {
    let page = read("READMEs/README.security.md");
    let files: Vec<&str> = page.split("```").filter(|block| block.trim_start().starts_with("# /etc/lwsws/")).collect();
    assert_eq!(files.len(), 2);
    let texts = [("conf", files[0].as_bytes()), ("conf.d/example", files[1].as_bytes())];
    let conf = conf::Loader::new().load_texts(texts).expect("it is good");
    assert_eq!((conf.vhosts.len(), conf.warnings()), (1, &[][..]));
}

#[test]
fn the_unit_is_explained_line_by_line() {
    let page = read("READMEs/README.security.md");
    let (_, table) = page.split_once("## The unit, line by line").expect("the section");
    let unit = read("packaging/lwsws.service");
    let (_, service) = unit.split_once("[Service]").expect("the section");
    let lines = service.split("[Install]").next().expect("its lines").lines();
    for key in lines.filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('=')).map(|(key, _)| key) {
        let is_there = table.contains(key) || key.starts_with("ProtectKernel") && table.contains("`ProtectKernel..`");
        assert!(is_there, "{key} is not explained");
    }
}

#[test]
fn links_lead_somewhere() {
    for (page, folder) in [("SECURITY.md", ""), ("READMEs/README.security.md", "READMEs")] {
        let text = read(page);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = link.split('#').next().unwrap_or_default();
            let is_there = link.starts_with("https:") || root().join(folder).join(path).exists() || path.is_empty();
            assert!(is_there, "{page} links to {link}");
        }
    }
}
