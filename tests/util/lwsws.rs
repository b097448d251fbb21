//! The program `lwsws` with a configuration in a folder of its own.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::{Program, certs, eventually};

/// A folder with a configuration, and what it serves.
pub struct Folder {
    folder: tempfile::TempDir,
    port: u16,
}

impl Folder {
    /// `global` and one vhost, whose keys go behind name, port and mounts; `DIR` stands for the folder.
    pub fn new(global: &str, vhost: &str) -> Folder {
        Folder::on_port(0, global, vhost)
    }

    /// On a port of its own, which the workers share with a socket each; port 0 is one socket for all of them.
    pub fn on_port(port: u16, global: &str, vhost: &str) -> Folder {
        let folder = Folder { folder: tempfile::tempdir().expect("a folder"), port };
        // Whoever the workers serve as has to get here.
        fs::set_permissions(folder.folder.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
        fs::create_dir(folder.path("site")).expect("mkdir");
        fs::write(folder.path("site/index.html"), "the page").expect("write");
        certs::localhost().write(folder.folder.path(), "its");
        folder.configure(global, vhost);
        folder
    }

    /// With so many vhosts that a worker takes a while to make them.
    pub fn slow(global: &str) -> Folder {
        let folder = Folder::on_port(super::free_port(), "", "");
        folder.make_slow(global);
        folder
    }

    /// The same, for a folder whose configuration was another.
    pub fn make_slow(&self, global: &str) {
        let vhost = |number| {
            let name = if number == 0 { "localhost".to_owned() } else { format!("vhost{number}") };
            format!(
                r#"{{ "name": "{name}", "port": "{}", "interface": "127.0.0.1", {TLS}, "allow-http-on-https": "1",
                    "mounts": [{{ "mountpoint": "/", "origin": "file://DIR/site", "default": "index.html" }}] }}"#,
                self.port
            )
        };
        let vhosts: Vec<String> = (0..300).map(vhost).collect();
        self.write_conf(&format!(r#"{{ "global": {{ {global} }}, "vhosts": [{}] }}"#, vhosts.join(",")));
    }

    /// The first worker of a generation of a slow configuration, stopped before it is ready.
    #[track_caller]
    pub fn held_worker(&self, program: &Program, generation: u32) -> i32 {
        let text = format!("worker 0 of generation {generation} is process ");
        program.wait_for_log(&text);
        let log = program.log();
        let pid = log.split(&text).nth(1).and_then(|rest| rest.split_whitespace().next()?.parse().ok());
        let pid: i32 = pid.unwrap_or_else(|| panic!("no process id: {log}"));
        kill_process(Pid::from_raw(pid).expect("a process"), Signal::STOP).expect("stop");
        pid
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn configure(&self, global: &str, vhost: &str) {
        let text = format!(
            r#"{{ "global": {{ {global} }}, "vhosts": [{{ "name": "localhost", "port": "{}", "interface": "127.0.0.1",
                "mounts": [{{ "mountpoint": "/", "origin": "file://DIR/site", "default": "index.html" }}], {vhost} }}] }}"#,
            self.port
        );
        self.write_conf(&text);
    }

    pub fn write_conf(&self, text: &str) {
        let text = text.replace("DIR", &self.folder.path().display().to_string());
        fs::write(self.path("conf"), text).expect("write");
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lwsws"));
        command.arg("-c").arg(self.folder.path()).args(["-d", "1039"]);
        command
    }

    #[track_caller]
    pub fn start(&self) -> Program {
        let program = Program::spawn(&mut self.command());
        program.wait_for_log(" workers serve ");
        program.wait_for_log("listening on ");
        program
    }

    /// Tells it to take the configuration that is there now, and waits until it has, or has refused it.
    #[track_caller]
    pub fn reload(&self, program: &Program) {
        let done = || program.log().matches(" workers serve ").count() + program.log().matches("is not taken").count();
        let before = done();
        program.signal(Signal::HUP);
        eventually("the reload is done", || done() > before);
    }

    #[track_caller]
    pub fn run(&self, args: &[&str], input: &[u8]) -> Output {
        let mut command = self.command();
        let command = command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("spawn");
        child.stdin.take().expect("piped").write_all(input).expect("it reads");
        child.wait_with_output().expect("wait")
    }
}

pub const ECHO: &str = r#""ws-protocols": [{ "raw-echo": { "status": "ok" } }], "listen-accept-protocol": "raw-echo",
    "fallback-listen-accept": "1""#;
pub const TLS: &str = r#""host-ssl-cert": "DIR/its.cert", "host-ssl-key": "DIR/its.key""#;

/// The processes that a program has started and that still live.
pub fn workers(program: &Program) -> Vec<i32> {
    let tasks = format!("/proc/{0}/task/{0}/children", program.pid());
    let children = fs::read_to_string(tasks).expect("its children");
    let lives = |pid: &i32| fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "));
    children.split_whitespace().map(|pid| pid.parse().expect("a process id")).filter(lives).collect()
}
