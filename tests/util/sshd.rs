//! A real ssh server with its own host key, and clients that log in with a key of their own. Nobody's `~/.ssh` is read or written.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::{Program, free_port, require, succeed};

/// Dropping it ends the server and removes its folder.
pub struct Sshd {
    pub port: u16,
    folder: TempDir,
    _daemon: Program,
}

/// The name the clients know the server by, whichever port leads to it.
const HOST: &str = "rlws-test-host";

impl Sshd {
    #[track_caller]
    pub fn start() -> Sshd {
        let sshd = require("sshd");
        let root = rustix::process::geteuid().is_root();
        if root {
            // sshd's own place for its privilege separation, which only its service's start makes.
            std::fs::create_dir_all("/run/sshd").expect("/run/sshd");
        }
        let folder = tempfile::tempdir().expect("a folder");
        for key in ["host_key", "user_key"] {
            let mut keygen = Command::new(require("ssh-keygen"));
            succeed(keygen.args(["-q", "-t", "ed25519", "-N", "", "-C", key, "-f"]).arg(folder.path().join(key)));
        }
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect("a key");
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("write");
        write("authorized_keys", &read("user_key.pub"));
        write("known_hosts", &format!("{HOST} {}", read("host_key.pub")));
        write("ssh_config", &client_config(folder.path()));

        // Another program may take the free port before sshd does.
        for _ in 0..20 {
            let port = free_port();
            write("sshd_config", &server_config(folder.path(), port, root && root_is_locked()));
            let mut command = Command::new(&sshd);
            command.args(["-D", "-e", "-f"]).arg(folder.path().join("sshd_config"));
            let mut daemon = Program::spawn(&mut command);
            super::eventually("sshd listens or gives up", || {
                daemon.log().contains("Server listening on") || daemon.log().contains("Cannot bind any address")
            });
            if daemon.log().contains("Server listening on") {
                return Sshd { port, folder, _daemon: daemon };
            }
            daemon.wait();
        }
        panic!("sshd found no free port");
    }

    /// A folder for the test's files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The path of a file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `ssh` through `port`; the remote command is to be added.
    pub fn ssh(&self, port: u16) -> Command {
        let mut command = self.client("ssh", "-p", port);
        command.arg(HOST);
        command
    }

    /// `scp` through `port`; both paths are to be added.
    pub fn scp(&self, port: u16) -> Command {
        self.client("scp", "-P", port)
    }

    /// A path of the server's, as `scp` wants it.
    pub fn remote(&self, path: &Path) -> String {
        format!("{HOST}:{}", path.display())
    }

    /// `sftp` through `port`, with the commands to run.
    pub fn sftp(&self, port: u16, commands: &str) -> Command {
        let batch = self.file("sftp_batch");
        std::fs::write(&batch, commands).expect("write");
        let mut command = self.client("sftp", "-P", port);
        command.arg("-b").arg(batch).arg(HOST);
        command
    }

    /// `git`, whose ssh goes through `port`; its arguments are to be added.
    pub fn git(&self, port: u16) -> Command {
        let mut command = Command::new(require("git"));
        let ssh = format!("{} -F {} -p {port}", require("ssh").display(), self.file("ssh_config").display());
        command
            .env("GIT_SSH_COMMAND", ssh)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_TERMINAL_PROMPT", "0");
        command
    }

    /// The address of a repository on the server, as `git` wants it.
    pub fn repository(&self, path: &Path) -> String {
        format!("ssh://{HOST}{}", path.display())
    }

    fn client(&self, program: &str, port_switch: &str, port: u16) -> Command {
        let mut command = Command::new(require(program));
        command.arg("-F").arg(self.file("ssh_config")).arg(port_switch).arg(port.to_string());
        command
    }
}

fn server_config(folder: &Path, port: u16, pam: bool) -> String {
    let folder = folder.display();
    let pam = if pam { "yes" } else { "no" };
    format!(
        "ListenAddress 127.0.0.1
        Port {port}
        HostKey {folder}/host_key
        AuthorizedKeysFile {folder}/authorized_keys
        PidFile none
        StrictModes no
        UsePAM {pam}
        PermitRootLogin prohibit-password
        PasswordAuthentication no
        KbdInteractiveAuthentication no
        PermitUserRC no
        PrintMotd no
        PrintLastLog no
        UseDNS no
        MaxStartups 1000
        Subsystem sftp internal-sftp
        LogLevel VERBOSE\n"
    )
}

fn client_config(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "Host {HOST}
        HostName 127.0.0.1
        HostKeyAlias {HOST}
        CheckHostIP no
        UserKnownHostsFile {folder}/known_hosts
        GlobalKnownHostsFile /dev/null
        StrictHostKeyChecking yes
        UpdateHostKeys no
        IdentityFile {folder}/user_key
        IdentitiesOnly yes
        IdentityAgent none
        PreferredAuthentications publickey
        BatchMode yes
        ConnectTimeout 60
        ControlMaster no
        ControlPath none
        LogLevel ERROR\n"
    )
}

/// Without PAM, sshd lets nobody in whose password is locked, not even with a key.
fn root_is_locked() -> bool {
    let shadow = std::fs::read_to_string("/etc/shadow").unwrap_or_default();
    shadow.lines().any(|line| line.starts_with("root:!"))
}
