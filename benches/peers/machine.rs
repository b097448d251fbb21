//! Where figures come from: the machine, its system, and the versions of who is compared.

use std::fs;
use std::process::{Command, Stdio};
use std::time::SystemTime;

use crate::contenders::{CONTENDERS, Contender};
use crate::rows::Group;

/// A list in markdown, with who takes part in those groups.
pub(crate) fn description(groups: &[Group]) -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let of = |key: &str| {
        let line = cpuinfo.lines().find(|line| line.starts_with(key));
        line.and_then(|line| Some(line.split_once(':')?.1.trim().to_owned())).unwrap_or_default()
    };
    let cores = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
    let is_virtual = of("flags").split(' ').any(|flag| flag == "hypervisor");
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut lines = vec![
        format!("measured on {}", date()),
        format!("{} ({cores} cores{})", of("model name"), if is_virtual { ", a virtual machine" } else { "" }),
        format!("Linux {}, {}", kernel.trim(), system()),
    ];
    let takes_part = |it: &&Contender| it.groups.iter().any(|group| groups.contains(group));
    let versions =
        CONTENDERS.iter().filter(takes_part).filter_map(|it| Some(format!("{}: {}", it.name, it.version()?)));
    lines.extend(versions);
    if groups.contains(&Group::Http) {
        lines.extend(wrk().map(|version| format!("wrk: {version}")));
    }
    lines.iter().map(|line| format!("- {line}\n")).collect()
}

/// `23 Nov 2026`
fn date() -> String {
    let now = httpdate::fmt_http_date(SystemTime::now());
    now.split(' ').skip(1).take(3).collect::<Vec<_>>().join(" ")
}

fn system() -> String {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.map_or("an unknown system".to_owned(), |name| name.trim_matches('"').to_owned())
}

fn wrk() -> Option<String> {
    let output = Command::new("wrk").arg("-v").stdin(Stdio::null()).output().ok()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.split_whitespace().nth(1).map(str::to_owned)
}
