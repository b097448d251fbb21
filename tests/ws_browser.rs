//! The pages of the WebSocket examples in a browser, on ports that are also something else's.

mod util;

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use util::browser::Page;
use util::*;

const LOCAL: [&str; 4] = ["--port", "0", "--interface", "127.0.0.1"];

#[track_caller]
fn open(browser: &Browser, scheme: &str, program: &Program) -> Page {
    let mut page = browser.open(&format!("{scheme}://127.0.0.1:{}/", program.port()));
    page.wait_for("document.getElementById('state').className == 'open'");
    page
}

/// The lines that a page shows.
#[track_caller]
fn heard(page: &mut Page) -> Vec<String> {
    let lines = page.eval("Array.from(document.querySelectorAll('#heard li'), (item) => item.textContent)");
    serde_json::from_value(lines).expect("texts")
}

#[test]
fn two_pages_chat_on_the_port_that_ssh_uses() {
    let sshd = Sshd::start();
    let onward = format!("ipv4:127.0.0.1:{}", sshd.port);
    for (scheme, switches) in [("http", &[][..]), ("https", &["-s"])] {
        let program = Program::start("minimal-ws-server", &[&LOCAL[..], &["-r", &onward], switches].concat());
        let mut session = sshd.ssh(program.port());
        let mut session = session.arg("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("ssh");
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
        let (mut one, mut two) = (open(&browser, scheme, &program), open(&browser, scheme, &program));
        one.type_line("hello, who is there?");
        two.wait_for("document.querySelectorAll('#heard li').length == 1");
        echo("while they chat\n");
        two.type_line("I am: <b>κόσμε</b> 😀");
        let said = ["hello, who is there?", "I am: <b>κόσμε</b> 😀"];
        for page in [&mut one, &mut two] {
            page.wait_for("document.querySelectorAll('#heard li').length == 2");
            assert_eq!(heard(page), said);
        }
        one.screenshot(&format!("chat-{scheme}"));

        echo("behind them\n");
        drop((typed, screen));
        assert!(session.wait().expect("ssh ends").success());
        program.stop();
        one.wait_for("document.getElementById('state').textContent.startsWith('closed (1001)')");
        assert_eq!(heard(&mut one), said, "what was heard stays");
    }
}

#[test]
fn the_pages_of_the_other_examples_show_what_comes() {
    let sshd = Sshd::start();
    let onward = format!("ipv4:127.0.0.1:{}", sshd.port);
    let browser = Browser::start();
    for (name, switches, shows) in [
        ("minimal-ws-server-ring", &[][..], "heard.children.length == 0"),
        ("minimal-ws-server-threads", &["--every", "20"], "heard.children.length >= 30"),
        ("minimal-ws-server-timer", &["--every", "20"], "Number(count.textContent) >= 3"),
        (
            "minimal-ws-server-pmd-bulk",
            &["-c"],
            "heard.textContent.includes('133700') && state.textContent.includes('deflate')",
        ),
        ("minimal-ws-raw-proxy", &["-r", &onward], "heard.textContent.startsWith('SSH-2.0-')"),
    ] {
        let program = Program::start(name, &[&LOCAL[..], switches].concat());
        let mut page = open(&browser, "http", &program);
        page.wait_for(shows);
        if name == "minimal-ws-raw-proxy" {
            page.type_line("no ssh client says that");
            page.wait_for("state.textContent.startsWith('closed (1000)')");
        }
        page.screenshot(name);
        program.stop();
    }
}
