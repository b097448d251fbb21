//! Prints a configuration as it was understood.

use crate::args::Args;
use crate::setup::Loaded;

pub(crate) fn run(args: &Args) -> Result<(), String> {
    let loaded = Loaded::from(&args.dir)?;
    println!("{:#?}", loaded.conf.global);
    Ok(())
}
