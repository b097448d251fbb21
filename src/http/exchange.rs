//! What a protocol has said about a request, until role `http` comes to it.

use std::borrow::Cow;
use std::path::PathBuf;
use std::rc::Rc;

use super::request::HttpRequest;
use super::response::Response;
use crate::sending::WriteError;

/// One request and the answer that is being made.
pub(crate) struct Exchange {
    pub(crate) request: Rc<HttpRequest>,
    /// Where in the vhost's list the mount is that it comes by.
    pub(crate) mount: Option<usize>,
    pub(crate) said: Said,
    /// The head of the response, until it is sent.
    pub(crate) head: Option<Response>,
    /// Of the response's body: written, and not framed yet.
    pub(crate) body: Vec<u8>,
    /// What may still be written of a declared length.
    pub(crate) left: Option<u64>,
    /// An answer that role `http` makes.
    pub(crate) whole: Option<Whole>,
    /// It will be answered from another callback.
    pub(crate) later: bool,
    /// What `AddHeaders` added.
    pub(crate) added: Vec<(Cow<'static, str>, Cow<'static, str>)>,
}

/// How far the answer is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Said {
    Nothing,
    /// The response has begun, and more of it may come.
    Begun,
    /// There is nothing to be added.
    Completed,
}

/// An answer in one word.
pub(crate) enum Whole {
    Status(u16, Option<String>),
    Redirect(u16, String),
    File(PathBuf, Option<String>),
}

impl Exchange {
    pub(crate) fn new(request: Rc<HttpRequest>, mount: Option<usize>) -> Exchange {
        Exchange {
            request,
            mount,
            said: Said::Nothing,
            head: None,
            body: Vec::new(),
            left: None,
            whole: None,
            later: false,
            added: Vec::new(),
        }
    }

    pub(crate) fn begin(&mut self, response: Response) {
        self.left = response.content_length;
        self.head = Some(response);
        self.said = Said::Begun;
    }

    pub(crate) fn complete_with(&mut self, whole: Whole) {
        self.whole = Some(whole);
        self.said = Said::Completed;
    }

    /// Takes a piece of the body.
    pub(crate) fn write(&mut self, data: &[u8], room: usize) -> Result<(), WriteError> {
        match self.said {
            Said::Nothing => return Err(WriteError::NoResponse),
            Said::Completed => return Err(WriteError::Finished),
            Said::Begun => {}
        }
        if let Some(left) = self.left.filter(|left| *left < data.len() as u64) {
            return Err(WriteError::BeyondLength { left });
        }
        if data.len() > room {
            return Err(WriteError::Full { room });
        }
        self.left = self.left.map(|left| left - data.len() as u64);
        self.body.extend_from_slice(data);
        Ok(())
    }
}
