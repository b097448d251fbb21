//! Who is compared: rlws, the floor, and the servers found on this machine; and how each is told to do the same.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::rows::{Group, SMALL};
use crate::{echo, ws_peers};

/// What a server is to do: relay to a port, serve a folder, or echo WebSocket messages; with TLS or without.
#[derive(Debug, Clone)]
pub(crate) enum Task<'a> {
    Relay {
        onward: u16,
    },
    Http {
        root: &'a Path,
        tls: Option<(&'a Path, &'a Path)>,
    },
    /// `keeps`: compression keeps its windows where the client lets it.
    Echo {
        tls: Option<(&'a Path, &'a Path)>,
        keeps: bool,
    },
}

/// One of those who are compared.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    /// What it takes part in.
    pub(crate) groups: &'static [Group],
    /// How to get it.
    pub(crate) how: &'static str,
    find: fn(Group) -> Option<PathBuf>,
    /// Writes its configuration to a folder; the command that serves on a port of 127.0.0.1.
    prepare: fn(program: &Path, folder: &Path, port: u16, task: &Task<'_>) -> std::io::Result<Command>,
    /// What makes it say its version, as its only argument.
    version: &'static str,
}

/// Who the others are compared with.
pub(crate) const OWN: &str = "rlws";
/// The yardstick: no server, so it is not among those whose best counts.
pub(crate) const FLOOR: &str = "floor";
/// nginx as nobody has it without measuring: with the floor's buffer as a relay, and without `sendfile` for small files. A yardstick too.
pub(crate) const TUNED: &str = "nginx-tuned";

pub(crate) const CONTENDERS: [Contender; 9] = [
    Contender {
        name: OWN,
        groups: &[Group::Relay, Group::Http, Group::Ws],
        how: "it is this project's lwsws, and an echo in this benchmark",
        find: |group| match group {
            Group::Ws => std::env::current_exe().ok(),
            _ => Some(PathBuf::from(env!("CARGO_BIN_EXE_lwsws"))),
        },
        prepare: rlws,
        version: "--version",
    },
    Contender {
        name: FLOOR,
        groups: &[Group::Relay, Group::Http, Group::Ws],
        how: "it is part of this benchmark",
        find: |_| std::env::current_exe().ok(),
        prepare: floor,
        version: "",
    },
    Contender {
        name: "nginx",
        groups: &[Group::Relay, Group::Http],
        how: "apt-get install nginx libnginx-mod-stream",
        find: |group| found("nginx").filter(|_| group != Group::Relay || Path::new(NGINX_STREAM).is_file()),
        prepare: |program, folder, port, task| nginx(program, folder, port, task, Nginx::Packaged),
        version: "-v",
    },
    Contender {
        name: TUNED,
        groups: &[Group::Relay, Group::Http],
        how: "as nginx",
        find: |group| found("nginx").filter(|_| group != Group::Relay || Path::new(NGINX_STREAM).is_file()),
        prepare: |program, folder, port, task| nginx(program, folder, port, task, Nginx::Tuned),
        version: "",
    },
    Contender {
        name: "haproxy",
        groups: &[Group::Relay],
        how: "apt-get install haproxy",
        find: |_| found("haproxy"),
        prepare: haproxy,
        version: "-v",
    },
    Contender {
        name: "sslh",
        groups: &[Group::Relay],
        how: "apt-get install sslh",
        find: |_| found("sslh-select"),
        prepare: sslh,
        version: "-V",
    },
    Contender {
        name: "lws",
        groups: &[Group::Relay, Group::Http],
        how: "LWSWS=FILE names the lwsws of libwebsockets",
        find: |_| std::env::var_os("LWSWS").map(PathBuf::from).filter(|file| file.is_file()),
        prepare: lws,
        version: "--version",
    },
    Contender {
        name: "tungstenite",
        groups: &[Group::Ws],
        how: ws_peers::HOW,
        find: |_| ws_peers::program(),
        prepare: |program, _, port, task| ws_peer(program, "tungstenite", port, task),
        version: "tungstenite",
    },
    Contender {
        name: "fastwebsockets",
        groups: &[Group::Ws],
        how: ws_peers::HOW,
        find: |_| ws_peers::program(),
        prepare: |program, _, port, task| ws_peer(program, "fastwebsockets", port, task),
        version: "fastwebsockets",
    },
];

