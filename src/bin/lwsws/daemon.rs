//! Going to the background: this program starts itself again, and returns once that one serves.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, absolute};
use std::process::Stdio;
use std::{env, io};

use crate::args::Args;
use crate::control::READY;
use crate::process;

/// Starts the same program in the background, and returns when it serves.
pub(crate) fn start(args: &Args) -> Result<(), String> {
    let failed = |error: io::Error| format!("starting in the background: {error}");
    let (ours, theirs) = UnixStream::pair().map_err(failed)?;
    // It goes to another folder.
    let mut command = process::program(args, &absolute(&args.dir).map_err(failed)?);
    command.arg("--daemon").arg("--start-limit").arg(args.start_limit.as_secs().to_string());
    for (option, path) in [("--pidfile", &args.pidfile), ("--logfile", &args.logfile)] {
        if let Some(path) = path {
            command.arg(option).arg(absolute(path).map_err(failed)?);
        }
    }
    let spawned = command.stdin(OwnedFd::from(theirs)).stdout(Stdio::null()).spawn();
    // With it goes the other end of the socket.
    drop(command);
    spawned.map_err(failed)?;
    let mut said = String::new();
    io::BufRead::read_line(&mut io::BufReader::new(ours), &mut said).map_err(failed)?;
    let log = args.logfile.as_deref().unwrap_or(Path::new("its log")).display();
    if said.trim() == READY { Ok(()) } else { Err(format!("it did not start; {log} says why")) }
}

/// Leaves the terminal and the folder of whoever started us.
pub(crate) fn leave() -> Result<(), String> {
    nix::unistd::setsid().map_err(|error| format!("leaving the terminal: {error}"))?;
    env::set_current_dir("/").map_err(|error| format!("going to /: {error}"))
}

/// Tells the process that started us, at the other end of stdin, that we serve.
pub(crate) fn tell_starter() {
    let told = io::stdin().as_fd().try_clone_to_owned().and_then(|fd| {
        let mut starter = UnixStream::from(fd);
        io::Write::write_all(&mut starter, format!("{READY}\n").as_bytes())
    });
    if let Err(error) = told {
        log::warn!("telling who started us: {error}");
    }
}
