//! `lwsws`: the server that JSON files configure.
//!
//! ```text
//!   parent (privileges, listen sockets, signals) ──┬── worker (serves)
//!                                                  └── worker, ..         one for each of count-threads
//! ```
//!
//! The parent binds, starts workers and watches them; it touches no traffic. For a new configuration it starts new workers on the same
//! sockets and tells the old ones to finish what they have. In lws: `lwsws`.

mod activation;
mod args;
mod classify;
mod control;
mod daemon;
mod demo;
mod doubts;
mod dump;
mod generations;
mod hand_over;
mod log_file;
mod logs;
mod mistakes;
mod notify;
mod parent;
mod pidfile;
mod privileges;
mod process;
mod secrets;
mod setup;
mod signals;
mod sockets;
mod watch;
mod worker;
mod worker_process;

use std::process::ExitCode;

use args::{Args, Task, USAGE};
use rlws::logger;
use setup::Loaded;

fn main() -> ExitCode {
    let args = match Args::from_env() {
        Ok(args) => args,
        Err(error) => {
            eprintln!("lwsws: {error}");
            return ExitCode::FAILURE;
        }
    };
    logger::init(args.level);
    let done = match args.task {
        Task::Serve if args.daemonize => daemon::start(&args),
        Task::Serve => parent::run(&args),
        Task::Work => worker::run(),
        Task::Check => check(&args),
        Task::Dump => dump::run(&args),
        Task::Classify => classify::run(&args),
        Task::Demo => demo::run(args),
        Task::Help => {
            print!("{USAGE}");
            Ok(())
        }
        Task::Version => {
            println!("lwsws {}", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            why.lines().for_each(|line| log::error!("{line}"));
            ExitCode::FAILURE
        }
    }
}

fn check(args: &Args) -> Result<(), String> {
    let loaded = Loaded::from(&args.dir)?;
    loaded.warn();
    loaded.check()?;
    println!("{}: the configuration is good", args.dir.display());
    Ok(())
}
