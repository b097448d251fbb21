//! Tests that measure the process they are in: each has one of its own, whichever runner began it.

use std::process::Command;

use super::finish;

const ALONE: &str = "RLWS_TEST_ALONE";

/// Runs `test`, the body of the test `name` that calls this, in a process where no other test runs. It fails here if it fails there.
#[track_caller]
pub fn alone(name: &str, test: impl FnOnce()) {
    if std::env::var_os(ALONE).is_some() {
        return test();
    }
    let mut command = Command::new(std::env::current_exe().expect("the tests' program"));
    let output = finish(command.args(["--exact", name, "--nocapture", "--test-threads=1"]).env(ALONE, "1"));
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "{name}, alone: {text}");
    assert!(text.contains("1 passed"), "{name} was not run: {text}");
}
