//! Text in a page.

use std::borrow::Cow;

/// The text for a place between two tags, or for an attribute's value in quotes: `&`, `<`, `>`, `"` and `'` as references.
///
/// What a client sent is shown by no other way: as it is, it could be a script. Not for what is in a `<script>`, a `<style>` or an url.
///
/// ```
/// use rlws::forms::html_escape;
///
/// assert_eq!(html_escape("<b title=\"'\">&"), "&lt;b title=&quot;&#39;&quot;&gt;&amp;");
/// assert_eq!(html_escape("été"), "été");
/// ```
pub fn html_escape(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>', '"', '\'']) {
        return text.into();
    }
    let mut escaped = String::with_capacity(text.len() + text.len() / 4);
    for c in text.chars() {
        match c {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            other => escaped.push(other),
        }
    }
    escaped.into()
}
