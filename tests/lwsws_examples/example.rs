//! A folder of `minimal-examples/lwsws`, served from a copy in which only places differ: see [`Example`].

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::util::{Program, certs, finish, require, succeed};

/// Paths of the examples, and what stands before them.
const PATHS: [(&str, &str); 5] = [
    ("\"", "/run/"),
    ("\"", "/etc/lwsws/"),
    ("\"", "/var/log/lwsws/"),
    ("file://", "/srv/www"),
    ("file://", "/usr/share"),
];

/// Where the examples are.
pub fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("minimal-examples/lwsws")
}

/// An example and what it needs: a certificate for `localhost`, and pages. These texts of its files are replaced:
///
/// | in the repository | here |
/// |---|---|
/// | `/etc/lwsws/`, `/srv/www`, `/run/`, `/var/log/lwsws/`, `_lws_ddir_` | the same below a folder of the test's |
/// | `"port": "N"` | any free port; the first N on 127.0.0.1, the next on 127.0.0.2, ..; a file with an interface keeps it |
/// | what the test names, such as the address of the ssh server | what it gives for it |
///
/// So vhosts that say the same N share a socket, and others do not.
pub struct Example {
    folder: TempDir,
    /// The ports of the example, in the order of their addresses here.
    ports: Vec<u16>,
}

impl Example {
    #[track_caller]
    pub fn of(name: &str) -> Example {
        Example::with(name, &[])
    }

    /// With replacements, each of which has to be for something.
    #[track_caller]
    pub fn with(name: &str, replacements: &[(&str, &str)]) -> Example {
        let folder = tempfile::tempdir().expect("a folder");
        // Whoever the workers serve as has to get here.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
        let mut example = Example { folder, ports: Vec::new() };
        for path in ["etc/lwsws/conf.d", "srv/www", "run", "var/log/lwsws", "usr/share"] {
            fs::create_dir_all(example.path(path)).expect("mkdir");
        }
        example.write("srv/www/index.html", "the page");
        example.identity("localhost", &["localhost"]);
        let mut unused = replacements.to_vec();
        for file in files(&examples().join(name)) {
            let mut text = fs::read_to_string(examples().join(name).join(&file)).expect("a text");
            unused.retain(|(from, _)| !text.contains(from));
            for (from, to) in replacements {
                text = text.replace(from, to);
            }
            let text = example.with_ports(&example.with_paths(&text));
            example.write(&format!("etc/lwsws/{file}"), &text);
        }
        assert!(unused.is_empty(), "{name} has no {unused:?}");
        example
    }

    /// Of a path of the example, the one here.
    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path.trim_start_matches('/'))
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("mkdir");
        fs::write(path, text).expect("write");
    }

    /// Puts a certificate of the tests' CA where the example has it.
    pub fn identity(&self, file: &str, names: &[&str]) {
        certs::ca().server(names).write(&self.path("etc/lwsws"), file);
    }

    fn with_paths(&self, text: &str) -> String {
        let folder = self.folder.path().display();
        let mut text = text.replace("_lws_ddir_", "/usr/share");
        for (before, path) in PATHS {
            text = text.replace(&format!("{before}{path}"), &format!("{before}{folder}{path}"));
        }
        text
    }

    fn with_ports(&mut self, text: &str) -> String {
        let has_interface = text.contains(r#""interface""#);
        let mut parts = text.split(r#""port": ""#);
        let mut text = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (port, rest) = part.split_once('"').expect("the end of the string");
            let address = self.address(port.parse().expect("a port"));
            if !has_interface {
                text.push_str(&format!(r#""interface": "{address}", "#));
            }
            text.push_str(&format!(r#""port": "0"{rest}"#));
        }
        text
    }

    /// The address that stands for a port of the example.
    fn address(&mut self, port: u16) -> String {
        if !self.ports.contains(&port) {
            self.ports.push(port);
        }
        let place = self.ports.iter().position(|known| *known == port).expect("it is there now");
        format!("127.0.0.{}", place + 1)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lwsws"));
        command.arg("-c").arg(self.path("etc/lwsws"));
        command
    }

    /// What `--check` says; it has to find no error.
    #[track_caller]
    pub fn check(&self) -> String {
        let output = finish(self.command().arg("--check"));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        said
    }

    /// Starts the server, of whose configuration nothing is to be said.
    #[track_caller]
    pub fn start(self) -> Served {
        let said = self.check();
        assert!(!said.contains("warning") && !said.contains("W:"), "{said}");
        self.start_with_warnings()
    }

    #[track_caller]
    pub fn start_with_warnings(self) -> Served {
        let program = Program::spawn(&mut self.command());
        program.wait_for_log(" workers serve ");
        Served { example: self, program }
    }
}

/// An example that is served.
pub struct Served {
    pub example: Example,
    pub program: Program,
}

impl Served {
    /// What stands for a port of the example: address and port.
    #[track_caller]
    pub fn place(&self, port: u16) -> (String, u16) {
        let index = self.example.ports.iter().position(|known| *known == port).expect("a port of the example");
        let address = format!("127.0.0.{}", index + 1);
        let here = format!("listening on {address}:");
        self.program.wait_for_log(&here);
        let log = self.program.log();
        let port = log.split_once(&here).and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
        (address, port.unwrap_or_else(|| panic!("no port: {log}")))
    }

    /// curl with arguments that end with a URL as a user would write it: what it got. Certificates have to be good.
    #[track_caller]
    pub fn curl(&self, args: &[&str]) -> String {
        self.example.write("ca.pem", &certs::ca().text());
        let mut command = Command::new(require("curl"));
        command.args(["-sS", "--fail", "--noproxy", "*", "--cacert"]).arg(self.example.path("ca.pem"));
        for port in &self.example.ports {
            let (address, here) = self.place(*port);
            command.args(["--connect-to", &format!(":{port}:{address}:{here}")]);
        }
        String::from_utf8(succeed(command.args(args))).expect("a text")
    }

    /// `openssl s_client` to a port of the example, for a name that the certificate has to be for. The rest of what is said to it is
    /// to be given on stdin.
    pub fn s_client(&self, port: u16, name: &str) -> Command {
        self.example.write("ca.pem", &certs::ca().text());
        let (address, here) = self.place(port);
        let mut command = Command::new(require("openssl"));
        command.args(["s_client", "-quiet", "-verify_return_error", "-verify_quiet", "-CAfile"]);
        command.arg(self.example.path("ca.pem"));
        command.args(["-servername", name, "-verify_hostname", name, "-connect", &format!("{address}:{here}")]);
        command
    }
}

/// `conf` and those of `conf.d`.
fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder.join("conf.d")).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let names = entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"));
    let mut files: Vec<String> = names.map(|name| format!("conf.d/{name}")).chain(["conf".to_owned()]).collect();
    files.sort();
    files
}
