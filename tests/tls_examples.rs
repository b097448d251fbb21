//! The examples with `-s`, run as their READMEs say: https and everything else on one port.

mod util;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};

use util::certs::{ca, localhost};
use util::ssh_port::{self, SshPort};
use util::tls::{self, Client, trusting};
use util::*;

const LOCAL: [&str; 4] = ["--port", "0", "--interface", "127.0.0.1"];
const BANNER: &[u8] = b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n";

fn start(name: &str, args: &[&str]) -> Program {
    Program::start(name, &[&LOCAL[..], args].concat())
}

/// curl, with its arguments for a page of a port: quiet, and without a proxy that the machine may have.
fn curl(args: &[&str]) -> Command {
    let mut command = Command::new(require("curl"));
    command.args(["-sS", "--noproxy", "*", "--max-time", "25"]).args(args);
    command
}

// -- the matrix of minimal-raw-fallback-http-server

/// What a client met.
#[derive(Debug, PartialEq, Eq)]
enum Met {
    Served,
    Redirected,
    /// Its own bytes came back.
    Echoed,
    NoTls,
}

/// `curl http://`
fn by_http(port: u16) -> Met {
    let request = http::request("GET", "127.0.0.1", "/");
    let mut client = connect(port);
    send(&mut client, request.as_bytes());
    let mut first = [0];
    client.peek(&mut first).expect("an answer");
    if &first == b"G" {
        assert_eq!(read_exactly(&mut client, request.len()), request.as_bytes());
        // curl is told nothing that it would call a page.
        let output = finish(&mut curl(&["--fail", "--http1.1", &format!("http://127.0.0.1:{port}/")]));
        assert!(!output.status.success());
        return Met::Echoed;
    }
    let url = format!("http://127.0.0.1:{port}/");
    let told = succeed(&mut curl(&["-w", "\n%{http_code} %{redirect_url}", &url]));
    let told = String::from_utf8_lossy(&told);
    match told.lines().last() {
        Some(last) if last.trim() == "200" => Met::Served,
        Some(last) => {
            assert_eq!(last, format!("301 https://127.0.0.1:{port}/"));
            let followed = curl(&["-kL", "--fail", "-w", "\n%{http_code} %{scheme}", &url]).output().expect("curl");
            let followed = String::from_utf8_lossy(&followed.stdout).into_owned();
            assert!(followed.to_lowercase().ends_with("\n200 https"), "{followed}");
            Met::Redirected
        }
        None => panic!("curl says nothing"),
    }
}

/// `curl -k https://`
fn by_https(port: u16) -> Met {
    let output = finish(&mut curl(&["-k", "--fail", &format!("https://127.0.0.1:{port}/")]));
    if output.status.success() {
        assert!(String::from_utf8_lossy(&output.stdout).contains("<html"));
        return Met::Served;
    }
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(35), "a failure of TLS: {said}");
    Met::NoTls
}

/// `ssh -p`, as far as the banner.
fn by_banner(port: u16) -> Met {
    let mut client = connect(port);
    send(&mut client, BANNER);
    assert_eq!(read_exactly(&mut client, BANNER.len()), BANNER);
    half_close(&client);
    assert_eq!(read_to_end(&mut client), b"");
    Met::Echoed
}

#[track_caller]
fn assert_row(args: &[&str], http: Met, https: Met) {
    let program = start("minimal-raw-fallback-http-server", args);
    let (port, fds) = (program.port(), program.fds());
    assert_eq!(by_http(port), http, "curl http:// with {args:?}");
    assert_eq!(by_https(port), https, "curl -k https:// with {args:?}");
    assert_eq!(by_banner(port), Met::Echoed, "a banner with {args:?}");
    program.assert_fds_back_to(fds);
    program.stop();
}

#[test]
fn the_fallback_example_without_switches_serves_http_and_echoes_the_rest() {
    assert_row(&[], Met::Served, Met::NoTls);
}

#[test]
fn the_fallback_example_with_s_serves_https_and_echoes_http_and_the_rest() {
    assert_row(&["-s"], Met::Echoed, Met::Served);
}

#[test]
fn the_fallback_example_with_s_and_h_serves_both_and_echoes_the_rest() {
    assert_row(&["-s", "-h"], Met::Served, Met::Served);
}

#[test]
fn the_fallback_example_with_s_and_u_redirects_http_serves_https_and_echoes_the_rest() {
    assert_row(&["-s", "-u"], Met::Redirected, Met::Served);
}

#[test]
fn the_fallback_example_echoes_a_banner_inside_tls() {
    let program = start("minimal-raw-fallback-http-server", &["-s"]);
    let mut client = trusting().connect(program.port(), "localhost");
    send(&mut client, BANNER);
    assert_eq!(read_exactly(&mut client, BANNER.len()), BANNER);
    tls::say_goodbye(&mut client);
    assert_eq!(read_to_end(&mut client), b"");
    program.stop();
}

