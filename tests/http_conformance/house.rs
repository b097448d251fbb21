//! What is served: files, a redirect, files behind a password, and a protocol, on two vhosts.

use std::time::Duration;

use rlws::{
    Call, Context, ContextInfo, InitError, Listen, Mount, Protocol, ProtocolTable, Pvo, Reason, Response, Verdict,
    VhostCall, VhostInfo,
};

use super::row::PROBED;
use crate::util::Site;
use crate::util::server::make_vhost;

/// The index of the vhost `b.example`.
pub const INDEX_OF_B: &[u8] = b"the index of b\n";

/// A file of ten bytes.
pub const DIGITS: &[u8] = b"0123456789";

/// Bytes that a body below `/small` may have.
pub const SMALL: u64 = 10;

/// Bytes that a body below `/large` may have: too many to be passed over.
pub const LARGE: usize = 1_200_000;

/// Bytes of `/big.txt`.
pub const BIG: usize = 700_000;

/// The folders that are served.
pub struct House {
    _sites: [Site; 2],
}

impl House {
    /// A context that serves it, and on which port.
    pub fn open() -> (House, Context, u16) {
        let (a, b) = (Site::new(), Site::new());
        for (path, bytes) in [("probe.txt", PROBED), ("digits.txt", DIGITS), ("users", b"joe:secret\n")] {
            a.write(path, bytes);
        }
        a.write("big.txt", &vec![b'x'; BIG]);
        b.write("index.html", INDEX_OF_B);
        let mut context = Context::new(ContextInfo::default()).expect("Context::new");
        let port = make_vhost(
            &mut context,
            VhostInfo {
                name: "a".into(),
                listen: Listen::on("127.0.0.1", 0),
                protocols: vec![ProtocolTable::of::<Pages>()],
                mounts: vec![
                    Mount::files("/", a.root()),
                    Mount::files("/secret", a.root()).basic_auth(a.root().join("users")),
                    Mount::files("/locked", a.root()).basic_auth(a.root().join("users")).no_ws_upgrades(),
                    Mount::callback("/still", "pages").no_ws_upgrades(),
                    Mount::redirect("/away", "https://away.example/x").append_path(),
                    Mount::callback("/cb", "pages"),
                    Mount::callback("/small", "pages").max_body(SMALL),
                    Mount::callback("/large", "pages").max_body(LARGE as u64),
                    Mount::files("/asked", a.root()).protocol("pages"),
                ],
                ..Default::default()
            },
        );
        let of_b = VhostInfo {
            name: "b.example".into(),
            listen: Listen::on("127.0.0.1", 0),
            mounts: vec![Mount::files("/", b.root())],
            ..Default::default()
        };
        make_vhost(&mut context, of_b);
        (House { _sites: [a, b] }, context, port)
    }
}

/// Answers by the last name of the path.
struct Pages;

#[derive(Default)]
struct Pss {
    page: String,
    body: Vec<u8>,
    turns: u32,
}

impl Protocol for Pages {
    const NAME: &'static str = "pages";
    const ROLES: &'static [&'static str] = &["http"];
    type Session = Pss;
    type Vhost = ();

    fn init(_: VhostCall<'_>, _: &Pvo) -> Result<(), InitError> {
        Ok(())
    }

    fn callback(call: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        let Call { wsi, cx, pss, .. } = call;
        match reason {
            Reason::HttpConfirmUpgrade(_) => return Verdict::Close,
            Reason::Http(request) => {
                pss.page = request.path().rsplit('/').next().unwrap_or_default().to_owned();
                match &pss.page[..] {
                    "echo" if !request.has_body() => echo(wsi, &[]),
                    "echo" => {}
                    "args" => {
                        let args: String = request.args().map(|(name, value)| format!("{name}={value};")).collect();
                        wsi.respond_with(Response::new(200), args).expect("a response");
                    }
                    "none-yet" => {
                        wsi.respond(Response::new(204)).expect("a response");
                        wsi.callback_on_writable();
                    }
                    "stream" => {
                        wsi.respond(Response::new(200)).expect("a response");
                        wsi.callback_on_writable();
                    }
                    "length" => {
                        wsi.respond(Response::new(200).content_length(6)).expect("a response");
                        wsi.callback_on_writable();
                    }
                    "through" => wsi.respond(Response::new(200)).expect("a response"),
                    "slow" => wsi.set_timer(cx, Duration::from_millis(1)),
                    "early" => wsi.return_http_status(403, Some("no")),
                    "early-big" => {
                        let response = Response::new(403).content_type("text/plain");
                        wsi.respond_with(response, vec![b'x'; super::house::BIG]).expect("a response");
                    }
                    "none" => wsi.respond_with(Response::new(204), "").expect("a response"),
                    "close" => return Verdict::Close,
                    _ => {}
                }
            }
            Reason::HttpBody(data) if pss.page == "through" => wsi.write(data).expect("room"),
            Reason::HttpBody(data) => pss.body.extend_from_slice(data),
            Reason::HttpBodyCompletion if pss.page == "through" => wsi.transaction_completed(),
            Reason::HttpBodyCompletion if pss.page == "echo" => echo(wsi, &pss.body),
            Reason::HttpWriteable => {
                pss.turns += 1;
                wsi.write(format!("{}\n", pss.turns).as_bytes()).expect("room");
                match pss.turns {
                    3 => wsi.transaction_completed(),
                    _ => wsi.callback_on_writable(),
                }
            }
            Reason::Timer => wsi.return_http_status(200, Some("in time")),
            _ => {}
        }
        Verdict::Continue
    }
}

/// The method, the target and the body.
fn echo(wsi: &mut rlws::Wsi, body: &[u8]) {
    let request = wsi.http_request().expect("it is asked");
    let head = format!("{} {}\n", request.method(), request.target());
    wsi.respond_with(Response::new(200), [head.as_bytes(), body].concat()).expect("a response");
}
