//! The context: one thread, one poll, one loop.

use std::fmt;
use std::io::ErrorKind;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::{Events, Interest, Poll, Token};
use signal_hook_mio::v1_0::Signals;

use crate::basic_auth::Passwords;
use crate::cx::Cx;
use crate::error::{Error, Result};
use crate::limits;
use crate::listen_sockets::ListenSockets;
use crate::logger::NOTICE;
use crate::reason::Reason;
use crate::reject::RejectKeyword;
use crate::timers::Chore;
use crate::vhost::VhostId;
use crate::vhost_info::VhostInfo;
use crate::wsi::{Asked, WsiId};

/// What a context is made from (the context part of `struct lws_context_creation_info`).
#[derive(Debug, Clone)]
pub struct ContextInfo {
    /// How long a peer may take to say what it is, and to send a request's head (`timeout-secs`); 5 s.
    pub timeout: Duration,
    /// How long connecting may take: looking the name up, and all its addresses; 20 s.
    pub connect_timeout: Duration,
    /// What http calls itself in `Server:` (`server-string`); `rlws`.
    pub server_string: String,
    /// Connections of all kinds at a time, listen sockets included (`fd_limit_per_thread`). Who comes then waits at the listen socket until
    /// one has ended; a warning says so once. A connection that is to be made when there are so many fails, and with it the client that was to be
    /// relayed. `None`: as many as the process may have descriptors when it begins to listen, less those
    /// open for other things, less a reserve for files, logs and look-ups: an eighth, [`limits::DESCRIPTOR_RESERVE`] at most; and less those of
    /// pipes that relays may open, a thirty-second, [`limits::PIPES`] pipes at most.
    pub max_connections: Option<usize>,
    /// Clients that http answers with a status, because of how they call themselves (`reject-service-keywords`); of several that fit the
    /// first counts. The connection ends behind the answer.
    pub reject_service_keywords: Vec<RejectKeyword>,
    /// TCP connections that one address may have with this context at a time (`ip-limit-wsi`); `None`: as many as it likes. Those beyond
    /// are hung up on when they are accepted, and a warning says so at most once a second. Of IPv6 the 64 bits of the network count as
    /// one address. Connections of our own, adopted ones, and those of unix sockets do not count. Where a trusted PROXY header names the
    /// client, its address counts, and the balancer's does not. Leave room for those that share an address (NAT).
    pub ip_limit_wsi: Option<u32>,
    /// Those of them that may not have said yet what they want (`ip-limit-undecided`, not in lws), however many others there are: of http it is
    /// said by the first whole head, else by the verdict on the first packet. When one more comes, the one that has been there for longest
    /// is hung up on, so who speaks at once gets through a flood of its own address. `None`: half of what [`ContextInfo::max_connections`]
    /// comes to; `Some(0)`: as many as there are. Whose connections count, and as one, is as for `ip_limit_wsi`.
    pub ip_limit_undecided: Option<u32>,
    /// Requests of one address that are answered at a time (`ip-limit-ah`), counted from their whole head until their response is out;
    /// `None`: as many as there are. Those beyond wait for their turn, up to `timeout`, and then are a `503`. Whose requests count as one
    /// address's is as for `ip_limit_wsi`, but for connections that were adopted, which count as well.
    pub ip_limit_ah: Option<u32>,
    /// Bytes that the head of an http request may have (`max-http-header-data`); [`limits::HTTP_HEAD`] unless told, and from
    /// [`limits::HTTP_HEAD_LEAST`] to [`limits::HTTP_HEAD_MOST`]: what is beyond them counts as the nearest of the two.
    pub max_http_header_data: usize,
    /// Bytes that its target may have (`max-http-uri`, not in lws); [`limits::HTTP_URI`] unless told.
    pub max_http_uri: usize,
    /// Headers that it may have (`max-http-headers`, not in lws); [`limits::HTTP_HEADERS`] unless told, and from 1 to
    /// [`limits::HTTP_HEADERS_MOST`].
    pub max_http_headers: usize,
}

