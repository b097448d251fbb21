//! Headless Chromium, and its pages, told what to do over its DevTools protocol.

use std::cell::RefCell;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;
use tungstenite::{Message, WebSocket};

use super::{DEADLINE, Program, connect_to, eventually, require};

/// A browser without a window. Dropping it ends it.
pub struct Browser {
    program: Program,
    tools: RefCell<Tools>,
    _profile: TempDir,
}

/// The connection to it.
struct Tools {
    socket: WebSocket<TcpStream>,
    asked: u64,
}

/// One of its tabs.
pub struct Page<'b> {
    browser: &'b Browser,
    session: String,
}

impl Browser {
    #[track_caller]
    pub fn start() -> Browser {
        let profile = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(require("chromium"));
        command
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"])
            .args(["--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--no-proxy-server"])
            .args(["--remote-debugging-port=0", &format!("--user-data-dir={}", profile.path().display())])
            .env("HOME", profile.path());
        let program = Program::spawn(&mut command);
        program.wait_for_log("DevTools listening on ws://");
        eventually("the whole line", || program.log().contains("/devtools/browser/"));
        let log = program.log();
        let url = log.split_whitespace().find(|word| word.starts_with("ws://")).expect("it was waited for");
        let address = url["ws://".len()..].split('/').next().expect("there is a first");
        let (socket, _) = tungstenite::client(url, connect_to(address)).expect("DevTools");
        Browser { program, tools: RefCell::new(Tools { socket, asked: 0 }), _profile: profile }
    }

    /// Opens a page in a tab of its own.
    #[track_caller]
    pub fn open(&self, url: &str) -> Page<'_> {
        let target = self.ask(None, "Target.createTarget", json!({ "url": url, "newWindow": true }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = self.ask(None, "Target.attachToTarget", attach);
        Page { browser: self, session: session["sessionId"].as_str().expect("an id").to_owned() }
    }

    #[track_caller]
    fn ask(&self, session: Option<&str>, method: &str, params: Value) -> Value {
        let mut tools = self.tools.borrow_mut();
        tools.asked += 1;
        let id = tools.asked;
        let mut ask = json!({ "id": id, "method": method, "params": params });
        if let Some(session) = session {
            ask["sessionId"] = session.into();
        }
        tools.socket.send(Message::text(ask.to_string())).expect("DevTools listens");
        loop {
            let said = tools.socket.read().unwrap_or_else(|error| panic!("{method}: {error}, {DEADLINE:?}"));
            let Message::Text(said) = said else { continue };
            let mut said: Value = serde_json::from_str(&said).expect("JSON");
            if said["id"] == id {
                assert!(said.get("error").is_none(), "{method}: {}", said["error"]);
                return said["result"].take();
            }
        }
    }
}

impl Page<'_> {
    /// The value of an expression in the page; of a promise, what it comes to.
    #[track_caller]
    pub fn eval(&self, expression: &str) -> Value {
        let params = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let mut said = self.ask("Runtime.evaluate", params);
        assert!(said.get("exceptionDetails").is_none(), "{expression}: {}", said["exceptionDetails"]);
        said["result"]["value"].take()
    }

    /// Waits until an expression is true.
    #[track_caller]
    pub fn wait_for(&self, expression: &str) {
        eventually(expression, || self.eval(expression) == true);
    }

    /// The mouse is moved along a line of points, pressed.
    #[track_caller]
    pub fn drag(&self, points: &[(f64, f64)]) {
        let mouse = |kind: &str, (x, y): (f64, f64)| {
            let buttons = if kind == "mouseReleased" { 0 } else { 1 };
            let params = json!({ "type": kind, "x": x, "y": y, "button": "left", "buttons": buttons, "clickCount": 1 });
            self.ask("Input.dispatchMouseEvent", params);
        };
        self.ask("Page.bringToFront", json!({}));
        let (first, last) = (points[0], points[points.len() - 1]);
        mouse("mousePressed", first);
        points[1..].iter().for_each(|point| mouse("mouseMoved", *point));
        mouse("mouseReleased", last);
    }

    /// Has the page be so wide, in CSS pixels, and its colours be `light` or `dark`.
    #[track_caller]
    pub fn look(&self, width: u32, height: u32, scheme: &str) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.ask("Emulation.setDeviceMetricsOverride", size);
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.ask("Emulation.setEmulatedMedia", json!({ "features": features }));
    }

    /// Writes a picture of it.
    #[track_caller]
    pub fn screenshot(&self, path: &Path) {
        let said = self.ask("Page.captureScreenshot", json!({ "format": "png" }));
        let png = BASE64_STANDARD.decode(said["data"].as_str().expect("data")).expect("base64");
        std::fs::write(path, png).expect("write");
    }

    #[track_caller]
    fn ask(&self, method: &str, params: Value) -> Value {
        self.browser.ask(Some(&self.session), method, params)
    }
}
