//! Answers that the role makes by itself, each with its line in the access log.

use crate::cx::Cx;
use crate::role::CloseReason;
use crate::wsi::Wsi;

use super::answer::Answer;
use super::entry::Entry;
use super::file_body::FileBody;
use super::h1::{self, Version};
use super::response::Terms;
use super::status::Status;

/// Answers what is no request to serve. What follows it cannot be trusted, so the connection ends.
pub(super) fn refuse(wsi: &mut Wsi, cx: &mut Cx, status: Status, bytes: &[u8]) -> CloseReason {
    let terms = Terms { version: Version::Http11, keep_alive: false, head_only: h1::is_head(bytes) };
    let mut entry = Entry::begin(wsi, cx, bytes, None);
    let sent = send(Answer::page(status), wsi, cx, terms, &mut entry);
    if let Some(entry) = entry {
        entry.finish(wsi, cx);
    }
    match sent {
        Ok(_) => CloseReason::PeerFault(format!("{} {}", status.code(), status.phrase()).into()),
        Err(reason) => reason,
    }
}

/// Sends an answer, and notes what the log will say of it. One that cannot even be begun is logged here.
pub(super) fn send(
    answer: Answer,
    wsi: &mut Wsi,
    cx: &mut Cx,
    terms: Terms,
    entry: &mut Option<Box<Entry>>,
) -> Result<Option<FileBody>, CloseReason> {
    let answer = answer.within_descriptors(cx);
    let status = answer.status;
    let sent = answer.send(wsi, cx, terms);
    if let Some(entry) = entry {
        entry.answered(status, sent.as_ref().map_or(0, |(head, _)| *head));
    }
    match sent {
        Ok((_, body)) => Ok(body),
        Err(reason) => {
            if let Some(entry) = entry.take() {
                entry.finish(wsi, cx);
            }
            Err(reason)
        }
    }
}
