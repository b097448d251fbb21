//! What waits to be sent because the peer said something: what a protocol wrote while it received, and pongs.
//!
//! It alone holds up reading, and it has room of its own: who makes us write without reading is soon not read from, and who receives can always
//! answer. What a protocol writes of its own accord holds up nothing, for two ends that both have more to say than the system
//! takes would wait for each other for ever.

/// Positions are counted in bytes handed over to the connection since its beginning.
#[derive(Default)]
pub(crate) struct Answers {
    /// Something is being received: what is written now is an answer.
    is_receiving: bool,
    /// Bytes of those that wait, and of some that do not any more.
    bytes: u64,
    /// The position behind the last one.
    end: u64,
}

impl Answers {
    pub(crate) fn begin(&mut self) {
        self.is_receiving = true;
    }

    /// What was written since [`Answers::begin`], up to a position.
    pub(crate) fn finish(&mut self, written: u64, end: u64, sent: u64) {
        self.is_receiving = false;
        if written > 0 {
            self.bytes = self.waiting(sent) as u64 + written;
            self.end = end;
        }
    }

    /// Bytes that the system has not taken yet, having taken all before `sent`. No fewer than there are.
    pub(crate) fn waiting(&self, sent: u64) -> usize {
        self.end.saturating_sub(sent).min(self.bytes) as usize
    }

    /// The same for one who may answer now, and `None` for everybody else.
    pub(crate) fn before_this(&self, sent: u64) -> Option<usize> {
        self.is_receiving.then(|| self.waiting(sent))
    }
}