impl Contender {
    /// The program, where it is here and can do this.
    pub(crate) fn program(&self, group: Group) -> Option<PathBuf> {
        (self.find)(group).filter(|_| self.groups.contains(&group))
    }

    /// # Errors
    /// Where its configuration cannot be written.
    pub(crate) fn command(&self, program: &Path, folder: &Path, port: u16, task: &Task<'_>) -> Result<Command, String> {
        (self.prepare)(program, folder, port, task).map_err(|error| format!("{}: {error}", folder.display()))
    }

    /// The line in which it names its version.
    pub(crate) fn version(&self) -> Option<String> {
        let program = self.groups.iter().find_map(|group| self.program(*group))?;
        if self.version.is_empty() {
            return None;
        }
        let output = Command::new(program).arg(self.version).stdin(Stdio::null()).output().ok()?;
        let said = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&said).lines().next().map(|line| line.trim().to_owned())
    }
}

/// Where a program is, as a shell of root would find it.
pub(crate) fn found(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from));
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// A relay looks at the first bytes, as everybody's port does that http shares.
fn rlws(program: &Path, folder: &Path, port: u16, task: &Task<'_>) -> std::io::Result<Command> {
    let vhost = match task {
        Task::Relay { onward } => format!(
            r#""ws-protocols": [{{ "raw-proxy": {{ "status": "ok", "onward": "ipv4:127.0.0.1:{onward}" }} }}],
            "listen-accept-role": "raw-proxy", "listen-accept-protocol": "raw-proxy", "fallback-listen-accept": "1""#
        ),
        Task::Http { root, tls } => http_vhost(root, *tls),
        Task::Echo { tls, keeps } => return Ok(echo::command(program, port, *tls, *keeps)),
    };
    let conf = format!(
        r#"{{ "vhosts": [{{ "name": "localhost", "port": "{port}", "interface": "127.0.0.1", "backlog": "4096",
        "keepalive_timeout": "3600", {vhost} }}] }}"#
    );
    fs::write(folder.join("conf"), conf)?;
    let mut command = Command::new(program);
    command.arg("-c").arg(folder);
    Ok(command)
}

fn http_vhost(root: &Path, tls: Option<(&Path, &Path)>) -> String {
    let tls = tls
        .map(|(cert, key)| format!(r#""host-ssl-cert": "{}", "host-ssl-key": "{}", "#, cert.display(), key.display()));
    let mount = format!(
        r#""mounts": [{{ "mountpoint": "/", "origin": "file://{}", "default": "small.html",
        "extra-mimetypes": {{ ".bin": "application/octet-stream" }} }}]"#,
        root.display()
    );
    tls.unwrap_or_default() + &mount
}

