//! What can be used and does not do what it looks like: certificates and revocation lists that are out of date, CAs that are none, a key
//! that everybody can read.
//!
//! Nothing of it is an error: dates pass while a server runs, clocks may be wrong, and a server with an old certificate is better than none.
//! Clients judge the server's certificate, and each handshake a client's; this is for an operator, who should know before they do. In
//! lws: none.

use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use x509_cert::certificate::Version;
use x509_cert::crl::CertificateList;
use x509_cert::der::Decode;
use x509_cert::der::oid::AssociatedOid;
use x509_cert::ext::pkix::{AuthorityKeyIdentifier, BasicConstraints, SubjectKeyIdentifier};
use x509_cert::name::Name;
use x509_cert::{Certificate, TbsCertificate};

use super::{ClientCerts, Pem, TlsInfo};
use crate::date;

/// What an operator should look at, of the TLS of a vhost.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsDoubts {
    /// Each thing; often none.
    pub found: Vec<TlsDoubt>,
    /// When there may be more of them without a change of the files, because a date has passed. `None`: never.
    pub until: Option<SystemTime>,
}

/// Something that can be used, but does not do what it looks like. Its `Display` is `FILE: what it is`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsDoubt {
    /// Where it is: a file, or words for a text.
    pub from: String,
    /// What is doubtful, and what comes of it.
    pub why: String,
}

impl fmt::Display for TlsDoubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.from, self.why)
    }
}

impl TlsInfo {
    /// What an operator should look at, as it is at that time: a server's certificate or a revocation list that is out of date, a CA without
    /// a list, a CA that is none, a key that everybody may read. What cannot be read is left out: no vhost can be made of it.
    ///
    /// ```
    /// use std::time::SystemTime;
    /// use rlws::{Pem, TlsInfo};
    /// let tls = TlsInfo::new(Pem::file("my.cert"), Pem::file("my.key"));
    /// for doubt in tls.doubts(SystemTime::now()).found {
    ///     log::warn!("{doubt}");
    /// }
    /// ```
    pub fn doubts(&self, now: SystemTime) -> TlsDoubts {
        let mut look = Look { now, doubts: TlsDoubts::default() };
        for certificate in certificates(&self.cert) {
            look.at_dates_of(&self.cert, certificate.tbs_certificate());
        }
        look.at_key(&self.key);
        if let ClientCerts::Asked { ca } | ClientCerts::Required { ca } = &self.client_certs {
            let cas = certificates(ca);
            for certificate in &cas {
                look.at_ca(ca, certificate.tbs_certificate());
            }
            if let Some(revoked) = &self.revoked {
                look.at_lists(revoked, &cas);
            }
        }
        look.doubts
    }
}

struct Look {
    now: SystemTime,
    doubts: TlsDoubts,
}

impl Look {
    fn doubt(&mut self, from: &Pem, why: String) {
        self.doubts.found.push(TlsDoubt { from: from.to_string(), why });
    }

    /// Whether that time has come; if not, it is one to look again at.
    fn has_come(&mut self, time: SystemTime) -> bool {
        let has_come = time <= self.now;
        if !has_come {
            self.doubts.until = Some(self.doubts.until.map_or(time, |known| known.min(time)));
        }
        has_come
    }

    fn at_dates_of(&mut self, cert: &Pem, content: &TbsCertificate) {
        let (subject, validity) = (content.subject(), content.validity());
        let (first, last) = (validity.not_before.to_system_time(), validity.not_after.to_system_time());
        if !self.has_come(first) {
            let why = format!("the certificate of {subject} is not good before {}: clients refuse it", day(first));
            self.doubt(cert, why);
        }
        if self.has_come(behind(last)) {
            let why = format!("the certificate of {subject} is out of date since {}: clients refuse it", day(last));
            self.doubt(cert, why);
        }
    }

