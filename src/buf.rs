//! A byte queue that owns nothing while it is empty, so that idle connections cost no buffers.

/// Bytes waiting in order. Taken from the front, added at the back.
#[derive(Default)]
pub(crate) struct Buf {
    bytes: Vec<u8>,
    start: usize,
}

impl Buf {
    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.bytes.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        // Room at the front is used before the allocation grows.
        if self.start > 0 && self.bytes.len() + bytes.len() > self.bytes.capacity() {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Drops the first `n` bytes; the allocation goes with the last one.
    pub(crate) fn consume(&mut self, n: usize) {
        self.start += n;
        debug_assert!(self.start <= self.bytes.len());
        if self.is_empty() {
            *self = Buf::default();
        }
    }

    /// Takes everything out.
    pub(crate) fn take(&mut self) -> Buf {
        std::mem::take(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out_in_order() {
        let mut buf = Buf::default();
        buf.push(b"hello ");
        buf.consume(2);
        buf.push(b"world");
        assert_eq!(buf.as_slice(), b"llo world");
        assert_eq!(buf.len(), 9);
    }

    #[test]
    fn an_emptied_queue_owns_nothing() {
        let mut buf = Buf::default();
        buf.push(&[1; 100]);
        buf.consume(100);
        assert!(buf.is_empty());
        assert_eq!(buf.bytes.capacity(), 0);
    }
}
