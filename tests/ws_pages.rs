//! Pages in a browser, live over WebSockets, on the port that ssh uses at the same time.

mod util;

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use rlws::protocols::{DumbIncrement, LwsMirror, LwsStatus, RawProxy};
use rlws::{Listen, Mount, Options, ProtocolTable, Pvo, VhostInfo, WsInfo};
use util::browser::{Browser, Page};
use util::server::make_vhost;
use util::*;

/// The pages over http, WebSockets, and ssh for what is not http.
fn serve(sshd: &Sshd) -> Server<u16> {
    let onward = format!("ipv4:127.0.0.1:{}", sshd.port);
    let users = sshd.file("users");
    std::fs::write(&users, "ann:secret\n").expect("write");
    Server::start(move |context| {
        let drawing = Path::new(env!("CARGO_MANIFEST_DIR")).join("minimal-examples/lwsws/mirror/www");
        let info =
            |name: &str| VhostInfo { name: name.into(), listen: Listen::on("127.0.0.1", 0), ..VhostInfo::default() };
        let shared = VhostInfo {
            protocols: vec![
                ProtocolTable::of::<LwsMirror>(),
                ProtocolTable::of::<DumbIncrement>(),
                ProtocolTable::of::<LwsStatus>(),
                ProtocolTable::of::<RawProxy>(),
            ],
            pvo: Pvo::default()
                .with("raw-proxy", Pvo::default().with("onward", onward))
                .with("lws-status", Pvo::default().with("update-ms", "100")),
            ws: WsInfo { deflate: Some(Default::default()), ..WsInfo::default() },
            mounts: vec![
                Mount::files("/mirror", drawing),
                Mount::callback("/status", "lws-status"),
                guarded(Mount::callback("/guarded/", "lws-status"), users),
            ],
            options: Options::FALLBACK_TO_APPLY_LISTEN_ACCEPT_CONFIG,
            listen_accept_role: Some("raw-proxy".into()),
            listen_accept_protocol: Some("raw-proxy".into()),
            ..info("localhost")
        };
        let port = make_vhost(context, shared);
        for (name, interface) in [("elsewhere", "127.0.0.1"), ("localhost", "127.0.0.2")] {
            let mounts = vec![Mount::redirect("/", "https://example.org/")];
            make_vhost(context, VhostInfo { mounts, listen: Listen::on(interface, 0), ..info(name) });
        }
        port
    })
}

fn guarded(mut mount: Mount, users: PathBuf) -> Mount {
    mount.basic_auth = Some(users);
    mount
}

/// A session of ssh through a port, whose other end says again what it is told.
struct Session {
    ssh: Child,
    typed: ChildStdin,
    screen: BufReader<ChildStdout>,
}

