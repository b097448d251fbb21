//! Which files a configuration is in, and their bytes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::diagnostic::{Diagnostic, Found, Place, Problem, Report};
use crate::regular_file;

/// Bytes of one file.
pub const MAX_FILE: u64 = 64 * 1024 * 1024;

/// The files of a configuration folder: `conf`, then those of `conf.d`, sorted by their names' bytes.
///
/// Left out are names that begin with a dot, and those with a `~`: leftovers of editors (lws leaves those with `~` out). Links are
/// followed. Folders, pipes and the like are left out with a warning.
pub(super) fn of_folder(dir: &Path, report: &mut Report) -> Vec<PathBuf> {
    let mut files = vec![dir.join("conf")];
    let conf_d = dir.join("conf.d");
    let entries = match fs::read_dir(&conf_d) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound && fs::symlink_metadata(&conf_d).is_err() => {
            return files;
        }
        Err(error) => {
            report.push(unreadable(&conf_d, &error));
            return files;
        }
    };
    let mut names = Vec::new();
    for entry in entries {
        match entry {
            Ok(entry) => names.push(entry.file_name()),
            Err(error) => report.push(unreadable(&conf_d, &error)),
        }
    }
    names.sort();
    for name in names {
        let bytes = name.as_encoded_bytes();
        if bytes.starts_with(b".") || bytes.contains(&b'~') {
            continue;
        }
        let path = conf_d.join(name);
        match fs::metadata(&path) {
            Ok(about) if about.is_file() => files.push(path),
            Ok(about) => {
                let what = if about.is_dir() { "is a folder" } else { "is not a regular file" };
                let warning = Diagnostic::warning(Problem::Unreadable, start(&path), String::new());
                report.push(warning.note(format!("{what}; it is left out")));
            }
            Err(error) => report.push(unreadable(&path, &error)),
        }
    }
    files
}

/// A file's bytes.
pub(super) fn read(path: &Path) -> Found<Vec<u8>> {
    match regular_file::read(path, MAX_FILE) {
        Ok((_, bytes)) => Ok(bytes),
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
            let error = Diagnostic::error(Problem::Unreadable, start(path), String::new());
            Err(error.expected(format!("at most {MAX_FILE} bytes")).found("more").into())
        }
        Err(error) => Err(unreadable(path, &error).into()),
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Diagnostic {
    let leads = match fs::read_link(path) {
        Ok(target) => format!(" (it is a link to {})", target.display().to_string().escape_debug()),
        Err(_) => String::new(),
    };
    let diagnostic = Diagnostic::error(Problem::Unreadable, start(path), String::new());
    diagnostic.note(format!("cannot be read: {error}{leads}"))
}

fn start(path: &Path) -> Place {
    Place { file: path.display().to_string(), line: 1, column: 1 }
}
