//! A file of `user:password` lines.
//!
//! A password stands there as it is, or hashed by bcrypt. Empty lines and those that begin with `#` are passed over. A line that makes no
//! sense lets nobody in: one without a name or without a password, a locked one (`*` or `!` in the password's place, or before a hash), and
//! one with a hash of another kind, for taken as it is that would be a password for whoever has seen the file. Of a user that is there twice the first line counts, as in Apache's files.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::Arc;

use bcrypt::HashParts;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

use crate::limits;

/// A SHA-256.
pub(super) type Digest = [u8; 32];

/// How one user's password is recognised.
pub(super) enum Secret {
    /// By its digest.
    Plain(Digest),
    /// By bcrypt; the whole hash, `$2b$12$..`.
    Bcrypt(Arc<str>),
}

/// Those who are let in. Of nothing: nobody.
#[derive(Default)]
pub(super) struct Credentials {
    /// The digest of the file.
    version: Option<Digest>,
    users: HashMap<Arc<str>, Secret>,
    /// The highest cost of bcrypt there is in the file.
    highest_cost: Option<u32>,
}

impl Credentials {
    /// Reads a file, and says what is wrong with it: how many lines are, and the first.
    pub(super) fn parse(text: &[u8]) -> (Credentials, Option<String>) {
        let mut credentials = Credentials { version: Some(sha256(text)), ..Credentials::default() };
        let (mut wrong, mut first) = (0, None);
        for (number, line) in (1..).zip(text.split(|byte| *byte == b'\n')) {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            match entry(line) {
                Ok((user, _)) if credentials.users.contains_key(user) => {
                    wrong += 1;
                    first.get_or_insert((number, "its user is there before"));
                }
                Ok((user, secret)) => {
                    if let Secret::Bcrypt(hash) = &secret {
                        credentials.highest_cost = credentials.highest_cost.max(cost_of(hash));
                    }
                    credentials.users.insert(user.into(), secret);
                }
                Err(what) => {
                    wrong += 1;
                    first.get_or_insert((number, what));
                }
            }
        }
        let complaint = first.map(|(number, what)| match wrong {
            1 => format!("line {number} lets nobody in: {what}"),
            _ => format!("{wrong} lines let nobody in; line {number}: {what}"),
        });
        (credentials, complaint)
    }

    /// Whether they are those of this file.
    pub(super) fn is_of(&self, text: &[u8]) -> bool {
        self.version == Some(sha256(text))
    }

    pub(super) fn version(&self) -> Digest {
        self.version.unwrap_or_default()
    }

    pub(super) fn find(&self, user: &str) -> Option<(&Arc<str>, &Secret)> {
        self.users.get_key_value(user)
    }

    /// The cost of bcrypt that every verdict takes. `None`: all passwords are plain.
    pub(super) fn highest_cost(&self) -> Option<u32> {
        self.highest_cost
    }
}

/// A bcrypt of that cost that is no password's.
pub(super) fn nobodys(cost: u32) -> String {
    format!("$2b${cost:02}${}", ".".repeat(53))
}

/// Whether a password has that digest.
pub(super) fn is_same(digest: &Digest, password: &[u8]) -> bool {
    digest.ct_eq(&sha256(password)).into()
}

/// A digest to compare with where there is no user.
pub(super) const NOBODYS: Digest = [0; 32];

fn sha256(bytes: &[u8]) -> Digest {
    Sha256::digest(bytes).into()
}

/// How hashes begin that other servers know.
const OTHER_HASHES: [&str; 12] =
    ["$1$", "$apr1$", "$2$", "$2x$", "$5$", "$6$", "$7$", "$y$", "$gy$", "$argon2", "{SHA}", "{SSHA}"];

fn entry(line: &[u8]) -> Result<(&str, Secret), &'static str> {
    let line = str::from_utf8(line).map_err(|_| "it is not UTF-8")?;
    let (user, password) = line.split_once(':').ok_or("it is not user:password")?;
    if line.contains(|c: char| c.is_ascii_control()) {
        return Err("it has a control character");
    }
    if user.is_empty() {
        return Err("it has no user");
    }
    if password.is_empty() {
        return Err("it has no password");
    }
    if is_locked(password) {
        return Err("it is locked (* or !)");
    }
    if OTHER_HASHES.iter().any(|start| password.starts_with(start)) {
        return Err("of hashes bcrypt is known alone ($2a$, $2b$, $2y$)");
    }
    if !["$2a$", "$2b$", "$2y$"].iter().any(|start| password.starts_with(start)) {
        return Ok((user, Secret::Plain(sha256(password.as_bytes()))));
    }
    match cost_of(password) {
        None => Err("its bcrypt hash is not whole"),
        Some(cost) if !limits::BCRYPT_COST.contains(&cost) => Err("its bcrypt costs too much, or too little"),
        Some(_) => Ok((user, Secret::Bcrypt(password.into()))),
    }
}

/// Whether a password is one that `passwd -l` and its like leave: nobody's.
fn is_locked(password: &str) -> bool {
    let locked = password.trim_start_matches(['*', '!']);
    locked.len() < password.len() && (locked.is_empty() || locked.starts_with('$'))
}

pub(super) fn cost_of(hash: &str) -> Option<u32> {
    HashParts::from_str(hash).ok().map(|parts| parts.get_cost())
}