impl Default for ContextInfo {
    fn default() -> Self {
        ContextInfo {
            timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(20),
            server_string: "rlws".to_owned(),
            max_connections: None,
            reject_service_keywords: Vec::new(),
            ip_limit_wsi: None,
            ip_limit_undecided: None,
            ip_limit_ah: None,
            max_http_header_data: limits::HTTP_HEAD,
            max_http_uri: limits::HTTP_URI,
            max_http_headers: limits::HTTP_HEADERS,
        }
    }
}

/// Everything (`struct lws_context`): the poll, the vhosts, the connections.
///
/// ```no_run
/// use rlws::{Context, ContextInfo, Listen, Mount, VhostInfo};
///
/// fn main() -> rlws::Result<()> {
///     let mut context = Context::new(ContextInfo::default())?;
///     context.create_vhost(VhostInfo {
///         listen: Listen::port(7681),
///         mounts: vec![Mount::files("/", "mount-origin")],
///         ..Default::default()
///     })?;
///     context.stop_on_signals()?;
///     context.run()
/// }
/// ```
pub struct Context {
    poll: Poll,
    events: Events,
    signals: Option<Signals>,
    /// Nobody listens to them any more, so they do to the process what they always did.
    gone: Arc<AtomicBool>,
    /// Its user has injected the time, and goes on doing so.
    time_is_injected: bool,
    cx: Cx,
}

const WAKER: Token = Token(usize::MAX);
const SIGNALS: Token = Token(usize::MAX - 1);

impl Context {
    /// A context without vhosts (`lws_create_context`).
    ///
    /// # Errors
    /// [`Error::System`] where the system has no descriptors left.
    pub fn new(info: ContextInfo) -> Result<Context> {
        let poll = Poll::new().map_err(Error::system("making a poll"))?;
        let registry = poll.registry().try_clone().map_err(Error::system("making a poll"))?;
        let inner = mio::Waker::new(&registry, WAKER).map_err(Error::system("making a waker"))?;
        let inner = Arc::new(inner);
        let waker = Waker { inner: inner.clone(), shared: Arc::default() };
        let passwords = Passwords::new(inner.clone()).map_err(Error::system("asking for random bytes"))?;
        let cx = Cx::new(registry, waker, inner, passwords, info);
        Ok(Context {
            poll,
            events: Events::with_capacity(limits::EVENTS),
            signals: None,
            gone: Arc::default(),
            time_is_injected: false,
            cx,
        })
    }

    /// [`Cx::create_vhost`].
    ///
    /// # Errors
    /// As there.
    pub fn create_vhost(&mut self, info: VhostInfo) -> Result<VhostId> {
        self.cx().create_vhost(info)
    }

    /// Has vhosts that are made from now on bind nothing. All else is as if they listened: it is for trying a configuration out, and for
    /// [`Cx::fate_of`].
    pub fn bind_nothing(&mut self) {
        self.cx.is_dry = true;
    }

    /// Hands sockets over to the vhosts that are made from now on and listen on the same. They bind none of their own then, even where
    /// what is handed over is empty: such vhosts listen nowhere.
    ///
    /// Sockets that do not listen yet can be handed over as well; until whoever bound them has called [`ListenSockets::listen`], the loop
    /// must not run.
    pub fn use_listen_sockets(&mut self, sockets: ListenSockets) {
        self.cx.handed.push(sockets);
    }

    /// Closes a vhost's connections, tells its protocols, and frees it (`lws_vhost_destroy`).
    pub fn destroy_vhost(&mut self, id: VhostId) {
        self.cx.destroy_vhost(id);
        self.cx.run_deferred();
        self.cx.logs.hand_over();
    }

    /// Waits for events, no longer than `timeout` (`None`: for as long as nothing happens), and does what there is to do
    /// (`lws_service`).
    ///
    /// # Errors
    /// [`Error::System`] where polling fails, which it does not on a healthy system.
    pub fn service(&mut self, timeout: Option<Duration>) -> Result<()> {
        let patience = [timeout, self.next_timeout()].into_iter().flatten().min();
        self.poll(patience)?;
        self.turn(Instant::now());
        Ok(())
    }

