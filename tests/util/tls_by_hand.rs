//! TLS as no client speaks it: hellos of any content, and records of any kind in an established session.

use std::net::TcpStream;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, Iv, MessageDecrypter, MessageEncrypter, OutboundChunks, OutboundPlainMessage,
};
use rustls::{CipherSuite, ConnectionTrafficSecrets, ContentType, ProtocolVersion, SupportedCipherSuite};

use super::net::{connect, half_close, read_until_closed, send};
use super::tls::{self, Client, TlsStream, trusting};

/// Extensions of a hello (RFC 8446 section 4.2).
pub const SERVER_NAME: u16 = 0;
pub const GROUPS: u16 = 10;
pub const ALPN: u16 = 16;
pub const EARLY_DATA: u16 = 42;
pub const SUPPORTED_VERSIONS: u16 = 43;
pub const KEY_SHARE: u16 = 51;

/// A ClientHello in its parts (RFC 8446 section 4.1.2).
#[derive(Clone)]
pub struct Hello {
    pub version: [u8; 2],
    pub random: Vec<u8>,
    pub session: Vec<u8>,
    pub suites: Vec<u8>,
    pub compressions: Vec<u8>,
    pub extensions: Vec<(u16, Vec<u8>)>,
}

impl Hello {
    /// What such a client says first.
    pub fn of(client: &Client<'_>, name: &str) -> Hello {
        let (_, bytes) = tls::hello(&client.config(), name);
        // Behind the heads of record and message.
        let mut rest = &bytes[9..];
        let version = take(&mut rest, 2).try_into().expect("two bytes");
        let random = take(&mut rest, 32).to_vec();
        let session = vector(&mut rest, 1).to_vec();
        let suites = vector(&mut rest, 2).to_vec();
        let compressions = vector(&mut rest, 1).to_vec();
        let mut left = vector(&mut rest, 2);
        let mut extensions = Vec::new();
        while !left.is_empty() {
            let number = u16::from_be_bytes(take(&mut left, 2).try_into().expect("two bytes"));
            extensions.push((number, vector(&mut left, 2).to_vec()));
        }
        Hello { version, random, session, suites, compressions, extensions }
    }

    /// With one extension in the place of its namesake, or at the front.
    pub fn with(mut self, number: u16, content: &[u8]) -> Hello {
        self.extensions.retain(|(other, _)| *other != number);
        self.extensions.insert(0, (number, content.to_vec()));
        self
    }

    /// With these entries in its extension for the server's name, of type and name.
    pub fn named(self, names: &[(u8, &[u8])]) -> Hello {
        let entries: Vec<u8> = names.iter().flat_map(|(kind, name)| [&[*kind], &*counted(2, name)].concat()).collect();
        self.with(SERVER_NAME, &counted(2, &entries))
    }

    /// The handshake message.
    pub fn message(&self) -> Vec<u8> {
        let pairs = self.extensions.iter();
        let extensions: Vec<u8> =
            pairs.flat_map(|(number, content)| [&number.to_be_bytes()[..], &counted(2, content)].concat()).collect();
        let body = [
            &self.version[..],
            &self.random,
            &counted(1, &self.session),
            &counted(2, &self.suites),
            &counted(1, &self.compressions),
            &counted(2, &extensions),
        ];
        [&[1][..], &counted(3, &body.concat())].concat()
    }

    /// The message in records of so many bytes each.
    pub fn records(&self, size: usize) -> Vec<u8> {
        self.message().chunks(size).flat_map(|part| record(22, part)).collect()
    }
}

/// A record in plain text.
pub fn record(kind: u8, content: &[u8]) -> Vec<u8> {
    [&[kind, 3, 3][..], &counted(2, content)].concat()
}

/// A content behind its length, in so many bytes.
pub fn counted(width: usize, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).expect("short").to_be_bytes();
    [&length[4 - width..], content].concat()
}

fn take<'b>(rest: &mut &'b [u8], count: usize) -> &'b [u8] {
    let (taken, left) = rest.split_at(count);
    *rest = left;
    taken
}

fn vector<'b>(rest: &mut &'b [u8], width: usize) -> &'b [u8] {
    let count = take(rest, width).iter().fold(0, |count, byte| count << 8 | usize::from(*byte));
    take(rest, count)
}

/// What a server has to say to some first bytes and the end behind them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Nothing,
    /// A fatal alert, by its number.
    Alert(u8),
    /// A ServerHello, and what came with it.
    Hello(Vec<u8>),
}

