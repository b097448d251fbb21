//! A folder of pages to serve, and around it what must not be served.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

pub const INDEX: &str = "<html><body>the index of the site</body></html>\n";
pub const SUB_INDEX: &str = "<html><body>the index of a folder</body></html>\n";
pub const SECRET: &str = "not for anybody's eyes\n";
pub const NOT_FOUND: &str = "<html><body>we looked everywhere</body></html>\n";

/// `root()` is what a mount serves; `secret.txt` lies beside it, and `escape.txt` in it is a symlink to that.
pub struct Site {
    folder: TempDir,
}

impl Site {
    pub fn new() -> Site {
        let folder = tempfile::tempdir().expect("a folder");
        let site = Site { folder };
        std::fs::create_dir_all(site.root().join("folder")).expect("create_dir");
        std::fs::write(site.folder.path().join("secret.txt"), SECRET).expect("write");
        for (path, text) in [
            ("index.html", INDEX),
            ("folder/index.html", SUB_INDEX),
            ("404.html", NOT_FOUND),
            ("with space.txt", "a space\n"),
            ("style.css", "body {}\n"),
            ("script.js", "1;\n"),
            ("data.json", "{}\n"),
            ("image.png", "\u{89}PNG\n"),
            ("strange.qqq", "?\n"),
            ("empty.txt", ""),
        ] {
            site.write(path, text.as_bytes());
        }
        std::os::unix::fs::symlink("../secret.txt", site.root().join("escape.txt")).expect("symlink");
        std::os::unix::fs::symlink("style.css", site.root().join("inside.css")).expect("symlink");
        site
    }

    pub fn root(&self) -> PathBuf {
        self.folder.path().join("site")
    }

    /// Writes a file. Of one that was there a server may have kept the content; it has no more right to when this returns.
    pub fn write(&self, path: impl AsRef<Path>, bytes: &[u8]) {
        let path = self.root().join(path);
        let was_there = path.exists();
        std::fs::write(&path, bytes).expect("write");
        if was_there {
            std::thread::sleep(rlws::limits::FILE_CACHE_FRESH);
        }
    }
}
