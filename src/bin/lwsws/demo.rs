//! Shows what it does without a configuration: makes one, with a certificate of its own, and serves it.

use std::fs;
use std::path::Path;

use rlws::logger;

use crate::args::Args;
use crate::parent;

const CONF: &str = include_str!("demo-files/conf");
const PAGE: &str = include_str!("demo-files/index.html");

pub(crate) fn run(args: Args) -> Result<(), String> {
    // It goes when this returns.
    let folder = tempfile::tempdir().map_err(|error| format!("a folder for the demo: {error}"))?;
    fill(folder.path())?;
    log::info!(target: logger::NOTICE, "try http://localhost:7681/, https://localhost:7681/ and nc localhost 7681");
    parent::run(&Args { dir: folder.path().to_owned(), ..args })
}

fn fill(folder: &Path) -> Result<(), String> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).map_err(|error| error.to_string())?;
    let conf = CONF.replace("DIR", &folder.display().to_string());
    let site = folder.join("site");
    fs::create_dir(&site)
        .and_then(|()| fs::write(site.join("index.html"), PAGE))
        .and_then(|()| fs::write(folder.join("cert.pem"), made.cert.pem()))
        .and_then(|()| fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()))
        .and_then(|()| fs::write(folder.join("conf"), conf))
        .map_err(|error| format!("{}: {error}", folder.display()))
}
