//! From files to a configuration.

use std::path::Path;
use std::sync::Arc;

use super::diagnostic::{ConfError, Diagnostic, Found, Report};
use super::fields::{self, Fields};
use super::global::Global;
use super::keys::Section;
use super::node::{File, Node};
use super::source::Source;
use super::vhost::VhostConf;
use super::{Conf, files, sockets, tree};

/// Reads configurations, with settings of its own.
///
/// ```
/// use rlws::conf::Loader;
/// let loader = Loader::new().data_dir("/usr/local/share").own_section("my-app");
/// let text = r#"{ "vhosts": [{ "port": "80", "mounts": [{ "mountpoint": "/", "origin": "file://_lws_ddir_/site" }] }] }"#;
/// let conf = loader.load_str("my.conf", text)?;
/// assert_eq!(conf.vhosts[0].mounts[0].origin, rlws::conf::OriginConf::File("/usr/local/share/site".into()));
/// # Ok::<(), rlws::conf::ConfError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Loader {
    data_dir: String,
    own_sections: Vec<String>,
}

impl Default for Loader {
    fn default() -> Self {
        Loader { data_dir: "/usr/share".to_owned(), own_sections: Vec::new() }
    }
}

impl Loader {
    /// The defaults.
    pub fn new() -> Loader {
        Loader::default()
    }

    /// What `_lws_ddir_` in strings stands for; `/usr/share`.
    #[must_use]
    pub fn data_dir(mut self, dir: impl Into<String>) -> Loader {
        self.data_dir = dir.into();
        self
    }

    /// A section at the top level that is the program's own: [`Conf::section`] finds it, and there is no warning about it.
    #[must_use]
    pub fn own_section(mut self, name: impl Into<String>) -> Loader {
        self.own_sections.push(name.into());
        self
    }

    /// Reads `DIR/conf`, and every file in `DIR/conf.d` in the order of their names; there need not be a `conf.d`.
    ///
    /// In `conf.d`, names that begin with a dot or have a `~` in them are left out, folders and what else is no file too, those with a
    /// warning. Links are followed.
    ///
    /// # Errors
    /// Everything that is wrong with the files: of each its first syntax error, or all errors of meaning.
    pub fn load_dir(&self, dir: impl AsRef<Path>) -> Result<Conf, ConfError> {
        self.load_dir_with(dir, |_, _| Vec::new())
    }

    /// The same, for a program that looks for mistakes of its own: where the files have some, `more` is shown what could be read all the
    /// same, and what was said about it, and what it finds is told as well.
    ///
    /// # Errors
    /// As [`Loader::load_dir`].
    pub fn load_dir_with(
        &self,
        dir: impl AsRef<Path>,
        more: impl FnOnce(&Conf, &[Diagnostic]) -> Vec<Diagnostic>,
    ) -> Result<Conf, ConfError> {
        let mut report = Report::default();
        let paths = files::of_folder(dir.as_ref(), &mut report);
        let mut builder = Builder::new(self, report);
        builder.add_paths(paths.iter().map(|path| path.as_path()));
        builder.finish_with(more)
    }

    /// Reads these files, in this order.
    ///
    /// # Errors
    /// As [`Loader::load_dir`].
    pub fn load_files<P: AsRef<Path>>(&self, paths: &[P]) -> Result<Conf, ConfError> {
        let mut builder = Builder::new(self, Report::default());
        builder.add_paths(paths.iter().map(AsRef::as_ref));
        builder.finish()
    }

    /// Reads a text. `name` stands for the file in places.
    ///
    /// # Errors
    /// As [`Loader::load_dir`].
    pub fn load_str(&self, name: &str, text: &str) -> Result<Conf, ConfError> {
        self.load_texts([(name, text)])
    }

    /// Reads several texts, each with the name that stands for its file, such as those of [`Conf::texts`]. Bytes are taken as well: that
    /// they are no UTF-8 is an error, as in a file.
    ///
    /// # Errors
    /// As [`Loader::load_dir`].
    pub fn load_texts<'t, T: AsRef<[u8]> + ?Sized + 't>(
        &self,
        texts: impl IntoIterator<Item = (&'t str, &'t T)>,
    ) -> Result<Conf, ConfError> {
        let mut builder = Builder::new(self, Report::default());
        for (name, text) in texts {
            builder.add(name.to_owned(), Ok(text.as_ref().to_vec()));
        }
        builder.finish()
    }
}

struct Builder<'l> {
    loader: &'l Loader,
    conf: Conf,
    names: Vec<String>,
    report: Report,
}

impl<'l> Builder<'l> {
    fn new(loader: &'l Loader, report: Report) -> Builder<'l> {
        let conf = Conf { global: Global::default(), vhosts: Vec::new(), warnings: Vec::new(), files: Vec::new() };
        Builder { loader, conf, names: Vec::new(), report }
    }

    fn add_paths<'p>(&mut self, paths: impl Iterator<Item = &'p Path>) {
        for path in paths {
            self.add(path.display().to_string(), files::read(path));
        }
    }

    fn add(&mut self, name: String, bytes: Found<Vec<u8>>) {
        let parsed = bytes.and_then(|bytes| {
            let source = Source::new(&name, bytes)?;
            let root = tree::parse(&source, &self.loader.data_dir)?;
            Ok(Arc::new(File { source, root }))
        });
        self.names.push(name);
        if let Some(file) = self.report.take(parsed) {
            self.add_file(&file);
            self.conf.files.push(file);
        }
    }

    fn add_file(&mut self, file: &Arc<File>) {
        let Builder { loader, conf, report, .. } = self;
        let top = Fields::read(file.root(), Section::Top, &loader.own_sections, report);
        for repeated in repeated_own(file.root(), &loader.own_sections) {
            report.push(repeated);
        }
        if let Some(node) = top.node("global") {
            conf.global.add(node, report);
        }
        for vhost in top.objects("vhosts", report) {
            conf.vhosts.extend(VhostConf::read(file, vhost, report));
        }
    }

    fn finish(self) -> Result<Conf, ConfError> {
        self.finish_with(|_, _| Vec::new())
    }

    fn finish_with(mut self, more: impl FnOnce(&Conf, &[Diagnostic]) -> Vec<Diagnostic>) -> Result<Conf, ConfError> {
        sockets::check(&self.conf.vhosts, &mut self.report);
        if let Some(mistakes) = self.report.mistakes() {
            let found = more(&self.conf, mistakes);
            found.into_iter().for_each(|diagnostic| self.report.push(diagnostic));
        }
        self.conf.warnings = self.report.finish(self.names.iter().map(String::as_str))?;
        Ok(self.conf)
    }
}

/// Of a program's own sections the last one of a file counts, too.
fn repeated_own(root: Node<'_>, own: &[String]) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for own in own {
        let mut keys = root.members().into_iter().flatten().map(|(key, _)| key).filter(|key| key.name == own);
        if let Some(first) = keys.next() {
            found.extend(keys.map(|key| fields::repeated(key, first)));
        }
    }
    found
}
