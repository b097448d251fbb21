//! Forms that browsers send: their bodies read as they come, fields collected, files streamed.
//!
//! ```text
//!   bytes, in pieces ──▶ Form ──┬── urlencoded: name=value&name=value
//!   of any size                 └── multipart: boundary, headers, content, boundary, ..
//!                                        │
//!                                        ▼
//!                           on_event(Field | FileBegin, FileData.., FileEnd)
//! ```
//!
//! Both content types give the same events: `application/x-www-form-urlencoded` (see [`urlencoded`]) and `multipart/form-data` (RFC 7578,
//! RFC 2046 5.1).
//!
//! ```
//! use rlws::forms::{Fields, Form, FormError, FormEvent, FormLimits, Refusal, safe_file_name};
//!
//! #[derive(Default)]
//! struct Upload {
//!     fields: Fields,
//!     name: String,
//!     bytes: u64,
//! }
//!
//! impl Upload {
//!     fn on_event(&mut self, event: FormEvent<'_>) -> Result<(), Refusal> {
//!         match event {
//!             FormEvent::FileBegin { filename, .. } => {
//!                 let name = safe_file_name(filename).ok_or_else(|| Refusal::new(400, "no plain file name"))?;
//!                 self.name = name.to_owned();
//!             }
//!             FormEvent::FileData(data) => self.bytes += data.len() as u64, // or to the disk
//!             FormEvent::FileEnd => {}
//!             field => self.fields.take(field)?,
//!         }
//!         Ok(())
//!     }
//! }
//!
//! let body = "--x\r\n\
//!     Content-Disposition: form-data; name=\"title\"\r\n\r\n\
//!     Summer\r\n\
//!     --x\r\n\
//!     Content-Disposition: form-data; name=\"photo\"; filename=\"a.jpg\"\r\nContent-Type: image/jpeg\r\n\r\n\
//!     12345\r\n\
//!     --x--\r\n";
//!
//! let mut upload = Upload::default();
//! let mut form = Form::new("multipart/form-data; boundary=x", FormLimits::default())?;
//! for piece in body.as_bytes().chunks(7) {
//!     form.feed(piece, |event| upload.on_event(event))?;
//! }
//! form.finish(|event| upload.on_event(event))?;
//!
//! assert_eq!(upload.fields.get("title"), Some("Summer"));
//! assert_eq!((&*upload.name, upload.bytes), ("a.jpg", 5));
//! # Ok::<(), FormError>(())
//! ```
//!
//! In a protocol, the form is part of the session's data: made where the request comes, fed with each piece of its body, finished when the
//! body is complete. An error says [what to answer](FormError::http_status).
//!
//! # Invariants
//!
//! - The outcome depends on the bytes alone, never on how they were cut. Only the pieces of a file come cut as the bytes did.
//! - Memory is bounded by [`FormLimits`]: one name, one value and the headers of one part are kept. Data of files is not copied.
//! - Time is linear in the bytes, whatever they are.
//! - No input panics. An error is final: every later call returns it again, and the callback hears nothing more.
//! - Every `FileBegin` is followed by its `FileEnd` before anything else comes, unless there is an error.
//!
//! # What is strict
//!
//! Where receivers are known to read a body differently, it is refused: bare CR or LF in a part's headers, headers that go on in a second
//! line, two names or file names or types, text behind a boundary, boundaries that RFC 2046 does not allow, a `filename*` that stands
//! alone, transfer encodings, parts within parts.
//!
//! Text is UTF-8 (the field `_charset_` is one like others); what is not is replaced by U+FFFD, as the URL Standard says for both types.
//! Browsers write `"`, CR and LF of names in a multipart form as `%22`, `%0D` and `%0A`, and a `%` as it is: names come as they were sent.
//!
//! # Differences from lws_spa
//!
//! - Names are not declared beforehand. Fields come as events; [`Fields`] keeps them by name, all values of a name included.
//! - Limits are many and have errors of their own; there, `max_storage` is for the values, and names have 31 bytes.
//! - A part with an empty file name is a file too: what browsers send where no file was chosen.
//! - A bad escape stays as it is, where there the form fails.
//! - `multipart/related` is no form.
//!
//! lws: `lws_spa_create()`, `lws_spa_process()`, `lws_spa_finalize()`. `READMEs/README.http-server.md` shows how to port a form.

mod delimiter;
mod error;
mod fields;
mod file_name;
mod html;
mod multipart;
mod params;
mod part_head;
mod tally;
pub mod urlencoded;

pub use error::{FormError, Refusal};
pub use fields::Fields;
pub use file_name::safe_file_name;
pub use html::html_escape;

use multipart::Multipart;
use tally::{OnEvent, Tally};
use urlencoded::Decoder;

/// A form whose body is being received: see the [module](self).
#[derive(Debug)]
pub struct Form {
    kind: Kind,
    tally: Tally,
    failed: Option<FormError>,
}

