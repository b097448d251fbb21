//! Where a vhost listens, from its keys `port`, `interface`, `unix-socket` and `unix-socket-perms`.

use super::diagnostic::{Diagnostic, Problem, Report};
use super::fields::Fields;
use super::keys::KeyKind;
use crate::unix_listening;
use crate::unix_owner::UnixOwner;
use crate::vhost_info::Listen;

/// What lws gives a socket whose owner is named.
const OWNED: u32 = 0o660;

/// `None`: a mistake was noted.
pub(super) fn listen(fields: &Fields<'_>, report: &mut Report) -> Option<Listen> {
    let unix = fields.flag("unix-socket", report).unwrap_or_default();
    let perms = perms(fields, report);
    if unix {
        // lws reads the port of such a vhost and needs it not.
        let _ = fields.node("port").and_then(|_| port(fields, report));
        let Some(path) = fields.path("interface", report) else {
            if fields.node("interface").is_none() {
                report.push(fields.missing("interface").expected("the path of the unix socket"));
            }
            return None;
        };
        if let Some(node) =
            fields.node("unix-socket-perms").filter(|_| path.as_os_str().as_encoded_bytes().starts_with(b"@"))
        {
            let warning = Diagnostic::warning(Problem::NoEffect, node.place(), node.path());
            report
                .push(warning.note("does nothing for an abstract name: whoever is on this machine may connect to it"));
        }
        if let (Err(_), Some(node)) = (unix_listening::address(&path), fields.node("interface")) {
            report.push(node.wrong("a path of at most 107 bytes, which is what the system takes for a unix socket"));
        }
        let (mode, owner) = perms.unwrap_or_default();
        return Some(Listen::Unix { path, mode, owner });
    }
    if let Some(node) = fields.node("unix-socket-perms") {
        let warning = Diagnostic::warning(Problem::NoEffect, node.place(), node.path());
        report.push(warning.note("does nothing without unix-socket"));
    }
    let interface = fields.some_text("interface", report).map(str::to_owned);
    if fields.node("port").is_none() {
        report.push(fields.missing("port").expected(format!("{}, or -1 for none", KeyKind::Port)));
        return None;
    }
    Some(match port(fields, report)? {
        Some(port) => Listen::Tcp { port, interface },
        None => Listen::None,
    })
}

/// `Some(None)`: -1.
fn port(fields: &Fields<'_>, report: &mut Report) -> Option<Option<u16>> {
    let node = fields.node("port")?;
    let text = node.text().unwrap_or_default().trim();
    if text == "-1" {
        return Some(None);
    }
    // Digits are asked for, because parse() takes a sign as well.
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let port = digits.then(|| text.parse().ok()).flatten();
    report.take(port.ok_or_else(|| node.wrong(KeyKind::Port.to_string()).into())).map(Some)
}

/// Mode bits in octal, or `USER:GROUP`.
fn perms(fields: &Fields<'_>, report: &mut Report) -> Option<(Option<u32>, Option<UnixOwner>)> {
    let text = fields.text("unix-socket-perms", report)?;
    let node = fields.node("unix-socket-perms")?;
    let octal = !text.is_empty() && text.bytes().all(|byte| (b'0'..b'8').contains(&byte));
    let mode = octal.then(|| u32::from_str_radix(text, 8).ok()).flatten().filter(|mode| *mode <= 0o777);
    let owner = text.split_once(':').filter(|(user, group)| !user.is_empty() && !group.is_empty());
    match (mode, owner) {
        (Some(mode), _) => Some((Some(mode), None)),
        (None, Some((user, group))) => Some((Some(OWNED), Some(UnixOwner::new(user, group)))),
        (None, None) => {
            report.push(node.wrong("mode bits such as 0660, or USER:GROUP"));
            None
        }
    }
}
