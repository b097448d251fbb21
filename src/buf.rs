//! A byte queue that owns nothing while it is empty, and is one pointer then, so that idle connections cost no buffers.

/// Bytes waiting in order. Taken from the front, added at the back.
#[derive(Default)]
pub(crate) struct Buf(Option<Box<Queue>>);

#[derive(Default)]
struct Queue {
    /// Never all taken.
    bytes: Vec<u8>,
    start: usize,
}

impl Buf {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn len(&self) -> usize {
        self.as_slice().len()
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        self.0.as_deref().map_or(&[], |queue| &queue.bytes[queue.start..])
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let queue = self.0.get_or_insert_default();
        // Room at the front is used before the allocation grows.
        if queue.start > 0 && queue.bytes.len() + bytes.len() > queue.bytes.capacity() {
            queue.bytes.drain(..queue.start);
            queue.start = 0;
        }
        queue.bytes.extend_from_slice(bytes);
    }

    /// Drops the first `n` bytes; the allocation goes with the last one.
    pub(crate) fn consume(&mut self, n: usize) {
        debug_assert!(n <= self.len());
        if let Some(queue) = &mut self.0 {
            queue.start += n;
            if queue.start == queue.bytes.len() {
                self.0 = None;
            }
        }
    }

    /// The last `n` bytes.
    pub(crate) fn last_mut(&mut self, n: usize) -> &mut [u8] {
        let at = self.len() - n;
        &mut self.as_mut_slice()[at..]
    }

    /// All bytes, to be worked on in place.
    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        self.0.as_deref_mut().map_or(&mut [], |queue| &mut queue.bytes[queue.start..])
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
        assert!(buf.0.is_none());
        assert_eq!(size_of::<Buf>(), size_of::<usize>());
    }
}
