//! What a connection in role `http` offers to its protocol.

use std::borrow::Cow;
use std::path::PathBuf;

use super::exchange::{Exchange, Said, Whole};
use super::request::HttpRequest;
use super::response::{RespondError, Response, check_added};
use crate::sending::WriteError;
use crate::wsi::Wsi;

/// Answering requests, in role `http`: from the callback of `Reason::Http` or any later one of the same transaction.
impl Wsi {
    /// The request in hand, from `HttpBindProtocol` to `HttpDropProtocol`; `None` between them and in other roles.
    pub fn http_request(&self) -> Option<&HttpRequest> {
        let of_ws = || self.session()?.request.as_deref();
        self.http.as_deref().map(|exchange| &*exchange.request).or_else(of_ws)
    }

    /// Begins the response (`lws_finalize_write_http_header`). Its body follows by [`Wsi::write`], its end by
    /// [`Wsi::transaction_completed`]. It is sent after the callback.
    ///
    /// # Errors
    /// [`RespondError`]: there is nothing to answer, or the response cannot be sent as it is. Nothing is sent then.
    pub fn respond(&mut self, response: Response) -> Result<(), RespondError> {
        response.check()?;
        self.unanswered()?.begin(response);
        Ok(())
    }

    /// The whole response at once: [`Wsi::respond`], its body, [`Wsi::transaction_completed`]. The body may be larger than
    /// [`Wsi::tx_room`].
    ///
    /// # Errors
    /// As [`Wsi::respond`].
    pub fn respond_with(&mut self, response: Response, body: impl AsRef<[u8]>) -> Result<(), RespondError> {
        let body = body.as_ref();
        response.check()?;
        let exchange = self.unanswered()?;
        exchange.begin(Response { content_length: Some(body.len() as u64), ..response });
        exchange.body.extend_from_slice(body);
        (exchange.left, exchange.said) = (Some(0), Said::Completed);
        Ok(())
    }

    /// Ends the response that was begun (`lws_http_transaction_completed`, `LWS_WRITE_HTTP_FINAL`). The protocol is dropped, and the
    /// connection is there for its next request. Does nothing where no response was begun.
    pub fn transaction_completed(&mut self) {
        match self.http.as_deref_mut() {
            Some(exchange) if exchange.said != Said::Nothing => exchange.said = Said::Completed,
            _ => log::warn!("wsi {}: a transaction is completed by a response, and there is none", self.id),
        }
    }

    /// Answers with a status and a small text page (`lws_return_http_status`).
    ///
    /// `body` is sent as plain text; without one a page that names the status is made. The status is 200 to 599.
    pub fn return_http_status(&mut self, status: u16, body: Option<&str>) {
        self.answer_whole(Whole::Status(status, body.map(str::to_owned)));
    }

    /// Sends the client elsewhere: 301, 302, 303, 307 or 308, and where (`lws_http_redirect`).
    pub fn http_redirect(&mut self, code: u16, location: &str) {
        self.answer_whole(Whole::Redirect(code, location.to_owned()));
    }

    /// Answers with a file (`lws_serve_http_file`); `HttpFileCompletion` comes when it has been sent. Without a type, the one of its name.
    /// To GET and HEAD it answers as in a file mount: in part (206, 416) or not again (304, 412) where the request says so.
    ///
    /// Whoever makes the path of what a client said has to make sure that it leads where it should.
    pub fn serve_http_file(&mut self, path: impl Into<PathBuf>, content_type: Option<&str>) {
        self.answer_whole(Whole::File(path.into(), content_type.map(str::to_owned)));
    }

    /// Adds a header to the response that is about to be sent; from `AddHeaders`, which comes with
    /// [`Interests::ADD_HEADERS`](crate::Interests::ADD_HEADERS).
    ///
    /// # Errors
    /// [`RespondError::Header`] for one that cannot be sent, or that whoever makes the response says himself, like `Content-Type`, `ETag` and
    /// `Location`: those are for [`Response::header`]. [`RespondError::NoRequest`] outside a transaction.
    pub fn add_http_header(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<Cow<'static, str>>,
    ) -> Result<(), RespondError> {
        let (name, value, role) = (name.into(), value.into(), self.role_name);
        check_added(&name, &value)?;
        let exchange = self.http.as_deref_mut().ok_or(RespondError::NoRequest { role })?;
        exchange.added.push((name, value));
        Ok(())
    }

    /// Says that the request will be answered from another callback, whoever causes it. Without this a request counts as not served when
    /// `Http` returns and has neither answered nor asked for anything: a writeable callback, a timer, a timeout.
    pub fn answer_later(&mut self) {
        if let Some(exchange) = self.http.as_deref_mut() {
            exchange.later = true;
        }
    }

    // -- what the rest of the core uses

    pub(crate) fn write_http(&mut self, data: &[u8]) -> Result<(), WriteError> {
        let (room, ends) = (self.tx_room(), self.close_reason().is_some());
        match self.http.as_deref_mut() {
            Some(_) if ends => Err(WriteError::Lost),
            Some(exchange) => exchange.write(data, room),
            None => Err(WriteError::WrongRole { role: self.role_name }),
        }
    }

    fn unanswered(&mut self) -> Result<&mut Exchange, RespondError> {
        let role = self.role_name;
        match self.http.as_deref_mut() {
            None => Err(RespondError::NoRequest { role }),
            Some(exchange) if exchange.said != Said::Nothing => Err(RespondError::Answered),
            Some(exchange) => Ok(exchange),
        }
    }

    fn answer_whole(&mut self, whole: Whole) {
        match self.unanswered() {
            Ok(exchange) => exchange.complete_with(whole),
            Err(error) => log::warn!("wsi {}: {error}", self.id),
        }
    }
}
