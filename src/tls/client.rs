//! TLS of our own connections to servers.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::server::{identity, identity_error, roots};
use super::{Pem, TlsError, TlsSettings, provider};

/// What client connections with TLS need to know (the `client-ssl-*` keys).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsClientInfo {
    /// Who may have signed the server's certificate.
    pub roots: Roots,
    /// The name the certificate has to be for, and that SNI carries; the target's host unless told.
    pub server_name: Option<String>,
    /// ALPN protocols to offer.
    pub alpn: Vec<String>,
    /// A certificate of our own and its key, for servers that ask.
    pub identity: Option<(Pem, Pem)>,
    /// Versions, cipher suites and groups.
    pub settings: TlsSettings,
    /// Take any certificate from anybody (`LCCSCF_ALLOW_SELFSIGNED` and its kin, all of them). Whoever is on the path can then
    /// read and change everything; a warning says so when it is used, once a second at most.
    pub insecure: bool,
}

impl TlsClientInfo {
    /// Everything in PEM form that it is made from.
    pub fn pems_mut(&mut self) -> impl Iterator<Item = &mut Pem> {
        let ca = match &mut self.roots {
            Roots::System => None,
            Roots::Only(ca) => Some(ca),
        };
        self.identity.iter_mut().flat_map(|(cert, key)| [cert, key]).chain(ca)
    }
}

/// Who may have signed a server's certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Roots {
    /// Whom the system trusts.
    #[default]
    System,
    /// These alone.
    Only(Pem),
}

/// Client TLS, ready for any number of connections. Clones share it, and its session cache.
#[derive(Clone)]
pub struct TlsClient {
    pub(crate) config: Arc<ClientConfig>,
    info: Arc<TlsClientInfo>,
}

impl TlsClient {
    /// Loads and checks what `info` names.
    ///
    /// # Errors
    /// [`TlsError`], for files that cannot be used and settings that are not known.
    pub fn new(info: &TlsClientInfo) -> Result<TlsClient, TlsError> {
        let provider = provider(&info.settings)?;
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&info.settings.versions()?)
            .map_err(TlsError::settings)?;
        let builder = if info.insecure {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(TrustAnybody { provider: provider.clone() }))
        } else {
            builder.with_root_certificates(match &info.roots {
                Roots::System => system_roots()?,
                Roots::Only(ca) => roots(ca)?,
            })
        };
        let mut config = match &info.identity {
            None => builder.with_no_client_auth(),
            Some((cert, key)) => {
                let (chain, der) = identity(cert, key, &provider)?;
                builder.with_client_auth_cert(chain, der).map_err(|error| identity_error(cert, key, error))?
            }
        };
        if let Some(name) = info.alpn.iter().find(|name| name.is_empty() || name.len() > 255) {
            return Err(TlsError::Settings(format!("alpn {name:?}: a name has 1 to 255 bytes")));
        }
        config.alpn_protocols = info.alpn.iter().map(|name| name.clone().into_bytes()).collect();
        if let Some(name) = &info.server_name {
            ServerName::try_from(name.as_str()).map_err(|error| TlsError::Settings(format!("{name}: {error}")))?;
        }
        Ok(TlsClient { config: Arc::new(config), info: Arc::new(info.clone()) })
    }

    /// What it was made of, for another one that differs a little.
    pub fn info(&self) -> &TlsClientInfo {
        &self.info
    }
}

impl fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TlsClient({:?})", self.info.server_name)
    }
}

impl PartialEq for TlsClient {
    /// The same one, or a clone of it.
    fn eq(&self, other: &TlsClient) -> bool {
        Arc::ptr_eq(&self.config, &other.config)
    }
}

impl Eq for TlsClient {}

fn system_roots() -> Result<RootCertStore, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        log::warn!("a certificate that the system trusts cannot be read: {error}");
    }
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        return Err(TlsError::Missing { from: "the system's store".to_owned(), what: "trusted certificate" });
    }
    Ok(roots)
}

/// Takes any certificate; only that the peer has its key is still checked.
#[derive(Debug)]
struct TrustAnybody {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for TrustAnybody {
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
        verify_tls12_signature(message, cert, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
