//! `READMEs/README.porting.md` and its example: what the page shows is what runs, and its tables name what there is.

mod util;

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use util::*;

const PAGE: &str = "READMEs/README.porting.md";

/// The programs that it shows twice, with the heading that each is below.
const PROGRAMS: [(&str, &str); 2] = [
    ("## One program, twice\n", "minimal-examples/porting/minimal-raw-counter"),
    ("## A WebSocket program, twice\n", "minimal-examples/porting/minimal-ws-chat"),
];

fn read(path: impl AsRef<Path>) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The fenced blocks of a language, in order.
fn blocks(page: &str, fence: &str) -> Vec<String> {
    let (mut found, mut block) = (Vec::new(), None::<String>);
    for line in page.lines() {
        match &mut block {
            None if line == format!("```{fence}") => block = Some(String::new()),
            Some(_) if line == "```" => found.extend(block.take()),
            Some(text) => *text += &format!("{line}\n"),
            None => {}
        }
    }
    found
}

/// What stands between backticks outside of fenced blocks.
fn code_spans(page: &str) -> Vec<String> {
    let mut fenced = false;
    let mut text = String::new();
    for line in page.lines() {
        fenced ^= line.starts_with("```");
        if !fenced && !line.starts_with("```") {
            text += &format!("{line}\n");
        }
    }
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c| !is_word(c)).filter(|word| !word.is_empty())
}

/// The texts of all Rust files below some folders.
fn sources(folders: &[&str]) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut left: Vec<PathBuf> = folders.iter().map(|folder| root.join(folder)).collect();
    let mut found = Vec::new();
    while let Some(folder) = left.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                left.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(fs::read_to_string(path).expect("a text"));
            }
        }
    }
    found
}

/// The names that a `pub enum`, a `pub struct` or a `pub trait` declares: variants, fields, constants, methods.
fn members(source: &str, head: &str) -> Vec<String> {
    let body = source.split_once(head).unwrap_or_else(|| panic!("there is no {head}")).1;
    let end = body.find("\n}").or_else(|| body.find("\n    }")).expect("it ends");
    let is_member = |line: &&str| line.starts_with("    ") && !line.trim_start().starts_with(['/', '#', '}']);
    let depth = |line: &str| line.len() - line.trim_start().len();
    let lines: Vec<&str> = body[..end].lines().filter(is_member).collect();
    let outermost = lines.iter().map(|line| depth(line)).min().unwrap_or_default();
    let named = |line: &str| {
        words(line).find(|word| !["pub", "const", "fn", "type", "crate"].contains(word)).map(str::to_owned)
    };
    lines.into_iter().filter(|line| depth(line) == outermost).filter_map(named).collect()
}

#[test]
fn the_page_shows_both_programs_word_for_word() {
    let page = read(PAGE);
    for (heading, example) in PROGRAMS {
        let (_, section) = page.split_once(heading).unwrap_or_else(|| panic!("{PAGE} has no {heading}"));
        let section = section.split("\n## ").next().unwrap_or_default();
        for (fence, file) in [("c", "main.c"), ("rust", "main.rs")] {
            let shown = blocks(section, fence).join("\n");
            assert!(shown == read(format!("{example}/{file}")), "the ```{fence} blocks of {heading} are not {file}");
        }
    }
}

#[test]
fn every_reason_option_and_setting_is_on_the_page() {
    let named: BTreeSet<String> = code_spans(&read(PAGE)).into_iter().collect();
    let has = |name: &str| {
        named.iter().any(|span| span.match_indices(name).any(|(at, _)| !span[at + name.len()..].starts_with(is_word)))
    };
    for (file, head, of) in [
        ("src/reason.rs", "pub enum Reason<'a> {", "Reason"),
        ("src/reason.rs", "pub enum VhostReason<'a> {", "VhostReason"),
        ("src/options.rs", "pub struct Options: u32 {", "Options"),
        ("src/vhost_info.rs", "pub struct VhostInfo {", "VhostInfo"),
        ("src/context.rs", "pub struct ContextInfo {", "ContextInfo"),
    ] {
        let members = members(&read(file), head);
        assert!(members.len() > 2, "{of}: {members:?}");
        for member in members {
            assert!(has(&format!("{of}::{member}")), "{of}::{member} is not in {PAGE}");
        }
    }
}

