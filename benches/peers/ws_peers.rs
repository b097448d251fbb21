//! The other WebSocket servers: a crate of its own (`benches/ws-peers`), so that nobody else's build has what it needs.

use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) const HOW: &str = "is built when a row ws.. is measured";

fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("ws-peers")
}

/// Its program, once it is built.
pub(crate) fn program() -> Option<PathBuf> {
    Some(target().join("release/ws-peers")).filter(|file| file.is_file())
}

/// Builds it, where it is not.
///
/// # Errors
/// Where it does not build.
pub(crate) fn build() -> Result<(), String> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/ws-peers/Cargo.toml");
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    command.args(["build", "--release", "--locked", "--quiet", "--manifest-path"]).arg(manifest);
    let status = command.arg("--target-dir").arg(target()).status().map_err(|error| format!("cargo: {error}"))?;
    status.success().then_some(()).ok_or_else(|| format!("{command:?}: {status}"))
}