// -- ssh and its kin through the port that serves https

#[test]
fn ssh_runs_a_command_through_the_https_port() {
    ssh_port::runs_a_command(SshPort::start(&["-s"]));
}

#[test]
fn ssh_runs_a_command_beside_http_that_is_served_or_redirected() {
    ssh_port::runs_a_command(SshPort::start(&["-s", "-h"]));
    ssh_port::runs_a_command(SshPort::start(&["-s", "-u"]));
}

#[test]
fn scp_moves_a_big_file_both_ways_through_the_https_port() {
    ssh_port::scp_moves_a_big_file(SshPort::start(&["-s"]));
}

#[test]
fn sftp_moves_a_big_file_both_ways_through_the_https_port() {
    ssh_port::sftp_moves_a_big_file(SshPort::start(&["-s"]));
}

#[test]
fn git_clones_and_pushes_over_ssh_through_the_https_port() {
    ssh_port::git_clones_and_pushes(SshPort::start(&["-s"]));
}

#[test]
fn twenty_ssh_sessions_at_once_while_curl_fetches_pages_from_the_same_https_port() {
    ssh_port::twenty_sessions_at_once(SshPort::start(&["-s"]));
}

#[test]
fn ssh_inside_tls_reaches_the_server_through_the_https_port() {
    let setup = SshPort::start(&["-s"]);
    let proxy = format!(
        "ProxyCommand={} s_client -quiet -verify_quiet -servername localhost -connect 127.0.0.1:{}",
        require("openssl").display(),
        setup.port
    );
    let inside = || {
        let mut ssh = setup.sshd.ssh(setup.port);
        // An option on the command line goes before the config file, which names a host to connect to directly.
        ssh.args(["-o", &proxy]);
        ssh
    };
    let output = finish(inside().arg("echo out; echo err >&2; exit 7"));
    assert_eq!(output.stdout, b"out\n", "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.ends_with(b"err\n"), "{}", shown(&output.stderr));
    assert_eq!(output.status.code(), Some(7));

    let bytes = random_bytes(5, 8_000_000);
    let file = setup.sshd.file("big");
    std::fs::write(&file, &bytes).expect("write");
    let there = setup.sshd.file("there");
    let input = Stdio::from(std::fs::File::open(&file).expect("open"));
    let command = format!("tee {}", there.display());
    let output = finish_with(inside().arg(command), input);
    assert_same_bytes(&output.stdout, &bytes);
    assert_same_bytes(&std::fs::read(there).expect("read"), &bytes);
    setup.finish();
}

// -- the https examples

/// What curl gets from `https://NAME:PORT/`, wherever that name leads elsewhere.
#[track_caller]
fn page_of(port: u16, name: &str, args: &[&str]) -> String {
    let (resolve, url) = (format!("{name}:{port}:127.0.0.1"), format!("https://{name}:{port}/"));
    let page = succeed(&mut curl(&[&["--fail", "--resolve", &resolve], args, &[&url]].concat()));
    String::from_utf8(page).expect("a text")
}

#[test]
fn the_https_example_needs_nothing_and_serves_its_pages_to_curl_of_any_version() {
    let program = start("minimal-http-server-tls", &[]);
    for args in [&["-k"][..], &["-k", "--tls-max", "1.2"], &["-k", "--tlsv1.3"], &["-k", "--http1.1"]] {
        assert!(page_of(program.port(), "localhost", args).contains("<html"), "{args:?}");
    }
    program.stop();
}

#[test]
fn the_certificate_that_is_carried_is_for_localhost_and_signed_by_itself() {
    let program = start("minimal-http-server-tls", &[]);
    let client = trusting().connect(program.port(), "localhost");
    let folder = tempfile::tempdir().expect("a folder");
    let (der, pem) = (folder.path().join("der"), folder.path().join("pem"));
    std::fs::write(&der, tls::shown_cert(&client)).expect("write");
    let mut openssl = Command::new(require("openssl"));
    succeed(openssl.args(["x509", "-inform", "der", "-in"]).arg(&der).arg("-out").arg(&pem));
    assert!(page_of(program.port(), "localhost", &["--cacert", pem.to_str().expect("a text")]).contains("<html"));
}

#[test]
fn the_https_examples_take_a_certificate_and_pages_of_the_users() {
    let (site, folder) = (Site::new(), tempfile::tempdir().expect("a folder"));
    let (cert, key) = localhost().write(folder.path(), "own");
    let ca_file = folder.path().join("ca");
    std::fs::write(&ca_file, ca().text()).expect("write");
    let text = |path: &Path| path.to_str().expect("a text").to_owned();
    let (cert, key, origin) = (text(&cert), text(&key), text(&site.root()));
    let own = ["--cert", &cert, "--key", &key, "--origin", &origin];
    for (name, switch) in [
        ("minimal-http-server-tls", &[][..]),
        ("minimal-raw-fallback-http-server", &["-s"]),
        ("minimal-raw-proxy-fallback", &["-s"]),
    ] {
        let program = start(name, &[switch, &own].concat());
        let page = page_of(program.port(), "localhost", &["--cacert", &text(&ca_file)]);
        assert_eq!(page, site::INDEX, "{name}");
        program.stop();
    }
    let output = finish(Command::new(program::example("minimal-http-server-tls")).args(LOCAL).args([
        "--cert",
        &cert,
        "--key",
        "/no/such.key",
    ]));
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("/no/such.key"), "{said}");
}

