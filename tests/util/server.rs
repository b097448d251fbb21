//! A `Context` on a thread of its own. The test asks it things between two turns of its loop.

use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::thread::{JoinHandle, ThreadId};
use std::time::{Duration, Instant};

use rlws::{Context, ContextInfo, VhostInfo, Waker};

use super::recorder::{self, Event};
use super::{DEADLINE, count_fds, eventually, log};

/// More than a connection takes to be accepted, and to have its first bytes looked at.
const TURNS: usize = 10;

type Job = Box<dyn FnOnce(&mut Context) + Send>;

/// A running context. Dropping it ends the loop; a panic on the loop's thread becomes the test's.
pub struct Server<T = u16> {
    /// What the closure returned that set the context up: ports, ids.
    pub made: T,
    pub waker: Waker,
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    thread_id: ThreadId,
    wsi_at_start: usize,
    fds_at_start: usize,
}

impl Server<u16> {
    /// A context with one vhost, whose port is what was made.
    #[track_caller]
    pub fn with_vhost(info: impl FnOnce() -> VhostInfo + Send + 'static) -> Server<u16> {
        Server::with_vhost_in(ContextInfo::default(), info)
    }

    #[track_caller]
    pub fn with_vhost_in(context: ContextInfo, info: impl FnOnce() -> VhostInfo + Send + 'static) -> Server<u16> {
        Server::start_with(context, move |context| make_vhost(context, info()))
    }
}

/// Makes a vhost that has to succeed; its port.
#[track_caller]
pub fn make_vhost(context: &mut Context, info: VhostInfo) -> u16 {
    let id = context.create_vhost(info).unwrap_or_else(|error| panic!("create_vhost: {error}"));
    context.cx().listen_port(id).unwrap_or_default()
}

/// Why a vhost could not be made.
#[track_caller]
pub fn mistake(info: VhostInfo) -> String {
    let mut context = Context::new(ContextInfo::default()).expect("Context::new");
    let error = context.create_vhost(info).expect_err("it is a mistake");
    assert_eq!(context.cx().wsi_count(), 0, "nothing is left of a vhost that failed");
    error.to_string()
}

/// All of `parts` are in the error, which is one line.
#[track_caller]
pub fn assert_names(error: &str, parts: &[&str]) {
    assert!(parts.iter().all(|part| error.contains(part)), "{error:?} lacks one of {parts:?}");
    assert!(!error.contains('\n'), "{error:?} is one line");
}

