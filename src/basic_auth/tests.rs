use std::fs;
use std::sync::Arc;
use std::thread;

use proptest::prelude::*;

use super::*;

/// A guard of a file that a test writes, and the threads it asks.
struct Door {
    folder: tempfile::TempDir,
    guard: Guard,
    passwords: Passwords,
    now: Instant,
    _poll: mio::Poll,
}

const ID: WsiId = WsiId { index: 1, generation: 1 };

impl Door {
    fn new(text: impl AsRef<[u8]>) -> Door {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("users"), text).expect("a file");
        let poll = mio::Poll::new().expect("a poll");
        let waker = mio::Waker::new(poll.registry(), mio::Token(0)).expect("a waker");
        Door {
            guard: Guard::new(&folder.path().join("users"), "here"),
            folder,
            passwords: Passwords::new(Arc::new(waker)).expect("random bytes"),
            now: Instant::now(),
            _poll: poll,
        }
    }

    /// Writes the file anew, and lets the time pass until it is looked at again.
    fn write(&mut self, text: &str) {
        fs::write(self.folder.path().join("users"), text).expect("a file");
        self.later();
    }

    fn later(&mut self) {
        self.now += limits::MOUNT_CHECK;
    }

    fn ask(&mut self, header: &[u8]) -> Word {
        self.guard.ask(&mut self.passwords, self.now, Some(header), ID)
    }

    fn ask_as(&mut self, user: &str, password: &str) -> Word {
        self.ask(basic(format!("{user}:{password}")).as_bytes())
    }

    /// Asks again once there is a verdict.
    fn verdict(&mut self, user: &str, password: &str) -> Word {
        assert_eq!(self.ask_as(user, password), Word::Pending, "{user} {password}");
        let end = Instant::now() + Duration::from_secs(30);
        while self.passwords.answer(|_| true).is_none() {
            assert!(Instant::now() < end, "no verdict");
            thread::sleep(Duration::from_millis(1));
        }
        self.ask_as(user, password)
    }
}

fn basic(text: impl AsRef<[u8]>) -> String {
    format!("Basic {}", STANDARD.encode(text))
}

fn allowed(user: &str) -> Word {
    Word::Allowed(user.into())
}

fn bcrypt_of(password: &str) -> String {
    bcrypt::hash(password, 4).expect("a hash")
}

#[test]
fn a_plain_line_lets_its_user_in_and_nobody_else() {
    let mut door = Door::new("ann:one\r\n# bob:two\n\nzo\u{eb}:a:b c\n!:!bang\n");
    for (user, password) in [("ann", "one"), ("zo\u{eb}", "a:b c"), ("!", "!bang")] {
        assert_eq!(door.ask_as(user, password), allowed(user), "{user}");
    }
    for (user, password) in
        [("ann", "on"), ("ann", "one\r"), ("ann", ""), ("Ann", "one"), ("bob", "two"), ("# bob", "two"), ("", "")]
    {
        assert_eq!(door.ask_as(user, password), Word::Denied, "{user:?} {password:?}");
    }
}

#[test]
fn a_header_that_says_nothing_is_nobodys() {
    let mut door = Door::new("ann:one\n");
    assert_eq!(door.guard.ask(&mut door.passwords, door.now, None, ID), Word::Denied);
    for good in ["Basic YW5uOm9uZQ==", "basic YW5uOm9uZQ==", "BASIC   YW5uOm9uZQ== "] {
        assert_eq!(door.ask(good.as_bytes()), allowed("ann"), "{good}");
    }
    for bad in [
        "",
        "Basic",
        "Basic ",
        "BasicYW5uOm9uZQ==",
        "Bearer YW5uOm9uZQ==",
        "Basic YW5uOm9uZQ=",
        "Basic YW5uOm9uZQ",
        "Basic YW5u Om9uZQ==",
        "Basic YW5uOm9uZQ==, Basic YW5uOm9uZQ==",
        "Basic !!!!",
        "Basic YW5u",
        &basic("ann"),
        &basic("ann:one\0"),
        &basic("ann:one\n"),
        &basic(b"\xff:one"),
    ] {
        assert_eq!(door.ask(bad.as_bytes()), Word::Denied, "{bad}");
    }
}