#[test]
fn what_the_page_names_exists() {
    let sources = sources(&["src", "protocols"]);
    let declares = |source: &str, of: &str| {
        source.lines().map(str::trim_start).any(|line| {
            let head =
                ["impl", "pub struct", "pub enum", "pub trait", "pub mod"].iter().any(|head| line.starts_with(head));
            head && words(line).any(|word| word == of)
        })
    };
    let has = |source: &str, name: &str| {
        source.lines().any(|line| {
            let words: Vec<&str> = words(line).collect();
            let at = words.iter().position(|word| *word == name);
            at == Some(0) || at.is_some_and(|at| ["fn", "const", "type", "pub"].contains(&words[at - 1]))
        })
    };
    let (mut checked, mut unknown) = (0, Vec::new());
    for span in code_spans(&read(PAGE)) {
        let Some((path, name)) = span.split_once('(').map_or(&*span, |(path, _)| path).rsplit_once("::") else {
            continue;
        };
        let of = words(path).last().unwrap_or_default();
        if path.starts_with("std") || ["log", "u32"].contains(&of) {
            continue;
        }
        let is_module = of.starts_with(|c: char| c.is_ascii_lowercase());
        if !sources.iter().any(|source| (is_module || declares(source, of)) && has(source, name)) {
            unknown.push(span.clone());
        }
        checked += 1;
    }
    assert!(unknown.is_empty(), "{PAGE} names what there is not: {unknown:?}");
    assert!(checked > 100, "only {checked} names were found");
}

#[test]
fn what_the_sources_call_by_its_name_in_lws_is_on_the_page() {
    let page = read(PAGE);
    let named: BTreeSet<&str> = words(&page).collect();
    let is_lws = |word: &&str| {
        word.starts_with("lws_") || word.starts_with("LWS_CALLBACK_") || word.starts_with("LWS_SERVER_OPTION_")
    };
    let sources = sources(&["src", "protocols"]);
    let comments =
        sources.iter().flat_map(|source| source.lines()).map(str::trim_start).filter(|line| line.starts_with("///"));
    let in_sources: BTreeSet<&str> =
        comments.flat_map(words).filter(is_lws).filter(|name| !name.ends_with('_')).collect();
    let missing: Vec<_> = in_sources.difference(&named).collect();
    assert!(missing.is_empty(), "the sources name these of lws, and {PAGE} does not: {missing:?}");
}

/// What lws's own minimal http servers use, members of structs included.
const OF_LWS_HTTP_EXAMPLES: &str = "
HTTP_STATUS_MOVED_PERMANENTLY HTTP_STATUS_OK LWSMPRO_CALLBACK LWSMPRO_CGI LWSMPRO_FILE LWSMPRO_HTTPS
LWSMPRO_REDIR_HTTPS LWS_ARRAY_SIZE LWS_CALLBACK_CLOSED_HTTP LWS_CALLBACK_EVENT_WAIT_CANCELLED LWS_CALLBACK_HTTP
LWS_CALLBACK_HTTP_BODY LWS_CALLBACK_HTTP_BODY_COMPLETION LWS_CALLBACK_HTTP_DROP_PROTOCOL
LWS_CALLBACK_HTTP_WRITEABLE LWS_CALLBACK_PROTOCOL_DESTROY LWS_CALLBACK_PROTOCOL_INIT LWS_CALLBACK_TIMER
LWS_ILLEGAL_HTTP_CONTENT_LEN LWS_INVALID_FILE LWS_PRE LWS_RECOMMENDED_MIN_HEADER_SPACE
LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT LWS_SERVER_OPTION_EXPLICIT_VHOSTS
LWS_SERVER_OPTION_HTTP_HEADERS_SECURITY_BEST_PRACTICES_ENFORCE LWS_SERVER_OPTION_VHOST_UPG_STRICT_HOST_CHECK
LWS_SERVER_OPTION_VH_H2_HALF_CLOSED_LONG_POLL LWS_UFS_CONTENT LWS_UFS_FINAL_CONTENT LWS_UFS_OPEN LWS_WRITE_HTTP
LWS_WRITE_HTTP_FINAL WSI_TOKEN_GET_URI basic_auth_login_file count_threads error_document_404 extra_mimetypes
lws_add_http_common_headers lws_add_http_header_by_token lws_add_http_header_content_length
lws_add_http_header_status lws_callback_http_dummy lws_callback_on_writable lws_cancel_service
lws_cmdline_option lws_cmdline_option_handle_builtin lws_container_of lws_context_destroy lws_create_context
lws_create_vhost lws_end_foreach_llp lws_filename_purify_inplace lws_finalize_http_header
lws_finalize_write_http_header lws_get_context lws_get_count_threads lws_get_protocol lws_get_urlarg_by_name
lws_get_vhost lws_hdr_custom_copy lws_hdr_custom_length lws_hdr_total_length lws_http_mark_sse lws_http_redirect
lws_http_transaction_completed lws_ll_fwd_insert lws_ll_fwd_remove lws_now_usecs lws_open
lws_protocol_vh_priv_get lws_protocol_vh_priv_zalloc lws_ptr_diff lws_retry_bo_t
lws_ring_consume_and_update_oldest_tail lws_ring_create lws_ring_destroy lws_ring_get_count_free_elements
lws_ring_get_element lws_ring_get_oldest_tail lws_ring_insert lws_service lws_service_tsi lws_set_log_level
lws_set_timer_usecs lws_snprintf lws_spa_create lws_spa_create_via_info lws_spa_destroy lws_spa_finalize
lws_spa_get_length lws_spa_get_string lws_spa_process lws_start_foreach_llp lws_strncpy lws_sul_cancel
lws_sul_schedule lws_write lwsac_free max_http_header_pool pcontext retry_and_idle_policy signal_cb
";