    /// One turn of the loop that does not wait, and that takes `now` for the time. Times before the last turn's count as that one.
    ///
    /// # Errors
    /// As [`Context::service`].
    pub fn service_at(&mut self, now: Instant) -> Result<()> {
        self.poll(Some(Duration::ZERO))?;
        self.time_is_injected = true;
        self.turn(now);
        Ok(())
    }

    /// Services until [`Waker::stop`], [`Cx::stop`], or a signal of [`Context::stop_on_signals`].
    ///
    /// # Errors
    /// As [`Context::service`], and [`Error::Stopped`] after [`Cx::stop_with`].
    ///
    /// # Panics
    /// Where a callback panics. The connection and the vhost's data that it had in hand go with it; a context that survives that should be
    /// dropped, which still tells the others.
    pub fn run(&mut self) -> Result<()> {
        loop {
            if let Some(end) = self.stopped() {
                return end;
            }
            self.service(None)?;
        }
    }

    /// Whether [`Context::run`] would end now, and how; for loops of one's own. Says so once.
    pub fn stopped(&mut self) -> Option<Result<()>> {
        let stopped = self.cx.waker.shared.stop.swap(false, Ordering::AcqRel);
        stopped.then(|| self.cx.failure.take().map_or(Ok(()), |why| Err(Error::Stopped(why))))
    }

    /// How long it takes at most until there is something to do without an event; `None`: for ever. With [`AsRawFd`], which becomes readable when
    /// there is an event, another loop can have [`Context::service`] called in time (lws's support for foreign loops).
    pub fn next_timeout(&self) -> Option<Duration> {
        let Cx { run, deferred, timers, now, .. } = &self.cx;
        if run.is_empty() && deferred.is_empty() {
            timers.until_next(if self.time_is_injected { *now } else { Instant::now() })
        } else {
            Some(Duration::ZERO)
        }
    }

    /// Makes SIGINT and SIGTERM end [`Context::run`], instead of the process, for as long as there is a context.
    ///
    /// # Errors
    /// [`Error::System`] where the handlers cannot be installed.
    pub fn stop_on_signals(&mut self) -> Result<()> {
        let what = "installing signal handlers";
        let both = [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM];
        let none: [i32; 0] = [];
        let mut signals = Signals::new(none).map_err(Error::system(what))?;
        for signal in both {
            // First, lest the loop that is woken has ended, and its context is gone, before a handler has asked about that.
            let default = signal_hook::flag::register_conditional_default(signal, self.gone.clone());
            default.map_err(Error::system(what))?;
            signals.add_signal(signal).map_err(Error::system(what))?;
        }
        self.poll.registry().register(&mut signals, SIGNALS, Interest::READABLE).map_err(Error::system(what))?;
        self.signals = Some(signals);
        Ok(())
    }

    /// A handle by which other threads reach the loop.
    pub fn waker(&self) -> Waker {
        self.cx.waker()
    }

    /// What callbacks are handed, for use between turns: client connections, adoption, look-ups.
    pub fn cx(&mut self) -> &mut Cx {
        if !self.time_is_injected {
            // The last turn may have been long ago.
            self.cx.set_now(Instant::now());
        }
        &mut self.cx
    }