#[test]
fn credentials_that_are_too_long_are_not_decoded() {
    let longest = "p".repeat(limits::BASIC_AUTH - "ann:".len());
    let mut door = Door::new(format!("ann:{longest}\n"));
    assert_eq!(door.ask_as("ann", &longest), allowed("ann"));
    door.write(&format!("ann:{longest}p\n"));
    assert_eq!(door.ask_as("ann", &format!("{longest}p")), Word::Denied);
    assert_eq!(door.ask_as("ann", &"p".repeat(1 << 20)), Word::Denied);
}

#[test]
fn bcrypt_is_verified_elsewhere_and_its_verdict_is_remembered() {
    for version in ["$2a$", "$2b$", "$2y$"] {
        let hash = bcrypt_of("one").replace("$2b$", version);
        let mut door = Door::new(format!("ann:{hash}\nbob:plain\n"));
        assert_eq!(door.verdict("ann", "one"), allowed("ann"));
        assert_eq!(door.ask_as("ann", "one"), allowed("ann"));
        assert_eq!(door.verdict("ann", "two"), Word::Denied);
        assert_eq!(door.ask_as("ann", "two"), Word::Denied);
        assert_eq!(door.verdict("ann", &hash), Word::Denied);
    }
}

#[test]
fn hashes_that_others_made_are_known() {
    // By crypt(3) of libxcrypt.
    let hash = "05$abcdefghijklmnopqrstuuuLZW9x3q.ZSiA0aOz2IIJndlFR9/Q16";
    for version in ["2a", "2b", "2y"] {
        let mut door = Door::new(format!("ann:${version}${hash}\n"));
        assert_eq!(door.verdict("ann", "one"), allowed("ann"), "{version}");
        assert_eq!(door.verdict("ann", "One"), Word::Denied, "{version}");
    }
}

#[test]
fn an_entry_without_a_name_or_a_password_and_a_locked_one_let_nobody_in() {
    let hash = bcrypt_of("one");
    for (line, what) in [
        (":", "no user"),
        (":one", "no user"),
        ("ann:", "no password"),
        ("ann:*", "locked"),
        ("ann:!", "locked"),
        ("ann:!!", "locked"),
        ("ann:*!", "locked"),
        (&format!("ann:!{hash}"), "locked"),
        (&format!("ann:*{hash}"), "locked"),
    ] {
        let (_, complaint) = Credentials::parse(line.as_bytes());
        assert!(complaint.as_ref().is_some_and(|complaint| complaint.contains(what)), "{line}: {complaint:?}");
        let mut door = Door::new(format!("{line}\n"));
        let (user, secret) = line.split_once(':').expect("a colon");
        for password in ["", "one", secret] {
            assert_eq!(door.ask_as(user, password), Word::Denied, "{line}: {password:?}");
        }
    }
}

#[test]
fn bcrypt_looks_at_so_many_bytes_and_a_longer_password_is_refused() {
    let longest = "a".repeat(limits::BCRYPT_PASSWORD);
    let mut door = Door::new(format!("ann:{}\nbob:{longest}b\n", bcrypt_of(&longest)));
    assert_eq!(door.verdict("ann", &longest), allowed("ann"));
    assert_eq!(door.verdict("ann", &format!("{longest}zzz")), Word::Denied);
    assert_eq!(door.verdict("bob", &format!("{longest}b")), allowed("bob"), "a plain one may be longer");
}

#[test]
fn users_that_are_there_not_at_all_or_plain_take_as_long_as_bcrypt() {
    let mut door = Door::new(format!("ann:{}\nbob:plain\n", bcrypt_of("one")));
    assert_eq!(door.verdict("nobody", "one"), Word::Denied);
    assert_eq!(door.verdict("nobody", ""), Word::Denied);
    assert_eq!(door.verdict("bob", "wrong"), Word::Denied);
    assert_eq!(door.verdict("bob", "plain"), allowed("bob"));
}

