//! Certificates and keys in PEM form, in any order.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

use super::TlsError;
use crate::{limits, regular_file};

/// PEM text, or the file it is in.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pem {
    /// A regular file of at most [`limits::PEM`] bytes, read when the vhost or client is made.
    File(PathBuf),
    /// The text itself.
    Text(Vec<u8>),
    /// A file, and what was in it when somebody read it: this process may not be able to, or it may have changed since.
    Read {
        /// The file, for messages.
        path: PathBuf,
        /// What was in it.
        text: Vec<u8>,
    },
}

impl Pem {
    /// PEM in a file.
    pub fn file(path: impl Into<PathBuf>) -> Pem {
        Pem::File(path.into())
    }

    /// PEM text, such as `include_bytes!` brings.
    pub fn text(text: impl Into<Vec<u8>>) -> Pem {
        Pem::Text(text.into())
    }

    /// The same, with what is in its file now: for a process that may not read it later.
    ///
    /// # Errors
    /// [`TlsError::Read`]: it cannot be read, is no regular file, or is too long.
    pub fn read(&self) -> Result<Pem, TlsError> {
        match self {
            Pem::File(path) => Ok(Pem::Read { path: path.clone(), text: self.text_now()?.into_owned() }),
            known => Ok(known.clone()),
        }
    }

    fn text_now(&self) -> Result<Cow<'_, [u8]>, TlsError> {
        match self {
            Pem::Text(text) | Pem::Read { text, .. } => Ok(text.into()),
            Pem::File(path) => regular_file::read(path, limits::PEM)
                .map(|(_, text)| Cow::Owned(text))
                .map_err(|source| TlsError::Read { path: path.display().to_string(), source }),
        }
    }

    /// All certificates in it, whatever else there is; at least one.
    pub(super) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let found = CertificateDer::pem_slice_iter(&self.text_now()?)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| TlsError::Bad { from: self.to_string(), why: why(&error) })?;
        if found.is_empty() {
            return Err(TlsError::Missing { from: self.to_string(), what: "certificate" });
        }
        Ok(found)
    }

    /// All certificate revocation lists in it; at least one.
    pub(super) fn revocation_lists(&self) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsError> {
        let found = CertificateRevocationListDer::pem_slice_iter(&self.text_now()?)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| TlsError::Bad { from: self.to_string(), why: error.to_string() })?;
        if found.is_empty() {
            return Err(TlsError::Missing { from: self.to_string(), what: "certificate revocation list" });
        }
        Ok(found)
    }

    /// The first private key in it: PKCS#8, PKCS#1 (RSA) or SEC1 (EC).
    pub(super) fn private_key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        use rustls::pki_types::pem::Error::NoItemsFound;
        PrivateKeyDer::from_pem_slice(&self.text_now()?).map_err(|error| match error {
            NoItemsFound => TlsError::Missing { from: self.to_string(), what: "private key" },
            error => TlsError::Bad { from: self.to_string(), why: why(&error) },
        })
    }
}

/// The error's own words show a marker as the numbers of its bytes.
fn why(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { end_marker } => {
            format!("its end is missing: there is no -----END {}-----", end_marker.escape_ascii())
        }
        error => error.to_string(),
    }
}

impl fmt::Display for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pem::File(path) | Pem::Read { path, .. } => path.display().fmt(f),
            Pem::Text(_) => f.write_str("the given PEM text"),
        }
    }
}

impl fmt::Debug for Pem {
    /// Never the text: it may be a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pem({self})")
    }
}
