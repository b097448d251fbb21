//! A browser on the port that ssh is relayed through.

mod util;

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use rlws::forms::{Fields, Form, FormLimits};
use rlws::protocols::{PostDemo, RawProxy};
use rlws::{
    Call, Context, InitError, Listen, Mount, Options, Protocol, ProtocolTable, Pvo, Reason, Response, Verdict,
    VhostCall, VhostId, VhostInfo,
};
use util::*;

/// What its scripts have seen of the page.
static REPORT: Mutex<Option<Fields>> = Mutex::new(None);
static LISTENERS: AtomicUsize = AtomicUsize::new(0);

/// Events for browsers (`User(n)` is one), and their report.
struct Live;

#[derive(Default)]
struct Pss {
    report: Option<Form>,
    fields: Fields,
    listens: bool,
}

impl Protocol for Live {
    const NAME: &'static str = "live";
    const ROLES: &'static [&'static str] = &["http"];
    type Session = Pss;
    type Vhost = ();

    fn init(_: VhostCall<'_>, _: &Pvo) -> Result<(), InitError> {
        Ok(())
    }

    fn callback(call: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        let Call { wsi, pss, .. } = call;
        match reason {
            Reason::Http(request) if request.path() == "/events" => {
                let events = Response::new(200).content_type("text/event-stream").header("Cache-Control", "no-store");
                wsi.respond(events).expect("a response");
                wsi.write(b": hello\n\n").expect("room");
                pss.listens = true;
                LISTENERS.fetch_add(1, Ordering::SeqCst);
            }
            Reason::Http(request) => {
                let content_type = request.header_str("content-type").expect("a type");
                pss.report = Some(Form::new(content_type, FormLimits::default()).expect("a form"));
            }
            Reason::HttpBody(bytes) => {
                let report = pss.report.as_mut().expect("it is posted");
                report.feed(bytes, |event| pss.fields.take(event)).expect("a form");
            }
            Reason::HttpBodyCompletion => {
                let report = pss.report.take().expect("it is posted");
                report.finish(|event| pss.fields.take(event)).expect("a form");
                *REPORT.lock().expect("no panic") = Some(std::mem::take(&mut pss.fields));
                wsi.return_http_status(200, Some("thank you"));
            }
            Reason::User(n) if pss.listens => wsi.write(format!("data: {n}\n\n").as_bytes()).expect("room"),
            Reason::HttpDropProtocol if pss.listens => {
                LISTENERS.fetch_sub(1, Ordering::SeqCst);
            }
            _ => {}
        }
        Verdict::Continue
    }
}

const PAGE: &str =
    "<!DOCTYPE html><html><head><title>all of it</title><link rel=stylesheet href=colours.css></head><body>
<img id=svg src=square.svg><img id=png src=dot.png>
<iframe name=answer id=answer></iframe>
<form id=form action=/formtest method=post enctype=multipart/form-data target=answer>
<input name=text value='é & <b>'><input type=file name=file></form><script src=page.js></script></body></html>";

/// Waits for images, styles, the form's answer and two events, and reports them.
const SCRIPT: &str = "
const events = new Promise((resolve) => {
    const heard = [], source = new EventSource('/events');
    source.onmessage = (event) => {
        heard.push(event.data);
        if (heard.length == 2) { source.close(); resolve(heard.join()); }
    };
});
const loaded = new Promise((resolve) => addEventListener('load', resolve));
loaded.then(async () => {
    const files = new DataTransfer();
    files.items.add(new File(['x'.repeat(100000)], 'x.txt', { type: 'text/plain' }));
    document.querySelector('[name=file]').files = files.files;
    const answer = document.getElementById('answer');
    const answered = new Promise((resolve) => answer.onload = () => resolve(answer.contentDocument.body.innerText));
    document.getElementById('form').submit();
    const width = (id) => document.getElementById(id).naturalWidth;
    const seen = {
        images: width('svg') + ' ' + width('png'),
        colour: getComputedStyle(document.body).color,
        form: await answered,
        events: await events,
    };
    await fetch('/report', { method: 'POST', body: new URLSearchParams(seen) });
});
";

