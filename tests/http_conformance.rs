//! Requests well-formed, odd and hostile, as tables by subject: the answers, and what becomes of the connection (RFC 9110, RFC 9112).
//!
//! Each is sent whole, byte by byte and in random cuts, always with another request behind it, which is answered or must not be.
//! `HTTP_CONFORMANCE_SEED` makes the cuts of a run that failed again.

// As in `util`.
#![allow(unreachable_pub)]

#[path = "http_conformance/mod.rs"]
mod tables;
mod util;

use tables::bench::run;

#[test]
fn request_lines() {
    run(tables::request_lines::rows());
}

#[test]
fn hosts() {
    run(tables::hosts::rows());
}

#[test]
fn header_fields() {
    run(tables::fields::rows());
}

#[test]
fn sizes() {
    run(tables::sizes::rows());
}

#[test]
fn framing() {
    run(tables::framing::rows());
}

#[test]
fn chunks() {
    run(tables::chunks::rows());
}

#[test]
fn bodies() {
    run(tables::bodies::rows());
}

#[test]
fn early_answers() {
    run(tables::early::rows());
}

#[test]
fn expectations() {
    run(tables::expectations::rows());
}

#[test]
fn connections() {
    run(tables::connections::rows());
}

#[test]
fn pipelines() {
    run(tables::pipelines::rows());
}

#[test]
fn methods() {
    run(tables::methods::rows());
}

#[test]
fn paths() {
    run(tables::paths::rows());
}

#[test]
fn mounts() {
    run(tables::mounts::rows());
}

#[test]
fn conditions_and_ranges() {
    run(tables::conditions::rows());
}