#[test]
fn what_lws_http_examples_use_is_on_the_page() {
    let page = read(PAGE);
    let named: BTreeSet<&str> = words(&page).collect();
    let spans = code_spans(&page);
    let families: Vec<&str> = spans.iter().filter_map(|span| span.strip_suffix("..")).collect();
    let has = |name: &&str| named.contains(name) || families.iter().any(|family| name.starts_with(family));
    let missing: Vec<&str> = OF_LWS_HTTP_EXAMPLES.split_whitespace().filter(|name| !has(name)).collect();
    assert!(missing.is_empty(), "{PAGE} lacks {missing:?}");
}

/// Reads lines until it is that one. The timer may repeat any of them.
#[track_caller]
fn wait_for_line(client: &mut impl Read, want: &str) {
    let mut line = String::new();
    while line != want {
        line.clear();
        while !line.ends_with('\n') {
            line.push(char::from(read_exactly(client, 1)[0]));
        }
        line.pop();
    }
}

#[test]
fn the_example_counts_the_lines_of_each_client_and_of_all() {
    let program = Program::start("minimal-raw-counter", &["--port", "0"]);
    let mut one = connect(program.port());
    wait_for_line(&mut one, "0 of 0 lines");
    send(&mut one, b"one\ntwo\n");
    wait_for_line(&mut one, "2 of 2 lines");
    let mut other = connect(program.port());
    wait_for_line(&mut other, "0 of 2 lines");
    // The fifth line is a client's last, and is answered.
    send(&mut other, b"1\n2\n3\n4\n5\n");
    wait_for_line(&mut other, "5 of 7 lines");
    assert_eq!(read_to_end(&mut other), b"");
    // The timer tells who has nothing to say.
    wait_for_line(&mut one, "2 of 7 lines");
    program.wait_for_log("1 clients, 7 lines");
    program.stop();
}

#[test]
fn the_chat_tells_all_what_one_says_and_culls_who_lags() {
    let program = Program::start("minimal-ws-chat", &["--port", "0"]);
    let mut deaf = ws::open(program.port(), "");
    let mut all: Vec<TcpStream> = (0..3).map(|_| ws::open(program.port(), "")).collect();
    // A burst far beyond the backlog, in one write, culls nobody who listens.
    let texts: Vec<String> = (0..50).map(|n| format!("message {n}")).collect();
    send(&mut all[0], &texts.iter().flat_map(|text| ws::text(text)).collect::<Vec<u8>>());
    for client in &mut all {
        for text in &texts {
            assert_eq!(ws::read_frame(client), ws::Frame::text(text));
        }
    }
    for (frame, code) in
        [(ws::frame(ws::FIN | ws::BINARY, b"\0"), 1003), (ws::frame(ws::FIN | ws::TEXT, &[b'x'; 4097]), 1009)]
    {
        let mut client = ws::open(program.port(), "");
        send(&mut client, &frame);
        assert_eq!(ws::read_frame(&mut client).code(), code);
    }
    // One that reads nothing is told why, once it reads, behind what was queued for it.
    let longest = "x".repeat(4096);
    let mut speaker = all.swap_remove(0);
    let began = Instant::now();
    while !program.log().contains("one lags: culled") {
        assert!(began.elapsed() < DEADLINE, "nobody is culled");
        send(&mut speaker, &ws::text(&longest));
        assert_eq!(ws::read_frame(&mut speaker), ws::Frame::text(&longest));
        all.iter_mut().for_each(|client| assert_eq!(ws::read_frame(client), ws::Frame::text(&longest)));
    }
    assert_eq!(ws::read_close(&mut deaf), 1008);
    program.stop();
}

#[test]
fn the_examples_tell_their_switches_and_refuse_others() {
    for (_, folder) in PROGRAMS {
        let example = program::example(folder.rsplit('/').next().unwrap_or_default());
        let help = String::from_utf8(succeed(Command::new(&example).arg("--help"))).expect("a text");
        assert!(help.contains("--port") && help.contains("-d"), "{help}");
        let refused = finish(Command::new(&example).arg("--no-such-switch"));
        assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("--no-such-switch"));
    }
}