/// Says `bytes` to a server, and nothing more.
#[track_caller]
pub fn answer(port: u16, bytes: &[u8]) -> Answer {
    let mut socket = connect(port);
    send(&mut socket, bytes);
    half_close(&socket);
    let (answer, _) = read_until_closed(&mut socket);
    match answer[..] {
        [] => Answer::Nothing,
        [21, _, _, 0, 2, 2, number] => Answer::Alert(number),
        [22, ..] => Answer::Hello(answer),
        _ => panic!("neither a hello nor an alert: {answer:?}"),
    }
}

/// An established session whose records the test makes.
pub struct Records {
    pub socket: TcpStream,
    encrypter: Box<dyn MessageEncrypter>,
    decrypter: Box<dyn MessageDecrypter>,
    sent: u64,
    received: u64,
}

impl Records {
    #[track_caller]
    pub fn of(port: u16, only_1_2: bool) -> Records {
        let config = Client { only_1_2, suites: &ANY_ORDER, ..trusting() }.config();
        let mut config = ClientConfig::clone(&config);
        config.enable_secret_extraction = true;
        let TlsStream { conn, sock: socket } = tls::handshake(&Arc::new(config), port, "localhost");
        let suite = conn.negotiated_cipher_suite().expect("the handshake is done");
        let secrets = conn.dangerous_extract_secrets().expect("nothing is under way");
        let ((sent, ours), (received, theirs)) = (secrets.tx, secrets.rx);
        let ((our_key, our_iv), (their_key, their_iv)) = (key_and_iv(ours), key_and_iv(theirs));
        let (encrypter, decrypter) = match suite {
            SupportedCipherSuite::Tls13(suite) => {
                (suite.aead_alg.encrypter(our_key, our_iv), suite.aead_alg.decrypter(their_key, their_iv))
            }
            SupportedCipherSuite::Tls12(suite) => {
                let fixed = suite.aead_alg.key_block_shape().fixed_iv_len;
                let (own, extra) = our_iv.as_ref().split_at(fixed);
                let decrypter = suite.aead_alg.decrypter(their_key, &their_iv.as_ref()[..fixed]);
                (suite.aead_alg.encrypter(our_key, own, extra), decrypter)
            }
        };
        Records { socket, encrypter, decrypter, sent, received }
    }

    /// The next record, encrypted.
    pub fn seal(&mut self, kind: ContentType, content: &[u8]) -> Vec<u8> {
        let payload = OutboundChunks::Single(content);
        let plain = OutboundPlainMessage { typ: kind, version: ProtocolVersion::TLSv1_2, payload };
        let sealed = self.encrypter.encrypt(plain, self.sent).expect("a record");
        self.sent += 1;
        sealed.encode()
    }

    /// Sends a record as often as it is taken, up to `count` times.
    pub fn send(&mut self, kind: ContentType, content: &[u8], count: usize) {
        let records: Vec<u8> = (0..count).flat_map(|_| self.seal(kind, content)).collect();
        let _refused_meanwhile = std::io::Write::write_all(&mut self.socket, &records);
    }

    /// The alerts until the end, in their order and by their numbers.
    #[track_caller]
    pub fn alerts(&mut self) -> Vec<u8> {
        let (bytes, _) = read_until_closed(&mut self.socket);
        let (mut rest, mut alerts) = (&bytes[..], Vec::new());
        while rest.len() > 5 {
            let kind = ContentType::from(take(&mut rest, 3)[0]);
            let mut content = vector(&mut rest, 2).to_vec();
            let sealed = InboundOpaqueMessage::new(kind, ProtocolVersion::TLSv1_2, &mut content);
            let plain = self.decrypter.decrypt(sealed, self.received).expect("the server's record");
            self.received += 1;
            if plain.typ == ContentType::Alert {
                alerts.push(plain.payload[1]);
            }
        }
        alerts
    }
}

/// Those whose records can be made from any number on; those of AES-GCM count by themselves.
const ANY_ORDER: [CipherSuite; 2] =
    [CipherSuite::TLS13_CHACHA20_POLY1305_SHA256, CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256];

fn key_and_iv(secrets: ConnectionTrafficSecrets) -> (AeadKey, Iv) {
    match secrets {
        ConnectionTrafficSecrets::Aes128Gcm { key, iv }
        | ConnectionTrafficSecrets::Aes256Gcm { key, iv }
        | ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => (key, iv),
        _ => panic!("a cipher that is not known here"),
    }
}
