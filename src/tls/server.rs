//! The TLS side of a vhost.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{CipherSuite, InconsistentKeys, RootCertStore, ServerConfig};

use super::{Pem, TlsError, TlsSettings, backend, chain, provider};

/// What makes a vhost speak TLS (`host-ssl-cert` and its kin; the `ssl` part of `struct lws_context_creation_info`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsInfo {
    /// The vhost's certificate, and the intermediate ones behind it (`host-ssl-cert`).
    pub cert: Pem,
    /// Certificates above those in `cert` (`host-ssl-ca`): the chain is completed with those of them that issued its last one. For a file
    /// with the vhost's certificate alone.
    pub issuers: Option<Pem>,
    /// Its private key (`host-ssl-key`): PKCS#8, PKCS#1 or SEC1; RSA, ECDSA or Ed25519.
    pub key: Pem,
    /// Whether clients have to show a certificate.
    pub client_certs: ClientCerts,
    /// Which clients' certificates are no longer good (`client-cert-crl`): certificate revocation lists (RFC 5280 section 5). Where there are
    /// any, each CA between a client's certificate and the one in `ca` has to have one that is not out of date, or the client is turned
    /// away. An error where clients are not asked for certificates.
    pub revoked: Option<Pem>,
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
        TlsInfo {
            cert,
            key,
            issuers: None,
            client_certs: ClientCerts::default(),
            revoked: None,
            settings: TlsSettings::default(),
        }
    }

    /// Everything in PEM form that it is made from.
    pub fn pems_mut(&mut self) -> impl Iterator<Item = &mut Pem> {
        let ca = match &mut self.client_certs {
            ClientCerts::NotAsked => None,
            ClientCerts::Asked { ca } | ClientCerts::Required { ca } => Some(ca),
        };
        [&mut self.cert, &mut self.key].into_iter().chain(&mut self.issuers).chain(ca).chain(&mut self.revoked)
    }
}

/// A vhost's TLS, ready for handshakes.
pub(crate) struct ServerTls {
    /// The suites in the client's order, or in that of the settings where they name some.
    config: Arc<ServerConfig>,
    /// The same with the suites in our order, where the settings name none.
    in_our_order: Option<Arc<ServerConfig>>,
    pub(crate) requires_client_cert: bool,
    /// Where its revocation lists are from.
    pub(crate) revoked: Option<String>,
}

impl ServerTls {
    pub(crate) fn new(info: &TlsInfo, alpn: Vec<Vec<u8>>) -> Result<ServerTls, TlsError> {
        let provider = provider_of_servers(&info.settings)?;
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&info.settings.versions()?)
            .map_err(TlsError::settings)?;
        let builder = match client_verifier(info, &provider)? {
            None => builder.with_no_client_auth(),
            Some(verifier) => builder.with_client_cert_verifier(verifier),
        };
        let (mut chain, key) = identity(&info.cert, &info.key, &provider)?;
        if let Some(issuers) = &info.issuers {
            let are_above = chain::complete(&mut chain, issuers.certificates()?);
            if !are_above && info.client_certs == ClientCerts::NotAsked {
                log::warn!(
                    "{issuers} does nothing: none of its certificates issued one of {}, and clients need none \
                     (client-cert-required)",
                    info.cert
                );
            }
        }
        let mut config =
            builder.with_single_cert(chain, key).map_err(|error| identity_error(&info.cert, &info.key, error))?;
        config.alpn_protocols = alpn;
        // Who names suites means their order.
        config.ignore_client_order = !info.settings.cipher_suites.is_empty();
        // Tickets are good for this vhost alone: each has keys of its own, and rotates them.
        config.ticketer = backend::Ticketer::new().map_err(TlsError::settings)?;
        // Sessions that a server remembers (TLS 1.2) would have no such end, and hold memory.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        let in_our_order = (!config.ignore_client_order).then(|| {
            let mut ours = config.clone();
            ours.ignore_client_order = true;
            Arc::new(ours)
        });
        Ok(ServerTls {
            config: Arc::new(config),
            in_our_order,
            requires_client_cert: matches!(info.client_certs, ClientCerts::Required { .. }),
            revoked: info.revoked.as_ref().map(Pem::to_string),
        })
    }

    /// What a handshake with that client goes by.
    ///
    /// AES-128-GCM comes before AES-256-GCM, whose TLS 1.3 suite costs a handshake SHA-384 in software and not the SHA-256 that processors have;
    /// RFC 8446 section 9.1 asks everybody for the former. A client that puts ChaCha20 first has no AES in hardware, and gets its way.
    pub(crate) fn config_for(&self, client: &ClientHello<'_>) -> Arc<ServerConfig> {
        let known =
            |suite: &CipherSuite| self.config.crypto_provider().cipher_suites.iter().any(|it| it.suite() == *suite);
        let favourite = client.cipher_suites().iter().copied().find(known);
        match &self.in_our_order {
            Some(ours) if !favourite.is_some_and(is_chacha) => ours.clone(),
            _ => self.config.clone(),
        }
    }
}

/// The provider for servers: unless the settings name suites, those with AES-128 come first.
fn provider_of_servers(settings: &TlsSettings) -> Result<Arc<CryptoProvider>, TlsError> {
    let mut provider = provider(settings)?;
    if settings.cipher_suites.is_empty() {
        // Stable: else as the build has them.
        Arc::make_mut(&mut provider).cipher_suites.sort_by_key(|suite| !is_aes_128(suite.suite()));
    }
    Ok(provider)
}

fn is_aes_128(suite: CipherSuite) -> bool {
    matches!(
        suite,
        CipherSuite::TLS13_AES_128_GCM_SHA256
            | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
            | CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
    )
}

fn is_chacha(suite: CipherSuite) -> bool {
    matches!(
        suite,
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256
            | CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
            | CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
    )
}

/// `None`: clients are not asked for certificates.
fn client_verifier(
    info: &TlsInfo,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
    let (ca, is_required) = match (&info.client_certs, &info.revoked) {
        (ClientCerts::NotAsked, None) => return Ok(None),
        (ClientCerts::NotAsked, Some(revoked)) => {
            return Err(TlsError::Settings(format!(
                "{revoked}: clients are not asked for certificates to look up in it"
            )));
        }
        (ClientCerts::Asked { ca }, _) => (ca, false),
        (ClientCerts::Required { ca }, _) => (ca, true),
    };
    let mut builder = WebPkiClientVerifier::builder_with_provider(roots(ca)?.into(), provider.clone());
    if !is_required {
        builder = builder.allow_unauthenticated();
    }
    if let Some(revoked) = &info.revoked {
        builder = builder.with_crls(revoked.revocation_lists()?).enforce_revocation_expiration();
    }
    builder.build().map(Some).map_err(|error| match (error, &info.revoked) {
        (error @ VerifierBuilderError::InvalidCrl(_), Some(revoked)) => {
            TlsError::Bad { from: revoked.to_string(), why: error.to_string() }
        }
        (error, _) => TlsError::settings(error),
    })
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
