//! What a peer's certificate says (`lws_tls_peer_cert_info`).

use std::fmt::Write;
use std::time::SystemTime;

use sha2::{Digest, Sha256};
use x509_cert::Certificate;
use x509_cert::der::Decode;

/// The certificate that the other end showed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerCert {
    /// Whom it is for (RFC 4514 form, such as `CN=client,O=Example`).
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// From when it is good.
    pub not_before: SystemTime,
    /// Until when it is good.
    pub not_after: SystemTime,
    /// SHA-256 of the whole certificate, in hex.
    pub fingerprint: String,
    /// Whether it was checked against who may sign. Only an insecure client connection shows one that was not.
    pub verified: bool,
}

impl PeerCert {
    /// `None`: it is not the form that certificates have.
    pub(crate) fn of(der: &[u8], verified: bool) -> Option<PeerCert> {
        let certificate = Certificate::from_der(der).ok()?;
        let content = certificate.tbs_certificate();
        let mut fingerprint = String::with_capacity(64);
        for byte in Sha256::digest(der) {
            write!(fingerprint, "{byte:02x}").ok()?;
        }
        Some(PeerCert {
            subject: content.subject().to_string(),
            issuer: content.issuer().to_string(),
            not_before: content.validity().not_before.to_system_time(),
            not_after: content.validity().not_after.to_system_time(),
            fingerprint,
            verified,
        })
    }
}
