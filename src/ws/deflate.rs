//! Compressing and decompressing messages (RFC 7692 section 7.2), and who owns the memory that this takes.
//!
//! A direction whose window is kept has a context of its own. One whose window is not borrows a context for each message, so that an idle
//! connection owns none. How many are lent at a time is bounded: messages of ours go uncompressed beyond it, those of peers are refused.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use flate2::{Compress, Decompress, FlushCompress, FlushDecompress, Status};

use super::extension::{Agreed, PermessageDeflate, Window};
use super::fault::Fault;
use super::side::Side;
use crate::limits;

/// What ends each message, and is not sent.
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// zlib has no smaller one without a header.
const LEAST_BITS: u8 = 9;
const MOST_BITS: u8 = 15;

/// How many contexts of a kind wait for the next message.
const KEPT: usize = 4;

/// Contexts that nobody uses, and how many are in use.
#[derive(Default)]
pub(crate) struct Contexts {
    /// By bits and level.
    compress: RefCell<Vec<(u8, u8, Compress)>>,
    decompress: RefCell<Vec<Decompress>>,
    /// Messages that have borrowed one.
    deflating: Cell<usize>,
    inflating: Cell<usize>,
    /// Where messages are decompressed.
    scratch: RefCell<Vec<u8>>,
    /// Where they are compressed.
    compressed: RefCell<Vec<u8>>,
}

impl Contexts {
    /// One for a message; `None`: as many as may be are lent.
    fn lend_compress(&self, bits: u8, level: u8) -> Option<Compress> {
        borrow(&self.deflating, limits::WS_DEFLATING).then(|| self.compress(bits, level))
    }

    fn lend_decompress(&self) -> Option<Decompress> {
        borrow(&self.inflating, limits::WS_INFLATING).then(|| self.decompress())
    }

    fn compress(&self, bits: u8, level: u8) -> Compress {
        let mut idle = self.compress.borrow_mut();
        match idle.iter().position(|(b, l, _)| (*b, *l) == (bits, level)) {
            Some(at) => idle.swap_remove(at).2,
            None => Compress::new_with_window_bits(flate2::Compression::new(level.into()), false, bits),
        }
    }

    /// Room to decompress into, [`limits::WS_INFLATED`] bytes where anybody does; it comes back.
    pub(crate) fn lend_scratch(&self) -> Vec<u8> {
        self.scratch.take()
    }

    pub(crate) fn give_back_scratch(&self, scratch: Vec<u8>) {
        self.scratch.replace(scratch);
    }

    fn decompress(&self) -> Decompress {
        self.decompress.borrow_mut().pop().unwrap_or_else(|| Decompress::new_with_window_bits(false, MOST_BITS))
    }
}

/// Counts one more, if there may be one.
fn borrow(lent: &Cell<usize>, most: usize) -> bool {
    let may = lent.get() < most;
    lent.set(lent.get() + usize::from(may));
    may
}

fn give_back(lent: &Cell<usize>) {
    lent.set(lent.get() - 1);
}

/// Compresses what is sent.
pub(crate) struct Deflater {
    contexts: Rc<Contexts>,
    is_kept: bool,
    bits: u8,
    level: u8,
    least: usize,
    context: Option<Compress>,
}

impl Deflater {
    /// `None`: the peer's window is too small for what we can make, so nothing is compressed.
    pub(crate) fn new(
        contexts: Rc<Contexts>,
        agreed: Agreed,
        side: Side,
        info: &PermessageDeflate,
    ) -> Option<Deflater> {
        let Window { is_kept, bits } = side.own(agreed);
        let level = info.level;
        (bits >= LEAST_BITS).then(|| Deflater { contexts, is_kept, bits, level, least: info.least, context: None })
    }

    /// Whether a message that begins, or consists of, so many bytes is worth it.
    pub(crate) fn is_worth(&self, len: usize, is_whole: bool) -> bool {
        !is_whole || len >= self.least
    }

    /// A message begins. `false`: it has to go uncompressed.
    pub(crate) fn begin(&mut self) -> bool {
        if self.context.is_none() {
            self.context = match self.is_kept {
                true => Some(self.contexts.compress(self.bits, self.level)),
                false => self.contexts.lend_compress(self.bits, self.level),
            };
        }
        self.context.is_some()
    }

    /// Room to compress into, empty; it comes back.
    pub(crate) fn room(&self) -> Vec<u8> {
        self.contexts.compressed.take()
    }

    /// What one large message needed is not kept for all that come after it.
    pub(crate) fn give_back(&self, mut room: Vec<u8>) {
        room.clear();
        room.shrink_to(limits::WS_INFLATED);
        self.contexts.compressed.replace(room);
    }

