//! `lwsws` with the same listeners, which all relay to one address each and say in a PROXY header for whom.

use std::collections::BTreeMap;
use std::path::Path;

use rustix::process::Signal;

use crate::beyond::Beyond;
use crate::case::{DOORS, Door};
use crate::doors::{beyond_path, ca_path, log_path, site_path};
use crate::journal::assert_tells_of_its_client_alone;
use crate::requests::{ELSEWHERE, MOVED};
use crate::util::lwsws::{Folder, TLS, workers};
use crate::util::{self, count_fds, free_port, settled};

pub struct Program {
    program: util::Program,
    pub ports: BTreeMap<Door, u16>,
    _conf: Folder,
}

/// Its workers.
const WORKERS: usize = 2;

impl Program {
    pub fn start(beyond: Beyond, folder: &Path) -> Program {
        let conf = Folder::new("", "");
        let doors = DOORS.into_iter().filter(|door| *door != Door::Unix);
        let ports: BTreeMap<Door, u16> = doors.map(|door| (door, free_port())).collect();
        let vhosts: Vec<_> = ports.iter().map(|(door, port)| vhost(*door, *port, beyond, folder)).collect();
        let global = format!(r#""count-threads": "{WORKERS}", "timeout-secs": "120""#);
        conf.write_conf(&format!(r#"{{ "global": {{ {global} }}, "vhosts": [{}] }}"#, vhosts.join(",\n")));
        let program = conf.start();
        Program { program, ports, _conf: conf }
    }

    /// Tells it to read its configuration again, and does not wait.
    pub fn reload(&self) {
        self.program.signal(Signal::HUP);
    }

    /// How often its workers were others.
    pub fn generations(&self) -> usize {
        self.program.log().matches(" workers serve ").count()
    }

    /// The descriptors of the parent and of each of its workers.
    pub fn fds(&self) -> Vec<usize> {
        let workers = workers(&self.program).into_iter().map(|pid| count_fds(Path::new(&format!("/proc/{pid}"))));
        [self.program.fds()].into_iter().chain(workers).collect()
    }

    /// The same, once they have begun.
    pub fn fds_at_rest(&self) -> Vec<usize> {
        settled(|| self.fds().iter().sum());
        self.fds()
    }

    pub fn stop(self) {
        let log = self.program.log();
        let loud: Vec<_> = log.lines().filter(|line| line.contains(" ERROR ") || line.contains("panicked")).collect();
        assert!(loud.is_empty(), "{loud:?}");
        assert_tells_of_its_client_alone(log.lines());
        self.program.stop();
    }
}

fn vhost(door: Door, port: u16, beyond: Beyond, folder: &Path) -> String {
    let onward = match door {
        _ if door.has_tls_onward() => {
            let ca = ca_path(folder);
            let ca = ca.display();
            let tls = r#""onward-tls": "1", "onward-tls-name": "localhost", "onward-tls-ca""#;
            format!(r#""onward": "ipv4:127.0.0.1:{}", {tls}: "{ca}""#, beyond.onward_tls)
        }
        Door::OnwardUnix => format!(r#""onward": "unix:{}""#, beyond_path(folder).display()),
        _ => format!(r#""onward": "ipv4:127.0.0.1:{}""#, beyond.onward),
    };
    let version = if port.is_multiple_of(2) { "v1" } else { "v2" };
    let (role, protocol) = if door == Door::Echo { ("raw-skt", "raw-echo") } else { ("raw-proxy", "raw-proxy") };
    let (site, log, address) = (site_path(folder), log_path(folder), door.address());
    let (site, log) = (site.display(), log.display());
    let mut keys = vec![
        format!(r#""name": "localhost", "port": "{port}", "interface": "{address}", "access-log": "{log}""#),
        r#""keepalive_timeout": "120""#.to_owned(),
        format!(
            r#""ws-protocols": [{{ "raw-proxy": {{ {onward}, "proxy-protocol": "{version}" }}, "raw-echo": {{}} }}]"#
        ),
        format!(r#""listen-accept-role": "{role}", "listen-accept-protocol": "{protocol}""#),
        format!(
            r#""mounts": [{{ "mountpoint": "/", "origin": "file://{site}" }},
                {{ "mountpoint": "{MOVED}", "origin": ">{ELSEWHERE}", "append-path": "1" }}]"#
        ),
    ];
    keys.extend(door.has_tls().then(|| TLS.to_owned()));
    keys.extend(match door {
        Door::Http => None,
        _ if door.applies() => Some(r#""apply-listen-accept": "1""#.to_owned()),
        _ => Some(r#""fallback-listen-accept": "1""#.to_owned()),
    });
    keys.extend((door == Door::Silence).then(|| r#""fallback-silence-ms": "10""#.to_owned()));
    keys.extend((door == Door::Balanced).then(|| r#""proxy-protocol-from": "127.0.0.0/8""#.to_owned()));
    format!("{{ {} }}", keys.join(",\n"))
}
