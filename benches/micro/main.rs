//! `cargo bench --bench micro`: what single steps cost, through the public API. Times are of this machine; compare them with those of
//! another commit on the same one.
//!
//! | file | what it measures |
//! |---|---|
//! | `first_bytes` | the classifier |
//! | `options` | looking a pvo up |
//! | `requests` | parsing a request and making its response, alone and as one of a pipeline |
//! | `times` | setting and cancelling timers beside many that wait |
//! | `turns` | a turn of the loop beside many silent connections |
//! | `site` | the context that `requests` and `turns` turn |

mod first_bytes;
mod options;
mod requests;
mod site;
mod times;
mod turns;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

fn main() {
    // `turns` holds more sockets than most shells allow at first.
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        eprintln!("the limit on descriptors stays: {error}");
    }
    divan::main();
}