    fn poll(&mut self, timeout: Option<Duration>) -> Result<()> {
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {
                self.events.clear();
                Ok(())
            }
            result => result.map_err(Error::system("polling")),
        }
    }

    /// Fresh events first, then those who have more to do, then those whose time has come.
    fn turn(&mut self, now: Instant) {
        let Context { events, signals, cx, .. } = self;
        cx.set_now(now);
        cx.restore();
        // What was asked for between turns.
        cx.run_deferred();
        let fresh = events.iter().filter(|event| note(cx, event)).count();
        // Half of them are for who waits from before, however many are fresh.
        cx.handshakes = limits::TLS_HANDSHAKES / 2;
        let waiting = fresh + cx.run.prompt() + cx.run.bulk();
        (cx.slice, cx.splice) = match waiting {
            0 | 1 => (limits::SERVICE_BUFFER, limits::SPLICE),
            _ => (limits::SLICE_WHILE_OTHERS_WAIT, limits::SPLICE_WHILE_OTHERS_WAIT),
        };
        for event in events.iter() {
            match event.token() {
                WAKER => woken(cx),
                SIGNALS => signalled(signals, cx),
                // Who is queued anyway has its turn in a moment; two would be unfair.
                token => cx.service_event(WsiId::of_token(token)),
            }
        }
        cx.handshakes += limits::TLS_HANDSHAKES / 2;
        cx.service_run_queue();
        cx.service_timers();
        if cx.pipes.has_spare() {
            cx.timers.arm_chore(Chore::Pipes, || cx.now + limits::PIPES_SPARE);
        }
        cx.logs.hand_over();
    }
}

/// Remembers what the poll said. Whether it makes one more connection wait for its turn to read.
fn note(cx: &mut Cx, event: &Event) -> bool {
    let Some(wsi) = cx.slots.get_mut(WsiId::of_token(event.token())) else { return false };
    wsi.io.note(event);
    event.is_readable() && !wsi.flags.queued
}

/// The poll's descriptor.
impl AsRawFd for Context {
    fn as_raw_fd(&self) -> RawFd {
        self.poll.as_raw_fd()
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        self.gone.store(true, Ordering::Release);
        self.cx.going = true;
        self.cx.restore();
        let all: Vec<VhostId> = self.cx.vhosts().collect();
        for id in all {
            self.destroy_vhost(id);
        }
        self.cx.log_all_facts();
        self.cx.logs.finish();
    }
}

fn woken(cx: &mut Cx) {
    while let Some((waiting, found)) = cx.resolver.answer(|id| cx.slots.get(id).is_some()) {
        for id in waiting {
            if let Some(wsi) = cx.slots.get_mut(id) {
                wsi.asked = Some(Box::new(Asked::Resolved(found.clone())));
                cx.wake(id);
            }
        }
    }
    while let Some((waiting, name)) = cx.peer_names.answer(|id| cx.slots.get(id).is_some()) {
        for id in waiting {
            cx.hear(id, Reason::PeerName(name.as_deref()));
            cx.run_deferred();
        }
    }
    while let Some(waiting) = cx.passwords.answer(|id| cx.slots.get(id).is_some()) {
        for id in waiting {
            cx.wake(id);
        }
    }
    if cx.waker.shared.wake.swap(false, Ordering::AcqRel) {
        cx.event_wait_cancelled();
    }
}

fn signalled(signals: &mut Option<Signals>, cx: &Cx) {
    for signal in signals.iter_mut().flat_map(Signals::pending) {
        let name = signal_hook::low_level::signal_name(signal).unwrap_or("a signal");
        log::info!(target: NOTICE, "{name}: stopping");
        cx.waker.shared.stop.store(true, Ordering::Release);
    }
}

/// Reaches the loop from other threads.
#[derive(Clone)]
pub struct Waker {
    inner: Arc<mio::Waker>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    wake: AtomicBool,
    stop: AtomicBool,
}

impl Waker {
    /// Has every protocol of every vhost called with `EventWaitCancelled` (`lws_cancel_service`). Calls that come faster than the
    /// loop turns are merged.
    pub fn wake(&self) {
        // Who set it before has rung already.
        if !self.shared.wake.swap(true, Ordering::AcqRel) {
            self.ring();
        }
    }

    /// Ends [`Context::run`], now or when it is next called.
    pub fn stop(&self) {
        self.shared.stop.store(true, Ordering::Release);
        self.ring();
    }

    fn ring(&self) {
        if let Err(error) = self.inner.wake() {
            log::error!("waking the loop: {error}");
        }
    }
}

impl fmt::Debug for Waker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Waker")
    }
}