#[derive(Debug)]
enum Kind {
    Urlencoded(Decoder),
    Multipart(Box<Multipart>),
}

/// What a form has (`lws_spa_fileupload_cb`, and `lws_spa_get_string()` for fields).
///
/// All of it is what the client says: to be checked, and escaped where it is shown ([`html_escape`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FormEvent<'a> {
    /// A field, complete.
    Field {
        /// Its name. A form may have several fields of one name.
        name: &'a str,
        /// Its value; empty where nothing was entered.
        value: &'a str,
    },
    /// A file begins (`LWS_UFS_OPEN`).
    FileBegin {
        /// The name of the form's field.
        name: &'a str,
        /// The file's name as it was sent: no path to open, see [`safe_file_name`]. Empty where the user chose no file; then there is no data.
        filename: &'a str,
        /// The type that the client says it is of.
        content_type: Option<&'a str>,
    },
    /// Some bytes of the file, never none, as they came (`LWS_UFS_CONTENT`). An empty file has no such event.
    FileData(&'a [u8]),
    /// The file is complete (`LWS_UFS_FINAL_CONTENT`).
    FileEnd,
}

/// Bounds on what a form may have. What is above one of them is an error of its own, answered with 413.
///
/// They are in bytes, of names and values as decoded; the size of a request's body has a limit beside these, which is that of the mount.
///
/// ```
/// use rlws::forms::FormLimits;
///
/// let limits = FormLimits { files: 1, file: 100 * 1024 * 1024, ..FormLimits::default() };
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FormLimits {
    /// Fields: 1000 unless told.
    pub fields: usize,
    /// Bytes of a name: 256 unless told.
    pub name: usize,
    /// Bytes of a field's value: 64 KiB unless told.
    pub value: usize,
    /// Bytes of the names and values of all fields together: 1 MiB unless told (`max_storage`).
    pub text: usize,
    /// Files: 16 unless told. One without a name counts too.
    pub files: usize,
    /// Bytes of a file: 16 MiB unless told.
    pub file: u64,
    /// Bytes of the headers of a part, with their line ends; the file's name is among them: 4096 unless told.
    pub part_headers: usize,
    /// Bytes of the body, all included: 64 MiB unless told.
    pub total: u64,
}

impl Default for FormLimits {
    fn default() -> FormLimits {
        FormLimits {
            fields: 1000,
            name: 256,
            value: 64 * 1024,
            text: 1024 * 1024,
            files: 16,
            file: 16 * 1024 * 1024,
            part_headers: 4096,
            total: 64 * 1024 * 1024,
        }
    }
}

/// In the order of use.
impl Form {
    /// A form of the type that the request's `Content-Type` names (`lws_spa_create()`).
    ///
    /// # Errors
    ///
    /// 415, where it is not the type of a form; 400, where the boundary of a multipart form is missing or none.
    pub fn new(content_type: &str, limits: FormLimits) -> Result<Form, FormError> {
        let (word, params) = params::split(content_type);
        let kind = if word.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            Kind::Urlencoded(Decoder::default())
        } else if word.eq_ignore_ascii_case("multipart/form-data") {
            Kind::Multipart(Box::new(Multipart::new(params)?))
        } else {
            return Err(FormError::NotAForm(word.to_owned()));
        };
        Ok(Form { kind, tally: Tally::new(limits), failed: None })
    }

    /// Takes the next bytes of the body, however few, and calls back for what they complete (`lws_spa_process()`).
    ///
    /// # Errors
    ///
    /// The body is wrong, or above a limit, or the callback refuses it. An error is final, and returned again by every later call.
    pub fn feed(
        &mut self,
        bytes: &[u8],
        mut on_event: impl FnMut(FormEvent<'_>) -> Result<(), Refusal>,
    ) -> Result<(), FormError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let taken = self.take(bytes, &mut on_event);
        self.failed = taken.as_ref().err().cloned();
        taken
    }

    /// The body has ended (`lws_spa_finalize()`). The last field of an urlencoded form comes here.
    ///
    /// # Errors
    ///
    /// As [`feed`](Self::feed), and where a multipart form has not come to its last boundary.
    pub fn finish(mut self, mut on_event: impl FnMut(FormEvent<'_>) -> Result<(), Refusal>) -> Result<(), FormError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        match self.kind {
            Kind::Urlencoded(decoder) => decoder.finish(&mut self.tally, &mut on_event),
            Kind::Multipart(multipart) => multipart.finish(),
        }
    }

    fn take(&mut self, bytes: &[u8], on_event: OnEvent<'_>) -> Result<(), FormError> {
        let (bytes, within_limit) = self.tally.take(bytes);
        match &mut self.kind {
            Kind::Urlencoded(decoder) => decoder.take(bytes, &mut self.tally, on_event)?,
            Kind::Multipart(multipart) => multipart.take(bytes, &mut self.tally, on_event)?,
        }
        within_limit
    }
}

#[cfg(test)]
mod tests;
