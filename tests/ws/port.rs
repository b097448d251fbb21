//! A port that is also something else's.

use rlws::{Options, VhostInfo};

use super::util::script::{Loop, count, notes, on_call, who};
use super::util::ws::{self, Frame};
use super::util::{connect, send};
use super::{frame_of, opened};

#[test]
fn what_is_not_http_falls_back_beside_open_websockets() {
    let options = Options::FALLBACK_TO_APPLY_LISTEN_ACCEPT_CONFIG;
    let fallback = Some("extra".to_owned());
    let mut here = Loop::new(VhostInfo { options, listen_accept_protocol: fallback, ..ws::vhost() });
    on_call(ws::echo);
    let mut stream = opened(&mut here, "");
    let mut other = connect(here.port());
    send(&mut other, b"SSH-2.0-OpenSSH_9.6\r\n");
    here.until("it falls back", || count("RawRx") == 1);
    assert!(notes().iter().any(|note| note.what == "RawRx" && note.protocol == "extra"));
    send(&mut stream, &ws::text("still here"));
    assert_eq!(frame_of(&mut here, &stream), Frame::text("still here"));
    assert_ne!(who("RawRx"), who("Receive"));
}
