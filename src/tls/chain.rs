//! The certificates between a vhost's own and a root, found by their names.
//!
//! In lws: OpenSSL completes the chain with what `ssl_ca_filepath` names, where the certificate's own file has none.

use rustls::pki_types::CertificateDer;
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::name::Name;

/// Certificates above one's own that are ever sent; clients take no more of them anyway.
const LONGEST: usize = 10;

/// Puts behind `chain` those of `known` that issued its last one, and so on up. The root is left out: a client has it, or does not trust
/// it. Whether any of them is above the chain, the root included.
pub(super) fn complete(chain: &mut Vec<CertificateDer<'static>>, known: Vec<CertificateDer<'static>>) -> bool {
    let names = |der: CertificateDer<'static>| Names::of(&der).map(|names| (der, names));
    let mut known: Vec<(CertificateDer<'static>, Names)> = known.into_iter().filter_map(names).collect();
    let Some(mut last) = chain.last().and_then(Names::of) else { return false };
    let mut found = false;
    while !last.is_root() && chain.len() <= LONGEST {
        let Some(above) = known.iter().position(|(_, names)| names.subject == last.issuer) else { break };
        let (der, names) = known.swap_remove(above);
        found = true;
        if !names.is_root() {
            chain.push(der);
        }
        last = names;
    }
    found
}

struct Names {
    subject: Name,
    issuer: Name,
}

impl Names {
    /// `None`: it is not the form that certificates have.
    fn of(der: &CertificateDer<'static>) -> Option<Names> {
        let certificate = Certificate::from_der(der).ok()?;
        let content = certificate.tbs_certificate();
        Some(Names { subject: content.subject().clone(), issuer: content.issuer().clone() })
    }

    fn is_root(&self) -> bool {
        self.subject == self.issuer
    }
}
