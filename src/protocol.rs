//! User code: one callback over [`Reason`], with typed data per session and per vhost.
//!
//! A type that implements [`Protocol`] becomes a [`ProtocolTable`] (`struct lws_protocols`), which is what a vhost lists. The
//! table's plain `fn` pointers hold all the downcasts, so neither the core nor user code meets an `Any`.
//!
//! Callbacks never nest: whatever a protocol asks of another connection happens after it has returned.

use std::any::Any;
use std::mem;

use bitflags::bitflags;

use crate::cx::Cx;
use crate::error::InitError;
use crate::pvo::Pvo;
use crate::reason::{Reason, VhostReason};
use crate::role::CloseReason;
use crate::vhost::{ProtocolIndex, VhostId};
use crate::wsi::Wsi;

/// A protocol, in lws's sense: what the user of the library writes.
///
/// ```
/// use rlws::{Call, InitError, Protocol, Pvo, Reason, Verdict, VhostCall};
///
/// struct Shout;
///
/// impl Protocol for Shout {
///     const NAME: &'static str = "shout";
///     const ROLES: &'static [&'static str] = &["raw-skt"];
///     type Session = usize; // bytes so far
///     type Vhost = ();
///
///     fn init(_vhost: VhostCall<'_>, _pvo: &Pvo) -> Result<(), InitError> {
///         Ok(())
///     }
///
///     fn callback(call: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
///         if let Reason::RawRx(data) = reason {
///             *call.pss += data.len();
///             if call.wsi.write(&data.to_ascii_uppercase()).is_err() {
///                 return Verdict::Close;
///             }
///         }
///         Verdict::Continue
///     }
/// }
/// ```
pub trait Protocol: Sized + 'static {
    /// The name that configurations use.
    const NAME: &'static str;
    /// The roles it can be bound in; empty: any. A configuration that binds it in another one is an error.
    const ROLES: &'static [&'static str] = &[];
    /// The names of its options, so that [`conf`](crate::conf) tells of others; `None`: it does not say.
    const OPTIONS: Option<&'static [&'static str]> = None;
    /// What it wants to see beyond the ordinary.
    const INTERESTS: Interests = Interests::empty();
    /// Per-session data (pss), made fresh when the protocol is bound to a connection.
    type Session: Default + 'static;
    /// Per-vhost data (vhd), made by [`Protocol::init`].
    type Vhost: 'static;

    /// Sets the protocol up on a vhost (`LWS_CALLBACK_PROTOCOL_INIT`). `pvo` is the vhost's option tree for this protocol; it is
    /// empty where there is none.
    ///
    /// # Errors
    /// Whatever is wrong with the options; the vhost is then not made, and the error names vhost and protocol.
    fn init(vhost: VhostCall<'_>, pvo: &Pvo) -> Result<Self::Vhost, InitError>;

    /// All that concerns one connection.
    fn callback(call: Call<'_, Self>, reason: Reason<'_>) -> Verdict;

    /// What concerns the vhost, or a connection that no protocol is bound to.
    fn vhost_callback(_call: VhostCall<'_>, _vhd: &mut Self::Vhost, _reason: VhostReason<'_>) -> Verdict {
        Verdict::Continue
    }
}

/// What a callback about one connection works with.
pub struct Call<'a, P: Protocol> {
    /// The connection.
    pub wsi: &'a mut Wsi,
    /// Everything else: other connections by id, vhosts, the time.
    pub cx: &'a mut Cx,
    /// Per-session data.
    pub pss: &'a mut P::Session,
    /// Per-vhost data.
    pub vhd: &'a mut P::Vhost,
}

/// What a callback about a vhost works with.
pub struct VhostCall<'a> {
    /// Connections by id, vhosts, the time.
    pub cx: &'a mut Cx,
    /// The vhost.
    pub vhost: VhostId,
}

