//! Going to the background: this program starts itself again, and returns once that one serves.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::{env, io};

use crate::args::Args;
use crate::control::READY;

/// Starts the same program in the background, and returns when it serves.
pub(crate) fn start(args: &Args) -> Result<(), String> {
    let failed = |error: io::Error| format!("starting in the background: {error}");
    let (ours, theirs) = UnixStream::pair().map_err(failed)?;
    let mut command = program(args)?;
    command.arg("--daemon");
    if let Some(pidfile) = &args.pidfile {
        command.arg("--pidfile").arg(pidfile);
    }
    let spawned = command.stdin(OwnedFd::from(theirs)).stdout(Stdio::null()).spawn();
    // With it goes the other end of the socket.
    drop(command);
    spawned.map_err(failed)?;
    let mut said = String::new();
    io::BufRead::read_line(&mut io::BufReader::new(ours), &mut said).map_err(failed)?;
    if said.trim() == READY { Ok(()) } else { Err("it did not start; its log says why".to_owned()) }
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

/// This program with the same configuration and log level.
pub(crate) fn program(args: &Args) -> Result<Command, String> {
    let mut command = Command::new(env::current_exe().map_err(|error| format!("finding this program: {error}"))?);
    command.arg("-c").arg(&args.dir).arg("-d").arg(args.level.to_string());
    Ok(command)
}
