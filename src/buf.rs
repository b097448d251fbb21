//! A byte queue that owns nothing while it is empty, and is one pointer then, so that idle connections cost no buffers. For the length of a
//! turn it is lent [`Room`], so that what is written and sent within one costs no allocation.

use std::mem;

use crate::limits;

/// Bytes waiting in order. Taken from the front, added at the back.
#[derive(Default)]
pub(crate) struct Buf(Option<Box<Queue>>);

#[derive(Default)]
struct Queue {
    /// Never all taken, but where it is lent.
    bytes: Vec<u8>,
    start: usize,
    is_lent: bool,
}

/// Storage for whichever queue is in use. Nothing of it is kept by a queue that is empty at the end.
#[derive(Default)]
pub(crate) struct Room(Option<Box<Queue>>);

impl Buf {
    pub(crate) fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }

    /// Takes the room, unless it owns some.
    pub(crate) fn borrow(&mut self, room: &mut Room) {
        if self.0.is_none() {
            let mut queue = room.0.take().unwrap_or_default();
            queue.is_lent = true;
            self.0 = Some(queue);
        }
    }

    /// Gives it back, or keeps it until all is taken. What one large write needed is not kept for all that come after it.
    pub(crate) fn give_back(&mut self, room: &mut Room) {
        match &mut self.0 {
            Some(queue) if queue.is_lent && queue.bytes.is_empty() => {
                queue.bytes.shrink_to(limits::SERVICE_BUFFER);
                room.0 = self.0.take();
            }
            Some(queue) => queue.is_lent = false,
            None => {}
        }
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

    /// Drops the first `n` bytes; the allocation goes with the last one, unless it is lent.
    pub(crate) fn consume(&mut self, n: usize) {
        debug_assert!(n <= self.len());
        if let Some(queue) = &mut self.0 {
            queue.start += n;
            if queue.start < queue.bytes.len() {
                return;
            }
            queue.bytes.clear();
            queue.start = 0;
            if !queue.is_lent {
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
        mem::take(self)
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

    #[test]
    fn what_is_lent_comes_back_with_the_last_byte() {
        let (mut room, mut buf) = (Room::default(), Buf::default());
        buf.borrow(&mut room);
        assert!(buf.is_empty());
        buf.push(b"abc");
        buf.consume(3);
        assert!(buf.is_empty());
        buf.give_back(&mut room);
        assert!(buf.0.is_none() && room.0.as_ref().is_some_and(|queue| queue.bytes.capacity() >= 3));

        buf.borrow(&mut room);
        buf.push(b"defg");
        buf.consume(1);
        buf.give_back(&mut room);
        assert!(room.0.is_none(), "what it holds is still there");
        assert_eq!(buf.as_slice(), b"efg");
        buf.consume(3);
        assert!(buf.0.is_none());
    }

    #[test]
    fn a_queue_that_owns_something_borrows_nothing() {
        let (mut room, mut buf) = (Room::default(), Buf::default());
        buf.push(b"ab");
        buf.borrow(&mut room);
        buf.consume(2);
        assert!(buf.0.is_none());
        buf.give_back(&mut room);
        assert!(room.0.is_none());
    }
}
