//! The Autobahn test suite: all of its cases against the echo server and against a client of ours, plain and over TLS.
//!
//! The suite is set up by `tests/autobahn`. The cases of compression send 25 messages each; `AUTOBAHN_MESSAGES=1000` is all of them.

mod util;

use std::collections::BTreeMap;
use std::fs::File;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

use rlws::{
    Call, ConnectInfo, Context, ContextInfo, InitError, PermessageDeflate, Protocol, ProtocolTable, Pvo, Reason, Roots,
    TlsClient, TlsClientInfo, Verdict, VhostCall, VhostId, VhostInfo, WsConnect, WsInfo, WsWrite,
};
use serde_json::{Value, json};
use util::certs::{ca, localhost};
use util::*;

/// What runs side by side: cases, and how many there are of them.
const PIECES: [(&[&str], usize); 4] = [
    (&["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*"], 247),
    (&["9.*"], 54),
    (&["12.*"], 90),
    (&["13.*"], 126),
];

/// Long enough for all messages on a slow machine.
const PATIENCE: Duration = Duration::from_secs(3600);

/// So many cases may be late on a busy machine.
const LATE: usize = 5;

const ECHO: &str = "minimal-ws-server-echo";
const AGENT: &str = "rlws";

#[test]
fn the_server_passes_all_cases() {
    the_server_passes(&["-t"], "ws");
}

#[test]
fn the_server_passes_all_cases_over_tls() {
    the_server_passes(&["-s"], "wss");
}

#[test]
fn the_client_passes_all_cases() {
    each_piece_passes(|cases| runs_client(cases, false));
}

#[test]
fn the_client_passes_all_cases_over_tls() {
    each_piece_passes(|cases| runs_client(cases, true));
}

#[track_caller]
fn the_server_passes(args: &[&str], scheme: &str) {
    let server = Program::start(ECHO, &[args, &["--port", "0", "--interface", "127.0.0.1"]].concat());
    let url = format!("{scheme}://127.0.0.1:{}", server.port());
    each_piece_passes(|cases| {
        let mut suite = Suite::start("fuzzingclient", cases, json!({ "servers": [{ "agent": AGENT, "url": url }] }));
        suite.ends();
        suite.verdicts()
    });
    server.stop();
}

/// Some cases give us half a second: who fails is tried once more, while nobody else takes the machine.
#[track_caller]
fn each_piece_passes(run: impl Fn(&[&str]) -> Verdicts + Sync) {
    let late = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for (cases, count) in PIECES {
            let (run, late) = (&run, &late);
            scope.spawn(move || {
                let verdicts = run(cases);
                assert_eq!(verdicts.len(), count, "{:?}", verdicts.keys());
                late.lock().expect("no panic").extend(bad(verdicts).into_keys());
            });
        }
    });
    let late = late.into_inner().expect("no panic");
    assert!(late.len() <= LATE, "{late:?}");
    if !late.is_empty() {
        eprintln!("once more: {late:?}");
        let verdicts = run(&Vec::from_iter(late.iter().map(String::as_str)));
        assert_eq!(verdicts.len(), late.len());
        assert_eq!(bad(verdicts), Verdicts::new());
    }
}

/// What the suite says of each case: of what was said, and of how it ended.
type Verdicts = BTreeMap<String, [String; 2]>;

fn bad(verdicts: Verdicts) -> Verdicts {
    let is_good = |verdict: &String| verdict == "OK" || verdict == "INFORMATIONAL";
    verdicts.into_iter().filter(|(_, both)| !both.iter().all(is_good)).collect()
}

