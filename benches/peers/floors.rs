//! The benchmark is a contender, too: the floors, each a process of its own.

use std::ffi::OsString;
use std::io::Result;
use std::path::PathBuf;

use crate::contenders::BE_THE_FLOOR;
use crate::{echo_floor, floor, http_floor};

/// Which one is asked for, and its port.
pub(crate) enum Floor {
    Relay { port: u16, onward: u16 },
    Http { port: u16, file: PathBuf },
    Echo { port: u16 },
}

/// What the arguments ask for, where they ask for a floor.
pub(crate) fn asked(args: &[OsString]) -> Option<Floor> {
    let [what, port, kind, more @ ..] = args else { return None };
    let port_of = |text: &OsString| text.to_str()?.parse().ok();
    let port = port_of(port).filter(|_| what == BE_THE_FLOOR)?;
    match (kind.to_str()?, more) {
        ("relay", [onward]) => Some(Floor::Relay { port, onward: port_of(onward)? }),
        ("http", [file]) => Some(Floor::Http { port, file: file.into() }),
        ("echo", []) => Some(Floor::Echo { port }),
        _ => None,
    }
}

/// Serves until it is killed.
///
/// # Errors
/// Where it cannot listen or poll.
pub(crate) fn run(floor: Floor) -> Result<()> {
    match floor {
        Floor::Relay { port, onward } => floor::run(port, onward),
        Floor::Http { port, file } => http_floor::run(port, &file),
        Floor::Echo { port } => echo_floor::run(port),
    }
}
