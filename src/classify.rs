//! The classifier: what a connection's first bytes are.
//!
//! ```text
//!   accept --> bytes so far --> classify --> first_packet --> the next role
//!                    ^             |
//!                    '-- NeedMore -'
//! ```
//!
//! It is a pure function of all bytes since the start, and monotone: appending bytes never changes
//! a verdict once given. So how the bytes were cut into reads never matters. It allocates nothing,
//! and says what the bytes are, never what to do about it: that is the table in `first_packet`.
//!
//! lws: the peek in `lws_server_socket_service_ssl()`, which takes any first byte below a space for
//! TLS, and the method search of its h1 role. Here 0x00, 0x03 or 0x05 is `Other` at once.

/// The first bytes of a connection, as far as they tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// The start of TLS or http, but too short to be sure. An empty slice, too.
    NeedMore,
    /// The record header of a TLS ClientHello.
    Tls,
    /// A known http method and its space, or the whole HTTP/2 preface.
    Http,
    /// Neither, whatever follows.
    Other,
}

/// The most bytes that can still be [`Class::NeedMore`]: the HTTP/2 preface but for its last byte.
pub const LONGEST_UNDECIDED: usize = H2_PREFACE.len() - 1;

/// The HTTP/2 client connection preface (RFC 9113 3.4).
pub(crate) const H2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Says what `first`, every byte received since the start of the connection, is.
///
/// "Http" is one of the methods GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, CONNECT and TRACE
/// (RFC 9110 9.1, RFC 5789; case counts) and one space, or the whole HTTP/2 preface (RFC 9113
/// 3.4). "Tls" is a handshake record of version 3.0 to 3.4, 1 to 16384 bytes long, that begins with
/// a ClientHello (RFC 8446 4, 5.1). What can grow into neither is `Other` at once, on the first
/// byte that rules both out.
pub fn classify(first: &[u8]) -> Class {
    if HTTP_STARTS.iter().any(|start| first.starts_with(start)) {
        Class::Http
    } else if HTTP_STARTS.iter().any(|start| start.starts_with(first)) {
        Class::NeedMore
    } else if !fits_client_hello(first) {
        Class::Other
    } else if first.len() < CLIENT_HELLO_START {
        Class::NeedMore
    } else {
        Class::Tls
    }
}

const HTTP_STARTS: [&[u8]; 10] =
    [b"GET ", b"HEAD ", b"POST ", b"PUT ", b"PATCH ", b"DELETE ", b"OPTIONS ", b"CONNECT ", b"TRACE ", H2_PREFACE];

/// Record header (5 bytes) and handshake type (1): enough to know a ClientHello.
const CLIENT_HELLO_START: usize = 6;

/// The longest plaintext fragment that a TLS record may hold, in bytes (RFC 8446 5.1).
const LONGEST_RECORD: u16 = 1 << 14;

/// Whether every byte so far is one that a ClientHello may have in its place.
fn fits_client_hello(first: &[u8]) -> bool {
    let start = first.iter().take(CLIENT_HELLO_START);
    start.enumerate().all(|(place, &byte)| match place {
        0 => byte == 22, // record type: handshake
        1 => byte == 3,  // version, major
        2 => byte <= 4,  // version, minor: SSL 3.0 to TLS 1.3
        3 => byte <= LONGEST_RECORD.to_be_bytes()[0],
        4 => (1..=LONGEST_RECORD).contains(&u16::from_be_bytes([first[3], byte])),
        _ => byte == 1, // handshake type: ClientHello
    })
}

#[cfg(test)]
mod tests {
    use super::Class::{Http, NeedMore, Other, Tls};
    use super::*;
    use proptest::prelude::*;

    const HELLO: &[u8] = &[22, 3, 1, 2, 0, 1];
    /// The only length whose high byte is the highest: its low byte must be 0.
    const LONGEST_HELLO: &[u8] = &[22, 3, 4, 0x40, 0, 1];

