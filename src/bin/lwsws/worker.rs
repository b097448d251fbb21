//! A process that serves. It takes listen sockets, access logs, configuration and keys from its parent, prepares all that serving takes,
//! gives its privileges up, says that it is ready, and serves when it is told to, until it is told to end.
//!
//! It binds nothing, and opens no log: both are the parent's.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use nix::sys::signal::SigSet;
use rlws::{
    AccessLog, AdoptInfo, Call, CloseReason, Context, Cx, InitError, Listen, ListenSockets, Protocol, ProtocolTable,
    Pvo, Reason, SulId, Verdict, VhostCall, VhostInfo, VhostReason, logger,
};

use crate::control::{Lines, READY, Word};
use crate::hand_over::{Channel, HandOver};
use crate::log_file;
use crate::privileges::{self, Identity};
use crate::process::FOR_THE_PARENT;
use crate::setup::Loaded;

/// How long connections may take to finish when the parent is gone.
const ORPHANED: Duration = Duration::from_secs(10);

/// How often a worker that drains looks whether it is done.
const DRAIN_POLL: Duration = Duration::from_millis(50);

pub(crate) fn run() -> Result<(), String> {
    ignore_signals()?;
    let channel = io::stdin().as_fd().try_clone_to_owned().map(Channel::of).map_err(|error| error.to_string())?;
    let from_parent = |error: io::Error| format!("from the parent: {error}");
    let (handed, words) = channel.began().map_err(from_parent)?;
    let mut words = UnixStream::from(words);
    let loaded = Loaded::from_texts(&handed.files, handed.pems.iter().cloned().collect())?;
    let identity = Identity::of(&loaded.conf.global)?;
    // Before the sockets come, which may be many.
    privileges::raise_nofile(loaded.conf.global.rlimit_nofile)?;
    let logs = Logs::default();
    let mut context = Context::new(loaded.conf.context_info()).map_err(|error| error.to_string())?;
    let inherited = Inherited { logs, channel };
    let inherited = prepare(&mut context, loaded, handed, inherited)?;
    identity.assume()?;

    words.write_all(format!("{READY}\n").as_bytes()).map_err(from_parent)?;
    if !told_to_serve(&mut words, &inherited).map_err(from_parent)? {
        return Ok(());
    }
    let home =
        VhostInfo { name: "parent".into(), protocols: vec![ProtocolTable::of::<Parent>()], ..Default::default() };
    let home = context.create_vhost(home).map_err(|error| error.to_string())?;
    context.cx().set_user(Rc::new(inherited));
    let adopted = context.cx().adopt_unix(words, AdoptInfo::new(home, Parent::NAME));
    adopted.map_err(|error| error.to_string())?;
    context.run().map_err(|error| error.to_string())
}

/// They were blocked when this process began.
fn ignore_signals() -> Result<(), String> {
    // As of "lwsws", for killall and the like; it was started by another name.
    let _a_matter_of_looks = rustix::thread::set_name(c"lwsws");
    for signal in FOR_THE_PARENT {
        let heard = Arc::new(AtomicBool::new(false));
        let ignored = signal_hook::flag::register(signal as i32, heard);
        ignored.map_err(|error| format!("{signal}: {error}"))?;
    }
    let signals: SigSet = FOR_THE_PARENT.into_iter().collect();
    signals.thread_unblock().map_err(|error| error.to_string())
}

/// Makes the vhosts, on the sockets and with the logs that the parent hands over.
fn prepare(
    context: &mut Context,
    loaded: Loaded,
    handed: HandOver,
    mut inherited: Inherited,
) -> Result<Inherited, String> {
    let fds = inherited.channel.receive(handed.descriptors()).map_err(|error| format!("from the parent: {error}"))?;
    let mut fds = fds.into_iter();
    for (vhost, count) in &handed.sockets {
        let listen = loaded.vhosts.infos.get(*vhost).map(|info| info.listen.clone()).ok_or("there is no such vhost")?;
        context.use_listen_sockets(ListenSockets::of(listen, fds.by_ref().take(*count).collect()));
    }
    let logs = handed.logs.iter().cloned().zip(fds.map(|fd| AccessLog::new(File::from(fd))));
    inherited.logs = Logs(logs.collect());
    let is_handed = |listen: &Listen| {
        let mut listens = handed.sockets.iter().filter_map(|(vhost, _)| loaded.vhosts.infos.get(*vhost));
        *listen == Listen::None || listens.any(|info| info.listen == *listen)
    };
    for (conf, info) in loaded.conf.vhosts.iter().zip(&loaded.vhosts.infos) {
        let mut info = info.clone();
        if !is_handed(&info.listen) {
            return Err(format!("vhost {}: the parent has bound nothing for {}", info.name, info.listen));
        }
        info.access_log = match &conf.access_log {
            Some(path) => Some(inherited.logs.find(path).ok_or("the parent has not opened all access logs")?),
            None => None,
        };
        context.create_vhost(info).map_err(|error| conf.explain(&error).to_string())?;
    }
    Ok(inherited)
}

