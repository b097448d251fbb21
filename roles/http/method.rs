//! Request methods.
//!
//! Counterpart in lws: the `WSI_TOKEN_*_URI` tokens.

/// The methods that are known (RFC 9110 section 9); any other is answered `501`.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Method {
    /// Fetch.
    Get,
    /// Fetch the head alone.
    Head,
    /// Let the target process the body.
    Post,
    /// Store the body as the target.
    Put,
    /// Change the target by the body (RFC 5789).
    Patch,
    /// Remove the target.
    Delete,
    /// Ask what is possible.
    Options,
    /// Open a tunnel.
    Connect,
    /// Echo the request.
    Trace,
}

impl Method {
    /// The method's name on the wire.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Head => "HEAD",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
            Method::Options => "OPTIONS",
            Method::Connect => "CONNECT",
            Method::Trace => "TRACE",
        }
    }

    /// The method called `name`; case counts (RFC 9110 section 9.1).
    pub(crate) fn from_name(name: &str) -> Option<Method> {
        Some(match name {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "POST" => Method::Post,
            "PUT" => Method::Put,
            "PATCH" => Method::Patch,
            "DELETE" => Method::Delete,
            "OPTIONS" => Method::Options,
            "CONNECT" => Method::Connect,
            "TRACE" => Method::Trace,
            _ => return None,
        })
    }
}