    #[test]
    fn a_known_method_and_a_space_is_http() {
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"] {
            assert_eq!(classify(method.as_bytes()), NeedMore, "{method}");
            assert_eq!(classify(format!("{method} ").as_bytes()), Http, "{method}");
        }
        assert_eq!(classify(b"GET / HTTP/1.1\r\n\r\n"), Http);
        assert_eq!(classify(b"CONNECT example.com:443 HTTP/1.1\r\n"), Http);
    }

    #[test]
    fn a_method_that_only_begins_like_http_is_not() {
        for miss in ["get /", "Get /", "GEX", "GETS /", "GET\t/", "GET\r\n", " GET /", "BREW /"] {
            assert_eq!(classify(miss.as_bytes()), Other, "{miss:?}");
        }
        assert_eq!(classify(b"GE"), NeedMore);
    }

    #[test]
    fn the_h2_preface_counts_when_it_is_whole() {
        assert_eq!(H2_PREFACE.len(), 24);
        assert_eq!(classify(H2_PREFACE), Http);
        assert_eq!(classify(b"PRI "), NeedMore);
        assert_eq!(classify(b"PRI * HTTP/2.0\r\n"), NeedMore);
        assert_eq!(classify(b"PRI /"), Other);
        assert_eq!(classify(b"PRI * HTTP/1.1\r\n"), Other);
        assert_eq!(classify(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r "), Other);
    }

    #[test]
    fn a_client_hello_is_tls() {
        assert_eq!(classify(HELLO), Tls);
        assert_eq!(classify(LONGEST_HELLO), Tls);
        assert_eq!(classify(&[22, 3, 0, 0, 1, 1]), Tls);
        assert_eq!(classify(&HELLO[..5]), NeedMore);
    }

    #[test]
    fn what_only_begins_like_a_client_hello_is_not() {
        for (miss, why) in [
            (&[22, 2][..], "major version"),
            (&[22, 3, 5], "minor version"),
            (&[22, 3, 1, 0x41], "too long, by the high byte alone"),
            (&[22, 3, 1, 0x40, 1], "too long by one"),
            (&[22, 3, 1, 0, 0], "empty"),
            (&[22, 3, 1, 2, 0, 2], "a ServerHello"),
        ] {
            assert_eq!(classify(miss), Other, "{why}");
            assert_eq!(classify(&miss[..miss.len() - 1]), NeedMore, "{why}");
        }
    }

    #[test]
    fn other_protocols_are_other_on_their_first_byte() {
        for byte in [0x00, 0x03, 0x05, 0x14, 0x15, 0x80, 0xff] {
            assert_eq!(classify(&[byte]), Other, "{byte:#04x}");
        }
        assert_eq!(classify(b"SSH-2.0-OpenSSH_9.9\r\n"), Other);
        assert_eq!(classify(b"S"), Other);
    }

    #[test]
    fn nothing_yet_is_undecided() {
        assert_eq!(classify(b""), NeedMore);
    }

    #[test]
    fn longest_undecided_is_reached() {
        assert_eq!(classify(&H2_PREFACE[..LONGEST_UNDECIDED]), NeedMore);
    }

    /// Accepted starts, cut short anywhere, with or without one wrong byte and a tail.
    fn near_misses() -> impl Strategy<Value = Vec<u8>> {
        let starts: Vec<_> = HTTP_STARTS.into_iter().chain([HELLO, LONGEST_HELLO]).collect();
        let start = prop::sample::select(starts);
        let wrong = prop::option::of((any::<prop::sample::Index>(), any::<u8>()));
        (start, any::<prop::sample::Index>(), wrong, any::<Vec<u8>>()).prop_map(|(start, cut, wrong, tail)| {
            let mut bytes = start[..cut.index(start.len() + 1)].to_vec();
            if let (Some((place, byte)), false) = (wrong, bytes.is_empty()) {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            bytes.extend(tail);
            bytes
        })
    }

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![1 => any::<Vec<u8>>(), 3 => near_misses()]
    }

    fn client_hellos() -> impl Strategy<Value = Vec<u8>> {
        (0..=4u8, 1..=LONGEST_RECORD).prop_map(|(minor, length)| {
            let [high, low] = length.to_be_bytes();
            vec![22, 3, minor, high, low, 1]
        })
    }

    proptest! {
        #[test]
        fn a_verdict_never_changes(bytes in bytes()) {
            let verdicts: Vec<_> = (0..=bytes.len()).map(|cut| classify(&bytes[..cut])).collect();
            for pair in verdicts.windows(2) {
                prop_assert!(pair[0] == NeedMore || pair[0] == pair[1], "{verdicts:?}");
            }
        }

        #[test]
        fn undecided_bytes_can_still_become_tls_or_http(bytes in bytes()) {
            if classify(&bytes) == NeedMore {
                let starts = HTTP_STARTS.into_iter().chain([HELLO, LONGEST_HELLO]);
                let mut grown = starts.filter(|start| start.len() > bytes.len())
                    .map(|start| classify(&[&bytes[..], &start[bytes.len()..]].concat()));
                prop_assert!(grown.any(|class| matches!(class, Tls | Http)));
            }
        }

        #[test]
        fn no_more_than_the_longest_undecided_is_undecided(bytes in bytes()) {
            prop_assert!(classify(&bytes) != NeedMore || bytes.len() <= LONGEST_UNDECIDED);
        }

        #[test]
        fn http_is_undecided_up_to_its_last_byte(
            start in prop::sample::select(&HTTP_STARTS[..]), tail in any::<Vec<u8>>(),
        ) {
            for cut in 0..start.len() {
                prop_assert_eq!(classify(&start[..cut]), NeedMore);
            }
            prop_assert_eq!(classify(&[start, &tail].concat()), Http);
        }

        #[test]
        fn tls_is_undecided_up_to_its_sixth_byte(
            hello in client_hellos(), tail in any::<Vec<u8>>(),
        ) {
            for cut in 0..hello.len() {
                prop_assert_eq!(classify(&hello[..cut]), NeedMore);
            }
            prop_assert_eq!(classify(&[hello, tail].concat()), Tls);
        }
    }
}