fn runs_client(cases: &[&str], tls: bool) -> Verdicts {
    let folder = tempfile::tempdir().expect("a folder");
    let (cert, key) = localhost().write(folder.path(), "its");
    let port = free_port();
    let how = match tls {
        true => json!({ "url": format!("wss://127.0.0.1:{port}"), "cert": cert, "key": key }),
        false => json!({ "url": format!("ws://127.0.0.1:{port}") }),
    };
    let suite = Suite::start("fuzzingserver", cases, how);
    eventually("the fuzzing server listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    let mut client = Client::new(port, tls);
    let count: usize = client.hears("/getCaseCount").parse().expect("a number");
    for case in 1..=count {
        client.echoes(&format!("/runCase?case={case}&agent={AGENT}"));
    }
    client.echoes(&format!("/updateReports?agent={AGENT}"));
    suite.verdicts()
}

/// A process of the suite.
struct Suite {
    program: Program,
    folder: tempfile::TempDir,
}

impl Suite {
    #[track_caller]
    fn start(mode: &str, cases: &[&str], how: Value) -> Suite {
        let folder = tempfile::tempdir().expect("a folder");
        let mut spec = how;
        spec["outdir"] = json!(folder.path().join("report"));
        spec["cases"] = json!(cases);
        spec["exclude-cases"] = json!([]);
        spec["exclude-agent-cases"] = json!({});
        let file = folder.path().join("spec.json");
        std::fs::write(&file, spec.to_string()).expect("write");
        let mut command = Command::new(&*SUITE);
        command.args(["-m", mode, "-s"]).arg(&file).current_dir(folder.path());
        if std::env::var_os("AUTOBAHN_MESSAGES").is_none() {
            command.env("AUTOBAHN_MESSAGES", "25");
        }
        Suite { program: Program::spawn(&mut command), folder }
    }

    /// Waits for its end.
    #[track_caller]
    fn ends(&mut self) {
        let end = Instant::now() + PATIENCE;
        while !self.program.has_ended() {
            assert!(Instant::now() < end, "the suite does not end");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    #[track_caller]
    fn verdicts(&self) -> Verdicts {
        let report = self.folder.path().join("report/index.json");
        let report = File::open(&report).unwrap_or_else(|error| panic!("{}: {error}", report.display()));
        let mut agents: BTreeMap<String, BTreeMap<String, Value>> = serde_json::from_reader(report).expect("a report");
        let verdict = |case: &Value, of: &str| case[of].as_str().unwrap_or("none").to_owned();
        let cases = agents.remove(AGENT).unwrap_or_default().into_iter();
        cases.map(|(id, case)| (id, ["behavior", "behaviorClose"].map(|of| verdict(&case, of)))).collect()
    }
}

/// The suite's program, set up where it is not.
static SUITE: LazyLock<PathBuf> = LazyLock::new(|| {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/autobahn");
    let output = Command::new(&script).output().expect("tests/autobahn");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    said.trim().into()
});

/// A client that does one thing after another.
struct Client {
    context: Context,
    vhost: VhostId,
    port: u16,
    tls: Option<TlsClient>,
}

impl Client {
    fn new(port: u16, tls: bool) -> Client {
        let mut context = Context::new(ContextInfo::default()).expect("a context");
        let info = VhostInfo { protocols: vec![ProtocolTable::of::<Testee>()], ..Default::default() };
        let vhost = context.create_vhost(info).expect("a vhost");
        let roots = Roots::Only(ca().pem());
        let tls = tls.then(|| TlsClient::new(&TlsClientInfo { roots, ..Default::default() }).expect("TlsClient::new"));
        Client { context, vhost, port, tls }
    }

    /// Opens a WebSocket, and sends back what comes until it is closed.
    #[track_caller]
    fn echoes(&mut self, path: &str) {
        self.is_at(path, Testing { echoes: true, ..Testing::default() });
    }

    /// Opens a WebSocket, and returns what comes until it is closed.
    #[track_caller]
    fn hears(&mut self, path: &str) -> String {
        self.is_at(path, Testing::default()).heard
    }

    #[track_caller]
    fn is_at(&mut self, path: &str, testing: Testing) -> Testing {
        let deflate = PermessageDeflate {
            server_context_takeover: self.tls.is_none(),
            client_context_takeover: self.tls.is_none(),
            ..PermessageDeflate::default()
        };
        let info = WsInfo { deflate: Some(deflate), ..WsInfo::default() };
        let ws = WsConnect { path: path.into(), info, ..WsConnect::to(&format!("127.0.0.1:{}", self.port)) };
        let target = format!("ipv4:127.0.0.1:{}", self.port).parse().expect("a target");
        let mut info = ConnectInfo::ws(self.vhost, target, Testee::NAME, ws);
        if let Some(tls) = &self.tls {
            info = info.tls(tls.clone());
        }
        let cx = self.context.cx();
        *cx.vhd::<Testee>(self.vhost).expect("it is there") = testing;
        cx.client_connect(info).expect("client_connect");
        let end = Instant::now() + PATIENCE;
        loop {
            self.context.service(Some(Duration::from_secs(1))).expect("a turn");
            let testing = self.context.cx().vhd::<Testee>(self.vhost).expect("it is there");
            assert_eq!(testing.failure, None, "{path}");
            if testing.is_over {
                return std::mem::take(testing);
            }
            assert!(Instant::now() < end, "{path} does not end");
        }
    }
}

struct Testee;

#[derive(Default)]
struct Testing {
    echoes: bool,
    heard: String,
    failure: Option<String>,
    is_over: bool,
}

impl Protocol for Testee {
    const NAME: &'static str = "testee";
    const ROLES: &'static [&'static str] = &["ws"];
    type Session = ();
    type Vhost = Testing;

    fn init(_: VhostCall<'_>, _: &Pvo) -> Result<Testing, InitError> {
        Ok(Testing::default())
    }

    fn callback(Call { wsi, vhd, .. }: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        match reason {
            Reason::ClientReceive(data) if vhd.echoes => {
                let kind = if wsi.frame_is_binary() { WsWrite::BINARY } else { WsWrite::TEXT };
                let part = kind.part(wsi.is_first_fragment(), wsi.is_final_fragment());
                if let Err(error) = wsi.write_ws(part, data) {
                    vhd.failure = Some(error.to_string());
                }
            }
            Reason::ClientReceive(data) => vhd.heard += &String::from_utf8_lossy(data),
            Reason::ClientConnectionError(why) => vhd.failure = Some(why.to_owned()),
            Reason::ClientClosed => vhd.is_over = true,
            _ => {}
        }
        Verdict::Continue
    }
}
