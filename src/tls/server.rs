//! The TLS side of a vhost.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, RootCertStore, ServerConfig};

use super::{Pem, TlsError, TlsSettings, backend, provider};

/// What makes a vhost speak TLS (`host-ssl-cert` and its kin; the `ssl` part of `struct lws_context_creation_info`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsInfo {
    /// The vhost's certificate, and the intermediate ones behind it (`host-ssl-cert`).
    pub cert: Pem,
    /// Its private key (`host-ssl-key`): PKCS#8, PKCS#1 or SEC1; RSA, ECDSA or Ed25519.
    pub key: Pem,
    /// Whether clients have to show a certificate.
    pub client_certs: ClientCerts,
    /// Versions, cipher suites and groups.
    pub settings: TlsSettings,
}

/// Whether clients have to show a certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientCerts {
    /// They are not asked.
    #[default]
    NotAsked,
    /// They are asked, and who has none is let in. One that is shown has to be good.
    Asked {
        /// Who may have signed them.
        ca: Pem,
    },
    /// Who has none is turned away (`client-cert-required`).
    Required {
        /// Who may have signed them.
        ca: Pem,
    },
}

impl TlsInfo {
    /// A certificate and its key; everything else by default.
    pub fn new(cert: Pem, key: Pem) -> TlsInfo {
        TlsInfo { cert, key, client_certs: ClientCerts::default(), settings: TlsSettings::default() }
    }

    /// Everything in PEM form that it is made from.
    pub fn pems_mut(&mut self) -> impl Iterator<Item = &mut Pem> {
        let ca = match &mut self.client_certs {
            ClientCerts::NotAsked => None,
            ClientCerts::Asked { ca } | ClientCerts::Required { ca } => Some(ca),
        };
        [&mut self.cert, &mut self.key].into_iter().chain(ca)
    }
}

/// A vhost's TLS, ready for handshakes.
pub(crate) struct ServerTls {
    pub(crate) config: Arc<ServerConfig>,
    pub(crate) requires_client_cert: bool,
}

impl ServerTls {
    pub(crate) fn new(info: &TlsInfo, alpn: Vec<Vec<u8>>) -> Result<ServerTls, TlsError> {
        let provider = provider(&info.settings)?;
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&info.settings.versions()?)
            .map_err(TlsError::settings)?;
        let verifier =
            |roots: RootCertStore| WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
        let builder = match &info.client_certs {
            ClientCerts::NotAsked => builder.with_no_client_auth(),
            ClientCerts::Asked { ca } => {
                let verifier = verifier(roots(ca)?).allow_unauthenticated().build();
                builder.with_client_cert_verifier(verifier.map_err(TlsError::settings)?)
            }
            ClientCerts::Required { ca } => {
                builder.with_client_cert_verifier(verifier(roots(ca)?).build().map_err(TlsError::settings)?)
            }
        };
        let (chain, key) = identity(&info.cert, &info.key, &provider)?;
        let mut config =
            builder.with_single_cert(chain, key).map_err(|error| identity_error(&info.cert, &info.key, error))?;
        config.alpn_protocols = alpn;
        // Who names suites means their order.
        config.ignore_client_order = !info.settings.cipher_suites.is_empty();
        // Tickets are good for this vhost alone: each has keys of its own, and rotates them.
        config.ticketer = backend::Ticketer::new().map_err(TlsError::settings)?;
        Ok(ServerTls {
            config: Arc::new(config),
            requires_client_cert: matches!(info.client_certs, ClientCerts::Required { .. }),
        })
    }
}

/// A chain with the key's own certificate in front, wherever it stood, and the key.
pub(super) fn identity(
    cert: &Pem,
    key: &Pem,
    provider: &CryptoProvider,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
    let (mut chain, der) = (cert.certificates()?, key.private_key()?);
    let signer = provider
        .key_provider
        .load_private_key(der.clone_key())
        .map_err(|error| TlsError::Bad { from: key.to_string(), why: error.to_string() })?;
    let fits = |certificate: &CertificateDer<'static>| {
        CertifiedKey::new(vec![certificate.clone()], signer.clone()).keys_match().is_ok()
    };
    if let Some(own) = chain.iter().position(fits) {
        chain[..=own].rotate_right(1);
    }
    Ok((chain, der))
}

/// A certificate that does not fit its key deserves a clear word.
pub(super) fn identity_error(cert: &Pem, key: &Pem, error: rustls::Error) -> TlsError {
    match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            TlsError::KeyMismatch { cert: cert.to_string(), key: key.to_string() }
        }
        error => TlsError::Bad { from: format!("{cert} and {key}"), why: error.to_string() },
    }
}

/// The certificates of a PEM as those who may sign.
pub(super) fn roots(ca: &Pem) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in ca.certificates()? {
        roots.add(certificate).map_err(|error| TlsError::Bad { from: ca.to_string(), why: error.to_string() })?;
    }
    Ok(roots)
}