#[test]
fn who_asks_again_before_the_verdict_waits_once() {
    let mut door = Door::new(format!("ann:{}\n", bcrypt_of("one")));
    for _ in 0..2 * limits::BCRYPT_QUEUE {
        assert_eq!(door.ask_as("ann", "one"), Word::Pending);
    }
    assert_eq!(door.verdict("ann", "one"), allowed("ann"));
}

#[test]
fn who_is_known_gets_in_while_too_many_wait() {
    let slow = bcrypt::hash("one", 10).expect("a hash");
    let mut door = Door::new(format!("ann:{slow}\n"));
    assert_eq!(door.verdict("ann", "one"), allowed("ann"));
    let words: Vec<Word> = (0..limits::BCRYPT_QUEUE + 10).map(|n| door.ask_as("ann", &n.to_string())).collect();
    assert_eq!(words.iter().filter(|word| **word == Word::Pending).count(), limits::BCRYPT_QUEUE);
    assert_eq!(words.last(), Some(&Word::Busy));
    assert_eq!(door.ask_as("ann", "one"), allowed("ann"));
}

#[test]
fn who_tries_passwords_pushes_out_nobody_who_is_known() {
    let mut door = Door::new(format!("ann:{}\n", bcrypt_of("one")));
    assert_eq!(door.verdict("ann", "one"), allowed("ann"));
    for n in 0..limits::BASIC_AUTH_VERDICTS + 10 {
        assert_eq!(door.verdict("ann", &n.to_string()), Word::Denied);
    }
    assert_eq!(door.ask_as("ann", "one"), allowed("ann"));
    assert_eq!(door.ask_as("ann", "0"), Word::Pending, "the oldest is forgotten");
}

#[test]
fn a_file_that_changes_is_read_again_and_old_verdicts_count_no_more() {
    let mut door = Door::new("ann:one\n");
    assert_eq!(door.ask_as("ann", "one"), allowed("ann"));
    door.write("ann:two\n");
    assert_eq!((door.ask_as("ann", "one"), door.ask_as("ann", "two")), (Word::Denied, allowed("ann")));
    door.write(&format!("ann:{}\n", bcrypt_of("three")));
    assert_eq!(door.verdict("ann", "three"), allowed("ann"));
    door.write(&format!("ann:{}\n", bcrypt_of("four")));
    assert_eq!(door.verdict("ann", "three"), Word::Denied);
    // Renamed over, with the same size.
    let (new, path) = (door.folder.path().join("new"), door.folder.path().join("users"));
    fs::write(&new, "ann:one\n").expect("a file");
    fs::rename(&new, &path).expect("a rename");
    door.later();
    assert_eq!(door.ask_as("ann", "one"), allowed("ann"));
}

#[test]
fn a_file_that_cannot_be_read_lets_nobody_in_until_it_can() {
    let mut door = Door::new("ann:one\n");
    let path = door.folder.path().join("users");
    for spoil in [
        |path: &Path| fs::create_dir(path).expect("a folder"),
        |path: &Path| {
            rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("a fifo");
        },
        |path: &Path| fs::write(path, "ann:one\n".repeat(limits::CREDENTIALS as usize)).expect("a huge file"),
        |_: &Path| {},
    ] {
        let _ = fs::remove_file(&path);
        spoil(&path);
        door.later();
        assert_eq!(door.ask_as("ann", "one"), Word::Denied);
        assert_eq!(door.ask_as("", ""), Word::Denied);
        let _ = fs::remove_dir(&path);
        let _ = fs::remove_file(&path);
        door.write("ann:one\n");
        assert_eq!(door.ask_as("ann", "one"), allowed("ann"));
    }
}

