//! A process that serves. It takes listen sockets, configuration and keys from its parent, gives its privileges up, and serves until it is
//! told to end.

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use rlws::{
    AdoptInfo, Call, CloseReason, Context, Cx, InitError, ListenSockets, Protocol, ProtocolTable, Pvo, Reason, SulId,
    Verdict, VhostCall, VhostInfo, VhostReason,
};

use crate::control::{self, DRAIN, Lines, READY, REOPEN, STOP};
use crate::logs::Logs;
use crate::privileges::{self, Identity};
use crate::setup::Loaded;

/// How long connections may take to finish when the parent is gone.
const ORPHANED: Duration = Duration::from_secs(10);

/// How often a worker that drains looks whether it is done.
const LOOK: Duration = Duration::from_millis(50);

pub(crate) fn run() -> Result<(), String> {
    let stdin = std::io::stdin().as_fd().try_clone_to_owned().map_err(|error| error.to_string())?;
    let parent = UnixStream::from(stdin);
    let mut handed = control::take_over(&parent).map_err(|error| format!("from the parent: {error}"))?;
    let loaded = Loaded::from_texts(&handed.files, std::mem::take(&mut handed.pems))?;
    let identity = Identity::of(&loaded.conf.global)?;
    privileges::raise_nofile(loaded.conf.global.rlimit_nofile)?;
    let mut context = Context::new(loaded.conf.context_info()).map_err(|error| error.to_string())?;
    let mut logs = Logs::default();
    for (conf, mut info) in loaded.conf.vhosts.iter().zip(loaded.vhosts.infos) {
        info.access_log = conf.access_log.as_deref().map(|path| logs.open(path, &identity)).transpose()?;
        let key = info.listen.to_string();
        let its = handed.sockets.extract_if(.., |(listen, _)| *listen == key).flat_map(|(_, fds)| fds).collect();
        context.use_listen_sockets(ListenSockets::of(info.listen.clone(), its));
        context.create_vhost(info).map_err(|error| conf.explain(&error).to_string())?;
    }
    identity.assume()?;

    let home =
        VhostInfo { name: "parent".into(), protocols: vec![ProtocolTable::of::<Parent>()], ..Default::default() };
    let home = context.create_vhost(home).map_err(|error| error.to_string())?;
    context.cx().set_user(Rc::new(logs));
    let adopted = context.cx().adopt_unix(parent, AdoptInfo::new(home, Parent::NAME));
    adopted.map_err(|error| error.to_string())?;
    context.stop_on_signals().map_err(|error| error.to_string())?;
    context.run().map_err(|error| error.to_string())
}

/// What the parent says.
struct Parent;

#[derive(Default)]
struct Ending {
    /// It looks now and then whether all connections have finished.
    looks: bool,
    /// When it ends even if they have not.
    gives_up: Option<SulId>,
}

impl Protocol for Parent {
    const NAME: &'static str = "lwsws-parent";
    type Session = Lines;
    type Vhost = Ending;

    fn init(_vhost: VhostCall<'_>, _pvo: &Pvo) -> Result<Ending, InitError> {
        Ok(Ending::default())
    }

    fn callback(Call { wsi, cx, pss, vhd }: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        let vhost = wsi.vhost();
        match reason {
            Reason::RawAdopt => {
                let ready = wsi.write(format!("{READY}\n").as_bytes());
                return if ready.is_ok() { Verdict::Continue } else { cx.stop_with("the parent does not listen") };
            }
            Reason::RawRx(data) => {
                for line in pss.add(data) {
                    match line.split_once(' ') {
                        Some((STOP, seconds)) => {
                            vhd.end(cx, vhost, Some(Duration::from_secs(seconds.parse().unwrap_or(0))));
                        }
                        None if line == DRAIN => vhd.end(cx, vhost, None),
                        None if line == REOPEN => cx.user::<Logs>().map_or((), Logs::reopen),
                        _ => log::error!("the parent says {line:?}, which is no word of ours"),
                    }
                }
            }
            Reason::RawClose if matches!(wsi.close_reason(), Some(CloseReason::PeerClosed | CloseReason::Lost(_))) => {
                log::warn!("the parent is gone");
                vhd.end(cx, vhost, Some(ORPHANED));
            }
            _ => {}
        }
        Verdict::Continue
    }

    fn vhost_callback(VhostCall { cx, vhost }: VhostCall<'_>, vhd: &mut Ending, reason: VhostReason<'_>) -> Verdict {
        if let VhostReason::Sul(sul) = reason {
            // What is left is the connection to the parent.
            if vhd.gives_up == Some(sul) || cx.wsi_count() <= 1 {
                cx.stop();
            } else {
                vhd.look(cx, vhost);
            }
        }
        Verdict::Continue
    }
}

impl Ending {
    /// Accepts nothing more, and ends when the last connection has, or after that long.
    fn end(&mut self, cx: &mut Cx, vhost: rlws::VhostId, limit: Option<Duration>) {
        cx.deprecate_later();
        if let Some(limit) = limit {
            self.gives_up.take().map(|former| cx.cancel_sul(former));
            self.gives_up = cx.schedule(vhost, Parent::NAME, limit).ok();
        }
        if !std::mem::replace(&mut self.looks, true) {
            self.look(cx, vhost);
        }
    }

    fn look(&mut self, cx: &mut Cx, vhost: rlws::VhostId) {
        if let Err(error) = cx.schedule(vhost, Parent::NAME, LOOK) {
            let _closes_nothing = cx.stop_with(error);
        }
    }
}
