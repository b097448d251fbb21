//! Any bytes as the start of a connection of a balancer: a header, no header, or not all of one; and never another verdict for more of
//! them.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rlws::limits;
use rlws::proxy_header::{Parsed, Proxied, ProxyProtocol, parse};

fuzz_target!(|bytes: &[u8]| {
    let whole = parse(bytes);
    match whole {
        Ok(Parsed::Partial) => assert!(bytes.len() < limits::PROXY_V2_HEADER),
        Ok(Parsed::Complete { said, len }) => {
            assert!(len <= bytes.len() && len <= limits::PROXY_V2_HEADER);
            assert_eq!(parse(&bytes[..len]), whole);
            assert_eq!(parse(&bytes[..len - 1]), Ok(Parsed::Partial));
            if let Proxied::Tcp { client, server } = said {
                for version in [ProxyProtocol::V1, ProxyProtocol::V2] {
                    let header = version.header(&said);
                    let again = Parsed::Complete { said: Proxied::Tcp { client, server }, len: header.len() };
                    assert_eq!(parse(&header), Ok(again));
                }
            }
        }
        Err(_) => {
            let cut = bytes.len() / 2;
            assert!(!matches!(parse(&bytes[..cut]), Ok(Parsed::Complete { .. })));
            let longer = [bytes, b"\r\n"].concat();
            assert_eq!(parse(&longer), whole);
        }
    }
});