    /// Compresses the next part of a message that has [begun](Deflater::begin) into `out`.
    pub(crate) fn deflate(&mut self, data: &[u8], is_last: bool, out: &mut Vec<u8>) {
        let start = out.len();
        if let Some(context) = self.context.as_mut().filter(|_| !data.is_empty()) {
            let mut rest = data;
            loop {
                out.reserve(rest.len() / 2 + 64);
                let before = context.total_in();
                context.compress_vec(rest, out, FlushCompress::Sync).expect("deflating cannot fail");
                rest = &rest[(context.total_in() - before) as usize..];
                // Room that is left says that everything was flushed.
                if rest.is_empty() && out.len() < out.capacity() {
                    break;
                }
            }
        }
        if !is_last {
            return;
        }
        match out[start..].ends_with(&TAIL) {
            true => out.truncate(out.len() - TAIL.len()),
            // An empty block, as far as it is sent (section 7.2.3.6).
            false => out.push(0),
        }
        if !self.is_kept
            && let Some(mut context) = self.context.take()
        {
            context.reset();
            give_back(&self.contexts.deflating);
            let mut idle = self.contexts.compress.borrow_mut();
            if idle.len() < KEPT {
                idle.push((self.bits, self.level, context));
            }
        }
    }
}

impl Drop for Deflater {
    fn drop(&mut self) {
        if !self.is_kept && self.context.is_some() {
            give_back(&self.contexts.deflating);
        }
    }
}

/// Decompresses what is received.
pub(crate) struct Inflater {
    contexts: Rc<Contexts>,
    is_kept: bool,
    context: Option<Decompress>,
    /// How much of the tail has been put behind the message.
    tail: usize,
}

/// What [`Inflater::inflate`] did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Inflated {
    /// Bytes that were taken.
    pub(crate) taken: usize,
    /// Bytes that were made of them.
    pub(crate) made: usize,
    /// Nothing more comes of what was taken.
    pub(crate) is_all: bool,
}

impl Inflater {
    pub(crate) fn new(contexts: Rc<Contexts>, agreed: Agreed, side: Side) -> Inflater {
        contexts.scratch.borrow_mut().resize(limits::WS_INFLATED, 0);
        Inflater { contexts, is_kept: side.other().own(agreed).is_kept, context: None, tail: 0 }
    }

    /// Decompresses as much as `out` has room for. `is_last`: `data` is the end of the message.
    pub(crate) fn inflate(&mut self, data: &[u8], is_last: bool, out: &mut [u8]) -> Result<Inflated, Fault> {
        let context = match &mut self.context {
            Some(context) => context,
            none => none.insert(lent(&self.contexts, self.is_kept)?),
        };
        let (mut taken, mut made) = (0, 0);
        loop {
            let input = match data.len() - taken {
                0 if is_last => &TAIL[self.tail..],
                _ => &data[taken..],
            };
            let (before_in, before_out) = (context.total_in(), context.total_out());
            let status = context
                .decompress(input, &mut out[made..], FlushDecompress::Sync)
                .map_err(|_| Fault::payload("what it compressed is broken"))?;
            let (read, wrote) =
                ((context.total_in() - before_in) as usize, (context.total_out() - before_out) as usize);
            made += wrote;
            match data.len() - taken {
                0 if is_last => self.tail += read,
                _ => taken += read,
            }
            if status == Status::StreamEnd {
                // A last block (section 7.2.3.4); what comes behind it begins anew.
                context.reset(false);
                continue;
            }
            let is_read = taken == data.len() && (!is_last || self.tail == TAIL.len());
            if made == out.len() || (is_read && wrote == 0) || (read == 0 && wrote == 0) {
                return Ok(Inflated { taken, made, is_all: is_read && made < out.len() });
            }
        }
    }

    /// The message is over.
    pub(crate) fn end(&mut self) {
        self.tail = 0;
        if !self.is_kept
            && let Some(mut context) = self.context.take()
        {
            context.reset(false);
            give_back(&self.contexts.inflating);
            let mut idle = self.contexts.decompress.borrow_mut();
            if idle.len() < KEPT {
                idle.push(context);
            }
        }
    }
}

impl Drop for Inflater {
    fn drop(&mut self) {
        if !self.is_kept && self.context.is_some() {
            give_back(&self.contexts.inflating);
        }
    }
}

