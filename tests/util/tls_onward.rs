//! A server that speaks TLS, to be connected to: rustls over a blocking socket.

use std::io::{Read, Write};
use std::sync::{Arc, Mutex};

use rustls::pki_types::CertificateDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, Stream, StreamOwned};

use super::certs::{self, Ca, Identity};
use super::{Onward, eventually, tls};

/// Echoes until the end, and notes whom it met.
pub struct TlsOnward {
    pub onward: Onward,
    met: Arc<Mutex<Vec<Met>>>,
}

/// A connection that is over.
#[derive(Debug, Clone, Default)]
pub struct Met {
    /// The handshake's failure.
    pub failed: Option<String>,
    pub sni: Option<String>,
    pub alpn: Option<String>,
    pub cert: Option<CertificateDer<'static>>,
    pub bytes: Vec<u8>,
    /// It ended with close_notify.
    pub orderly: bool,
}

impl TlsOnward {
    pub fn echo(identity: &Identity) -> TlsOnward {
        TlsOnward::start(identity, None, &[], false)
    }

    /// Asks for a certificate that `clients` has signed where given; `late`: says everything after the client's end.
    pub fn start(identity: &Identity, clients: Option<&Ca>, alpn: &[&str], late: bool) -> TlsOnward {
        let config = config(identity, clients, alpn);
        let met = Arc::new(Mutex::new(Vec::new()));
        let onward = Onward::serve({
            let met = met.clone();
            move |socket, _| {
                let conn = ServerConnection::new(config.clone()).expect("a server");
                let stream = StreamOwned::new(conn, socket.try_clone().expect("dup"));
                let one = serve(stream, late);
                met.lock().expect("no panic").push(one);
            }
        });
        TlsOnward { onward, met }
    }

    /// Waits for the end of the connection with this number, counted from 0 in order of their ends.
    #[track_caller]
    pub fn met(&self, number: usize) -> Met {
        eventually(&format!("the end of connection {number}"), || self.met.lock().expect("no panic").len() > number);
        self.met.lock().expect("no panic")[number].clone()
    }
}

/// What such a server is willing to do; it asks for a certificate that `clients` has signed where given.
pub fn config(identity: &Identity, clients: Option<&Ca>, alpn: &[&str]) -> Arc<ServerConfig> {
    let provider = Arc::new(tls::backend::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(rustls::DEFAULT_VERSIONS)
        .expect("versions that the provider has");
    let builder = match clients {
        Some(ca) => {
            let mut roots = RootCertStore::empty();
            roots.add(ca.der()).expect("a CA");
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build();
            builder.with_client_cert_verifier(verifier.expect("a CA"))
        }
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(identity.chain(), identity.private_key()).expect("a pair");
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    Arc::new(config)
}

/// Says `bytes` over TLS and hangs up without close_notify.
pub fn cut_off_after(bytes: Vec<u8>, version: &'static rustls::SupportedProtocolVersion) -> Onward {
    let config = ServerConfig::builder_with_provider(tls::backend::default_provider().into())
        .with_protocol_versions(&[version])
        .expect("a version that the provider has")
        .with_no_client_auth()
        .with_single_cert(certs::localhost().chain(), certs::localhost().private_key())
        .expect("a pair");
    Onward::serve(move |socket, _| {
        let mut conn = ServerConnection::new(Arc::new(config.clone())).expect("a server");
        Stream::new(&mut conn, socket).write_all(&bytes).expect("the relay takes it all");
        while conn.wants_write() {
            conn.write_tls(socket).expect("the relay takes it all");
        }
    })
}

fn serve(mut stream: StreamOwned<ServerConnection, std::net::TcpStream>, late: bool) -> Met {
    let mut met = Met::default();
    while stream.conn.is_handshaking() {
        if let Err(error) = stream.conn.complete_io(&mut stream.sock) {
            met.failed = Some(error.to_string());
            return met;
        }
    }
    met.sni = stream.conn.server_name().map(str::to_owned);
    met.alpn = stream.conn.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned());
    met.cert = stream.conn.peer_certificates().map(|chain| chain[0].clone().into_owned());
    let mut chunk = vec![0; 64 * 1024];
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => break met.orderly = true,
            Ok(count) => {
                met.bytes.extend_from_slice(&chunk[..count]);
                if !late && stream.write_all(&chunk[..count]).is_err() {
                    return met;
                }
            }
            Err(_) => return met,
        }
    }
    if late {
        let _ = stream.write_all(&met.bytes);
    }
    stream.conn.send_close_notify();
    let _ = stream.flush();
    met
}
