//! A WebSocket as far as its protocol sees it: what a [`Wsi`](crate::Wsi) keeps of it while it is in role `ws`.

use std::rc::Rc;

use super::answers::Answers;
use super::client::WsConnect;
use super::close_code::CloseCode;
use super::deflate::{Contexts, Deflater, Inflater};
use super::extension::{Agreed, PermessageDeflate};
use super::receiver::{Place, Receiver};
use super::sender::Sender;
use super::settings::{Validity, WsInfo};
use super::side::Side;
use crate::http::HttpRequest;

/// How far it is.
pub(crate) enum WebSocket {
    /// A client that is being connected will ask for it.
    Wanted(WsConnect),
    Open(Session),
}

pub(crate) struct Session {
    pub(crate) side: Side,
    pub(crate) sender: Sender,
    pub(crate) answers: Answers,
    /// Where in its message the piece is that the protocol has in hand.
    pub(crate) place: Place,
    /// What the protocol wants to be said at the end.
    pub(crate) closing: Option<(CloseCode, String)>,
    /// The request that it came from, for as long as `Established` lasts.
    pub(crate) request: Option<Rc<HttpRequest>>,
    pub(crate) subprotocol: Option<Box<str>>,
    pub(crate) validity: Option<Validity>,
    pub(crate) is_compressed: bool,
    /// Until the role takes it.
    pub(crate) receiver: Option<Box<Receiver>>,
}

impl Session {
    pub(crate) fn new(
        side: Side,
        info: &WsInfo,
        agreed: Option<Agreed>,
        contexts: &Rc<Contexts>,
        subprotocol: Option<&str>,
    ) -> Session {
        let agreed = agreed.zip(info.deflate.as_ref());
        let deflater = agreed.and_then(|(agreed, deflate): (Agreed, &PermessageDeflate)| {
            Deflater::new(contexts.clone(), agreed, side, deflate)
        });
        let inflater = agreed.map(|(agreed, _)| Inflater::new(contexts.clone(), agreed, side));
        Session {
            side,
            sender: Sender::new(side, deflater),
            answers: Answers::default(),
            place: Place::default(),
            closing: None,
            request: None,
            subprotocol: subprotocol.map(Box::from),
            validity: info.validity,
            is_compressed: agreed.is_some(),
            receiver: Some(Box::new(Receiver::new(side, info.limits, inflater))),
        }
    }
}