impl<T: Send + 'static> Server<T> {
    #[track_caller]
    pub fn start(setup: impl FnOnce(&mut Context) -> T + Send + 'static) -> Server<T> {
        Server::start_with(ContextInfo::default(), setup)
    }

    #[track_caller]
    pub fn start_with(info: ContextInfo, setup: impl FnOnce(&mut Context) -> T + Send + 'static) -> Server<T> {
        log::keep();
        let (jobs, queue) = mpsc::channel();
        let (tell, told) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let mut context = Context::new(info).expect("Context::new");
            let made = setup(&mut context);
            tell.send((made, context.waker(), context.cx().wsi_count())).expect("the test waits for this");
            serve(&mut context, &queue);
        });
        let thread_id = thread.thread().id();
        let Ok((made, waker, wsi_at_start)) = told.recv() else {
            let panic = thread.join().expect_err("it told nothing, so it panicked");
            std::panic::resume_unwind(panic);
        };
        Server {
            made,
            waker,
            jobs: Some(jobs),
            thread: Some(thread),
            thread_id,
            wsi_at_start,
            fds_at_start: count_fds(Path::new("/proc/self")),
        }
    }

    /// Runs `job` on the loop's thread between two turns, and returns what it returned.
    #[track_caller]
    pub fn ask<R: Send + 'static>(&self, job: impl FnOnce(&mut Context) -> R + Send + 'static) -> R {
        let (tell, told) = mpsc::channel();
        self.post(move |context| {
            // Only a test that failed meanwhile stops listening.
            let _ = tell.send(job(context));
        });
        told.recv_timeout(DEADLINE).expect("the loop does not answer")
    }

    /// The same without waiting for it.
    #[track_caller]
    fn post(&self, job: impl FnOnce(&mut Context) + Send + 'static) {
        let jobs = self.jobs.as_ref().expect("only drop takes it");
        jobs.send(Box::new(job)).expect("the loop's thread has ended");
        self.waker.wake();
    }

    /// Does something while the loop stands still, which then sees all of it at once. Who connects meanwhile has its time from then on.
    #[track_caller]
    pub fn held<R>(&self, job: impl FnOnce() -> R) -> R {
        let (go, wait) = mpsc::channel::<()>();
        let (stands, standing) = mpsc::channel();
        self.post(move |_| {
            stands.send(()).expect("the test waits for this");
            // Only a test that has failed says nothing.
            let _ = wait.recv();
        });
        standing.recv_timeout(DEADLINE).expect("the loop does not answer");
        let done = job();
        go.send(()).expect("it waits for this");
        done
    }

    /// Has the loop do one whole turn: it has then read what was sent to it before.
    #[track_caller]
    pub fn turn(&self) {
        self.ask(|context| context.service(Some(Duration::ZERO)).expect("service"));
    }

    /// Waits until so many connections are there, and has read what was sent to them before.
    #[track_caller]
    pub fn wait_for_connections(&self, count: usize) {
        eventually(&format!("{count} connections"), || self.wsi_count() == self.wsi_at_start + count);
        (0..TURNS).for_each(|_| self.turn());
    }

    /// Has the loop do a turn so much later. Then its time stands still until the real one is as late.
    #[track_caller]
    pub fn let_pass(&self, time: Duration) {
        self.ask(move |context| {
            let later = context.cx().now() + time;
            context.service_at(later).expect("service_at");
        });
    }

    #[track_caller]
    pub fn wsi_count(&self) -> usize {
        self.ask(|context| context.cx().wsi_count())
    }

    /// The callbacks that the `Recorder` protocols noted so far.
    #[track_caller]
    pub fn events(&self) -> Vec<Event> {
        self.ask(|_| recorder::events())
    }

    /// The lines that the loop's thread logged so far.
    pub fn log(&self) -> Vec<String> {
        log::of(self.thread_id)
    }

    /// Waits for a line that has all of `parts`, of which the first is usually its level.
    #[track_caller]
    pub fn wait_for_log(&self, parts: &[&str]) {
        let has_it = || self.log().iter().any(|line| parts.iter().all(|part| line.contains(part)));
        eventually(&format!("a log line with {parts:?}"), has_it);
    }

    /// So many lines say it, of which one a second at most is a warning.
    #[track_caller]
    pub fn assert_warned_seldom(&self, what: &str, times: usize, since: Instant) {
        let lines: Vec<String> = self.log().into_iter().filter(|line| line.contains(what)).collect();
        assert_eq!(lines.len(), times, "{lines:?}");
        let warnings = lines.iter().filter(|line| line.starts_with("WARN")).count();
        let most = since.elapsed().as_secs() as usize + 1;
        assert!((1..=most).contains(&warnings), "{warnings} warnings, {most} at most: {lines:?}");
    }

    /// Waits until all connections are gone, and with them their file descriptors.
    #[track_caller]
    pub fn assert_nothing_left(&self) {
        self.assert_nothing_left_beside(0);
    }

    /// The same, where the test itself still holds some sockets that it opened since the start.
    #[track_caller]
    pub fn assert_nothing_left_beside(&self, own_sockets: usize) {
        eventually("only the listeners are left", || self.wsi_count() == self.wsi_at_start);
        // With `cargo test` the other tests of this process open and close files too.
        if std::env::var_os("NEXTEST").is_some() {
            eventually("no more file descriptors than at the start", || {
                count_fds(Path::new("/proc/self")) <= self.fds_at_start + own_sockets
            });
        }
    }
}

fn serve(context: &mut Context, jobs: &Receiver<Job>) {
    loop {
        match jobs.try_recv() {
            Ok(job) => job(context),
            Err(TryRecvError::Empty) => context.service(None).expect("service"),
            Err(TryRecvError::Disconnected) => return,
        }
    }
}

impl<T> Drop for Server<T> {
    fn drop(&mut self) {
        drop(self.jobs.take());
        self.waker.wake();
        let ended = self.thread.take().expect("only drop takes it").join();
        if std::thread::panicking() {
            eprintln!("--- log of the loop:\n{}", log::of(self.thread_id).join("\n"));
        } else if let Err(panic) = ended {
            std::panic::resume_unwind(panic);
        }
    }
}
