//! The authority of a request: `host`, `host:port`, `[v6]:port` (RFC 9110 sections 4.2.1 and 7.2).
//!
//! A vhost is chosen by it, and redirects repeat it; so only what the grammar allows is a host. Counterpart in lws: the
//! port stripping in `lws_select_vhost()`.

use std::net::Ipv6Addr;

use memchr::{memchr, memrchr};

/// The key by which a vhost is looked up: `host` without its port and without the dot that ends a full domain name. An
/// IPv6 literal keeps its brackets.
pub(crate) fn name_of_host(host: &str) -> &str {
    let (name, _) = split_port(host);
    name.strip_suffix('.').unwrap_or(name)
}

/// Whether `host` is `uri-host [":" port]` (RFC 9110 section 7.2). An empty host is none in http (section 4.2.1).
pub(crate) fn is_host(host: &str) -> bool {
    let (name, port) = split_port(host);
    let named = match name.strip_prefix('[') {
        Some(literal) => literal.strip_suffix(']').is_some_and(|address| address.parse::<Ipv6Addr>().is_ok()),
        None => is_reg_name(name),
    };
    // Digits are asked for, because parse() takes a sign as well.
    let is_port =
        |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && (port.is_empty() || port.parse::<u16>().is_ok());
    named && port.is_none_or(is_port)
}

/// Splits `host:port` at the colon that is not an IPv6 literal's.
pub(crate) fn split_port(host: &str) -> (&str, Option<&str>) {
    let bytes = host.as_bytes();
    let literal = if bytes.first() == Some(&b'[') { memrchr(b']', bytes).map_or(0, |end| end + 1) } else { 0 };
    match memchr(b':', &bytes[literal..]) {
        Some(colon) => (&host[..literal + colon], Some(&host[literal + colon + 1..])),
        None => (host, None),
    }
}

/// Whether `name` is a `reg-name` of RFC 3986 section 3.2.2, and not empty.
fn is_reg_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    while let Some(byte) = bytes.next() {
        let fine = match byte {
            b'%' => (0..2).all(|_| bytes.next().is_some_and(|digit| digit.is_ascii_hexdigit())),
            b'-' | b'.' | b'_' | b'~' => true,
            b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' => true,
            _ => byte.is_ascii_alphanumeric(),
        };
        if !fine {
            return false;
        }
    }
    !name.is_empty()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_vhost_is_looked_up_without_port_and_trailing_dot() {
        for (host, name) in [
            ("a.com", "a.com"),
            ("a.com:7681", "a.com"),
            ("a.com.", "a.com"),
            ("a.com.:7681", "a.com"),
            ("A.com:", "A.com"),
            ("127.0.0.1:80", "127.0.0.1"),
            ("[::1]", "[::1]"),
            ("[2001:db8::1]:443", "[2001:db8::1]"),
            ("", ""),
            (":80", ""),
        ] {
            assert_eq!(name_of_host(host), name, "{host}");
        }
    }

    proptest! {
        #[test]
        fn any_text_names_a_vhost(host in any::<String>()) {
            prop_assert!(host.starts_with(name_of_host(&host)));
        }
    }
}
