//! Parsing a request and making its response. Alone, a request brings its system calls along: a poll, a read, a write. Of a pipeline these are
//! shared, and what is left is the work of the server itself.

use std::io::Read;

use divan::Bencher;
use divan::counter::ItemsCount;
use rlws::limits;

use crate::site::{PAGE, Site};

const REQUEST: &str = "GET /page.html HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n";
const HEAD: &str = "HEAD /page.html HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n";

#[divan::bench]
fn file_alone(bencher: Bencher<'_, '_>) {
    exchanges(bencher, REQUEST, 1);
}

#[divan::bench]
fn file_of_a_pipeline(bencher: Bencher<'_, '_>) {
    exchanges(bencher, REQUEST, limits::HTTP_PIPELINED);
}

/// No content: parsing and the head of the response.
#[divan::bench]
fn head_of_a_pipeline(bencher: Bencher<'_, '_>) {
    exchanges(bencher, HEAD, limits::HTTP_PIPELINED);
}

fn exchanges(bencher: Bencher<'_, '_>, request: &str, at_once: usize) {
    let mut site = Site::new();
    let mut client = site.browser();
    let mut buf = vec![0; at_once * 2 * PAGE];
    let reply = reply_len(&mut site, &mut client, request);
    let requests = request.repeat(at_once);
    bencher
        .counter(ItemsCount::new(at_once))
        .bench_local(|| site.exchange(&mut client, requests.as_bytes(), at_once * reply, &mut buf));
}

/// How long the response is, which is the same for each but for the date in it.
fn reply_len(site: &mut Site, client: &mut std::net::TcpStream, request: &str) -> usize {
    let mut buf = vec![0; 2 * PAGE];
    site.exchange(client, request.as_bytes(), 1, &mut buf[..1]);
    1 + client.read(&mut buf).expect("the rest of it")
}
