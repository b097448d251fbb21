//! A TLS client: rustls over a blocking socket, with its hello in hand where a test wants to cut it.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme, StreamOwned};

use super::certs::{Ca, Identity};
use super::net::{connect, shown};
use super::require;

/// An established connection. Reading says EOF after close_notify alone.
pub type TlsStream = StreamOwned<ClientConnection, TcpStream>;

#[cfg(feature = "aws-lc-rs")]
pub use rustls::crypto::aws_lc_rs as backend;
#[cfg(not(feature = "aws-lc-rs"))]
pub use rustls::crypto::ring as backend;

/// What a client is willing to do. `config()` turns it into rustls' form, once for all connections that are to share sessions.
#[derive(Default)]
pub struct Client<'a> {
    /// Whom it trusts; `None`: everybody.
    pub ca: Option<&'a Ca>,
    /// Its own certificate.
    pub identity: Option<&'a Identity>,
    pub alpn: &'a [&'a str],
    /// TLS 1.2 and no other.
    pub only_1_2: bool,
    /// Sends no SNI.
    pub nameless: bool,
    /// Cipher suites, instead of all.
    pub suites: &'a [rustls::CipherSuite],
    /// Whose key exchange group goes first, in rustls' spelling.
    pub group: Option<rustls::NamedGroup>,
}

impl Client<'_> {
    pub fn config(&self) -> Arc<ClientConfig> {
        let mut provider = backend::default_provider();
        if let Some(first) = self.group {
            provider.kx_groups.sort_by_key(|group| group.name() != first);
            assert_eq!(provider.kx_groups[0].name(), first, "this build does not have it");
        }
        if !self.suites.is_empty() {
            provider.cipher_suites.retain(|known| self.suites.contains(&known.suite()));
        }
        let provider = Arc::new(provider);
        let versions = if self.only_1_2 { &[&rustls::version::TLS12][..] } else { rustls::DEFAULT_VERSIONS };
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(versions)
            .expect("versions that the provider has");
        let builder = match self.ca {
            Some(ca) => {
                let mut roots = RootCertStore::empty();
                roots.add(ca.der()).expect("a CA");
                builder.with_root_certificates(roots)
            }
            None => builder.dangerous().with_custom_certificate_verifier(Arc::new(Trusting(provider))),
        };
        let mut config = match self.identity {
            Some(own) => builder.with_client_auth_cert(own.chain(), own.private_key()).expect("a pair"),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = self.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        config.enable_sni = !self.nameless;
        Arc::new(config)
    }

    /// A connection to `port` in the name of `name`.
    #[track_caller]
    pub fn connect(&self, port: u16, name: &str) -> TlsStream {
        handshake(&self.config(), port, name)
    }
}

/// Trusts everybody, speaks no ALPN, has no certificate.
pub fn trusting() -> Client<'static> {
    Client::default()
}

/// An established connection to `port`.
#[track_caller]
pub fn handshake(config: &Arc<ClientConfig>, port: u16, name: &str) -> TlsStream {
    try_handshake(config, connect(port), name).unwrap_or_else(|why| panic!("handshake as {name}: {why}"))
}

/// A handshake over a socket, or why it failed. With TLS 1.3 a server's refusal of the client's certificate comes later: see [`refusal`].
pub fn try_handshake(config: &Arc<ClientConfig>, mut socket: TcpStream, name: &str) -> Result<TlsStream, String> {
    let mut conn = begin(config, name);
    while conn.is_handshaking() {
        conn.complete_io(&mut socket).map_err(|error| error.to_string())?;
    }
    Ok(StreamOwned::new(conn, socket))
}

/// A session that has sent nothing yet.
pub fn begin(config: &Arc<ClientConfig>, name: &str) -> ClientConnection {
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    ClientConnection::new(config.clone(), name).expect("a client")
}

/// A session and its hello, which is not sent.
pub fn hello(config: &Arc<ClientConfig>, name: &str) -> (ClientConnection, Vec<u8>) {
    let mut conn = begin(config, name);
    let mut bytes = Vec::new();
    while conn.wants_write() {
        conn.write_tls(&mut bytes).expect("to memory");
    }
    (conn, bytes)
}

/// Goes on with a session whose hello has been sent.
#[track_caller]
pub fn go_on(mut conn: ClientConnection, mut socket: TcpStream) -> TlsStream {
    while conn.is_handshaking() {
        conn.complete_io(&mut socket).expect("handshake");
    }
    StreamOwned::new(conn, socket)
}

/// The alert that refuses the connection, during the handshake or after it.
#[track_caller]
pub fn refusal(config: &Arc<ClientConfig>, port: u16, name: &str) -> String {
    let mut stream = match try_handshake(config, connect(port), name) {
        Ok(stream) => stream,
        Err(why) => return why,
    };
    let mut byte = [0];
    match stream.read(&mut byte) {
        Ok(count) => panic!("not refused: {}", shown(&byte[..count])),
        Err(error) => error.to_string(),
    }
}

/// Says that no more will be sent (close_notify), and goes on reading.
#[track_caller]
pub fn say_goodbye(stream: &mut TlsStream) {
    stream.conn.send_close_notify();
    while stream.conn.wants_write() {
        stream.conn.write_tls(&mut stream.sock).expect("send");
    }
}

/// How an encrypted stream ended.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub enum Ending {
    /// By close_notify.
    Orderly,
    /// By a FIN or RST without one.
    CutOff,
}

/// All that comes until the end, in whichever way it comes.
#[track_caller]
pub fn read_until_the_end(stream: &mut impl Read) -> (Vec<u8>, Ending) {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => (bytes, Ending::Orderly),
        Err(error) if matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => {
            (bytes, Ending::CutOff)
        }
        Err(error) => panic!("{error} after {} bytes: {}", bytes.len(), shown(&bytes)),
    }
}

/// The certificate that the server showed.
#[track_caller]
pub fn shown_cert(stream: &TlsStream) -> CertificateDer<'static> {
    stream.conn.peer_certificates().expect("the handshake is done")[0].clone().into_owned()
}

/// Whether the session was taken up again instead of agreed on anew.
pub fn resumed(stream: &TlsStream) -> bool {
    stream.conn.handshake_kind() == Some(rustls::HandshakeKind::Resumed)
}

/// `openssl s_client` for `port`, which ends at the end of its stdin; further arguments are to be added.
pub fn s_client(port: u16) -> Command {
    let mut command = Command::new(require("openssl"));
    command.arg("s_client").arg("-connect").arg(format!("127.0.0.1:{port}"));
    command
}

#[derive(Debug)]
struct Trusting(Arc<CryptoProvider>);

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
