use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn tcp(client: &str, server: &str) -> Proxied {
    Proxied::Tcp { client: client.parse().unwrap(), server: server.parse().unwrap() }
}

/// A header of version 2: what its 13th and 14th byte are, and what is behind its length.
fn binary(version_and_command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let mut header = V2_START.to_vec();
    header.extend([version_and_command, family]);
    header.extend((rest.len() as u16).to_be_bytes());
    header.extend(rest);
    header
}

const INET_BLOCK: [u8; 12] = [203, 0, 113, 7, 192, 0, 2, 1, 0x12, 0x34, 1, 0xbb];

/// With a TLV of a checksum, which is right, behind other ones.
fn with_checksum() -> Vec<u8> {
    let tlvs: &[u8] = &[2, 0, 4, b'n', b'a', b'm', b'e', 4, 0, 0, TLV_CRC32C, 0, 4, 0, 0, 0, 0, 0xee, 0, 1, 9];
    let mut header = binary(0x21, 0x11, &[&INET_BLOCK[..], tlvs].concat());
    let sum = crc32c::crc32c([&header]).to_be_bytes();
    let at = header.len() - 8;
    header[at..at + 4].copy_from_slice(&sum);
    header
}

#[test]
fn lines_say_who_is_connected_to_whom() {
    let known = tcp("203.0.113.7:4660", "192.0.2.1:443");
    let known6 = tcp("[2001:db8::7]:4660", "[2001:db8::1]:443");
    for (line, said) in [
        ("PROXY TCP4 203.0.113.7 192.0.2.1 4660 443", known),
        ("PROXY TCP6 2001:db8::7 2001:0DB8:0:0::1 4660 443", known6),
        ("PROXY TCP4 0.0.0.0 255.255.255.255 0 65535", tcp("0.0.0.0:0", "255.255.255.255:65535")),
        ("PROXY UNKNOWN", Proxied::Nothing),
        ("PROXY UNKNOWN ffff::1 ffff::2 65535 65535", Proxied::Nothing),
        ("PROXY UNKNOWN what\u{e4}ver", Proxied::Nothing),
    ] {
        let bytes = format!("{line}\r\nGET /");
        assert_eq!(parse(bytes.as_bytes()), Ok(Parsed::Complete { said, len: line.len() + 2 }), "{line}");
    }
}

#[test]
fn the_longest_line_is_taken_and_a_longer_one_is_not() {
    let ip = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    let longest = format!("PROXY UNKNOWN {ip} {ip} 65535 65535\r\n");
    assert_eq!(longest.len(), limits::PROXY_V1_HEADER);
    assert_eq!(parse(longest.as_bytes()), Ok(Parsed::Complete { said: Proxied::Nothing, len: 107 }));
    let longer = longest.replace("\r\n", "6\r\n");
    assert_eq!(parse(&longer.as_bytes()[..106]), Ok(Parsed::Partial));
    assert_eq!(parse(&longer.as_bytes()[..107]), Err(HeaderError::LineTooLong), "its CR is there, its LF is too late");
    assert_eq!(parse(&[b"PROXY ", &[b' '; 200][..]].concat()), Err(HeaderError::LineTooLong));
}

#[test]
fn other_lines_are_refused() {
    for line in [
        "PROXY ",
        "PROXY TCP4",
        "PROXY TCP5 1.2.3.4 1.2.3.4 1 2",
        "PROXY tcp4 1.2.3.4 1.2.3.4 1 2",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 ",
        "PROXY TCP4  1.2.3.4 1.2.3.4 1 2",
        "PROXY TCP4 1.2.3.4 1.2.3.4 01 2",
        "PROXY TCP4 1.2.3.4 1.2.3.4 +1 2",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 65536",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 ",
        "PROXY TCP4 1.2.3.04 1.2.3.4 1 2",
        "PROXY TCP4 1.2.3 1.2.3.4 1 2",
        "PROXY TCP4 ::1 ::1 1 2",
        "PROXY TCP6 1.2.3.4 1.2.3.4 1 2",
        "PROXY TCP6 fe80::1%eth0 ::1 1 2",
        "PROXY UNKNOWNS",
        "PROXY TCP4 1.2.3.4\t1.2.3.4 1 2",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\r",
    ] {
        assert_eq!(parse(format!("{line}\r\n").as_bytes()), Err(HeaderError::Line), "{line}");
    }
    assert_eq!(parse(b"PROXY UNKNOWN\n"), Err(HeaderError::Line));
    assert_eq!(parse(b"PROXY UNKNOWN\rx"), Err(HeaderError::Line));
    for bytes in ["GET / HTTP/1.1\r\n", "SSH-2.0-x", "PROXYS", "proxy TCP4", "\r\n\r\nGET", "\0"] {
        assert_eq!(parse(bytes.as_bytes()), Err(HeaderError::Missing), "{bytes}");
    }
}