/// lws has no fallback without http beside it, so it relays whatever connects.
fn lws(program: &Path, folder: &Path, port: u16, task: &Task<'_>) -> std::io::Result<Command> {
    let vhost = match task {
        Task::Relay { onward } => format!(
            r#""listen-accept-role": "raw-proxy", "listen-accept-protocol": "raw-proxy", "apply-listen-accept": "1",
            "ws-protocols": [{{ "raw-proxy": {{ "status": "ok", "onward": "ipv4:127.0.0.1:{onward}" }} }}]"#
        ),
        Task::Http { root, tls } => http_vhost(root, *tls),
        Task::Echo { .. } => return Err(std::io::ErrorKind::Unsupported.into()),
    };
    fs::create_dir(folder.join("conf.d"))?;
    fs::write(folder.join("conf"), r#"{ "global": { "init-ssl": "yes" } }"#)?;
    let conf = format!(r#"{{ "vhosts": [{{ "name": "localhost", "port": "{port}", {vhost} }}] }}"#);
    fs::write(folder.join("conf.d/localhost"), conf)?;
    let mut command = Command::new(program);
    command.arg("-c").arg(folder).args(["-d", "1"]);
    Ok(command)
}

/// Told to the benchmark itself; see `main`.
pub(crate) const BE_THE_FLOOR: &str = "--be-the-floor";

fn floor(program: &Path, _: &Path, port: u16, task: &Task<'_>) -> std::io::Result<Command> {
    let mut command = Command::new(program);
    command.arg(BE_THE_FLOOR).arg(port.to_string());
    match task {
        Task::Relay { onward } => command.args(["relay", &onward.to_string()]),
        Task::Http { root, tls: None } => command.arg("http").arg(root.join(SMALL)),
        Task::Echo { tls: None, keeps: false } => command.arg("echo"),
        Task::Echo { .. } | Task::Http { .. } => return Err(std::io::ErrorKind::Unsupported.into()),
    };
    Ok(command)
}

const NGINX_STREAM: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";

#[derive(Debug, Copy, Clone, PartialEq, Eq)]
enum Nginx {
    /// Relays as its package has it; files as its documentation advises for large ones.
    Packaged,
    Tuned,
}

fn nginx(program: &Path, folder: &Path, port: u16, task: &Task<'_>, like: Nginx) -> std::io::Result<Command> {
    let (dir, listen) = (folder.display(), format!("listen 127.0.0.1:{port}"));
    let (module, serve) = match task {
        Task::Relay { onward } => (
            format!("load_module {NGINX_STREAM};"),
            format!(
                "stream {{ server {{ {listen} backlog=4096; proxy_pass 127.0.0.1:{onward}; tcp_nodelay on; {} }} }}",
                if like == Nginx::Tuned { "proxy_buffer_size 256k;" } else { "" }
            ),
        ),
        Task::Echo { .. } => return Err(std::io::ErrorKind::Unsupported.into()),
        Task::Http { root, tls } => {
            let (ssl, certificate) = match tls {
                None => ("", String::new()),
                Some((cert, key)) => {
                    let files = format!("ssl_certificate {}; ssl_certificate_key {};", cert.display(), key.display());
                    ("ssl", files + " ssl_protocols TLSv1.3; ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256;")
                }
            };
            let server = format!("{listen} {ssl} backlog=4096; root {}; {certificate}", root.display());
            let files = if like == Nginx::Tuned { "sendfile off;" } else { "sendfile on; tcp_nopush on;" };
            let http = "access_log off; keepalive_requests 1000000000; keepalive_timeout 1h; open_file_cache max=100;
                types { text/html html; } default_type application/octet-stream;";
            (String::new(), format!("http {{ {files} {http} server {{ {server} }} }}"))
        }
    };
    let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
    let conf = format!(
        "{module} {user} daemon off; worker_processes 1; error_log {dir}/error.log; pid {dir}/pid;
        events {{ worker_connections 18000; }}
        {serve}"
    );
    let file = folder.join("nginx.conf");
    fs::write(&file, conf)?;
    let mut command = Command::new(program);
    command.arg("-c").arg(file).arg("-p").arg(folder);
    Ok(command)
}

fn haproxy(program: &Path, folder: &Path, port: u16, task: &Task<'_>) -> std::io::Result<Command> {
    let Task::Relay { onward } = task else { return Err(std::io::ErrorKind::Unsupported.into()) };
    let conf = format!(
        "global
  nbthread 1
  maxconn 9000
  maxpipes 512
defaults
  mode tcp
  option splice-auto
  timeout connect 5s
  timeout client 1h
  timeout server 1h
frontend f
  bind 127.0.0.1:{port} backlog 4096
  tcp-request inspect-delay 2s
  tcp-request content accept if {{ req.len gt 0 }}
  default_backend b
backend b
  server s 127.0.0.1:{onward}
"
    );
    let file = folder.join("haproxy.cfg");
    fs::write(&file, conf)?;
    let mut command = Command::new(program);
    command.args(["-db", "-f"]).arg(file);
    Ok(command)
}

fn sslh(program: &Path, _: &Path, port: u16, task: &Task<'_>) -> std::io::Result<Command> {
    let Task::Relay { onward } = task else { return Err(std::io::ErrorKind::Unsupported.into()) };
    let mut command = Command::new(program);
    command.args(["-f", "-n", "-p", &format!("127.0.0.1:{port}"), "--ssh", &format!("127.0.0.1:{onward}")]);
    Ok(command)
}

fn ws_peer(program: &Path, which: &str, port: u16, task: &Task<'_>) -> std::io::Result<Command> {
    let Task::Echo { tls: None, keeps: false } = task else { return Err(std::io::ErrorKind::Unsupported.into()) };
    let mut command = Command::new(program);
    command.args([which, &port.to_string()]);
    Ok(command)
}
