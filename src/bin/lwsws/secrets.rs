//! What is left out where a configuration is shown.
//!
//! Nobody can know all names of secrets, so it errs on the side of silence: an option whose name could be that of a secret is not shown,
//! with all that is in it, and a header only where its name is known to be harmless.

use rlws::Pvo;
use serde_json::{Value, json};

const LEFT_OUT: &str = "(left out)";

/// Parts of names of secrets, in lower case.
const SECRETS: [&str; 8] = ["pass", "key", "secret", "token", "auth", "cred", "pin", "pwd"];

/// Options of our own protocols that have such a part, and name a file.
const FILES: [&str; 1] = ["onward-tls-key"];

/// Headers that say how clients are to behave.
const HARMLESS: [&str; 32] = [
    "accept-ranges",
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "access-control-expose-headers",
    "access-control-max-age",
    "age",
    "allow",
    "alt-svc",
    "cache-control",
    "clear-site-data",
    "content-disposition",
    "content-language",
    "content-security-policy",
    "content-security-policy-report-only",
    "content-type",
    "cross-origin-embedder-policy",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
    "expires",
    "permissions-policy",
    "pragma",
    "referrer-policy",
    "server",
    "strict-transport-security",
    "timing-allow-origin",
    "vary",
    "x-content-type-options",
    "x-frame-options",
    "x-robots-tag",
    "x-xss-protection",
];

/// What is under a name, unless that could be a secret.
pub(crate) fn shown(name: &str, value: impl FnOnce() -> Value) -> Value {
    let name = name.to_ascii_lowercase();
    let is_secret = SECRETS.iter().any(|part| name.contains(part)) && !FILES.contains(&name.as_str());
    if is_secret { LEFT_OUT.into() } else { value() }
}

/// A protocol's options.
pub(crate) fn options(pvo: &Pvo) -> Value {
    let value = |child: &Pvo| match child.children() {
        [] => child.value().into(),
        _ => options(child),
    };
    let member = |child: &Pvo| (child.name().to_owned(), shown(child.name(), || value(child)));
    Value::Object(pvo.children().iter().map(member).collect())
}

/// Options of a mount.
pub(crate) fn pairs(pairs: &[(String, String)]) -> Value {
    pairs.iter().map(|(name, value)| json!({ name.as_str(): shown(name, || value.as_str().into()) })).collect()
}

pub(crate) fn headers(headers: &[(String, String)]) -> Value {
    let is_harmless = |name: &str| HARMLESS.contains(&name.to_ascii_lowercase().as_str());
    let value = |name: &str, value: &str| if is_harmless(name) { value.to_owned() } else { LEFT_OUT.to_owned() };
    headers.iter().map(|(name, text)| json!({ name.as_str(): value(name, text) })).collect()
}

/// An environment, of which nothing is known.
pub(crate) fn all(pairs: &[(String, String)]) -> Value {
    pairs.iter().map(|(name, _)| json!({ name.as_str(): LEFT_OUT })).collect()
}

/// `https://user:password@host/` without what is before the `@`.
pub(crate) fn url(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://{host}{path}"),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_could_be_a_secret_is_shown() {
        let secret = "hunter2";
        for name in ["Password", "passphrase", "passwd", "api-key", "PWD", "Auth-Header", "credentials", "PIN"] {
            let pvo = Pvo::default().with(name, secret);
            assert_eq!(options(&pvo), json!({ name: LEFT_OUT }));
            assert_eq!(pairs(&[(name.to_owned(), secret.to_owned())]), json!([{ name: LEFT_OUT }]));
        }
        let nested = Pvo::default().with("secret", Pvo::default().with("value", secret));
        assert_eq!(options(&nested), json!({ "secret": LEFT_OUT }));
        let kept = Pvo::default().with("onward", "ipv4:127.0.0.1:22").with("onward-tls-key", "/a/key");
        assert_eq!(options(&kept), json!({ "onward": "ipv4:127.0.0.1:22", "onward-tls-key": "/a/key" }));
        for header in ["X-Api-Key", "Authorization", "Set-Cookie", "X-Whatever"] {
            assert_eq!(headers(&[(header.to_owned(), secret.to_owned())]), json!([{ header: LEFT_OUT }]));
        }
        let harmless = [("X-Frame-Options".to_owned(), "DENY".to_owned())];
        assert_eq!(headers(&harmless), json!([{ "X-Frame-Options": "DENY" }]));
        assert_eq!(url("https://me:hunter2@a.test/b@c?d"), "https://a.test/b@c?d");
        assert_eq!(url("https://a.test/b@c"), "https://a.test/b@c");
    }
}