#[test]
fn binary_headers_say_it_too() {
    let inet6 = [&Ipv6Addr::LOCALHOST.octets()[..], &Ipv6Addr::UNSPECIFIED.octets(), &[0, 1, 0, 2]].concat();
    let known = tcp("203.0.113.7:4660", "192.0.2.1:443");
    for (name, header, said) in [
        ("TCP over IPv4", binary(0x21, 0x11, &INET_BLOCK), known),
        ("TCP over IPv6", binary(0x21, 0x21, &inet6), tcp("[::1]:1", "[::]:2")),
        ("unix", binary(0x21, 0x31, &[0; 216]), Proxied::Unix),
        ("UDP", binary(0x21, 0x12, &INET_BLOCK), Proxied::Nothing),
        ("unix datagrams", binary(0x21, 0x32, &[0; 216]), Proxied::Nothing),
        ("UNSPEC", binary(0x21, 0, b""), Proxied::Nothing),
        ("UNSPEC with something", binary(0x21, 0, b"what ever"), Proxied::Nothing),
        ("LOCAL", binary(0x20, 0, b""), Proxied::Nothing),
        ("LOCAL, the rest of which is ignored", binary(0x20, 0xff, b"what ever"), Proxied::Nothing),
        ("LOCAL with addresses", binary(0x20, 0x11, &INET_BLOCK), Proxied::Nothing),
        ("TLVs", binary(0x21, 0x11, &[&INET_BLOCK[..], &[0xe0, 0, 2, 1, 2, 5, 0, 0]].concat()), known),
        ("checksum", with_checksum(), known),
    ] {
        let len = header.len();
        assert_eq!(parse(&[&header[..], b"SSH-"].concat()), Ok(Parsed::Complete { said, len }), "{name}");
    }
}

#[test]
fn other_binary_headers_are_refused() {
    let inet = |rest: &[u8]| binary(0x21, 0x11, &[&INET_BLOCK[..], rest].concat());
    let mut wrong = with_checksum();
    wrong[17] ^= 1;
    let twice = [&INET_BLOCK[..], &[TLV_CRC32C, 0, 0, 0, 0]].concat();
    for (name, header, error) in [
        ("version 1", binary(0x11, 0x11, &INET_BLOCK), HeaderError::Version(1)),
        ("version 3", binary(0x31, 0x11, &INET_BLOCK), HeaderError::Version(3)),
        ("command 2", binary(0x22, 0x11, &INET_BLOCK), HeaderError::Command(2)),
        ("family 4", binary(0x21, 0x41, &INET_BLOCK), HeaderError::Family(0x41)),
        ("transport 3", binary(0x21, 0x13, &INET_BLOCK), HeaderError::Family(0x13)),
        ("short for IPv4", binary(0x21, 0x11, &INET_BLOCK[..11]), HeaderError::Addresses),
        ("short for IPv6", binary(0x21, 0x21, &INET_BLOCK), HeaderError::Addresses),
        ("short for unix", binary(0x21, 0x31, &[0; 215]), HeaderError::Addresses),
        ("half a TLV", inet(&[1, 0]), HeaderError::Tlvs),
        ("a TLV beyond the end", inet(&[1, 0, 2, 7]), HeaderError::Tlvs),
        ("a checksum of no bytes", binary(0x21, 0x11, &twice), HeaderError::Tlvs),
        ("a wrong checksum", wrong, HeaderError::Checksum),
        ("more than the limit", binary(0x21, 0x11, &vec![0; limits::PROXY_V2_HEADER - 15]), {
            HeaderError::TooLong { len: limits::PROXY_V2_HEADER + 1 }
        }),
        ("a long LOCAL", binary(0x20, 0, &[0; 0xffff]), HeaderError::TooLong { len: 16 + 0xffff }),
    ] {
        assert_eq!(parse(&header), Err(error), "{name}");
    }
    let two = [&with_checksum()[16..], &[TLV_CRC32C, 0, 4, 0, 0, 0, 0]].concat();
    assert!(matches!(parse(&binary(0x21, 0x11, &two)), Err(HeaderError::Checksum | HeaderError::Tlvs)));
}

#[test]
fn the_length_is_judged_before_the_rest_has_come() {
    let long = binary(0x21, 0x11, &[0; 0xffff]);
    assert_eq!(parse(&long[..16]), Err(HeaderError::TooLong { len: 16 + 0xffff }));
    assert_eq!(parse(&long[..15]), Ok(Parsed::Partial));
    let longest = binary(0x20, 0, &vec![0; limits::PROXY_V2_HEADER - 16]);
    assert_eq!(parse(&longest), Ok(Parsed::Complete { said: Proxied::Nothing, len: limits::PROXY_V2_HEADER }));
}