#[test]
fn lines_that_make_no_sense_let_nobody_in_and_are_told_about() {
    let cut = &bcrypt_of("one")[..59];
    let dear = bcrypt_of("one").replace("$04$", "$31$");
    for (line, part) in [
        ("ann", "user:password"),
        ("ann:$apr1$x$y", "bcrypt is known alone"),
        ("ann:{SHA}abc", "bcrypt is known alone"),
        ("ann:$6$abc$def", "bcrypt is known alone"),
        (&format!("ann:{cut}"), "not whole"),
        (&format!("ann:{cut}\u{e4}"), "not whole"),
        (&format!("ann:{dear}"), "costs too much"),
        ("ann:a\tb", "control character"),
    ] {
        let (credentials, complaint) = Credentials::parse(format!("# x\n{line}\nbob:two\n").as_bytes());
        let complaint = complaint.expect("a complaint");
        assert!(complaint.contains("line 2") && complaint.contains(part), "{complaint}");
        assert!(!complaint.contains("ann"), "it shows nothing of the line: {complaint}");
        assert!(credentials.find("ann").is_none() && credentials.find("bob").is_some(), "{line}");
    }
    let (credentials, complaint) = Credentials::parse(b"\xff:a\nann:one\nann:two\nx\n");
    assert!(complaint.expect("a complaint").starts_with("3 lines let nobody in; line 1"));
    let Some((_, Secret::Plain(digest))) = credentials.find("ann") else { panic!("a plain password") };
    assert!(credentials::is_same(digest, b"one"), "the first line counts");
}

#[test]
fn every_verdict_costs_as_much_as_the_dearest() {
    let (credentials, _) = Credentials::parse(format!("ann:{}\nbob:x\n", bcrypt_of("one")).as_bytes());
    assert_eq!(credentials.highest_cost(), Some(4));
    for cost in limits::BCRYPT_COST {
        let nobodys = credentials::nobodys(cost);
        assert_eq!(credentials::cost_of(&nobodys), Some(cost));
        let work = |own: u32| passwords::costs_up_to(cost, Some(own)).fold(1 << own, |work, cost| work + (1 << cost));
        for own in 4..=cost {
            assert_eq!(work(own), 1 << cost, "{own} beside {cost}");
        }
    }
    assert_eq!(bcrypt::verify("one", &credentials::nobodys(4)).ok(), Some(false), "it is worked out, and nobody's");
}

#[test]
fn entries_of_different_costs_are_all_recognised() {
    let dear = bcrypt::hash("two", 6).expect("a hash");
    let mut door = Door::new(format!("ann:{}\nbob:{dear}\n", bcrypt_of("one")));
    for (user, password) in [("ann", "one"), ("bob", "two")] {
        assert_eq!(door.verdict(user, password), allowed(user));
        assert_eq!(door.verdict(user, "three"), Word::Denied);
    }
    assert_eq!(door.verdict("carl", "one"), Word::Denied);
}

#[test]
fn a_realm_stays_in_its_quotes() {
    let guard = Guard::new(Path::new("/nowhere"), "a\"b\\c\r\nd");
    assert_eq!(guard.challenge(), r#"Basic realm="a\"b\\cd", charset="UTF-8""#);
}

proptest! {
    #[test]
    fn any_header_gets_a_verdict(header in any::<Vec<u8>>(), text in any::<Vec<u8>>()) {
        let mut buffer = [0; limits::BASIC_AUTH];
        let _ = user_and_password(&header, &mut buffer);
        let header = basic(&text);
        let read = user_and_password(header.as_bytes(), &mut buffer);
        if let Some((user, password)) = read {
            prop_assert_eq!([user.as_bytes(), password].join(&b':'), text);
            prop_assert!(!user.contains(':'));
        }
    }

    #[test]
    fn any_file_is_read(text in any::<Vec<u8>>()) {
        let (credentials, _) = Credentials::parse(&text);
        prop_assert!(credentials.is_of(&text));
    }
}
