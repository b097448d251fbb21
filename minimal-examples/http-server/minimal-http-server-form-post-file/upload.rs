//! What the form brings: fields are logged, the file goes to the disk piece by piece.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use rlws::forms::{FormEvent, Refusal, safe_file_name};

/// The file that is being stored.
#[derive(Default)]
pub(crate) struct Upload {
    file: Option<(File, PathBuf)>,
}

impl Upload {
    pub(crate) fn take(&mut self, event: FormEvent<'_>, dir: &Path) -> Result<(), Refusal> {
        match event {
            FormEvent::FileBegin { filename, .. } => {
                let name = safe_file_name(filename).ok_or_else(|| Refusal::new(400, "no plain name of a file"))?;
                let path = dir.join(name);
                let file = File::create_new(&path).map_err(|error| match error.kind() {
                    ErrorKind::AlreadyExists => Refusal::new(409, "a file of that name is there"),
                    _ => error.into(),
                })?;
                self.file = Some((file, path));
            }
            FormEvent::FileData(data) => {
                if let Some((file, _)) = &mut self.file {
                    file.write_all(data)?; // an error of ours: 500
                }
            }
            FormEvent::FileEnd => {
                if let Some((_, path)) = self.file.take() {
                    log::info!("{path:?} is there");
                }
            }
            FormEvent::Field { name, value } => log::info!("{name:?}: {value:?}"),
            _ => {}
        }
        Ok(())
    }
}

/// A client that leaves, and a form that turns out to be none, leave no half of a file behind.
impl Drop for Upload {
    fn drop(&mut self) {
        if let Some((_, path)) = self.file.take() {
            let _ = std::fs::remove_file(path);
        }
    }
}
