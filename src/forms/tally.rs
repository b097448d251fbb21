//! What a form has used of its limits.

use super::{FormError, FormEvent, FormLimits, Refusal};

/// What is called for each part of a form.
pub(super) type OnEvent<'a> = &'a mut dyn FnMut(FormEvent<'_>) -> Result<(), Refusal>;

/// The limits of a form, and what is counted over all of its parts.
#[derive(Debug)]
pub(super) struct Tally {
    limits: FormLimits,
    fields: usize,
    files: usize,
    text: usize,
    total: u64,
}

impl Tally {
    pub(super) fn new(limits: FormLimits) -> Tally {
        Tally { limits, fields: 0, files: 0, text: 0, total: 0 }
    }

    /// Takes bytes of the body: as many of them as the limit leaves room for, and the error where that is not all.
    pub(super) fn take<'b>(&mut self, bytes: &'b [u8]) -> (&'b [u8], Result<(), FormError>) {
        let limit = self.limits.total;
        let room = usize::try_from(limit - self.total).unwrap_or(usize::MAX);
        let within = &bytes[..bytes.len().min(room)];
        self.total += within.len() as u64;
        (within, if within.len() < bytes.len() { Err(FormError::TooLong { limit }) } else { Ok(()) })
    }

    pub(super) fn field(&mut self) -> Result<(), FormError> {
        self.fields += 1;
        let limit = self.limits.fields;
        if self.fields > limit { Err(FormError::TooManyFields { limit }) } else { Ok(()) }
    }

    pub(super) fn file(&mut self) -> Result<(), FormError> {
        self.files += 1;
        let limit = self.limits.files;
        if self.files > limit { Err(FormError::TooManyFiles { limit }) } else { Ok(()) }
    }

    /// Bytes of a field that is handed over.
    pub(super) fn text(&mut self, bytes: usize) -> Result<(), FormError> {
        self.text = self.text.saturating_add(bytes);
        let limit = self.limits.text;
        if self.text > limit { Err(FormError::TooMuchText { limit }) } else { Ok(()) }
    }

    pub(super) fn name(&self, length: usize) -> Result<(), FormError> {
        let limit = self.limits.name;
        if length > limit { Err(FormError::NameTooLong { limit }) } else { Ok(()) }
    }

    pub(super) fn value(&self, length: usize) -> Result<(), FormError> {
        let limit = self.limits.value;
        if length > limit { Err(FormError::ValueTooLong { limit }) } else { Ok(()) }
    }

    pub(super) fn part_headers(&self, length: usize) -> Result<(), FormError> {
        let limit = self.limits.part_headers;
        if length > limit { Err(FormError::PartHeadersTooLong { limit }) } else { Ok(()) }
    }

    /// Takes bytes of a file, of which so many have come before: as [`take`](Self::take).
    pub(super) fn file_data<'b>(&self, before: u64, bytes: &'b [u8]) -> (&'b [u8], Result<(), FormError>) {
        let limit = self.limits.file;
        let room = usize::try_from(limit.saturating_sub(before)).unwrap_or(usize::MAX);
        let within = &bytes[..bytes.len().min(room)];
        (within, if within.len() < bytes.len() { Err(FormError::FileTooLong { limit }) } else { Ok(()) })
    }
}