/// Waits for the word to serve. `false`: there is nothing to serve, and nothing was accepted.
fn told_to_serve(words: &mut UnixStream, inherited: &Inherited) -> io::Result<bool> {
    let (mut lines, mut byte) = (Lines::default(), [0]);
    loop {
        // What comes behind that word is for the loop.
        if words.read(&mut byte)? == 0 {
            return Ok(false);
        }
        for line in lines.add(&byte).unwrap_or_default() {
            match Word::parse(&line) {
                Some(Word::Serve) => return Ok(true),
                Some(Word::Reopen(count)) => inherited.reopen(count),
                Some(Word::LogFile) => inherited.take_log_file(),
                Some(Word::Drain | Word::Stop(_)) | None => return Ok(false),
            }
        }
    }
}

/// What came from the parent, and what more comes.
struct Inherited {
    logs: Logs,
    channel: Channel,
}

impl Inherited {
    fn reopen(&self, count: usize) {
        match self.channel.receive(count) {
            Ok(fds) => {
                let logs = self.logs.0.iter().map(|(_, log)| log);
                logs.zip(fds).for_each(|(log, fd)| log.reopen(File::from(fd)));
            }
            Err(error) => log::error!("access logs from the parent: {error}; logging goes on in the old ones"),
        }
    }

    fn take_log_file(&self) {
        let taken = self.channel.receive(1).map(|mut fds| fds.pop());
        if let Err(error) = taken.and_then(|fd| fd.map_or(Ok(()), |fd| log_file::use_fd(fd.as_fd()))) {
            log::error!("the log file from the parent: {error}");
        }
    }
}

/// The access logs by their paths, in the order in which the parent hands them over.
#[derive(Default)]
struct Logs(Vec<(PathBuf, AccessLog)>);

impl Logs {
    fn find(&self, path: &std::path::Path) -> Option<AccessLog> {
        self.0.iter().find(|(known, _)| known == path).map(|(_, log)| log.clone())
    }
}

/// What the parent says.
struct Parent;

#[derive(Default)]
struct Ending {
    /// It looks now and then whether all connections have finished.
    polls: bool,
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
            Reason::RawRx(data) => {
                for line in pss.add(data).unwrap_or_default() {
                    match (Word::parse(&line), cx.user::<Inherited>()) {
                        (Some(Word::Stop(seconds)), _) => vhd.end(cx, vhost, Some(Duration::from_secs(seconds))),
                        (Some(Word::Drain), _) => vhd.end(cx, vhost, None),
                        (Some(Word::Reopen(count)), Some(inherited)) => inherited.reopen(count),
                        (Some(Word::LogFile), Some(inherited)) => inherited.take_log_file(),
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
            // One is the connection to the parent.
            let left = cx.wsi_count().saturating_sub(1);
            let gives_up = vhd.gives_up == Some(sul);
            if gives_up && left > 0 {
                log::info!(target: logger::NOTICE, "{left} connections have not finished; they are cut off");
            }
            if gives_up || left == 0 {
                cx.stop();
            } else {
                vhd.poll(cx, vhost);
            }
        }
        Verdict::Continue
    }
}

impl Ending {
    /// Accepts nothing more, and ends when the last connection has. With a limit it closes its WebSockets, and ends after that long in any case.
    fn end(&mut self, cx: &mut Cx, vhost: rlws::VhostId, limit: Option<Duration>) {
        cx.deprecate_later();
        if let Some(limit) = limit {
            cx.close_websockets_later();
            self.gives_up.take().map(|former| cx.cancel_sul(former));
            self.gives_up = cx.schedule(vhost, Parent::NAME, limit).ok();
        }
        if !std::mem::replace(&mut self.polls, true) {
            self.poll(cx, vhost);
        }
    }

    fn poll(&mut self, cx: &mut Cx, vhost: rlws::VhostId) {
        if let Err(error) = cx.schedule(vhost, Parent::NAME, DRAIN_POLL) {
            let _closes_nothing = cx.stop_with(error);
        }
    }
}
