//! What there is, as far as the callbacks have told, and what must hold of it in each.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{PipeReader, PipeWriter};
use std::net::UdpSocket;
use std::os::unix::net::UnixStream;
use std::time::Instant;

use rlws::{Reason, SulId, VhostId, VhostReason, Wsi, WsiId};

thread_local! {
    pub static WORLD: RefCell<World> = RefCell::default();
}

/// What there is, as far as the callbacks have told.
#[derive(Default)]
pub struct World {
    pub state: u64,
    /// Things that may still be done.
    pub budget: usize,
    pub lives: BTreeMap<WsiId, Life>,
    /// All ids there ever were.
    pub ids: Vec<WsiId>,
    pub vhosts: Vec<VhostId>,
    /// Vhosts that will not come to be.
    pub doomed_vhosts: Vec<VhostId>,
    /// Vhosts that are or were to go.
    pub ended_vhosts: Vec<VhostId>,
    pub sockets: Vec<String>,
    pub refusing: String,
    pub suls: BTreeMap<SulId, (VhostId, usize)>,
    pub broadcasts: Vec<(VhostId, usize)>,
    /// Everybody was asked to write, which includes those who come before it is done.
    pub all_asked: bool,
    pub peers: BTreeMap<WsiId, Other>,
    pub tags: u8,
    pub callbacks: usize,
}

/// What is known of a connection.
#[derive(Default, Debug)]
pub struct Life {
    pub created_on: Option<VhostId>,
    pub bound: bool,
    pub binds: usize,
    pub drops: usize,
    pub errors: usize,
    pub closes: usize,
    pub is_client: bool,
    pub destroyed: bool,
    /// The bytes that its peer sends; without one it is connected to another of ours.
    pub tag: Option<u8>,
    /// There is a reason why it should close.
    pub may_close: bool,
    pub wants_writeable: usize,
    pub paused: bool,
    /// Somebody else had it go on, which may come behind its own wish to rest.
    pub resumed: bool,
    pub timer: Option<Instant>,
}

/// The test's end of what was adopted.
pub enum Other {
    Unix(UnixStream),
    Writer(PipeWriter),
    Reader { _holds: PipeReader },
    Udp(UdpSocket),
}

