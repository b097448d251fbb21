//! `protocol-post-demo`: shows what a form has brought (lws's plugin `protocol-post-demo`).
//!
//! | pvo | meaning |
//! |---|---|
//! | `post-file` | the file that came last is kept there, for its owner's eyes alone; absent: nothing is written (lws: always `/tmp/post-file`) |
//!
//! A GET is answered with a form to try. Files are counted as they come, and not kept in memory. Beside the limit that the mount has for
//! bodies, a form may have 64 fields with 32 KiB of text, and 8 files.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::http_dummy;
use crate::forms::{Fields, Form, FormError, FormEvent, FormLimits, Refusal, html_escape};
use crate::{Call, HttpRequest, InitError, Protocol, Pvo, Reason, Response, Verdict, VhostCall, Wsi};

/// Answers a form with a page of its fields and files.
pub struct PostDemo;

/// What a form has brought so far.
#[derive(Default)]
pub struct Pss {
    form: Option<Form>,
    brought: Brought,
}

#[derive(Default)]
struct Brought {
    fields: Fields,
    files: Vec<FileSeen>,
    kept: Option<Unfinished>,
}

struct FileSeen {
    name: String,
    filename: String,
    content_type: String,
    length: u64,
}

impl Protocol for PostDemo {
    const NAME: &'static str = "protocol-post-demo";
    const ROLES: &'static [&'static str] = &["http"];
    type Session = Pss;
    /// Where the last file is kept.
    type Vhost = Option<PathBuf>;

    fn init(_vhost: VhostCall<'_>, pvo: &Pvo) -> Result<Self::Vhost, InitError> {
        let Some(path) = pvo.get("post-file").map(PathBuf::from) else { return Ok(None) };
        match path.parent() {
            Some(folder) if path.is_absolute() && folder.is_dir() && !path.is_dir() => Ok(Some(path)),
            _ => Err(format!(
                "the option \"post-file\" is {path:?}; expected the path of a file in a folder that is there"
            )
            .into()),
        }
    }

    fn callback(call: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        let Call { wsi, cx, pss, vhd } = call;
        match reason {
            Reason::Http(request) => match request.method() {
                "GET" | "HEAD" => return page(wsi, FORM),
                "POST" => match form_of(request) {
                    Ok(form) => pss.form = Some(form),
                    Err(error) => refuse(wsi, pss, &error),
                },
                _ => return answer(wsi, Response::new(405).header("Allow", "GET, HEAD, POST"), ""),
            },
            Reason::HttpBody(bytes) => {
                let Pss { form: Some(form), brought } = pss else { return Verdict::Continue };
                let temporary =
                    || vhd.as_ref().map(|path| (path.clone(), format!("{}.{}", std::process::id(), wsi.id())));
                if let Err(error) = form.feed(bytes, |event| brought.take(event, temporary)) {
                    refuse(wsi, pss, &error);
                }
            }
            Reason::HttpBodyCompletion => {
                let Some(form) = pss.form.take() else { return Verdict::Continue };
                match form.finish(|event| pss.brought.take(event, || None)) {
                    Ok(()) => return page(wsi, &pss.brought.shown()),
                    Err(error) => refuse(wsi, pss, &error),
                }
            }
            _ => return http_dummy::callback(wsi, cx, reason),
        }
        Verdict::Continue
    }
}

fn form_of(request: &HttpRequest) -> Result<Form, FormError> {
    let limits =
        FormLimits { fields: 64, text: 32 * 1024, files: 8, file: u64::MAX, total: u64::MAX, ..FormLimits::default() };
    Form::new(request.header_str("content-type").unwrap_or_default(), limits)
}

fn refuse(wsi: &mut Wsi, pss: &mut Pss, error: &FormError) {
    log::info!("wsi {}: {error}", wsi.id());
    *pss = Pss::default();
    let status = error.http_status();
    // What fails here is not the client's affair.
    let text = (status < 500).then(|| format!("{error}\n"));
    wsi.return_http_status(status, text.as_deref());
}

fn page(wsi: &mut Wsi, content: &str) -> Verdict {
    let head =
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>post demo</title></head>\n<body>\n";
    let response = Response::new(200).content_type("text/html; charset=utf-8").header("Cache-Control", "no-store");
    answer(wsi, response, &format!("{head}{content}</body></html>\n"))
}

fn answer(wsi: &mut Wsi, response: Response, body: &str) -> Verdict {
    match wsi.respond_with(response, body) {
        Ok(()) => Verdict::Continue,
        Err(error) => {
            log::error!("wsi {}: {error}", wsi.id());
            Verdict::Close
        }
    }
}

const FORM: &str = "\
<form method=\"post\" enctype=\"multipart/form-data\">
<input name=\"text\"> <input type=\"file\" name=\"file\"> <button name=\"send\" value=\"Send\">Send</button>
</form>
";

impl Brought {
    /// `keep` says where a file is kept in the end, and what it is called until then.
    fn take(&mut self, event: FormEvent<'_>, keep: impl Fn() -> Option<(PathBuf, String)>) -> Result<(), Refusal> {
        match event {
            FormEvent::FileBegin { name, filename, content_type } => {
                self.files.push(FileSeen {
                    name: name.to_owned(),
                    filename: filename.to_owned(),
                    content_type: content_type.unwrap_or_default().to_owned(),
                    length: 0,
                });
                // Browsers send one without a name where none was chosen.
                if let Some((path, suffix)) = keep().filter(|_| !filename.is_empty()) {
                    self.kept = Some(Unfinished::create(path, &suffix)?);
                }
            }
            FormEvent::FileData(data) => {
                if let Some(file) = self.files.last_mut() {
                    file.length += data.len() as u64;
                }
                if let Some(kept) = &mut self.kept {
                    kept.file.write_all(data)?;
                }
            }
            FormEvent::FileEnd => {
                if let Some(kept) = self.kept.take() {
                    kept.keep()?;
                }
            }
            field => self.fields.take(field)?,
        }
        Ok(())
    }

    fn shown(&self) -> String {
        let mut shown =
            "<h1>What the form brought</h1>\n<table>\n<tr><th>Name</th><th>Length</th><th>Value</th></tr>\n".to_owned();
        let mut row = |name: &str, length: u64, value: &str| {
            let (name, value) = (html_escape(name), html_escape(value));
            writeln!(shown, "<tr><td><b>{name}</b></td><td>{length}</td><td>{value}</td></tr>")
                .expect("memory takes all");
        };
        self.fields.iter().for_each(|(name, value)| row(name, value.len() as u64, value));
        for FileSeen { name, filename, content_type, length } in &self.files {
            row(name, *length, &format!("the file {filename:?} {content_type}"));
        }
        shown + "</table>\n"
    }
}

/// A file that has not come to its end. Unless it is kept, it goes.
struct Unfinished {
    file: File,
    /// What it is called meanwhile.
    temporary: PathBuf,
    path: PathBuf,
}

impl Unfinished {
    fn create(path: PathBuf, suffix: &str) -> io::Result<Unfinished> {
        let mut temporary = path.clone().into_os_string();
        temporary.push(format!(".{suffix}"));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(Path::new(&temporary))?;
        Ok(Unfinished { file, temporary: temporary.into(), path })
    }

    fn keep(self) -> io::Result<()> {
        fs::rename(&self.temporary, &self.path)
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // After `keep` there is nothing of that name.
        let _ = fs::remove_file(&self.temporary);
    }
}
