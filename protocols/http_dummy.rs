//! `http-dummy`: the default protocol, to which others delegate what they do not handle (`lws_callback_http_dummy`).

use crate::{Call, Cx, InitError, Protocol, Pvo, Reason, Verdict, VhostCall, Wsi};

/// Answers requests that nothing else serves with a 404.
pub struct HttpDummy;

impl Protocol for HttpDummy {
    const NAME: &'static str = "http-dummy";
    const ROLES: &'static [&'static str] = &["http"];
    type Session = ();
    type Vhost = ();

    fn init(_vhost: VhostCall<'_>, _pvo: &Pvo) -> Result<(), InitError> {
        Ok(())
    }

    fn callback(call: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        callback(call.wsi, call.cx, reason)
    }
}

/// The default answer to any reason: for the last arm of a protocol's own callback.
///
/// - `Http`: a 404.
/// - Everything else: [`Verdict::Continue`].
pub fn callback(wsi: &mut Wsi, _cx: &mut Cx, reason: Reason<'_>) -> Verdict {
    if let Reason::Http(_) = reason {
        wsi.return_http_status(404, None);
    }
    Verdict::Continue
}
