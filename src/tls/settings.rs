//! Versions, cipher suites and groups, by the names that people write.

use rustls::SupportedProtocolVersion;
use rustls::crypto::CryptoProvider;
use rustls::version::{TLS12, TLS13};

use super::{TlsError, backend};

/// What a handshake may agree on. Everything that is empty means: whatever this build holds for good.
///
/// Names are compared without case; OpenSSL's, the RFCs' and rustls' forms are understood
/// (`ECDHE-RSA-AES128-GCM-SHA256`, `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256`, `TLS13_AES_128_GCM_SHA256`, `P-256`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// `1.2` and `1.3`.
    pub versions: Vec<String>,
    /// Cipher suites in order of preference (`ciphers`, `tls13-ciphers`).
    pub cipher_suites: Vec<String>,
    /// Key exchange groups in order of preference (`ecdh-curve`).
    pub groups: Vec<String>,
}

impl TlsSettings {
    /// Leaves in a provider what the settings name, in their order.
    pub(super) fn restrict(&self, provider: &mut CryptoProvider) -> Result<(), TlsError> {
        let suite_name = |suite: &rustls::SupportedCipherSuite| format!("{:?}", suite.suite());
        let group_name = |group: &&'static dyn rustls::crypto::SupportedKxGroup| format!("{:?}", group.name());
        select(&self.cipher_suites, &mut provider.cipher_suites, "cipher suite", suite_name)?;
        select(&self.groups, &mut provider.kx_groups, "group", group_name)
    }

    /// The cipher suites of this build for TLS 1.2, and for TLS 1.3, best first.
    pub(crate) fn known_suites() -> [Vec<String>; 2] {
        let suites = backend::default_provider().cipher_suites;
        let named = |version| {
            let of_version = suites.iter().filter(|suite| suite.version().version == version);
            of_version.map(|suite| format!("{:?}", suite.suite())).collect()
        };
        [named(rustls::ProtocolVersion::TLSv1_2), named(rustls::ProtocolVersion::TLSv1_3)]
    }

    /// The key exchange groups of this build, best first.
    pub(crate) fn known_groups() -> Vec<String> {
        backend::default_provider().kx_groups.iter().map(|group| format!("{:?}", group.name())).collect()
    }

    /// The one of the known names that is meant by another spelling.
    pub(crate) fn meant<'k>(name: &str, known: &'k [String]) -> Option<&'k String> {
        known.iter().find(|known| normal(known) == normal(name))
    }

    /// The versions to offer.
    pub(super) fn versions(&self) -> Result<Vec<&'static SupportedProtocolVersion>, TlsError> {
        let mut known = vec![&TLS13, &TLS12];
        let version_name = |version: &&SupportedProtocolVersion| format!("{:?}", version.version).replace('_', ".");
        select(&self.versions, &mut known, "version", version_name)?;
        Ok(known)
    }
}

/// Keeps of `known` what is wanted, in the order wanted; everything where nothing is.
fn select<T: Clone>(
    wanted: &[String],
    known: &mut Vec<T>,
    kind: &'static str,
    name_of: impl Fn(&T) -> String,
) -> Result<(), TlsError> {
    if wanted.is_empty() {
        return Ok(());
    }
    let find = |name: &String| {
        known.iter().find(|item| normal(&name_of(item)) == normal(name)).cloned().ok_or_else(|| TlsError::Unknown {
            kind,
            name: name.clone(),
            known: known.iter().map(&name_of).collect::<Vec<_>>().join(", "),
        })
    };
    *known = wanted.iter().map(find).collect::<Result<_, _>>()?;
    Ok(())
}

/// One spelling for all that people use for the same thing.
fn normal(name: &str) -> String {
    let name = name.to_ascii_uppercase().replace(['-', '_', '.', ' '], "");
    let name = name.strip_prefix("TLS13").filter(|rest| !rest.is_empty()).unwrap_or(&name);
    let name = name.strip_prefix("TLSV").or(name.strip_prefix("TLS")).unwrap_or(name).replacen("WITH", "", 1);
    match name.as_str() {
        "13" => "13".to_owned(),
        "P256" | "PRIME256V1" => "SECP256R1".to_owned(),
        "P384" => "SECP384R1".to_owned(),
        "P521" => "SECP521R1".to_owned(),
        // OpenSSL leaves the hash out.
        name if name.ends_with("CHACHA20POLY1305") => format!("{name}SHA256"),
        name => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::provider;

    fn named(cipher_suites: &[&str], groups: &[&str], versions: &[&str]) -> TlsSettings {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        TlsSettings { cipher_suites: owned(cipher_suites), groups: owned(groups), versions: owned(versions) }
    }

    #[test]
    fn every_spelling_of_a_suite_is_understood() {
        for name in [
            "TLS_AES_128_GCM_SHA256",
            "TLS13_AES_128_GCM_SHA256",
            "ECDHE-RSA-AES128-GCM-SHA256",
            "tls_ecdhe_ecdsa_with_aes_256_gcm_sha384",
            "ECDHE-RSA-CHACHA20-POLY1305",
        ] {
            let restricted = provider(&named(&[name], &[], &[])).expect(name);
            assert_eq!(restricted.cipher_suites.len(), 1, "{name}");
        }
    }

    #[test]
    fn groups_and_versions_are_taken_in_the_order_given() {
        let restricted = provider(&named(&[], &["P-384", "X25519"], &[])).expect("known groups");
        let names: Vec<String> = restricted.kx_groups.iter().map(|group| format!("{:?}", group.name())).collect();
        assert_eq!(names, ["secp384r1", "X25519"]);
        for version in ["1.2", "TLSv1.2", "tls1.2", "TLSv1_2"] {
            assert_eq!(named(&[], &[], &[version]).versions().expect(version), [&TLS12]);
        }
        for version in ["1.3", "TLSv1.3"] {
            assert_eq!(named(&[], &[], &[version]).versions().expect(version), [&TLS13]);
        }
    }

    #[test]
    fn an_unknown_name_is_an_error_that_lists_the_known_ones() {
        let error = provider(&named(&["RC4-MD5"], &[], &[])).expect_err("nobody has it").to_string();
        assert!(error.contains("RC4-MD5") && error.contains("TLS13_AES_128_GCM_SHA256"), "{error}");
        let error = provider(&named(&[], &["brainpool"], &[])).expect_err("nobody has it").to_string();
        assert!(error.contains("X25519"), "{error}");
        let error = named(&[], &[], &["1.1"]).versions().expect_err("too old").to_string();
        assert!(error.contains("TLSv1.2"), "{error}");
    }

    #[test]
    fn nothing_named_means_all() {
        let all = provider(&TlsSettings::default()).expect("nothing to go wrong");
        assert_eq!(all.cipher_suites.len(), backend::default_provider().cipher_suites.len());
    }
}