fn lent(contexts: &Contexts, is_kept: bool) -> Result<Decompress, Fault> {
    match is_kept {
        true => Ok(contexts.decompress()),
        false => contexts.lend_decompress().ok_or(Fault::busy("too many compressed messages are under way")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ws::CloseCode;

    fn pair(info: &PermessageDeflate) -> (Deflater, Inflater) {
        let agreed = info.accept(["permessage-deflate; client_max_window_bits"].into_iter()).expect("agreed");
        let contexts = Rc::<Contexts>::default();
        let deflater = Deflater::new(contexts.clone(), agreed, Side::Server, info).expect("it can");
        (deflater, Inflater::new(contexts, agreed, Side::Client))
    }

    fn inflated(inflater: &mut Inflater, mut data: &[u8], cut: usize, room: usize) -> Result<Vec<u8>, Fault> {
        let (mut text, mut out) = (Vec::new(), vec![0; room]);
        loop {
            let piece = &data[..cut.min(data.len())];
            let is_last = piece.len() == data.len();
            let done = inflater.inflate(piece, is_last, &mut out)?;
            text.extend_from_slice(&out[..done.made]);
            data = &data[done.taken..];
            if is_last && done.is_all {
                inflater.end();
                return Ok(text);
            }
        }
    }

    #[test]
    fn the_examples_of_the_rfc_are_read() {
        // Section 7.2.3: one block, two of it with the window kept, no compression, a last block, two blocks.
        let info = PermessageDeflate { server_context_takeover: true, ..Default::default() };
        let (_, mut inflater) = pair(&info);
        for data in [
            &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00][..],
            &[0xf2, 0x00, 0x11, 0x00, 0x00],
            &[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00],
            &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00],
            &[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00],
        ] {
            assert_eq!(inflated(&mut inflater, data, 100, 100).expect("it is right"), b"Hello");
        }
    }

    #[test]
    fn what_is_broken_is_a_fault() {
        let (_, mut inflater) = pair(&PermessageDeflate::default());
        assert!(inflated(&mut inflater, &[0xff; 20], 100, 100).is_err());
    }

    #[test]
    fn no_more_are_lent_than_may_be_and_all_come_back() {
        let info = PermessageDeflate::default();
        let (mut deflater, mut inflater) = pair(&info);
        let hello = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
        for _ in 0..2 {
            let (deflating, inflating) = (deflater.contexts.clone(), inflater.contexts.clone());
            deflating.deflating.set(limits::WS_DEFLATING);
            inflating.inflating.set(limits::WS_INFLATING);
            assert!(!deflater.begin());
            let refused = inflated(&mut inflater, &hello, 100, 100).expect_err("there are too many");
            assert_eq!(refused.code, CloseCode::TRY_AGAIN_LATER);
            deflating.deflating.set(limits::WS_DEFLATING - 1);
            inflating.inflating.set(limits::WS_INFLATING - 1);
            assert!(deflater.begin() && inflated(&mut inflater, &hello, 100, 100).is_ok());
            deflater.deflate(b"Hello", true, &mut Vec::new());
            assert_eq!(deflating.deflating.get(), limits::WS_DEFLATING - 1);
            assert_eq!(inflating.inflating.get(), limits::WS_INFLATING - 1);
        }
        // In the middle of a message.
        let (deflating, inflating) = (deflater.contexts.clone(), inflater.contexts.clone());
        assert!(deflater.begin() && inflater.inflate(&hello[..2], false, &mut [0; 9]).is_ok());
        drop((deflater, inflater));
        assert_eq!(deflating.deflating.get(), limits::WS_DEFLATING - 1);
        assert_eq!(inflating.inflating.get(), limits::WS_INFLATING - 1);
    }

    #[test]
    fn who_keeps_a_window_has_one_of_its_own() {
        let info =
            PermessageDeflate { server_context_takeover: true, client_context_takeover: true, ..Default::default() };
        let (mut deflater, inflater) = pair(&info);
        deflater.contexts.deflating.set(limits::WS_DEFLATING);
        inflater.contexts.inflating.set(limits::WS_INFLATING);
        assert!(deflater.begin() && lent(&inflater.contexts, inflater.is_kept).is_ok());
    }

    proptest! {
        #[test]
        fn messages_come_out_as_they_went_in(
            messages in prop::collection::vec(prop::collection::vec(prop::sample::select(b"abcd".to_vec()), 0..3000), 1..5),
            (parts, cut, room) in (1..4usize, 1..200usize, 1..500usize),
            is_kept in any::<bool>(),
            bits in 9..=15u8,
        ) {
            let info = PermessageDeflate {
                server_context_takeover: is_kept,
                server_max_window_bits: bits,
                ..Default::default()
            };
            let (mut deflater, mut inflater) = pair(&info);
            for message in messages {
                let (mut sent, size) = (Vec::new(), message.len() / parts);
                prop_assert!(deflater.begin());
                for part in 0..parts {
                    let end = if part + 1 == parts { message.len() } else { (part + 1) * size };
                    deflater.deflate(&message[part * size..end], part + 1 == parts, &mut sent);
                }
                prop_assert_eq!(inflated(&mut inflater, &sent, cut, room).expect("it is right"), message);
            }
        }
    }
}
