//! An nginx of its own, to compare with: one process, a free port, nothing read or written outside of its folder.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::{Program, eventually, require};

/// Dropping it ends the server and removes its folder.
pub struct Nginx {
    pub port: u16,
    _daemon: Program,
    _folder: TempDir,
}

impl Nginx {
    /// Serves the files below `root`, with the types and compressed files that rlws has.
    #[track_caller]
    pub fn serve(root: &Path) -> Nginx {
        let nginx = require("nginx");
        let folder = tempfile::tempdir().expect("a folder");
        // Another program may take the free port before nginx does.
        for _ in 0..20 {
            let port =
                TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
            std::fs::write(folder.path().join("nginx.conf"), config(root, port)).expect("write");
            let mut command = Command::new(&nginx);
            command.args(["-e", "stderr", "-c", "nginx.conf", "-p"]).arg(folder.path());
            let mut daemon = Program::spawn(&mut command);
            // It has bound its port before it says this.
            let listens = || daemon.log().contains("getrlimit(RLIMIT_NOFILE)");
            eventually("nginx listens or gives up", || listens() || daemon.log().contains("[emerg]"));
            if listens() {
                return Nginx { port, _daemon: daemon, _folder: folder };
            }
            assert!(daemon.log().contains("Address already in use"), "nginx does not start:\n{}", daemon.log());
            daemon.wait();
        }
        panic!("nginx found no free port");
    }
}

fn config(root: &Path, port: u16) -> String {
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|name| format!("{name}_temp_path temp_{name};\n"))
        .collect();
    format!(
        "daemon off;
        master_process off;
        pid nginx.pid;
        error_log stderr notice;
        events {{ worker_connections 64; }}
        http {{
            {temporary}
            access_log off;
            absolute_redirect off;
            gzip_static on;
            gzip_vary on;
            types {{ text/html html; text/css css; text/plain txt; application/gzip gz; }}
            default_type application/x-unknown;
            charset utf-8;
            charset_types text/css text/plain;
            server {{ listen 127.0.0.1:{port}; root {root}; }}
        }}
        ",
        root = root.display()
    )
}
