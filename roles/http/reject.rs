//! Unwelcome guests: clients whose user agent has a word in it (`ContextInfo::reject_service_keywords`).

use crate::cx::Cx;

use super::answer::Answer;
use super::entry::user_agent;
use super::status::Status;

/// The answer for the request with this head, if its client is one of them. The connection ends behind it.
pub(super) fn rejected(cx: &Cx, head: &[u8]) -> Option<Answer> {
    let keywords = &cx.info.reject_service_keywords;
    if keywords.is_empty() {
        return None;
    }
    let user_agent = user_agent(head)?;
    let found = keywords.iter().find(|keyword| keyword.is_in(user_agent))?;
    let status = Status::from_code(found.status).unwrap_or(Status::FORBIDDEN);
    Some(match found.text.is_empty() {
        true => Answer::page(status),
        false => Answer::text(status, found.text.clone()),
    })
}
