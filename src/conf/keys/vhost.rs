//! The keys of `vhosts[]`.

use super::KeyKind::{Any, Bool, Flags, Millis, Names, Number, Objects, Pairs, Path, Port, Protocols, Seconds, Text};
use super::Status::{Done, NotYet, Program};
use super::{Key, Section, key};

const fn v(name: &'static str) -> (Section, &'static str) {
    (Section::Vhost, name)
}

#[rustfmt::skip]
pub(super) const KEYS: &[Key] = &[
    // Names and listening.
    key(v("name"), Text, Done, ("default", r#""example.com""#), "the name that SNI and `Host:` choose it by, and all below it that have no vhost"),
    key(v("port"), Port, Done, ("required, but with `unix-socket`", r#""443""#), "0: any free one; -1: none, a vhost that does not listen"),
    key(v("interface"), Text, Done, ("all", r#""eth0""#), "an interface's name or an address; the path with `unix-socket`, abstract with `@` in front"),
    key(v("unix-socket"), Bool, Done, ("off", r#""0""#), "listen on the unix socket that `interface` names"),
    key(v("unix-socket-perms"), Text, Done, ("by umask", r#""0660""#), "its mode bits; or `USER:GROUP`, which own it then, with 0660"),
    key(v("noipv6"), Bool, Done, ("off", r#""on""#), "listen on IPv4 alone"),
    key(v("ipv6only"), Bool, Done, ("off", r#""on""#), "keep IPv4 clients off an IPv6 listen socket"),
    key(v("fo-listen-queue"), Number { min: 0, max: 65535 }, Done, ("0: off", r#""5""#), "connections that may wait with TCP fast open; the system has to allow it too (`net.ipv4.tcp_fastopen`)"),
    // What first packets become.
    key(v("listen-accept-role"), Text, Done, ("raw-skt", r#""raw-skt""#), "role of what is not http"),
    key(v("listen-accept-protocol"), Text, Done, ("the one with a pvo `raw`, else `default`, else the first", r#""raw-echo""#), "protocol of what is not http"),
    key(v("apply-listen-accept"), Bool, Done, ("off", r#""1""#), "all connections are for that role and protocol; nothing is looked at"),
    key(v("onlyraw"), Bool, Done, ("off", r#""1""#), "the older name of `apply-listen-accept`"),
    key(v("fallback-listen-accept"), Bool, Done, ("off", r#""1""#), "what is not what the port speaks is for that role and protocol"),
    key(v("fallback-silence-ms"), Millis, Done, ("0: never", r#""3000""#), "with the fallback: who says nothing for so long falls back too (not in lws)"),
    key(v("proxy-protocol-from"), Text, Done, ("none", r#""10.0.0.0/8, ::1, unix""#), "peers whose connections begin with a PROXY header that names the client: addresses, networks, `unix` (not in lws)"),
    key(v("allow-non-tls"), Bool, Done, ("implied by the next two and the fallback", r#""1""#), "alone: drop what is not TLS quietly"),
    key(v("redirect-http"), Bool, Done, ("off", r#""1""#), "send plain http on a TLS port to https"),
    key(v("allow-http-on-https"), Bool, Done, ("off", r#""1""#), "serve plain http on a TLS port"),
    // TLS.
    key(v("host-ssl-cert"), Path, Done, ("none: plain", r#""/etc/ssl/my.crt""#), "certificate, and the intermediate ones behind it (PEM)"),
    key(v("host-ssl-key"), Path, Done, ("none: plain", r#""/etc/ssl/my.key""#), "its private key (PEM)"),
    key(v("host-ssl-ca"), Path, Done, ("none", r#""/etc/ssl/ca.crt""#), "certificates above the vhost's (PEM), to complete its chain with; with `client-cert-required` those who may have signed clients' ones"),
    key(v("client-cert-required"), Bool, Done, ("off", r#""1""#), "turn clients away that show no certificate"),
    key(v("client-cert-crl"), Path, Done, ("none", r#""/etc/ssl/ca.crl""#), "certificate revocation lists of the CAs in `host-ssl-ca` and below (PEM), to turn clients away whose certificate is in one; with `client-cert-required` (not in lws)"),
    key(v("ignore-missing-cert"), Bool, Done, ("off", r#""1""#), "where a file is missing, go on without listening, instead of not at all"),
    key(v("ciphers"), Names, Done, ("all that are good", r#""ECDHE-RSA-AES128-GCM-SHA256""#), "cipher suites of TLS 1.2, best first; OpenSSL's names"),
    key(v("tls13-ciphers"), Names, Done, ("all", r#""TLS_AES_128_GCM_SHA256""#), "cipher suites of TLS 1.3, best first"),
    key(v("ecdh-curve"), Names, Done, ("all that are good", r#""prime256v1""#), "groups for the key exchange, best first"),
    key(v("ssl-option-set"), Flags, Done, ("0", r#""134217728""#), "OpenSSL's option bits: `SSL_OP_NO_TLSv1_2` and `_3` count; may be repeated"),
    key(v("ssl-option-clear"), Flags, Done, ("0", r#""134217728""#), "bits to take away from those; may be repeated"),
    key(v("alpn"), Names, Done, ("`default-alpn`", r#""http/1.1""#), "protocols to agree on in the handshake, best first"),
    // http.
    key(v("mounts"), Objects, Done, ("none", r#"[{"mountpoint": "/", "origin": "file:///srv/www"}]"#), "what is served where"),
    key(v("ws-protocols"), Protocols, Done, ("none", r#"[{"raw-echo": {"status": "ok"}}]"#), "the protocols it has, with their options; objects in objects are options of options"),
    key(v("keepalive_timeout"), Seconds, Done, ("5", r#""60""#), "how long a connection may idle between requests"),
    key(v("max-body"), Number { min: 0, max: u64::MAX }, Done, ("1048576", r#""67108864""#), "bytes of a request's body, 0 for no limit (not in lws's files)"),
    key(v("error-document-404"), Text, Done, ("a short text", r#""/404.html""#), "URL path of the page for what is not there"),
    key(v("headers"), Pairs, Done, ("none", r#"[{"x-frame-options": "DENY"}]"#), "headers to send with every answer"),
    key(v("sts"), Bool, Done, ("off", r#""on""#), "send `Strict-Transport-Security`"),
    key(v("access-log"), Path, Program, ("none", r#""/var/log/lwsws/access""#), "file for a line per request"),
    key(v("strict-host-check"), Bool, Done, ("off", r#""1""#), "upgrades need the `Host:` of the vhost"),
    key(v("disable-no-protocol-ws-upgrades"), Bool, Done, ("off", r#""1""#), "WebSocket upgrades have to name a subprotocol"),
    key(v("h2-half-closed-long-poll"), Bool, NotYet, ("off", r#""1""#), "half-closed HTTP/2 streams may live on"),
    // Connections of our own.
    key(v("enable-client-ssl"), Bool, Done, ("off", r#""1""#), "TLS for connections that the vhost makes, as the next eight say: `onward-tls` of `raw-proxy` is"),
    key(v("client-ssl-cert"), Path, Done, ("none", r#""/etc/ssl/me.crt""#), "certificate to show servers"),
    key(v("client-ssl-key"), Path, Done, ("none", r#""/etc/ssl/me.key""#), "its private key"),
    key(v("client-ssl-ca"), Path, Done, ("the system's", r#""/etc/ssl/servers.crt""#), "who may have signed servers' certificates"),
    key(v("client-ssl-ciphers"), Names, Done, ("all that are good", r#""ECDHE-RSA-AES128-GCM-SHA256""#), "as `ciphers`"),
    key(v("client-tls13-ciphers"), Names, Done, ("all", r#""TLS_AES_128_GCM_SHA256""#), "as `tls13-ciphers`"),
    key(v("client-ecdh-curve"), Names, Done, ("all that are good", r#""prime256v1""#), "as `ecdh-curve`"),
    key(v("ssl-client-option-set"), Flags, Done, ("0", r#""134217728""#), "as `ssl-option-set`"),
    key(v("ssl-client-option-clear"), Flags, Done, ("0", r#""134217728""#), "as `ssl-option-clear`"),
    // What else lws knows.
    key(v("quic-*"), Any, NotYet, ("", r#""1""#), "http/3"),
    key(v("dht"), Any, NotYet, ("none", r#"[{"port": "1"}]"#), "a distributed hash table"),
];
