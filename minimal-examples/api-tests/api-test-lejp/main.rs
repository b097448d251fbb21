//! Reads JSON from stdin in small pieces, and prints every callback of the parser.

use std::io::{Read, stdin};
use std::process::ExitCode;

use rlws::lejp::{Ctx, Parser, Reason, Reject};

const USAGE: &str = "\
usage: api-test-lejp [PATTERN]... < FILE
  PATTERN  a path to look for, such as \"vhosts[].mounts[].*\"; those of a vhost's configuration unless told
  --help   this text
";

const PATHS: [&str; 4] = ["vhosts[].name", "vhosts[].mounts[].mountpoint", "vhosts[].mounts[].*", "vhosts[].*"];

/// Read at a time: few, to show that it does not matter.
const CHUNK: usize = 5;

/// `count` is what a C callback has in `ctx->user`.
fn on_json(count: &mut usize, ctx: &Ctx<'_>, reason: Reason<'_>) -> Result<(), Reject> {
    *count += 1;
    print!("{:40} {reason:?}", format!("{:?} {}", ctx.indexes(), ctx.path()));
    if let Some(index) = ctx.path_match() {
        let wildcards: Vec<&str> = (0..).map_while(|n| ctx.wildcard(n)).collect();
        print!(" matches {index} with {wildcards:?}");
    }
    println!();
    Ok(())
}

fn parse(paths: &[&str]) -> Result<usize, Box<dyn std::error::Error>> {
    let (mut count, mut buf) = (0, [0; CHUNK]);
    let mut parser = Parser::new(paths, on_json);
    loop {
        let read = stdin().read(&mut buf)?;
        if read == 0 {
            break;
        }
        parser.feed(&mut count, &buf[..read])?;
    }
    parser.finish(&mut count)?;
    Ok(count)
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.iter().any(|arg| arg == "--help") {
        print!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let mut paths: Vec<&str> = args.iter().map(String::as_str).collect();
    if paths.is_empty() {
        paths = PATHS.to_vec();
    }
    match parse(&paths) {
        Ok(count) => {
            println!("Completed: PASS, {count} callbacks");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("api-test-lejp: {error}");
            ExitCode::FAILURE
        }
    }
}
