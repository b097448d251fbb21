//! What of a file's name may be used as one.

/// The longest name that Linux takes, in bytes.
const LONGEST: usize = 255;

/// The plain name in what a client sent as a file's name, for a file of that name in a folder that has nothing else in it; or `None`,
/// where there is none.
///
/// Some clients send a path, so what counts is behind the last `/` or `\`. Blanks around it go. `None` is what is then empty, longer
/// than 255 bytes, starts with a dot (`.`, `..`, and what is hidden), or has control characters.
///
/// It says nothing of what a suffix means to whoever serves or opens the file, and two clients may send the same name.
///
/// ```
/// use rlws::forms::safe_file_name;
///
/// assert_eq!(safe_file_name("report 1.pdf"), Some("report 1.pdf"));
/// assert_eq!(safe_file_name(r"C:\Users\ada\report.pdf"), Some("report.pdf"));
/// assert_eq!(safe_file_name("../../etc/passwd"), Some("passwd"));
/// assert_eq!(safe_file_name("uploads/.."), None);
/// assert_eq!(safe_file_name(".htaccess"), None);
/// ```
pub fn safe_file_name(filename: &str) -> Option<&str> {
    let name = filename.rsplit(['/', '\\']).next().unwrap_or_default().trim();
    let is_plain =
        !name.is_empty() && name.len() <= LONGEST && !name.starts_with('.') && !name.contains(char::is_control);
    is_plain.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_path_becomes_its_last_name() {
        for (sent, name) in [
            ("a.txt", "a.txt"),
            (" a b.txt ", "a b.txt"),
            ("été.txt", "été.txt"),
            ("a..b", "a..b"),
            ("/etc/passwd", "passwd"),
            (r"..\..\a.txt", "a.txt"),
            (r"a/b\c", "c"),
            (r"a\b/c", "c"),
            ("-rf", "-rf"),
        ] {
            assert_eq!(safe_file_name(sent), Some(name), "{sent}");
        }
    }

    #[test]
    fn what_is_no_plain_name_is_none() {
        let long = "x".repeat(256);
        for sent in
            ["", " ", ".", "..", "/", "a/", r"a\", "../", "a/..", " .. ", ".a", "a\0b", "a\nb", "a\u{9b}b", &long]
        {
            assert_eq!(safe_file_name(sent), None, "{sent:?}");
        }
        assert_eq!(safe_file_name(&long[1..]), Some(&long[1..]));
    }

    proptest! {
        #[test]
        fn it_is_one_component_of_a_path(sent in any::<String>(), path in "[./\\\\a \\x00]{0,8}") {
            for sent in [sent, path] {
                if let Some(name) = safe_file_name(&sent) {
                    let path = std::path::Path::new(name);
                    prop_assert_eq!(path.components().collect::<Vec<_>>(), [std::path::Component::Normal(name.as_ref())]);
                }
            }
        }
    }
}