#[test]
fn what_is_written_is_what_the_specification_shows() {
    let said = tcp("203.0.113.7:4660", "192.0.2.1:443");
    assert_eq!(ProxyProtocol::V1.header(&said), b"PROXY TCP4 203.0.113.7 192.0.2.1 4660 443\r\n");
    assert_eq!(ProxyProtocol::V2.header(&said), binary(0x21, 0x11, &INET_BLOCK));
    let mixed = tcp("203.0.113.7:1", "[::1]:2");
    assert_eq!(ProxyProtocol::V1.header(&mixed), b"PROXY TCP6 ::ffff:203.0.113.7 ::1 1 2\r\n");
    for nothing in [Proxied::Nothing, Proxied::Unix] {
        assert_eq!(ProxyProtocol::V1.header(&nothing), b"PROXY UNKNOWN\r\n");
        assert_eq!(ProxyProtocol::V2.header(&nothing), binary(0x20, 0, b""));
    }
}

fn any_address() -> impl Strategy<Value = (SocketAddr, SocketAddr)> {
    prop_oneof![
        any::<([u8; 4], [u8; 4], u16, u16)>()
            .prop_map(|(a, b, p, q)| ((Ipv4Addr::from(a), p).into(), (Ipv4Addr::from(b), q).into())),
        any::<([u8; 16], [u8; 16], u16, u16)>()
            .prop_map(|(a, b, p, q)| ((Ipv6Addr::from(a), p).into(), (Ipv6Addr::from(b), q).into())),
    ]
}

/// Bytes that are headers more often than chance would make them.
fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    let line =
        vec(prop_oneof![Just("TCP4"), Just("TCP6"), Just("UNKNOWN"), Just("1.2.3.4"), Just("::1"), Just("80")], 0..7)
            .prop_map(|words| format!("PROXY {}\r\n", words.join(" ")).into_bytes());
    let command = prop_oneof![Just(0x20), Just(0x21), any::<u8>()];
    let family = prop_oneof![Just(0x11), Just(0x21), Just(0x31), any::<u8>()];
    let tlv = (prop_oneof![Just(TLV_CRC32C), any::<u8>()], vec(any::<u8>(), 0..8)).prop_map(|(kind, value)| {
        let mut tlv = vec![kind, 0, value.len() as u8];
        tlv.extend(value);
        tlv
    });
    let binary = (command, family, vec(any::<u8>(), 0..40), vec(tlv, 0..4))
        .prop_map(|(command, family, block, tlvs)| binary(command, family, &[block, tlvs.concat()].concat()));
    let whole = prop_oneof![vec(any::<u8>(), 0..200), line, binary, Just(with_checksum())];
    (whole, vec(any::<u8>(), 0..8)).prop_map(|(whole, behind)| [whole, behind].concat())
}

proptest! {
    #[test]
    fn a_written_header_is_read_back(
        (client, server) in any_address(),
        behind in vec(any::<u8>(), 0..40),
        version in prop_oneof![Just(ProxyProtocol::V1), Just(ProxyProtocol::V2)],
    ) {
        let said = Proxied::Tcp { client, server };
        let header = version.header(&said);
        let len = header.len();
        prop_assert_eq!(parse(&[&header[..], &behind].concat()), Ok(Parsed::Complete { said, len }));
        for cut in 0..len {
            prop_assert_eq!(parse(&header[..cut]), Ok(Parsed::Partial));
        }
    }

    #[test]
    fn once_said_it_stays_said_however_the_bytes_are_cut(bytes in any_bytes()) {
        let whole = parse(&bytes);
        let verdicts: Vec<_> = (0..=bytes.len()).map(|cut| parse(&bytes[..cut])).collect();
        let decided = verdicts.iter().position(|verdict| *verdict != Ok(Parsed::Partial)).unwrap_or(bytes.len());
        for verdict in &verdicts[decided..] {
            prop_assert_eq!(verdict, &whole);
        }
        if let Ok(Parsed::Complete { len, .. }) = whole {
            prop_assert_eq!(decided, len, "neither sooner nor later than at its last byte");
        }
    }

    #[test]
    fn one_wrong_byte_is_found_by_the_checksum(at in 16_usize..28, flip in 1_u8..) {
        let mut header = with_checksum();
        header[at] ^= flip;
        prop_assert_eq!(parse(&header), Err(HeaderError::Checksum));
    }
}
