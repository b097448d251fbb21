//! A response that is complete as far as its maker is concerned, on its way to the client.

use std::io;
use std::time::Duration;

use crate::cx::Cx;
use crate::limits;
use crate::role::CloseReason;
use crate::wsi::Wsi;

use super::entry::Entry;
use super::file_body::FileBody;
use super::pace::Pace;

pub(super) struct Outgoing {
    /// What of a file is still to be sent.
    body: Option<FileBody>,
    then: Then,
    /// What has become known of the rest of its request, for which the connection ends behind it.
    fault: Option<CloseReason>,
    /// How long the connection may be idle behind it.
    idle: Duration,
    /// How fast the client reads it.
    pace: Pace,
    /// Its line in the access log.
    entry: Option<Box<Entry>>,
}

/// What becomes of the connection after a response.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Then {
    NextRequest,
    Close,
    /// The request has a body of which nobody reads the rest. What follows it could not be told from it.
    CloseUnread,
}

impl Outgoing {
    /// What has just been begun.
    pub(super) fn new(
        wsi: &mut Wsi,
        cx: &Cx,
        body: Option<FileBody>,
        then: Then,
        idle: Duration,
        entry: Option<Box<Entry>>,
    ) -> Outgoing {
        if body.is_some() {
            wsi.io.report_progress(limits::HTTP_UNSENT);
        }
        let mut pace = Pace::new(limits::HTTP_SEND_STALL);
        wsi.deadline = cx.after(pace.left(cx.now, wsi.taken()));
        Outgoing { body, then, fault: None, idle, pace, entry }
    }

    /// Goes on, as far as the client takes it, behind those who move little once it takes much. `true`: it is out.
    pub(super) fn send(&mut self, wsi: &mut Wsi, cx: &mut Cx) -> Result<bool, CloseReason> {
        if let Some(body) = &mut self.body {
            let before = wsi.sent;
            let is_out = body.send(wsi, cx)?;
            wsi.flags.bulk |= wsi.sent - before >= limits::BULK_READ as u64;
            if is_out {
                self.body = None;
                wsi.flags.bulk = false;
            }
        }
        if self.body.is_some() && wsi.io.goes_nowhere() {
            return Err(CloseReason::Lost(io::ErrorKind::ConnectionReset.into()));
        }
        self.pace.await_reader(wsi, cx)?;
        Ok(self.body.is_none() && (wsi.is_flushed() || wsi.flags.corked))
    }

    /// The connection ends behind it for this reason, though it did not say so.
    pub(super) fn close_behind(&mut self, reason: CloseReason) {
        self.fault = Some(reason);
    }

    /// Why the connection ends behind it, if it does.
    pub(super) fn end(&mut self, wsi: &Wsi) -> Result<(), CloseReason> {
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        // Of the responses before it the peer may have read nothing either.
        let is_long = wsi.sent > limits::HTTP_CLOSE_AT_ONCE;
        match self.then {
            Then::NextRequest => Ok(()),
            Then::Close if is_long => Err(CloseReason::DoneSending),
            Then::Close => Err(CloseReason::Done),
            Then::CloseUnread => Err(CloseReason::Answered("its request has a body")),
        }
    }

    /// Whether it may leave together with the one behind it.
    pub(super) fn may_wait(&self) -> bool {
        self.body.is_none() && self.then == Then::NextRequest
    }

    /// How long the connection may be idle behind it.
    pub(super) fn idle(&self) -> Duration {
        self.idle
    }

    /// Logs it as far as it came.
    pub(super) fn log(self, wsi: &Wsi, cx: &mut Cx) {
        if let Some(entry) = self.entry {
            entry.finish(wsi, cx);
        }
    }
}