impl Session {
    fn begin(sshd: &Sshd, port: u16) -> Session {
        let mut ssh = sshd.ssh(port);
        let mut ssh = ssh.arg("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("ssh");
        let (typed, screen) = (ssh.stdin.take().expect("piped"), ssh.stdout.take().expect("piped"));
        Session { ssh, typed, screen: BufReader::new(screen) }
    }

    #[track_caller]
    fn echoes(&mut self, line: &str) {
        self.typed.write_all(line.as_bytes()).expect("ssh takes it");
        let mut echoed = String::new();
        self.screen.read_line(&mut echoed).expect("ssh answers");
        assert_eq!(echoed, line);
    }

    #[track_caller]
    fn end(self) {
        let Session { mut ssh, typed, screen } = self;
        drop((typed, screen));
        assert!(ssh.wait().expect("ssh ends").success());
    }
}

#[test]
fn two_pages_draw_on_one_sheet_beside_ssh() {
    let sshd = Sshd::start();
    let server = serve(&sshd);
    let url = format!("http://127.0.0.1:{}/mirror/", server.made);
    let mut session = Session::begin(&sshd, server.made);
    session.echoes("before the browser\n");
    let browser = Browser::start();
    let mut pages = [browser.open(&url), browser.open(&url)];
    let mut apart = browser.open(&format!("{url}?mirror=apart"));
    for page in pages.iter_mut().chain([&mut apart]) {
        page.look(900, 640, "light");
        page.wait_for("document.body.classList.contains('live')");
    }
    let inked = "sheet.getImageData(0, 0, canvas.width, canvas.height).data.some(Boolean)";
    assert!(pages.iter_mut().all(|page| page.eval(inked) == false));
    // Each draws half of a wave.
    let wave = |from: f64| -> Vec<(f64, f64)> {
        (0..40).map(|n| f64::from(n) * 9.0 + from).map(|x| (x, 300.0 + 120.0 * (x / 60.0).sin())).collect()
    };
    pages[0].drag(&wave(60.0));
    pages[1].drag(&wave(450.0));
    let content = "canvas.toDataURL()";
    eventually("both show the same", || {
        let shown = pages.each_mut().map(|page| page.eval(content));
        shown[0] == shown[1] && pages[0].eval(inked) == true
    });
    // Both halves are there: left and right.
    for at in [256, 1100] {
        let half = format!("sheet.getImageData({at}, 0, 300, canvas.height).data.some(Boolean)");
        assert!(pages.iter_mut().all(|page| page.eval(&half) == true), "at {at}");
    }
    assert_eq!(apart.eval(inked), false, "another mirror is another sheet");
    pages[1].screenshot("mirror");
    session.echoes("while it draws\n");
    drop((pages, apart));
    drop(browser);
    session.end();
    server.assert_nothing_left();
}

/// A number of the status page.
fn figure(page: &mut Page, of: &str) -> f64 {
    page.eval(of).as_f64().unwrap_or_else(|| panic!("{of} is no number"))
}

#[test]
fn the_status_page_shows_figures_that_move_beside_ssh() {
    let sshd = Sshd::start();
    let server = serve(&sshd);
    let url = format!("http://127.0.0.1:{}", server.made);
    let mut session = Session::begin(&sshd, server.made);
    session.echoes("before the browser\n");
    let browser = Browser::start();
    // Without the slash the page is sent to where its files are.
    let mut page = browser.open(&format!("{url}/status"));
    page.look(1180, 980, "light");
    page.wait_for("document.body.classList.contains('live')");
    assert_eq!(page.eval("location.pathname"), "/status/");
    page.eval(
        "window.violations = []; addEventListener('securitypolicyviolation', (event) => violations.push(event.blockedURI))",
    );

    // What the ssh session is, and what it moves.
    page.wait_for("latest.verdicts['listen-accept'] === 1");
    page.wait_for("document.getElementById('verdicts').textContent.includes('fallback1')");
    let relayed = "latest.roles.find((role) => role.name === 'raw-proxy').now";
    assert_eq!(figure(&mut page, relayed), 2.0, "two halves");
    let before = figure(&mut page, "latest.sums.rx");
    session.echoes(&format!("{}\n", "x".repeat(3000)));
    page.wait_for(&format!("latest.sums.rx >= {}", before + 6000.0));

    // Connections and requests come, and are shown.
    let counted = figure(&mut page, "latest.sums.requests");
    let mut clients: Vec<_> =
        (0..5).map(|_| ws::open(server.made, "Sec-WebSocket-Protocol: dumb-increment-protocol\r\n")).collect();
    page.wait_for("latest.protocols.find((protocol) => protocol.name === 'dumb-increment-protocol')?.now === 5");
    page.wait_for(&format!("latest.sums.requests >= {}", counted + 5.0));
    page.wait_for("document.querySelector('#protocols').textContent.includes('dumb-increment-protocol5')");
    let uptime = figure(&mut page, "latest.uptime");
    let shown = page.eval("document.querySelector('#tx .more').textContent");
    page.wait_for(&format!("latest.uptime > {uptime} && document.querySelector('#tx .more').textContent !== {shown}"));
    assert!(figure(&mut page, "TILES.tx.samples.filter(Boolean).length") > 1.0);
    // Its charts say what their height and their width stand for, and what has one name is told apart.
    let peak = "TILES.connections.samples.reduce((most, sample) => Math.max(most, sample))";
    page.wait_for(&format!("document.querySelector('#connections .peak').textContent === `peak ${{{peak}}}`"));
    page.wait_for("[...document.querySelectorAll('.span')].every((span) => span.textContent === '12 s')");
    page.wait_for(
        "new Set([...document.querySelectorAll('#vhosts .name')].map((name) => name.textContent)).size === 3",
    );
    page.wait_for("document.querySelectorAll('#listeners li').length === 2");
    page.eval("document.querySelector('details').open = true");
    page.wait_for("document.querySelector('.inside').textContent.includes('callback://lws-status')");
    let curl =
        |path: &str| succeed(Command::new(require("curl")).args(["-sS", "--noproxy", "*", &format!("{url}{path}")]));
    let policy = succeed(Command::new(require("curl")).args(["-sSI", "--noproxy", "*", &format!("{url}/status/")]));
    assert!(String::from_utf8_lossy(&policy).contains("default-src 'none'; script-src 'self'; style-src 'self'"));
    (0..30).for_each(|_| assert!(!curl("/mirror/").is_empty()));
    page.wait_for("TILES.connections.samples.length > 40");
    page.eval("document.querySelector('details').open = false");
    for (name, width, height, scheme) in
        [("status", 1180, 940, "light"), ("status-dark", 1180, 940, "dark"), ("status-phone", 375, 1500, "light")]
    {
        page.look(width, height, scheme);
        page.screenshot(name);
        assert_eq!(page.eval("document.documentElement.scrollWidth <= innerWidth"), true, "{name}: nothing is cut off");
    }
    clients.clear();
    page.wait_for("latest.protocols.find((protocol) => protocol.name === 'dumb-increment-protocol').now === 0");
    assert_eq!(page.eval("violations.length"), 0, "of the page's policy");

    // It comes back by itself.
    page.eval("window.first = latest; WebSocket.prototype.close.call(socket)");
    page.wait_for("document.body.classList.contains('live') && latest.uptime > first.uptime");
    session.echoes("behind it\n");
    drop(page);

    // Its WebSocket says the same password as the page.
    let mut guarded = browser.open(&format!("http://ann:secret@127.0.0.1:{}/guarded/", server.made));
    guarded.wait_for("document.body.classList.contains('live')");
    drop(guarded);
    drop(browser);
    session.end();
    server.assert_nothing_left();
}
