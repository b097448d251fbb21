//! Headers of the PROXY protocol as balancers send them, and real balancers: haproxy, which goes before, and nginx, which goes behind.

use std::net::{Ipv4Addr, TcpStream};
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use super::{Identity, Program, eventually, free_port, require};

/// The client of [`V1`] and [`v2`], and the address it connected to.
pub const CLIENT: &str = "203.0.113.7:4660";
pub const SERVER: &str = "192.0.2.1:443";

pub const V1: &[u8] = b"PROXY TCP4 203.0.113.7 192.0.2.1 4660 443\r\n";

const V2_START: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const ADDRESSES: &[u8] = &[203, 0, 113, 7, 192, 0, 2, 1, 0x12, 0x34, 1, 0xbb];

/// A header of version 2 with something behind the addresses.
pub fn v2(tlvs: &[u8]) -> Vec<u8> {
    binary(0x21, 0x11, &[ADDRESSES, tlvs].concat())
}

/// Any header of version 2, by its 13th and 14th byte.
pub fn binary(version_and_command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let len = u16::try_from(rest.len()).expect("a length");
    [V2_START, &[version_and_command, family], &len.to_be_bytes(), rest].concat()
}

/// Listens on some ports and sends everything to one, with a header. Dropping it ends it.
pub struct Haproxy {
    /// In the order of the options they were made for.
    pub ports: Vec<u16>,
    _folder: TempDir,
    _program: Program,
}

impl Haproxy {
    /// One port for each of `options`, such as `send-proxy`.
    #[track_caller]
    pub fn start(to: u16, options: &[&str]) -> Haproxy {
        let listen = |ports: &[u16]| {
            let mut text = String::from(
                "defaults\n  mode tcp\n  timeout connect 20s\n  timeout client 60s\n  timeout server 60s\n",
            );
            for (port, option) in ports.iter().zip(options) {
                text += &format!("listen l{port}\n  bind 127.0.0.1:{port}\n  server s 127.0.0.1:{to} {option}\n");
            }
            text
        };
        let (folder, program, ports) = spawn(options.len(), |file, ports| {
            std::fs::write(&file, listen(ports)).expect("write");
            let mut command = Command::new(require("haproxy"));
            command.arg("-db").arg("-f").arg(file);
            command
        });
        Haproxy { ports, _folder: folder, _program: program }
    }
}

/// Serves `hello` on two ports that want a header, the second one over TLS. Dropping it ends it.
pub struct Nginx {
    pub port: u16,
    pub tls_port: u16,
    folder: TempDir,
    _program: Program,
}

impl Nginx {
    #[track_caller]
    pub fn start(identity: &Identity) -> Nginx {
        let (folder, program, ports) = spawn(2, |file, ports| {
            let folder = file.parent().expect("a folder");
            let (cert, key) = identity.write(folder, "nginx");
            let (cert, key, folder, port, tls_port) =
                (cert.display(), key.display(), folder.display(), ports[0], ports[1]);
            let temp: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
                .map(|name| format!("{name}_temp_path {folder}/{name};\n"))
                .concat();
            let text = format!(
                "daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log stderr info;\nevents {{}}\nhttp {{
                {temp}
                log_format facts '$proxy_protocol_addr:$proxy_protocol_port $proxy_protocol_server_addr:$proxy_protocol_server_port $scheme';
                access_log {folder}/access.log facts;
                server {{
                  listen 127.0.0.1:{port} proxy_protocol;
                  listen 127.0.0.1:{tls_port} ssl proxy_protocol;
                  ssl_certificate {cert};
                  ssl_certificate_key {key};
                  location / {{ return 200 hello; }}
                }}\n}}\n"
            );
            std::fs::write(&file, text).expect("write");
            let mut command = Command::new(require("nginx"));
            command.args(["-e", "stderr", "-c"]).arg(file);
            command
        });
        Nginx { port: ports[0], tls_port: ports[1], folder, _program: program }
    }

    /// What it logged, once there are that many lines: the client's address, the server's, http or https.
    #[track_caller]
    pub fn log(&self, count: usize) -> Vec<String> {
        let file = self.folder.path().join("access.log");
        let lines = || -> Vec<String> {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            text.lines().map(str::to_owned).collect()
        };
        eventually(&format!("{count} lines in nginx's log"), || lines().len() >= count);
        lines()
    }
}

/// Starts a program that is configured by a file and listens on free ports, of which another program may take one before it does.
#[track_caller]
fn spawn(count: usize, command: impl Fn(PathBuf, &[u16]) -> Command) -> (TempDir, Program, Vec<u16>) {
    for _ in 0..20 {
        let folder = tempfile::tempdir().expect("a folder");
        let ports = (0..count).map(|_| free_port()).collect::<Vec<u16>>();
        let mut program = Program::spawn(&mut command(folder.path().join("conf"), &ports));
        let mut ended = false;
        eventually("it listens or gives up", || {
            ended = program.has_ended();
            ended || ports.iter().all(|port| TcpStream::connect((Ipv4Addr::LOCALHOST, *port)).is_ok())
        });
        if !ended && !program.has_ended() {
            return (folder, program, ports);
        }
        let log = program.log();
        assert!(log.contains("in use") || log.contains("cannot bind"), "{log}");
    }
    panic!("no free port was found");
}
