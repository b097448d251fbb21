//! A headless Chromium, whose pages are read and typed into over its DevTools protocol.

use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Value, json};
use tempfile::TempDir;
use tungstenite::{Message, WebSocket};

use super::http::read_response;
use super::{Program, connect, eventually, require, send};

/// Dropping it ends it, with all its pages.
pub struct Browser {
    _program: Program,
    _profile: TempDir,
    port: u16,
}

/// A tab.
pub struct Page {
    devtools: WebSocket<TcpStream>,
    commands: u64,
}

impl Browser {
    /// Takes the certificate of anybody.
    #[track_caller]
    pub fn start() -> Browser {
        let profile = tempfile::tempdir().expect("a folder");
        let mut chromium = Command::new(require("chromium"));
        chromium
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"])
            .args(["--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--no-proxy-server"])
            .args(["--ignore-certificate-errors", "--hide-scrollbars"])
            .args(["--remote-debugging-port=0", &format!("--user-data-dir={}", profile.path().display())])
            .env("HOME", profile.path());
        let program = Program::spawn(&mut chromium);
        let mut port = None;
        eventually("the browser is there", || {
            let told = std::fs::read_to_string(profile.path().join("DevToolsActivePort"));
            port = told.ok().and_then(|told| told.lines().next()?.parse().ok());
            port.is_some()
        });
        Browser { _program: program, _profile: profile, port: port.expect("the loop above ends with one") }
    }

    /// Opens a page, and does not wait until it is there.
    #[track_caller]
    pub fn open(&self, url: &str) -> Page {
        let mut stream = connect(self.port);
        send(&mut stream, format!("PUT /json/new?{url} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").as_bytes());
        let tab: Value = serde_json::from_slice(&read_response(&mut stream).body).expect("a tab");
        let devtools = tab["webSocketDebuggerUrl"].as_str().expect("its address");
        let (devtools, _) = tungstenite::client(devtools, connect(self.port)).expect("a handshake");
        Page { devtools, commands: 0 }
    }
}

impl Page {
    /// Has the browser do something with the page, and returns what it says.
    #[track_caller]
    pub fn command(&mut self, method: &str, params: &Value) -> Value {
        self.commands += 1;
        let command = json!({ "id": self.commands, "method": method, "params": params });
        self.devtools.send(Message::text(command.to_string())).expect("the browser is there");
        loop {
            let said = self.devtools.read().expect("the browser is there").into_data();
            let mut said: Value = serde_json::from_slice(&said).expect("json");
            if said["id"] == self.commands {
                assert!(said["error"].is_null(), "{method}: {}", said["error"]);
                return said["result"].take();
            }
        }
    }

    /// The value of an expression, in the page.
    #[track_caller]
    pub fn eval(&mut self, expression: &str) -> Value {
        let asked = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let mut said = self.command("Runtime.evaluate", &asked);
        assert!(said["exceptionDetails"].is_null(), "{expression}: {}", said["exceptionDetails"]);
        said["result"]["value"].take()
    }

    /// Waits until an expression is true in the page, which may still be loading.
    #[track_caller]
    pub fn wait_for(&mut self, expression: &str) {
        let tried = format!("(() => {{ try {{ return Boolean({expression}) }} catch {{ return false }} }})()");
        eventually(&format!("`{expression}` in the browser"), || self.eval(&tried) == true);
    }

    /// Types a line where the cursor is, and presses Enter.
    #[track_caller]
    pub fn type_line(&mut self, line: &str) {
        self.command("Page.bringToFront", &json!({}));
        self.command("Input.insertText", &json!({ "text": line }));
        let key =
            |kind| json!({ "type": kind, "key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r" });
        self.command("Input.dispatchKeyEvent", &key("keyDown"));
        self.command("Input.dispatchKeyEvent", &key("keyUp"));
    }

    /// Moves the mouse along a line of points, pressed.
    #[track_caller]
    pub fn drag(&mut self, points: &[(f64, f64)]) {
        self.command("Page.bringToFront", &json!({}));
        let last = points.len() - 1;
        for (at, (x, y)) in points.iter().enumerate() {
            let moves = json!({ "type": "mouseMoved", "x": x, "y": y, "button": "left", "buttons": u8::from(at > 0) });
            self.command("Input.dispatchMouseEvent", &moves);
            for (kind, when) in [("mousePressed", 0), ("mouseReleased", last)] {
                if at == when {
                    let clicks = json!({ "type": kind, "x": x, "y": y, "button": "left", "clickCount": 1 });
                    self.command("Input.dispatchMouseEvent", &clicks);
                }
            }
        }
    }

    /// Gives the page a size, in CSS pixels, and `light` or `dark` colours.
    #[track_caller]
    pub fn look(&mut self, width: u32, height: u32, colours: &str) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.command("Emulation.setDeviceMetricsOverride", &size);
        let scheme = json!({ "name": "prefers-color-scheme", "value": colours });
        self.command("Emulation.setEmulatedMedia", &json!({ "features": [scheme] }));
    }

    /// What the page looks like, for people: `NAME.png` in the `tmp` of the target folder.
    #[track_caller]
    pub fn screenshot(&mut self, name: &str) {
        let said = self.command("Page.captureScreenshot", &json!({ "format": "png" }));
        let png = BASE64_STANDARD.decode(said["data"].as_str().expect("a picture")).expect("base64");
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name).with_extension("png");
        std::fs::write(path, png).expect("write");
    }
}