impl World {
    /// Below `n` (xorshift64*).
    pub fn below(&mut self, n: usize) -> usize {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        (self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % n
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        if from.is_empty() { None } else { Some(from[self.below(from.len())]) }
    }

    /// Anybody: mostly of the latest, now and then long gone.
    pub fn anybody(&mut self) -> Option<WsiId> {
        let recent = self.ids[self.ids.len().saturating_sub(20)..].to_vec();
        if self.one_in(3) { self.pick(&self.ids.clone()) } else { self.pick(&recent) }
    }

    pub fn life(&mut self, id: WsiId) -> &mut Life {
        self.lives.get_mut(&id).unwrap_or_else(|| panic!("{id} is nobody"))
    }

    pub fn born(&mut self, id: WsiId, tag: Option<u8>) -> &mut Life {
        assert!(!self.lives.contains_key(&id), "{id} is given twice");
        self.ids.push(id);
        self.lives.entry(id).or_insert(Life { tag, ..Life::default() })
    }
}

/// One callback. There is no other meanwhile.
pub fn alone<T>(call: impl FnOnce(&mut World) -> T) -> T {
    WORLD.with(|world| {
        let mut world = world.try_borrow_mut().expect("a callback inside of another");
        world.callbacks += 1;
        call(&mut world)
    })
}

/// What must hold in every callback about a connection.
pub fn check(world: &mut World, wsi: &Wsi, now: Instant, protocol: usize, reason: Reason<'_>) {
    let id = wsi.id();
    if let Reason::User(n) = reason {
        assert_eq!(world.broadcasts[n as usize], (wsi.vhost(), protocol), "a broadcast for others");
    }
    if let Some(hung) = wsi.opaque_user_data::<WsiId>() {
        assert_eq!(*hung, id, "what was meant for another connection");
    }
    let all_asked = world.all_asked;
    let created_on = world.life(id).created_on;
    let ends = |on| world.doomed_vhosts.contains(&on) || world.ended_vhosts.contains(&on);
    let ends = created_on.is_some_and(ends);
    let life = world.life(id);
    let fails = matches!(reason, Reason::ClientConnectionError(_));
    // One that was closed before it began has nothing but its error.
    let lives = life.created_on.is_some() || fails && life.is_client;
    assert!(lives && !life.destroyed && life.errors == 0, "{id} does not live: {reason:?} {life:?}");
    let begins = matches!(reason, Reason::RawSktBindProtocol | Reason::RawFileBindProtocol);
    assert_eq!(life.bound, !begins && !fails, "{id}: {reason:?} {life:?}");
    match reason {
        Reason::RawSktBindProtocol | Reason::RawFileBindProtocol => {
            life.bound = true;
            life.binds += 1;
        }
        Reason::RawSktDropProtocol | Reason::RawFileDropProtocol => {
            life.bound = false;
            life.drops += 1;
        }
        Reason::ClientConnectionError(_) => life.errors += 1,
        Reason::RawClose | Reason::RawCloseFile => {
            life.closes += 1;
            let is_ours = life.tag.is_none() || wsi.parent().is_some();
            assert!(life.may_close || is_ours || ends, "{id} closes for no reason: {life:?}");
        }
        Reason::RawRx(data) | Reason::RawRxFile(data) => {
            assert!(!life.paused || life.resumed, "{id} rests");
            if let Some(tag) = life.tag {
                let own = data.iter().all(|byte| *byte == tag);
                assert!(own, "{id} {} of {tag} is told what another one's peer said: {}", wsi.role_name(), data[0]);
            }
        }
        Reason::RawWriteable | Reason::RawWriteableFile => {
            let left = life.wants_writeable.checked_sub(1);
            assert!(left.is_some() || all_asked, "{id} did not ask for it");
            life.wants_writeable = left.unwrap_or_default();
        }
        Reason::Timer => {
            let at = life.timer.take().unwrap_or_else(|| panic!("{id} set no timer"));
            assert!(at <= now, "{id}: its timer comes too early");
        }
        _ => {}
    }
}

/// The same about a vhost. The connection concerned, if it has just begun.
pub fn check_vhost(world: &mut World, vhost: VhostId, protocol: usize, reason: VhostReason<'_>) -> Option<WsiId> {
    match reason {
        VhostReason::WsiCreate(wsi) => {
            assert_eq!(protocol, 0);
            let id = wsi.id();
            let life = if world.lives.contains_key(&id) { world.life(id) } else { world.born(id, None) };
            assert!(life.errors == 0 && life.created_on.replace(vhost).is_none(), "{id} is created twice");
            Some(id)
        }
        VhostReason::ServerNewClientInstantiated(wsi) => {
            let life = world.life(wsi.id());
            assert!(life.created_on == Some(vhost) && life.binds == 0 && !life.is_client);
            Some(wsi.id())
        }
        VhostReason::WsiDestroy(wsi) => {
            let inits = !world.doomed_vhosts.contains(&vhost);
            let life = world.life(wsi.id());
            assert!(!std::mem::replace(&mut life.destroyed, true), "destroyed twice: {life:?}");
            assert_eq!(life.created_on, Some(vhost), "it was created elsewhere");
            assert!(!life.bound && life.binds == life.drops && life.binds == life.closes, "{life:?}");
            if life.is_client && inits {
                assert_eq!(life.binds + life.errors, 1, "connected or not: {life:?}");
            }
            None
        }
        VhostReason::Sul(sul) => {
            let (of, by) = world.suls.remove(&sul).expect("it was scheduled, and not cancelled");
            assert_eq!((of, by), (vhost, protocol), "a call for others");
            None
        }
        _ => None,
    }
}

/// What its vhost left behind is only sent.
pub fn drains(wsi: &Wsi) -> bool {
    wsi.role_name() == "drain"
}