/// What a callback says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// Go on (lws: 0). From an rx callback of raw-proxy: pass the bytes.
    Continue,
    /// Close the connection once what is queued has been sent, for up to [`limits::DRAIN_TIME`](crate::limits::DRAIN_TIME) (lws: non-zero).
    Close,
    /// From an rx callback of raw-proxy: pass these bytes instead. Elsewhere the same as `Continue`.
    Replace(Vec<u8>),
}

bitflags! {
    /// What a protocol wants to be shown beyond the ordinary.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct Interests: u32 {
        /// Every chunk from the client of a relay, before it goes onward.
        const RAW_PROXY_SRV_RX = 1;
        /// Every chunk from the onward server of a relay, before it goes to the client.
        const RAW_PROXY_CLI_RX = 1 << 1;
        /// `AddHeaders` before each response of a transaction that the protocol is bound to.
        const ADD_HEADERS = 1 << 2;
        /// WebSocket messages whole, in one `Receive` each, of up to [`WsLimits::collected`](crate::WsLimits::collected) bytes.
        const WS_WHOLE_MESSAGES = 1 << 3;
    }
}

/// A protocol as a vhost lists it (`struct lws_protocols`): its name, what it needs, and its callbacks.
#[derive(Clone, Copy)]
pub struct ProtocolTable {
    pub(crate) name: &'static str,
    pub(crate) roles: &'static [&'static str],
    pub(crate) options: Option<&'static [&'static str]>,
    pub(crate) interests: Interests,
    pub(crate) init: fn(VhostCall<'_>, &Pvo) -> Result<Vhd, InitError>,
    session: fn() -> Box<dyn Any>,
    callback: fn(&mut Wsi, &mut Cx, &mut dyn Any, &mut dyn Any, Reason<'_>) -> Verdict,
    vhost_callback: fn(VhostCall<'_>, &mut dyn Any, VhostReason<'_>) -> Verdict,
}

/// Per-vhost data, its type forgotten.
pub(crate) type Vhd = Box<dyn Any>;

impl ProtocolTable {
    /// The table of `P`.
    pub const fn of<P: Protocol>() -> ProtocolTable {
        ProtocolTable {
            name: P::NAME,
            roles: P::ROLES,
            options: P::OPTIONS,
            interests: P::INTERESTS,
            init: |vhost, pvo| Ok(Box::new(P::init(vhost, pvo)?)),
            session: || Box::new(P::Session::default()),
            callback: |wsi, cx, pss, vhd, reason| {
                let pss = pss.downcast_mut().expect("a table makes its own sessions");
                let vhd = vhd.downcast_mut().expect("a table makes its own vhost data");
                P::callback(Call { wsi, cx, pss, vhd }, reason)
            },
            vhost_callback: |call, vhd, reason| {
                let vhd = vhd.downcast_mut().expect("a table makes its own vhost data");
                P::vhost_callback(call, vhd, reason)
            },
        }
    }

    /// The protocol's name.
    pub fn name(&self) -> &'static str {
        self.name
    }
}

// How the core and the roles call back. Session data is in the connection and vhost data in the vhost; both are moved out for the call.

/// Binds a protocol of the connection's vhost to it, with fresh session data, without a callback.
pub(crate) fn attach(wsi: &mut Wsi, cx: &Cx, protocol: ProtocolIndex) -> Result<(), CloseReason> {
    debug_assert!(wsi.protocol.is_none(), "the old protocol is dropped before a new one is bound");
    let Some(enabled) = cx.enabled(wsi.vhost, protocol).filter(|enabled| enabled.vhd.is_some()) else {
        return Err(CloseReason::Refused("its vhost is gone".into()));
    };
    wsi.pss = Some((enabled.table.session)());
    wsi.protocol = Some(protocol);
    wsi.tally.note_bound(protocol);
    wsi.protocol_name = Some(enabled.table.name);
    Ok(())
}

