//! The slab of connections.
//!
//! A [`WsiId`] carries a generation that comes again only after 2^32 others, and so does the token given to the poll: an id or an event
//! that outlived its connection finds nothing, even where the slot has a new tenant.
//!
//! A connection being serviced is taken out and put back afterwards. So whoever services it has it, and all the others, to itself.

use slab::Slab;

use crate::wsi::{Wsi, WsiId};

#[derive(Default)]
pub(crate) struct Slots {
    slab: Slab<Slot>,
    last_generation: u32,
}

struct Slot {
    generation: u32,
    /// `None`: being serviced right now.
    wsi: Option<Box<Wsi>>,
}

impl Slots {
    /// Makes room and fills it.
    pub(crate) fn insert(&mut self, make: impl FnOnce(WsiId) -> Wsi) -> &mut Wsi {
        self.last_generation = self.last_generation.wrapping_add(1);
        let generation = self.last_generation;
        let entry = self.slab.vacant_entry();
        let index = u32::try_from(entry.key()).expect("a machine has fewer than 2^32 descriptors");
        let wsi = Box::new(make(WsiId { index, generation }));
        entry.insert(Slot { generation, wsi: Some(wsi) }).wsi.as_deref_mut().expect("just put there")
    }

    /// `None` for a stale id, and for the connection being serviced.
    pub(crate) fn get(&self, id: WsiId) -> Option<&Wsi> {
        let slot = self.slab.get(id.index as usize).filter(|slot| slot.generation == id.generation)?;
        slot.wsi.as_deref()
    }

    /// The same.
    pub(crate) fn get_mut(&mut self, id: WsiId) -> Option<&mut Wsi> {
        self.slot(id)?.wsi.as_deref_mut()
    }

    /// Takes a connection out to service it; [`Slots::put_back`] or [`Slots::free`] follow.
    pub(crate) fn take(&mut self, id: WsiId) -> Option<Box<Wsi>> {
        self.slot(id)?.wsi.take()
    }

    pub(crate) fn put_back(&mut self, wsi: Box<Wsi>) {
        if let Some(slot) = self.slot(wsi.id) {
            slot.wsi = Some(wsi);
        }
    }

    /// Ends a connection that was taken out.
    pub(crate) fn free(&mut self, wsi: Box<Wsi>) {
        self.slab.remove(wsi.id.index as usize);
    }

    pub(crate) fn len(&self) -> usize {
        self.slab.len()
    }

    /// All but the one being serviced.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Wsi> {
        self.slab.iter().filter_map(|(_, slot)| slot.wsi.as_deref())
    }

    fn slot(&mut self, id: WsiId) -> Option<&mut Slot> {
        self.slab.get_mut(id.index as usize).filter(|slot| slot.generation == id.generation)
    }
}
