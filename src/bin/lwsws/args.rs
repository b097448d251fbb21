//! What the command line asks for.

use std::path::PathBuf;

use lexopt::prelude::*;
use rlws::{conf, logger};

pub(crate) const USAGE: &str = "\
lwsws: serves what a folder of JSON files says
usage: lwsws [OPTIONS]
  -c DIR           the folder with the configuration: DIR/conf, DIR/conf.d/*; /etc/lwsws
  -d LEVEL         log bits: 1 error, 2 warning, 4 notice, 8 info, 16 debug, .., 1024 user; 1031
  -t, --check      read and check everything, bind nothing; exit 0 or 1
  --dump           print the configuration as it was understood, defaults filled in
  --classify       read a first packet from stdin, and say who would get it on each listen socket
  --demo           serve a small site over http and https on port 7681 of this machine, and echo the rest
  --daemonize      go to the background once everything is served
  --pidfile FILE   write the process id there
  --version
  --help           this text

signals: HUP takes a new configuration without refusing a connection; TERM and INT end it; USR1 reopens the logs
";

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    Serve,
    /// One of the processes that serve; only for the parent to ask for.
    Work,
    Check,
    Dump,
    Classify,
    Demo,
    Help,
    Version,
}

#[derive(Debug, Clone)]
pub(crate) struct Args {
    pub(crate) task: Task,
    pub(crate) dir: PathBuf,
    pub(crate) level: u32,
    pub(crate) daemonize: bool,
    /// It was started by one that daemonizes, and tells it on stdin that it serves.
    pub(crate) daemon: bool,
    pub(crate) pidfile: Option<PathBuf>,
}

const LONG: &[&str] = &["check", "classify", "daemonize", "demo", "dump", "help", "pidfile", "version"];

impl Args {
    pub(crate) fn from_env() -> Result<Args, lexopt::Error> {
        let mut args = Args {
            task: Task::Serve,
            dir: PathBuf::from("/etc/lwsws"),
            level: logger::DEFAULT,
            daemonize: false,
            daemon: false,
            pidfile: None,
        };
        let mut parser = lexopt::Parser::from_env();
        while let Some(arg) = parser.next()? {
            match arg {
                Short('c') => args.dir = parser.value()?.into(),
                Short('d') => args.level = parser.value()?.parse()?,
                Short('t') | Long("check") => args.task = Task::Check,
                Long("dump") => args.task = Task::Dump,
                Long("classify") => args.task = Task::Classify,
                Long("demo") => args.task = Task::Demo,
                Short('D') | Long("daemonize") => args.daemonize = true,
                Long("daemon") => args.daemon = true,
                Long("pidfile") => args.pidfile = Some(parser.value()?.into()),
                Long("worker") => args.task = Task::Work,
                Short('h') | Long("help") => args.task = Task::Help,
                Short('V') | Long("version") => args.task = Task::Version,
                Long(name) => return Err(unknown(name)),
                other => return Err(other.unexpected()),
            }
        }
        Ok(args)
    }
}

fn unknown(name: &str) -> lexopt::Error {
    match conf::nearest(name, LONG.iter().copied()) {
        Some(known) => format!("unknown option --{name}; did you mean --{known}?").into(),
        None => format!("unknown option --{name}; --help shows what there is").into(),
    }
}
