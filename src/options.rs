//! The options of a vhost: lws's `LWS_SERVER_OPTION_*`, without the prefix.
//!
//! The first four say what becomes of a connection's first packet; the table in `first_packet`
//! reads them. They are decided before any name is known, so those of the **first** vhost of a
//! listen socket hold for the whole socket.

use bitflags::bitflags;

bitflags! {
    /// Switches of a vhost; none is set by default.
    ///
    /// Each is named with its key in a vhost's JSON and its name in lws.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
    pub struct Options: u32 {
        /// A connection whose first packet is not what the listener speaks is given to the
        /// vhost's listen-accept role and protocol, from its first byte on.
        ///
        /// JSON `fallback-listen-accept`,
        /// lws `LWS_SERVER_OPTION_FALLBACK_TO_APPLY_LISTEN_ACCEPT_CONFIG`.
        const FALLBACK_TO_APPLY_LISTEN_ACCEPT_CONFIG = 1 << 0;

        /// Plain http on a TLS listener is answered with a `301` to the same place under
        /// `https://`. Goes before serving it and before the fallback; what is not http still
        /// falls back.
        ///
        /// JSON `redirect-http`, lws `LWS_SERVER_OPTION_REDIRECT_HTTP_TO_HTTPS`.
        const REDIRECT_HTTP_TO_HTTPS = 1 << 1;

        /// Plain http on a TLS listener is served as it is, without TLS. Goes before the
        /// fallback; what is not http still falls back.
        ///
        /// JSON `allow-http-on-https`, lws `LWS_SERVER_OPTION_ALLOW_HTTP_ON_HTTPS_LISTENER`.
        const ALLOW_HTTP_ON_HTTPS_LISTENER = 1 << 2;

        /// Every connection is given to the vhost's listen-accept role and protocol when it is
        /// accepted, over TLS where the vhost has a certificate; nothing is looked at.
        ///
        /// JSON `apply-listen-accept` (older: `onlyraw`),
        /// lws `LWS_SERVER_OPTION_ADOPT_APPLY_LISTEN_ACCEPT_CONFIG`.
        const ADOPT_APPLY_LISTEN_ACCEPT_CONFIG = 1 << 3;

        /// Drop what is not TLS on a TLS listener quietly. Implied by the options that do more
        /// with it: see [`implies_allow_non_tls`](Self::implies_allow_non_tls).
        ///
        /// JSON `allow-non-tls`, lws `LWS_SERVER_OPTION_ALLOW_NON_SSL_ON_SSL_PORT`.
        const ALLOW_NON_SSL_ON_SSL_PORT = 1 << 4;

        /// Send the headers of lws's best practices with http replies: `content-security-policy`,
        /// `x-content-type-options`, `x-xss-protection`, `x-frame-options`, `referrer-policy`.
        ///
        /// JSON: no key, as in lws,
        /// lws `LWS_SERVER_OPTION_HTTP_HEADERS_SECURITY_BEST_PRACTICES_ENFORCE`.
        const HTTP_HEADERS_SECURITY_BEST_PRACTICES_ENFORCE = 1 << 5;

        /// Listen on IPv4 alone.
        ///
        /// JSON `noipv6`, lws `LWS_SERVER_OPTION_DISABLE_IPV6`.
        const DISABLE_IPV6 = 1 << 6;

        /// Keep IPv4 clients off an IPv6 listen socket, which takes both by default.
        ///
        /// JSON `ipv6only`, lws `LWS_SERVER_OPTION_IPV6_V6ONLY_MODIFY` together with
        /// `LWS_SERVER_OPTION_IPV6_V6ONLY_VALUE`.
        const IPV6_V6ONLY = 1 << 7;

        /// Send `Strict-Transport-Security` with http replies over TLS: for half a year, clients then
        /// come to this name and those below it by https alone. In plain http it means nothing (RFC
        /// 6797 section 7.2) and is left out.
        ///
        /// JSON `sts`, lws `LWS_SERVER_OPTION_STS`.
        const STS = 1 << 8;

        /// Refuse requests to go on in another protocol (`Upgrade:`) whose host is not the vhost's name, with a 403: a page of
        /// another name may have made a browser ask.
        ///
        /// JSON `strict-host-check`, lws `LWS_SERVER_OPTION_VHOST_UPG_STRICT_HOST_CHECK`.
        const VHOST_UPG_STRICT_HOST_CHECK = 1 << 9;

        /// Refuse WebSockets whose clients name no subprotocol, with a 403. Without this they get the vhost's default protocol.
        ///
        /// JSON `disable-no-protocol-ws-upgrades`, lws `LWS_SERVER_OPTION_VHOST_DISABLE_NO_PROTOCOL_WS_UPGRADES`.
        const VHOST_DISABLE_NO_PROTOCOL_WS_UPGRADES = 1 << 10;
    }
}

impl Options {
    /// What is decided before any name is known, and so by the first vhost of a socket.
    pub(crate) const DECIDED_BY_THE_FIRST: Options = Options::FALLBACK_TO_APPLY_LISTEN_ACCEPT_CONFIG
        .union(Options::REDIRECT_HTTP_TO_HTTPS)
        .union(Options::ALLOW_HTTP_ON_HTTPS_LISTENER)
        .union(Options::ADOPT_APPLY_LISTEN_ACCEPT_CONFIG);

    /// Whether one of these options does something with non-TLS connections on a TLS listener,
    /// and so implies `allow-non-tls`: the redirect, plain http, or the fallback.
    ///
    /// Turning `allow-non-tls` off beside one of them contradicts it.
    pub fn implies_allow_non_tls(self) -> bool {
        self.intersects(
            Self::REDIRECT_HTTP_TO_HTTPS
                | Self::ALLOW_HTTP_ON_HTTPS_LISTENER
                | Self::FALLBACK_TO_APPLY_LISTEN_ACCEPT_CONFIG,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_options_imply_allow_non_tls_and_no_other_does() {
        let implying: Vec<_> = Options::all()
            .iter_names()
            .filter(|(_, option)| option.implies_allow_non_tls())
            .map(|(name, _)| name)
            .collect();
        assert_eq!(
            implying,
            ["FALLBACK_TO_APPLY_LISTEN_ACCEPT_CONFIG", "REDIRECT_HTTP_TO_HTTPS", "ALLOW_HTTP_ON_HTTPS_LISTENER",]
        );
        assert!(Options::all().implies_allow_non_tls());
        assert!(!Options::empty().implies_allow_non_tls());
    }
}