/// One black pixel.
const PNG: &[u8] = b"\
    \x89PNG\x0d\x0a\x1a\x0a\x00\x00\x00\x0dIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x00\x00\x00\x00:~\x9bU\
    \x00\x00\x00\x0aIDATx\x9cc`\x00\x00\x00\x02\x00\x01H\xaf\xa4q\x00\x00\x00\x00IEND\xaeB`\x82";

fn site() -> Site {
    let site = Site::new();
    site.write("index.html", PAGE.as_bytes());
    site.write("page.js", SCRIPT.as_bytes());
    site.write("colours.css", b"body { color: rgb(1, 2, 3); }");
    site.write("square.svg", b"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"40\" height=\"40\"></svg>");
    site.write("dot.png", PNG);
    site
}

/// Pages, forms and events over http, and ssh for what is not http.
fn serve(site: &Site, sshd: &Sshd) -> Server<(u16, VhostId)> {
    let (root, onward) = (site.root(), format!("ipv4:127.0.0.1:{}", sshd.port));
    Server::start(move |context: &mut Context| {
        let info = VhostInfo {
            name: "localhost".into(),
            listen: Listen::on("127.0.0.1", 0),
            protocols: vec![
                ProtocolTable::of::<Live>(),
                ProtocolTable::of::<PostDemo>(),
                ProtocolTable::of::<RawProxy>(),
            ],
            pvo: options("raw-proxy", &[("onward", &onward)]),
            mounts: vec![
                Mount::files("/", root),
                Mount::callback("/formtest", "protocol-post-demo"),
                Mount::callback("/events", "live"),
                Mount::callback("/report", "live"),
            ],
            options: Options::FALLBACK_TO_APPLY_LISTEN_ACCEPT_CONFIG,
            listen_accept_role: Some("raw-proxy".into()),
            listen_accept_protocol: Some("raw-proxy".into()),
            ..Default::default()
        };
        let vhost = context.create_vhost(info).expect("create_vhost");
        (context.cx().listen_port(vhost).expect("it listens"), vhost)
    })
}

#[test]
fn a_browser_has_images_styles_a_form_and_events_from_the_port_that_ssh_uses() {
    let (sshd, site) = (Sshd::start(), site());
    let server = serve(&site, &sshd);
    let (port, vhost) = server.made;
    let mut ssh = sshd.ssh(port);
    let mut session = ssh.arg("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("ssh");
    let (mut typed, screen) = (session.stdin.take().expect("piped"), session.stdout.take().expect("piped"));
    let mut screen = BufReader::new(screen);
    let mut echo = |line: &str| {
        typed.write_all(line.as_bytes()).expect("ssh takes it");
        let mut echoed = String::new();
        screen.read_line(&mut echoed).expect("ssh answers");
        assert_eq!(echoed, line);
    };
    echo("before the browser\n");

    let browser = Browser::start();
    let page = browser.open(&format!("http://127.0.0.1:{port}/"));
    eventually("the browser listens", || LISTENERS.load(Ordering::SeqCst) == 1);
    echo("while it listens\n");
    let bytes = random_bytes(9, 4_000_000);
    std::fs::write(sshd.file("big"), &bytes).expect("write");
    let event = |n| server.ask(move |context| context.cx().callback_all_protocol(vhost, "live", n));
    event(1);
    assert_same_bytes(&succeed(sshd.ssh(port).arg(format!("cat {}", sshd.file("big").display()))), &bytes);
    event(2);

    eventually("the browser's report", || REPORT.lock().expect("no panic").is_some());
    let report = REPORT.lock().expect("no panic").take().expect("a report");
    assert_eq!(report.get("images"), Some("40 1"));
    assert_eq!(report.get("colour"), Some("rgb(1, 2, 3)"));
    assert_eq!(report.get("events"), Some("1,2"));
    let form = report.get("form").expect("an answer");
    assert!(form.contains("é & <b>") && form.contains("100000") && form.contains("x.txt"), "{form}");
    eventually("another event finds that the browser has left", || {
        event(3);
        LISTENERS.load(Ordering::SeqCst) == 0
    });

    echo("behind the browser\n");
    drop((page, browser));
    drop((typed, screen));
    assert!(session.wait().expect("ssh ends").success());
    server.assert_nothing_left();
}