    /// The private key is its owner's, and of a group where that is meant.
    fn at_key(&mut self, key: &Pem) {
        const OF_OTHERS: u32 = 0o007;
        if let Pem::File(path) | Pem::Read { path, .. } = key
            && mode(path).is_some_and(|mode| mode & OF_OTHERS != 0)
        {
            self.doubt(
                key,
                "every user of this machine may read or change this key: its mode should be 0600".to_owned(),
            );
        }
    }

    fn at_ca(&mut self, ca: &Pem, content: &TbsCertificate) {
        if !is_ca(content) {
            let why =
                format!("the certificate of {} is no CA's: no client's certificate is good by it", content.subject());
            self.doubt(ca, why);
        }
    }

    /// Of several lists of one CA the first counts.
    fn at_lists(&mut self, revoked: &Pem, cas: &[Certificate]) {
        let mut lists: Vec<List> = Vec::new();
        for list in lists_of(revoked) {
            if !lists.iter().any(|known| known.issuer == list.issuer && known.key_id == list.key_id) {
                lists.push(list);
            }
        }
        for List { issuer, last, .. } in &lists {
            if let Some(last) = last
                && self.has_come(behind(*last))
            {
                let since = day(*last);
                let why = format!(
                    "the revocation list of {issuer} is out of date since {since}: its clients are turned away"
                );
                self.doubt(revoked, why);
            }
        }
        for content in cas.iter().map(Certificate::tbs_certificate).filter(|content| is_ca(content)) {
            if !lists.iter().any(|list| list.is_of(content)) {
                let why =
                    format!("there is no revocation list of {} in it: its clients are turned away", content.subject());
                self.doubt(revoked, why);
            }
        }
    }
}

/// A revocation list, without what is in it.
struct List {
    issuer: Name,
    /// Which of the keys that the issuer may have had.
    key_id: Option<Vec<u8>>,
    last: Option<SystemTime>,
}

impl List {
    fn of(list: CertificateList) -> List {
        let content = list.tbs_cert_list;
        let mut extensions = content.crl_extensions.iter().flatten();
        let authority = extensions.find(|extension| extension.extn_id == AuthorityKeyIdentifier::OID);
        let authority = authority.and_then(|found| AuthorityKeyIdentifier::from_der(found.extn_value.as_bytes()).ok());
        List {
            issuer: content.issuer,
            key_id: authority.and_then(|authority| Some(authority.key_identifier?.as_bytes().to_vec())),
            last: content.next_update.map(|time| time.to_system_time()),
        }
    }

    fn is_of(&self, ca: &TbsCertificate) -> bool {
        let own = ca.get_extension::<SubjectKeyIdentifier>().ok().flatten();
        let is_its_key = match (&self.key_id, own) {
            (Some(named), Some((_, SubjectKeyIdentifier(own)))) => named == own.as_bytes(),
            _ => true,
        };
        self.issuer == *ca.subject() && is_its_key
    }
}

fn certificates(pem: &Pem) -> Vec<Certificate> {
    let ders = pem.certificates().unwrap_or_default();
    ders.iter().filter_map(|der| Certificate::from_der(der).ok()).collect()
}

fn lists_of(pem: &Pem) -> impl Iterator<Item = List> {
    let ders = pem.revocation_lists().unwrap_or_default();
    ders.into_iter().filter_map(|der| CertificateList::from_der(&der).ok().map(List::of))
}

/// Those of version 1 have no word for it.
fn is_ca(content: &TbsCertificate) -> bool {
    let said = content.get_extension::<BasicConstraints>().ok().flatten();
    content.version() == Version::V1 || said.is_some_and(|(_, said)| said.ca)
}

/// The second behind the last good one.
fn behind(last: SystemTime) -> SystemTime {
    last + Duration::from_secs(1)
}

fn day(time: SystemTime) -> String {
    String::from_utf8_lossy(&date::text_of(time)).into_owned()
}

fn mode(path: &Path) -> Option<u32> {
    Some(fs::metadata(path).ok()?.permissions().mode())
}
