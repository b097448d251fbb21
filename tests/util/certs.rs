//! Certificates and keys, made when they are wanted: by CAs of the tests' own, for names and addresses, for clients, out of date.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevocationReason, RevokedCertParams,
    SerialNumber, date_time_ymd,
};
use rlws::{Pem, TlsInfo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_cert::Certificate;
use x509_cert::der::Decode;

use super::{require, succeed};

/// Who signs certificates.
pub struct Ca {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key, both PEM.
#[derive(Clone)]
pub struct Identity {
    pub cert: String,
    pub key: String,
}

/// What a key is for.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub enum Algorithm {
    Ecdsa,
    EcdsaP384,
    Ed25519,
    Rsa,
}

impl Ca {
    pub fn new(name: &str) -> Ca {
        let mut params = named(name, &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, Algorithm::Ecdsa.pair()).expect("a CA");
        Ca { issuer }
    }

    /// A CA that another one vouches for.
    pub fn below(&self, name: &str) -> Ca {
        let mut params = named(name, &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.use_authority_key_identifier_extension = true;
        let issuer = CertifiedIssuer::signed_by(params, Algorithm::Ecdsa.pair(), &self.issuer).expect("a CA");
        Ca { issuer }
    }

    pub fn text(&self) -> String {
        self.issuer.pem()
    }

    pub fn pem(&self) -> Pem {
        Pem::text(self.text())
    }

    pub fn der(&self) -> CertificateDer<'static> {
        self.issuer.der().clone()
    }

    /// Its certificate as one to be revoked.
    pub fn identity(&self) -> Identity {
        Identity { cert: self.text(), key: String::new() }
    }

    /// For a server of these names and addresses.
    pub fn server(&self, names: &[&str]) -> Identity {
        self.server_with(names, Algorithm::Ecdsa)
    }

    pub fn server_with(&self, names: &[&str], algorithm: Algorithm) -> Identity {
        self.sign(named(names[0], names), algorithm, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// Was for a server, and is out of date.
    pub fn expired_server(&self, names: &[&str]) -> Identity {
        self.sign(expired(named(names[0], names)), Algorithm::Ecdsa, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// Will be for a server, a hundred years from now.
    pub fn future_server(&self, names: &[&str]) -> Identity {
        let mut params = named(names[0], names);
        (params.not_before, params.not_after) = (params.not_after, date_time_ymd(2130, 1, 1));
        self.sign(params, Algorithm::Ecdsa, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// For a client of this name.
    pub fn client(&self, name: &str) -> Identity {
        self.sign(named(name, &[]), Algorithm::Ecdsa, ExtendedKeyUsagePurpose::ClientAuth)
    }

    /// Was for a client, and is out of date.
    pub fn expired_client(&self, name: &str) -> Identity {
        self.sign(expired(named(name, &[])), Algorithm::Ecdsa, ExtendedKeyUsagePurpose::ClientAuth)
    }

    /// Its certificate revocation list (PEM), with these certificates in it.
    pub fn revocation_list(&self, revoked: &[&Identity]) -> String {
        self.revocation_list_until(GOOD_UNTIL, revoked)
    }

    /// The same, out of date.
    pub fn expired_revocation_list(&self, revoked: &[&Identity]) -> String {
        self.revocation_list_until(YEAR_2021, revoked)
    }

    /// The same, out of date after so long.
    pub fn revocation_list_for(&self, long: Duration, revoked: &[&Identity]) -> String {
        self.revocation_list_until(seconds(SystemTime::now() + long), revoked)
    }

    fn revocation_list_until(&self, last: u64, revoked: &[&Identity]) -> String {
        let entry = |identity: &&Identity| RevokedCertParams {
            serial_number: SerialNumber::from_slice(&identity.serial()),
            revocation_time: date_time_ymd(2020, 6, 1),
            reason_code: Some(RevocationReason::KeyCompromise),
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(2020, 1, 1),
            next_update: date_time_ymd(1970, 1, 1) + Duration::from_secs(last),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(entry).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).expect("a list").pem().expect("PEM")
    }

    fn sign(&self, mut params: CertificateParams, algorithm: Algorithm, usage: ExtendedKeyUsagePurpose) -> Identity {
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        let pair = algorithm.pair();
        let cert = params.signed_by(&pair, &self.issuer).expect("a certificate");
        Identity { cert: cert.pem(), key: pair.serialize_pem() }
    }
}

/// The CA of whatever does not want its own, and a certificate of it for `localhost` and 127.0.0.1.
pub fn ca() -> &'static Ca {
    static CA: LazyLock<Ca> = LazyLock::new(|| Ca::new("rlws test CA"));
    &CA
}

pub fn localhost() -> &'static Identity {
    static LOCALHOST: LazyLock<Identity> = LazyLock::new(|| ca().server(&["localhost", "127.0.0.1"]));
    &LOCALHOST
}

/// From when and until when everything is good that is not out of date, in seconds since 1970.
pub const GOOD_FROM: u64 = 1_577_836_800;
pub const GOOD_UNTIL: u64 = 4_733_510_400;
/// From when on everything is out of date that is.
const YEAR_2021: u64 = 1_609_459_200;

fn named(name: &str, alternatives: &[&str]) -> CertificateParams {
    let alternatives: Vec<String> = alternatives.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(alternatives).expect("names");
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2120, 1, 1);
    params
}

fn expired(mut params: CertificateParams) -> CertificateParams {
    params.not_after = date_time_ymd(2021, 1, 1);
    params
}

impl Algorithm {
    fn pair(self) -> KeyPair {
        let made = match self {
            Algorithm::Ecdsa => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
            Algorithm::EcdsaP384 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384),
            Algorithm::Ed25519 => KeyPair::generate_for(&rcgen::PKCS_ED25519),
            // ring, which rcgen uses, reads RSA keys and makes none.
            Algorithm::Rsa => KeyPair::from_pem(&openssl_text(
                &["genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
                "",
            )),
        };
        made.expect("a key")
    }
}

impl Identity {
    pub fn tls_info(&self) -> TlsInfo {
        TlsInfo::new(Pem::text(self.cert.clone()), Pem::text(self.key.clone()))
    }

    /// As `TlsClientInfo::identity` wants it.
    pub fn pems(&self) -> (Pem, Pem) {
        (Pem::text(self.cert.clone()), Pem::text(self.key.clone()))
    }

    /// Its certificate, without those behind it.
    pub fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.cert.as_bytes()).expect("a certificate")
    }

    fn serial(&self) -> Vec<u8> {
        let certificate = Certificate::from_der(&self.der()).expect("a certificate");
        certificate.tbs_certificate().serial_number().as_bytes().to_vec()
    }

    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        CertificateDer::pem_slice_iter(self.cert.as_bytes()).collect::<Result<_, _>>().expect("certificates")
    }

    pub fn private_key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(self.key.as_bytes()).expect("a key")
    }

    /// The same key in the form from before PKCS#8: SEC1 of an EC key, PKCS#1 of an RSA key.
    pub fn traditional(&self) -> Identity {
        let key = openssl_text(&["pkey", "-traditional"], &self.key);
        Identity { cert: self.cert.clone(), key }
    }

    /// With a CA's certificate behind its own.
    pub fn behind(&self, ca: &Ca) -> Identity {
        Identity { cert: format!("{}{}", self.cert, ca.text()), key: self.key.clone() }
    }

    /// Writes `NAME.cert` and `NAME.key`.
    pub fn write(&self, folder: &Path, name: &str) -> (PathBuf, PathBuf) {
        let (cert, key) = (folder.join(format!("{name}.cert")), folder.join(format!("{name}.key")));
        std::fs::write(&cert, &self.cert).expect("write");
        std::fs::write(&key, &self.key).expect("write");
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).expect("chmod");
        (cert, key)
    }
}

/// Runs openssl over a text; what it says on stdout. Files are its own affair: as root it would replace a /dev/null it is told to write.
fn openssl_text(args: &[&str], input: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("input");
    std::fs::write(&file, input).expect("write");
    let mut command = Command::new(require("openssl"));
    command.args(args);
    if !input.is_empty() {
        command.arg("-in").arg(&file);
    }
    String::from_utf8(succeed(&mut command)).expect("PEM is text")
}

/// Seconds since 1970.
pub fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs()
}
