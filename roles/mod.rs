//! What a connection can be doing. Each role is found by its name; none knows another one's inside, and none knows a protocol.

mod connect;
mod drain;
mod first_packet;
mod http;
mod listen;
mod proxy_header;
mod raw;
mod raw_proxy;
mod tls;
mod ws;

use crate::role::RoleOps;

/// The roles of the house.
pub(crate) static ALL: &[&dyn RoleOps] = &[
    &listen::Listen,
    &proxy_header::ProxyHeader,
    &first_packet::FirstPacket,
    &tls::Tls,
    &http::Http,
    &http::HttpRedirect,
    &raw::RawSkt,
    &raw::RawFile,
    &raw::RawUdp,
    &raw_proxy::RawProxy,
    &ws::Ws,
    &connect::Connect,
    &drain::Drain,
];
