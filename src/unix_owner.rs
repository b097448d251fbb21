//! Whose the path of a unix socket is: names, and the ids that the system knows them by.

use std::fmt;
use std::io::{self, ErrorKind};

use nix::unistd::{Gid, Group, Uid, User};

/// Who owns the path of a unix socket (`unix_socket_perms`: `USER:GROUP`).
///
/// Names go before numbers: `1000` is the user of that name, where there is one, else the user with that id.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UnixOwner {
    /// A user's name, or its id in digits.
    pub user: String,
    /// A group's name, or its id in digits.
    pub group: String,
}

impl UnixOwner {
    /// A user and a group.
    pub fn new(user: impl Into<String>, group: impl Into<String>) -> UnixOwner {
        UnixOwner { user: user.into(), group: group.into() }
    }

    /// Their ids.
    ///
    /// # Errors
    /// This system does not know one of them; the error names it.
    pub fn ids(&self) -> io::Result<(u32, u32)> {
        let user = User::from_name(&self.user)?.map(|user| user.uid).or_else(|| number(&self.user).map(Uid::from_raw));
        let group = Group::from_name(&self.group)?.map(|group| group.gid);
        let group = group.or_else(|| number(&self.group).map(Gid::from_raw));
        let unknown = |what, name| io::Error::new(ErrorKind::NotFound, format!("this system has no {what} {name:?}"));
        let user = user.ok_or_else(|| unknown("user", &self.user))?;
        let group = group.ok_or_else(|| unknown("group", &self.group))?;
        Ok((user.as_raw(), group.as_raw()))
    }
}

/// The highest id is one below the number that means "as it is" in system calls.
fn number(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten().filter(|id| *id < u32::MAX)
}

impl fmt::Display for UnixOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.user, self.group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_ids() {
        assert_eq!(UnixOwner::new("root", "root").ids().expect("every system has them"), (0, 0));
        assert_eq!(UnixOwner::new("12345678", "0").ids().expect("a number is an id"), (12_345_678, 0));
    }

    #[test]
    fn who_is_not_there_is_named() {
        for (user, group, named) in [
            ("nobody-of-that-name", "root", "user \"nobody-of-that-name\""),
            ("root", "no-such-group", "group \"no-such-group\""),
            ("4294967295", "root", "user \"4294967295\""),
            ("+1", "root", "user \"+1\""),
        ] {
            let error = UnixOwner::new(user, group).ids().expect_err(user);
            assert!(error.to_string().ends_with(named), "{error}");
        }
    }
}
