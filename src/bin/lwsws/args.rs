//! What the command line asks for.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

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
  -D, --daemonize  go to the background once everything is served; folder /, log to --logfile
  --logfile FILE   log there instead of to stderr
  --pidfile FILE   write the process id there
  --start-limit S  seconds that checking a configuration, and then starting its workers, may take; 30
  -V, --version
  -h, --help       this text

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

impl Task {
    fn option(self) -> &'static str {
        match self {
            Task::Serve => "serving",
            Task::Work => "--worker",
            Task::Check => "--check",
            Task::Dump => "--dump",
            Task::Classify => "--classify",
            Task::Demo => "--demo",
            Task::Help => "--help",
            Task::Version => "--version",
        }
    }
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
    pub(crate) logfile: Option<PathBuf>,
    /// How long a check, and then the start of the workers, may take.
    pub(crate) start_limit: Duration,
}

/// What an unknown option may have been meant to be.
const LONG: &[&str] =
    &["check", "classify", "daemonize", "demo", "dump", "help", "logfile", "pidfile", "start-limit", "version"];

impl Args {
    pub(crate) fn from_env() -> Result<Args, lexopt::Error> {
        Args::parse(std::env::args_os().skip(1))
    }

    fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Args, lexopt::Error> {
        let mut args = Args {
            task: Task::Serve,
            dir: PathBuf::from("/etc/lwsws"),
            level: logger::DEFAULT,
            daemonize: false,
            daemon: false,
            pidfile: None,
            logfile: None,
            start_limit: Duration::from_secs(30),
        };
        let mut parser = lexopt::Parser::from_args(words);
        while let Some(arg) = parser.next()? {
            match arg {
                Short('c') => args.dir = parser.value()?.into(),
                Short('d') => args.level = parser.value()?.parse()?,
                Short('t') | Long("check") => args.set(Task::Check)?,
                Long("dump") => args.set(Task::Dump)?,
                Long("classify") => args.set(Task::Classify)?,
                Long("demo") => args.set(Task::Demo)?,
                Short('D') | Long("daemonize") => args.daemonize = true,
                Long("daemon") => args.daemon = true,
                Long("pidfile") => args.pidfile = Some(parser.value()?.into()),
                Long("logfile") => args.logfile = Some(parser.value()?.into()),
                Long("start-limit") => args.start_limit = Duration::from_secs(parser.value()?.parse()?),
                Long("worker") => args.set(Task::Work)?,
                Short('h') | Long("help") => args.set(Task::Help)?,
                Short('V') | Long("version") => args.set(Task::Version)?,
                Long(name) => return Err(unknown(name)),
                Short(letter) => return Err(format!("unknown option -{letter}; --help shows what there is").into()),
                other => return Err(other.unexpected()),
            }
        }
        if args.daemonize && args.task != Task::Serve {
            return Err(format!("--daemonize is for serving, and not for {}", args.task.option()).into());
        }
        Ok(args)
    }

    fn set(&mut self, task: Task) -> Result<(), lexopt::Error> {
        if self.task != Task::Serve && self.task != task {
            return Err(format!("{} and {}: only one of them can be done", self.task.option(), task.option()).into());
        }
        self.task = task;
        Ok(())
    }
}

fn unknown(name: &str) -> lexopt::Error {
    match conf::nearest(name, LONG.iter().copied()) {
        Some(known) => format!("unknown option --{name}; did you mean --{known}?").into(),
        None => format!("unknown option --{name}; --help shows what there is").into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args, String> {
        Args::parse(line.split_whitespace().map(OsString::from)).map_err(|error| error.to_string())
    }

    #[test]
    fn the_options_of_the_help_are_those_that_are_known() {
        let shown = USAGE.split(|c: char| c.is_whitespace() || c == ',').filter_map(|word| word.strip_prefix("--"));
        let shown: std::collections::BTreeSet<&str> = shown.collect();
        assert_eq!(shown, LONG.iter().copied().collect());
        for name in LONG {
            let error = parse(&format!("--{name}")).err().unwrap_or_default();
            assert!(!error.contains("unknown"), "{error}");
        }
    }

    #[test]
    fn what_contradicts_itself_is_an_error_that_names_both() {
        for (line, parts) in [
            ("--check --dump", ["--check", "--dump"]),
            ("--daemonize --demo", ["--daemonize", "--demo"]),
            ("-D -t", ["--daemonize", "--check"]),
            ("--chekc", ["--chekc", "--check?"]),
            ("-x", ["-x", "--help"]),
            ("stray", ["stray", ""]),
            ("--start-limit soon", ["soon", ""]),
        ] {
            let error = parse(line).expect_err(line);
            assert!(parts.iter().all(|part| error.contains(part)), "{line}: {error}");
        }
        assert_eq!(parse("-t --check").expect("it is the same").task, Task::Check);
    }
}