/// Unbinds what is bound, and frees its session data.
pub(crate) fn detach(wsi: &mut Wsi) {
    wsi.protocol.take().into_iter().for_each(|protocol| wsi.tally.note_dropped(protocol));
    wsi.protocol_name = None;
    wsi.pss = None;
    wsi.cancel_alarms();
}

/// Calls the protocol bound to a connection. Without one: `Continue`.
pub(crate) fn call(wsi: &mut Wsi, cx: &mut Cx, reason: Reason<'_>) -> Verdict {
    let (Some(protocol), Some(mut pss)) = (wsi.protocol, wsi.pss.take()) else { return Verdict::Continue };
    let verdict = with_vhd(cx, wsi.vhost, protocol, |cx, table, vhd| {
        log::debug!("wsi {}: {}: {reason:?}", wsi.id, table.name);
        (table.callback)(wsi, cx, &mut *pss, vhd, reason)
    });
    wsi.pss = Some(pss);
    verdict.unwrap_or(Verdict::Close)
}

/// Tells a protocol something about its vhost.
pub(crate) fn tell_vhost(cx: &mut Cx, vhost: VhostId, protocol: ProtocolIndex, reason: VhostReason<'_>) {
    let _nothing_is_asked = call_vhost(cx, vhost, protocol, reason);
}

/// Asks the first protocol of a vhost about a connection that none is bound to.
pub(crate) fn ask_first(cx: &mut Cx, vhost: VhostId, reason: VhostReason<'_>) -> Verdict {
    call_vhost(cx, vhost, FIRST, reason)
}

pub(crate) const FIRST: ProtocolIndex = 0;

/// A protocol that is not there has nothing against it.
fn call_vhost(cx: &mut Cx, vhost: VhostId, protocol: ProtocolIndex, reason: VhostReason<'_>) -> Verdict {
    let verdict = with_vhd(cx, vhost, protocol, |cx, table, vhd| {
        log::debug!("{}: {reason:?}", table.name);
        (table.vhost_callback)(VhostCall { cx, vhost }, vhd, reason)
    });
    verdict.unwrap_or(Verdict::Continue)
}

/// Initialises a protocol on its vhost.
pub(crate) fn init(cx: &mut Cx, vhost: VhostId, protocol: ProtocolIndex) -> Result<(), InitError> {
    let Some(enabled) = cx.enabled_mut(vhost, protocol) else { return Ok(()) };
    let (table, pvo) = (enabled.table, mem::take(&mut enabled.pvo));
    let made = calling(cx, |cx| (table.init)(VhostCall { cx, vhost }, &pvo));
    let Some(enabled) = cx.enabled_mut(vhost, protocol) else { return Ok(()) };
    enabled.pvo = pvo;
    enabled.vhd = Some(made?);
    Ok(())
}

/// Lends a protocol's vhost data out for one call. `None` where the vhost is gone, or the protocol never was initialised.
fn with_vhd<T>(
    cx: &mut Cx,
    vhost: VhostId,
    protocol: ProtocolIndex,
    call: impl FnOnce(&mut Cx, ProtocolTable, &mut dyn Any) -> T,
) -> Option<T> {
    let enabled = cx.enabled_mut(vhost, protocol)?;
    let table = enabled.table;
    let mut vhd = enabled.vhd.take()?;
    let result = calling(cx, |cx| call(cx, table, &mut *vhd));
    if let Some(enabled) = cx.enabled_mut(vhost, protocol) {
        enabled.vhd = Some(vhd);
    }
    Some(result)
}

/// Every call of user code goes through here.
fn calling<T>(cx: &mut Cx, call: impl FnOnce(&mut Cx) -> T) -> T {
    debug_assert!(!cx.calling, "callbacks never nest");
    cx.calling = true;
    call(Calling(cx).0)
}

/// It is over also where user code panics, and whoever catches that drops the context.
struct Calling<'a>(&'a mut Cx);

impl Drop for Calling<'_> {
    fn drop(&mut self) {
        self.0.calling = false;
    }
}
