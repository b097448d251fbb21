//! What can be wrong with a form, and what to answer.

use std::sync::Arc;

/// Why a form is not taken.
///
/// [`http_status`](Self::http_status) is what the client is to be told; the text is for the log, and for whoever wrote the client.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum FormError {
    /// The content type is not that of a form. 415.
    #[error("the content type {0:?} is not that of a form")]
    NotAForm(String),
    /// The content type says multipart/form-data, and not how its parts are told apart. 400.
    #[error("the content type has {0}")]
    BadContentType(&'static str),
    /// Something else than blanks and CRLF, or the `--` of the last one, is behind a boundary. 400.
    #[error("a boundary is followed by neither CRLF nor `--`")]
    AfterBoundary,
    /// CR without LF, or LF without CR, in the headers of a part. 400.
    #[error("a line in the headers of a part does not end with CRLF")]
    LineEnd,
    /// A header of a part is none, or is there twice, or says what parts of a form must not say. 400.
    #[error("a part has {0}")]
    BadPart(&'static str),
    /// The body ends before the last boundary. 400.
    #[error("the form ends before its last boundary")]
    Truncated,
    /// More fields than [`FormLimits::fields`](super::FormLimits::fields). 413.
    #[error("more than {limit} fields")]
    TooManyFields {
        /// The limit.
        limit: usize,
    },
    /// A name is longer than [`FormLimits::name`](super::FormLimits::name). 413.
    #[error("a name of more than {limit} bytes")]
    NameTooLong {
        /// The limit.
        limit: usize,
    },
    /// A value is longer than [`FormLimits::value`](super::FormLimits::value). 413.
    #[error("a value of more than {limit} bytes")]
    ValueTooLong {
        /// The limit.
        limit: usize,
    },
    /// Names and values together are longer than [`FormLimits::text`](super::FormLimits::text). 413.
    #[error("names and values of more than {limit} bytes together")]
    TooMuchText {
        /// The limit.
        limit: usize,
    },
    /// More files than [`FormLimits::files`](super::FormLimits::files). 413.
    #[error("more than {limit} files")]
    TooManyFiles {
        /// The limit.
        limit: usize,
    },
    /// A file is longer than [`FormLimits::file`](super::FormLimits::file). 413.
    #[error("a file of more than {limit} bytes")]
    FileTooLong {
        /// The limit.
        limit: u64,
    },
    /// The headers of a part are longer than [`FormLimits::part_headers`](super::FormLimits::part_headers). 413.
    #[error("headers of a part of more than {limit} bytes")]
    PartHeadersTooLong {
        /// The limit.
        limit: usize,
    },
    /// The body is longer than [`FormLimits::total`](super::FormLimits::total). 413.
    #[error("a form of more than {limit} bytes")]
    TooLong {
        /// The limit.
        limit: u64,
    },
    /// The callback does not want it. The status is that of the [`Refusal`].
    #[error("{0}")]
    Refused(Refusal),
}

impl FormError {
    /// The status to answer with: 400 for what is wrong, 413 for what is too large, 415 for what is no form (RFC 9110 15.5.1, 15.5.14,
    /// 15.5.16), or the callback's own.
    pub fn http_status(&self) -> u16 {
        match self {
            FormError::NotAForm(_) => 415,
            FormError::BadContentType(_)
            | FormError::AfterBoundary
            | FormError::LineEnd
            | FormError::BadPart(_)
            | FormError::Truncated => 400,
            FormError::TooManyFields { .. }
            | FormError::NameTooLong { .. }
            | FormError::ValueTooLong { .. }
            | FormError::TooMuchText { .. }
            | FormError::TooManyFiles { .. }
            | FormError::FileTooLong { .. }
            | FormError::PartHeadersTooLong { .. }
            | FormError::TooLong { .. } => 413,
            FormError::Refused(refusal) => refusal.status,
        }
    }
}

impl From<Refusal> for FormError {
    fn from(refusal: Refusal) -> FormError {
        FormError::Refused(refusal)
    }
}

/// Why a callback does not take a part of a form, and what to answer.
///
/// ```
/// use rlws::forms::Refusal;
///
/// fn store(bytes: &[u8]) -> Result<(), Refusal> {
///     if bytes.starts_with(b"MZ") {
///         return Err(Refusal::new(422, "no programs, please"));
///     }
///     std::fs::write("/nowhere/upload", bytes)?; // 500: our fault, not the client's
///     Ok(())
/// }
/// assert_eq!(store(b"MZ").unwrap_err().status(), 422);
/// assert_eq!(store(b"").unwrap_err().status(), 500);
/// ```
#[derive(Debug, Clone)]
pub struct Refusal {
    status: u16,
    why: Arc<dyn std::error::Error + Send + Sync>,
}

impl Refusal {
    /// With a status, and a text or an error for the log.
    pub fn new(status: u16, why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Refusal {
        Refusal { status, why: Arc::from(why.into()) }
    }

    /// What to answer.
    pub fn status(&self) -> u16 {
        self.status
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.why.fmt(f)
    }
}

/// An error of ours, by `?`: 500.
impl<E: std::error::Error + Send + Sync + 'static> From<E> for Refusal {
    fn from(error: E) -> Refusal {
        Refusal::new(500, error)
    }
}
