//! Any bytes as JSON that comes in pieces: what is called back, and how it ends, does not depend on how they were cut; and what it keeps
//! is within the limits.
//!
//! The first byte says how they are cut.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rlws::lejp::{Ctx, Limits, Parser, Reason, Reject};
use rlws_fuzz::cut;

const LIMITS: Limits = Limits { depth: 6, name: 12, path: 40, number: 12, string_chunk: 7 };

const PATHS: [&str; 6] = ["a", "a.b", "a[].*", "*.b", "b[]", "*"];

/// What was called back, as text, and how many objects and arrays are open.
#[derive(Debug, Default, PartialEq)]
struct Heard {
    told: Vec<String>,
    open: usize,
}

fuzz_target!(|input: &[u8]| {
    let [seed, bytes @ ..] = input else { return };
    let whole = parse([bytes]);
    assert_eq!(parse(bytes.chunks(1)), whole);
    assert_eq!(parse(cut(bytes, *seed)), whole);
    let (heard, end) = whole;
    match end {
        Ok(()) => assert!(heard.open == 0 && str::from_utf8(bytes).is_ok()),
        Err(error) => assert!(!error.contains('\n'), "{error}"),
    }
});

fn parse<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> (Heard, Result<(), String>) {
    let mut heard = Heard::default();
    let mut parser = Parser::new(&PATHS, hear).with_limits(LIMITS);
    let fed = pieces.into_iter().try_for_each(|piece| parser.feed(&mut heard, piece).map(drop));
    let end = fed.and_then(|()| parser.finish(&mut heard));
    (heard, end.map_err(|error| error.to_string()))
}

fn hear(heard: &mut Heard, ctx: &Ctx<'_>, reason: Reason<'_>) -> Result<(), Reject> {
    assert!(ctx.path().len() <= LIMITS.path && ctx.indexes().len() <= LIMITS.depth);
    match reason {
        Reason::ObjectStart | Reason::ArrayStart => heard.open += 1,
        Reason::ObjectEnd | Reason::ArrayEnd => heard.open -= 1,
        Reason::PairName(name) => assert!(name.len() <= LIMITS.name),
        Reason::ValStrChunk(text) | Reason::ValStrEnd(text) => assert!(text.len() <= LIMITS.string_chunk),
        Reason::ValNumInt(text) | Reason::ValNumFloat(text) => assert!(text.len() <= LIMITS.number),
        _ => {}
    }
    assert!(heard.open <= LIMITS.depth);
    heard.told.push(format!("{} {:?} {:?} {reason:?}", ctx.path(), ctx.path_match(), ctx.indexes()));
    Ok(())
}
