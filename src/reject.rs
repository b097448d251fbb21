//! Clients that http answers with a status, because of how they call themselves (`reject_service_keywords`).

/// What a client is told whose user agent has a word in it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RejectKeyword {
    /// The word, anywhere in the `User-Agent:`; case counts. An empty one is in none.
    pub keyword: String,
    /// The status of the answer, 200 to 599; any other number counts as 403.
    pub status: u16,
    /// What the answer says; empty: a page with its status.
    pub text: String,
}

impl RejectKeyword {
    /// Who has `keyword` in its user agent is answered with that.
    pub fn new(keyword: impl Into<String>, status: u16, text: impl Into<String>) -> RejectKeyword {
        RejectKeyword { keyword: keyword.into(), status, text: text.into() }
    }

    pub(crate) fn is_in(&self, user_agent: &[u8]) -> bool {
        let keyword = self.keyword.as_bytes();
        !keyword.is_empty() && user_agent.windows(keyword.len()).any(|part| part == keyword)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_found_anywhere_and_as_it_is_written() {
        let word = RejectKeyword::new("scumbot", 404, "");
        for (user_agent, found) in [
            (&b"scumbot"[..], true),
            (b"Mozilla/5.0 (scumbot/1.0; +http://x)", true),
            (b"\xffscumbots", true),
            (b"Scumbot", false),
            (b"scumbo", false),
            (b"", false),
        ] {
            assert_eq!(word.is_in(user_agent), found, "{user_agent:?}");
        }
        assert!(!RejectKeyword::new("", 404, "").is_in(b"anything"));
    }
}