#[test]
fn the_multivhost_example_has_pages_and_a_certificate_for_each_name() {
    let program = start("minimal-http-server-multivhost", &[]);
    let port = program.port();
    let names = ["localhost", "one.localhost", "two.localhost"];
    let pages = names.map(|name| page_of(port, name, &["-k"]));
    let certs = names.map(|name| tls::shown_cert(&trusting().connect(port, name)));
    for (one, two) in [(0, 1), (0, 2), (1, 2)] {
        assert_ne!(pages[one], pages[two]);
        assert_ne!(certs[one], certs[two]);
    }
    assert_eq!(page_of(port, "elsewhere.test", &["-k"]), pages[0], "the first serves unknown names");
    assert_eq!(page_of(port, "deep.two.localhost", &["-k"]), pages[2], "and each its domain");
    program.stop();
}

/// An `openssl s_client` that talks line by line.
struct Talker {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
}

impl Talker {
    fn new(port: u16) -> Talker {
        let mut command = tls::s_client(port);
        command.args(["-quiet", "-servername", "localhost"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::null()).spawn().expect("openssl");
        let stdin = child.stdin.take().expect("it is piped");
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let (tell, lines) = mpsc::channel();
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| tell.send(line)));
        Talker { child, stdin, lines }
    }

    fn say(&mut self, line: &str) {
        writeln!(self.stdin, "{line}").expect("send");
    }

    #[track_caller]
    fn hear(&self) -> String {
        self.lines.recv_timeout(DEADLINE).expect("a line")
    }
}

impl Drop for Talker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_raw_vhost_example_gives_the_lines_of_one_tls_client_to_all() {
    let program = start("minimal-raw-vhost", &["-s"]);
    let mut one = Talker::new(program.port());
    // Who has heard itself is there.
    one.say("it is one");
    assert_eq!(one.hear(), "it is one");
    let mut two = Talker::new(program.port());
    two.say("it is two");
    assert_eq!((one.hear(), two.hear()), ("it is two".into(), "it is two".into()));
    one.say("bye");
    assert_eq!((one.hear(), two.hear()), ("bye".into(), "bye".into()));
    drop((one, two));
    program.stop();
}

#[test]
fn a_browser_loads_the_page_of_the_https_example() {
    let (site, profile) = (Site::new(), tempfile::tempdir().expect("a folder"));
    site.write("index.html", b"<html><body><p id=p>not yet</p><script src=script.js></script></body></html>");
    site.write("script.js", b"document.getElementById('p').textContent = 'loaded over ' + location.protocol;");
    let program = start("minimal-http-server-tls", &["--origin", site.root().to_str().expect("a text")]);
    let fds = program.fds();
    let mut chromium = Command::new(require("chromium"));
    chromium
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--disable-dev-shm-usage", "--ignore-certificate-errors", "--no-proxy-server", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .env("HOME", profile.path())
        .arg(format!("https://localhost:{}/", program.port()));
    let page = succeed(&mut chromium);
    let page = String::from_utf8_lossy(&page);
    assert!(page.contains("loaded over https:"), "{page}\n{}", program.log());
    program.assert_fds_back_to(fds);
    program.stop();
}

#[test]
fn the_raw_vhost_example_takes_a_certificate_of_the_users() {
    let folder = tempfile::tempdir().expect("a folder");
    let (cert, key) = localhost().write(folder.path(), "own");
    let (cert, key) = (cert.to_str().expect("a text"), key.to_str().expect("a text"));
    let program = start("minimal-raw-vhost", &["-s", "--cert", cert, "--key", key]);
    let mut client = Client { ca: Some(ca()), ..trusting() }.connect(program.port(), "localhost");
    send(&mut client, b"hello\n");
    assert_eq!(read_exactly(&mut client, 6), b"hello\n");
    program.stop();
}
