//! Real ssh through the port that serves http.

mod util;

use util::ssh_port::{self, SshPort};

#[test]
fn ssh_runs_a_command_through_the_http_port() {
    ssh_port::runs_a_command(SshPort::start(&[]));
}

#[test]
fn scp_moves_a_big_file_both_ways() {
    ssh_port::scp_moves_a_big_file(SshPort::start(&[]));
}

#[test]
fn sftp_moves_a_big_file_both_ways() {
    ssh_port::sftp_moves_a_big_file(SshPort::start(&[]));
}

#[test]
fn git_clones_and_pushes_over_ssh() {
    ssh_port::git_clones_and_pushes(SshPort::start(&[]));
}

#[test]
fn twenty_ssh_sessions_at_once_while_curl_fetches_pages_on_the_same_port() {
    ssh_port::twenty_sessions_at_once(SshPort::start(&[]));
}
