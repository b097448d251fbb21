//! Plays every row of the tables in `READMEs/README.lifecycle.md`, and compares what was heard with what they say.
//!
//! A row is found by its section and its name. One that nobody plays fails, and so does a scenario that has no row.

// What a scenario's file offers is for this one.
#![allow(unreachable_pub)]

mod util;

#[path = "lifecycle/accepting.rs"]
mod accepting;
#[path = "lifecycle/connecting.rs"]
mod connecting;
#[path = "lifecycle/drain.rs"]
mod drain;
#[path = "lifecycle/family.rs"]
mod family;
#[path = "lifecycle/http.rs"]
mod http;
#[path = "lifecycle/invariants.rs"]
mod invariants;
#[path = "lifecycle/page.rs"]
mod page;
#[path = "lifecycle/raw_file.rs"]
mod raw_file;
#[path = "lifecycle/raw_proxy.rs"]
mod raw_proxy;
#[path = "lifecycle/raw_skt.rs"]
mod raw_skt;
#[path = "lifecycle/raw_udp.rs"]
mod raw_udp;
#[path = "lifecycle/stage.rs"]
mod stage;
#[path = "lifecycle/tls.rs"]
mod tls;
#[path = "lifecycle/vhosts.rs"]
mod vhosts;
#[path = "lifecycle/ws.rs"]
mod ws;

use std::collections::BTreeSet;

use page::{Row, Step};

/// The name of a row, and what plays it: a sequence for each of the row's columns.
type Scenario = (&'static str, fn() -> Vec<Vec<Step>>);

const SECTIONS: [(&str, &[&[Scenario]]); 15] = [
    ("Role listen", &[accepting::LISTEN]),
    ("Role proxy-header", &[accepting::PROXY_HEADER]),
    ("Role first-packet", &[accepting::FIRST_PACKET]),
    ("Role tls", &[tls::SERVER]),
    ("Role http", &[http::HTTP, http::TRANSACTIONS]),
    ("Role http-redirect", &[http::REDIRECT]),
    ("Role ws", &[ws::SERVER, ws::CLIENT]),
    ("Role raw-skt", &[raw_skt::ACCEPTED, raw_skt::ADOPTED, raw_skt::HALF_CLOSE]),
    ("Role connect", &[connecting::RAW_SKT, connecting::TLS, connecting::AGAIN]),
    ("Role raw-file", &[raw_file::ROWS]),
    ("Role raw-udp", &[raw_udp::ROWS]),
    ("Role raw-proxy", &[raw_proxy::NORMAL, raw_proxy::ENDED]),
    ("Parents and children", &[family::ROWS]),
    ("Role drain", &[drain::ROWS]),
    ("Vhosts", &[vhosts::ROWS]),
];

/// Plays the rows of a section, each on a thread that has its name.
fn play(section: &str) {
    let mut rows: Vec<Row> = page::rows().into_iter().filter(|row| row.section == section).collect();
    let (_, scenarios) = SECTIONS.iter().find(|(name, _)| *name == section).expect("it is listed");
    let mut wrong = Vec::new();
    for (name, scenario) in scenarios.iter().copied().flatten() {
        let thread = std::thread::Builder::new().name((*name).to_owned()).spawn(*scenario).expect("a thread");
        let Ok(heard) = thread.join() else {
            wrong.push(format!("{name}: it failed, see above"));
            continue;
        };
        let heard: Vec<String> = heard.iter().map(|steps| page::written(steps)).collect();
        match rows.iter().position(|row| row.name == *name).map(|index| rows.remove(index)) {
            None => wrong.push(format!("there is no row for\n| {name} | {} |", heard.join(" | "))),
            Some(row) if row.cells == heard => {}
            Some(row) => wrong.push(format!(
                "the page says\n| {name} | {} |\nand what was heard is\n| {name} | {} |",
                row.cells.join(" | "),
                heard.join(" | ")
            )),
        }
    }
    wrong.extend(rows.iter().map(|row| format!("nobody plays the row\n| {} | {} |", row.name, row.cells.join(" | "))));
    assert!(wrong.is_empty(), "{section}:\n\n{}\n", wrong.join("\n\n"));
}

#[test]
fn every_table_belongs_to_a_section_that_is_played() {
    let on_the_page: BTreeSet<&str> = page::rows().iter().map(|row| row.section).collect();
    let played: BTreeSet<&str> = SECTIONS.iter().map(|(name, _)| *name).collect();
    assert_eq!(on_the_page, played);
}

#[test]
fn listen_calls_back_as_the_page_says() {
    play("Role listen");
}

#[test]
fn proxy_header_calls_back_as_the_page_says() {
    play("Role proxy-header");
}

#[test]
fn first_packet_calls_back_as_the_page_says() {
    play("Role first-packet");
}

#[test]
fn tls_calls_back_as_the_page_says() {
    play("Role tls");
}

#[test]
fn http_calls_back_as_the_page_says() {
    play("Role http");
}

#[test]
fn http_redirect_calls_back_as_the_page_says() {
    play("Role http-redirect");
}

#[test]
fn ws_calls_back_as_the_page_says() {
    play("Role ws");
}

#[test]
fn raw_skt_calls_back_as_the_page_says() {
    play("Role raw-skt");
}

#[test]
fn connect_calls_back_as_the_page_says() {
    play("Role connect");
}

#[test]
fn raw_file_calls_back_as_the_page_says() {
    play("Role raw-file");
}

#[test]
fn raw_udp_calls_back_as_the_page_says() {
    play("Role raw-udp");
}

#[test]
fn raw_proxy_calls_back_as_the_page_says() {
    play("Role raw-proxy");
}

#[test]
fn parents_and_children_call_back_as_the_page_says() {
    play("Parents and children");
}

#[test]
fn drain_calls_back_as_the_page_says() {
    play("Role drain");
}

#[test]
fn vhosts_call_back_as_the_page_says() {
    play("Vhosts");
}
