//! Descriptors that are no sockets, in role raw-file: pipes, FIFOs, terminals, regular files, devices, inotify, eventfd.

mod util;

use std::fs::{File, OpenOptions};
use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rlws::{AdoptInfo, Error, Peer, Reason, Verdict, VhostReason, WriteError, limits};
use rustix::event::{EventfdFlags, eventfd};
use rustix::fs::{CWD, FileType, Mode, OFlags, fcntl_getfl, inotify, mknodat};
use rustix::pipe::fcntl_setpipe_size;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use util::script::{Loop, NAME, count, count_of, home, on_call, on_vhost, order, received, received_len};
use util::*;

/// All that can be read, while the loop turns.
#[track_caller]
fn read_out(turned: &mut Loop, mut reader: impl Read + Send + 'static) -> Vec<u8> {
    turned.during(move || {
        let mut all = Vec::new();
        reader.read_to_end(&mut all).expect("read");
        all
    })
}

const WHOLE_LIFE: [&str; 7] = [
    "WsiCreate",
    "RawFileBindProtocol",
    "RawAdoptFile",
    "RawRxFile",
    "RawCloseFile",
    "RawFileDropProtocol",
    "WsiDestroy",
];

#[test]
fn a_pipe_is_read_to_its_end() {
    let mut turned = Loop::new(home());
    let (reader, writer) = pipe().expect("pipe");
    let id = turned.adopts_file(reader);
    assert_eq!(count("WsiCreate"), 0, "nothing from inside");
    assert_eq!(turned.cx().wsi(id).map(|wsi| wsi.peer().clone()), Some(Peer::File));
    let bytes = random_bytes(1, 1_000_000);
    turned.during({
        let bytes = bytes.clone();
        move || { writer }.write_all(&bytes).expect("write")
    });
    turned.gone(id);
    assert_same_bytes(&received(id), &bytes);
    assert_eq!(order(id), WHOLE_LIFE);
    assert_eq!(turned.wsi_count(), 0);
}

#[test]
fn bytes_and_the_end_that_were_there_before_are_seen() {
    let mut turned = Loop::new(home());
    let (reader, mut writer) = pipe().expect("pipe");
    send(&mut writer, b"early");
    drop(writer);
    let id = turned.adopts_file(reader);
    turned.gone(id);
    assert_eq!(received(id), b"early");
    assert_eq!(order(id), WHOLE_LIFE);
}

#[test]
fn more_than_a_pipe_holds_is_written_as_it_is_read() {
    for piece in [1000, 4096, 65_536, limits::TX] {
        let bytes = random_bytes(2, 300_000);
        script::writes_on_request(bytes.clone(), piece);
        let mut turned = Loop::new(home());
        let (reader, writer) = pipe().expect("pipe");
        fcntl_setpipe_size(&writer, 4096).expect("F_SETPIPE_SZ");
        let id = turned.adopts_file(writer);
        turned.turns();
        let before = count("RawWriteableFile");
        turned.turns();
        assert_eq!(count("RawWriteableFile"), before, "nobody reads, so it is not writeable");
        assert_same_bytes(&read_out(&mut turned, reader), &bytes);
        turned.gone(id);
        assert_eq!(order(id)[..3], WHOLE_LIFE[..3]);
        assert_eq!(order(id)[order(id).len() - 3..], WHOLE_LIFE[4..]);
    }
}

#[test]
fn a_close_still_delivers_what_is_queued() {
    let bytes = random_bytes(3, limits::TX);
    on_call({
        let bytes = bytes.clone();
        move |wsi, _, reason| match reason {
            Reason::RawAdoptFile => {
                wsi.write(&bytes).expect("there is room");
                let full = wsi.write(b"more");
                assert!(matches!(full, Err(WriteError::Full { room: 0 })), "{full:?}");
                Verdict::Close
            }
            _ => Verdict::Continue,
        }
    });
    let mut turned = Loop::new(home());
    let (reader, writer) = pipe().expect("pipe");
    let id = turned.adopts_file(writer);
    turned.until("it is closed", || count("RawCloseFile") == 1);
    turned.turns();
    assert_eq!(count("WsiDestroy"), 0, "it still writes");
    assert_same_bytes(&read_out(&mut turned, reader), &bytes);
    turned.gone(id);
}

#[test]
fn a_pipe_whose_reader_goes_is_closed() {
    for queued in [0, limits::TX] {
        on_call(move |wsi, _, reason| {
            if let Reason::RawAdoptFile = reason {
                wsi.write(&vec![1; queued]).expect("there is room");
            }
            Verdict::Continue
        });
        let mut turned = Loop::new(home());
        let (reader, writer) = pipe().expect("pipe");
        let id = turned.adopts_file(writer);
        turned.turns();
        assert_eq!((count("RawAdoptFile"), count("RawCloseFile")), (1, 0));
        drop(reader);
        turned.until(&format!("it is gone with {queued} queued bytes"), || count_of(id, "WsiDestroy") == 1);
        assert_eq!(count("RawRxFile"), 0);
    }
}

#[test]
fn a_pipe_whose_reader_has_gone_before_is_closed_too() {
    on_call(|wsi, _, reason| {
        if let Reason::RawAdoptFile = reason {
            wsi.write(b"to nobody").expect("there is room");
        }
        Verdict::Continue
    });
    let mut turned = Loop::new(home());
    let (reader, writer) = pipe().expect("pipe");
    drop(reader);
    let id = turned.adopts_file(writer);
    turned.gone(id);
}

#[test]
fn a_descriptor_that_is_only_read_takes_no_writes() {
    on_call(|wsi, _, reason| {
        if let Reason::RawAdoptFile = reason {
            let refused = wsi.write(b"no").expect_err("it is only read");
            assert!(matches!(refused, WriteError::WrongRole { .. }), "{refused:?}");
        }
        Verdict::Continue
    });
    let mut turned = Loop::new(home());
    let (reader, _writer) = pipe().expect("pipe");
    turned.adopts_file(reader);
    turned.until("it is adopted", || count("RawAdoptFile") == 1);
}

fn fifo(folder: &Path) -> PathBuf {
    let path = folder.join("fifo");
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("mkfifo");
    path
}

fn nonblocking(path: &Path, write: bool) -> File {
    let flags = OFlags::NONBLOCK.bits() as i32;
    OpenOptions::new().read(!write).write(write).custom_flags(flags).open(path).expect("open")
}

#[test]
fn a_fifo_waits_for_its_first_writer_and_ends_with_its_last() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = fifo(folder.path());
    let mut turned = Loop::new(home());
    let id = turned.adopts_file(nonblocking(&path, false));
    turned.turns();
    assert_eq!((count("RawAdoptFile"), count("RawCloseFile")), (1, 0), "nobody has written yet");
    let (mut first, mut second) = (nonblocking(&path, true), nonblocking(&path, true));
    send(&mut first, b"one ");
    drop(first);
    send(&mut second, b"two");
    turned.until("both came", || received(id) == b"one two");
    assert_eq!(count("RawCloseFile"), 0);
    drop(second);
    turned.gone(id);
}

#[test]
fn a_fifo_is_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = fifo(folder.path());
    let bytes = random_bytes(4, 300_000);
    script::writes_on_request(bytes.clone(), 10_000);
    let mut turned = Loop::new(home());
    let reader = nonblocking(&path, false);
    let id = turned.adopts_file(nonblocking(&path, true));
    rustix::fs::fcntl_setfl(&reader, OFlags::empty()).expect("it blocks again");
    assert_same_bytes(&read_out(&mut turned, reader), &bytes);
    turned.gone(id);
}

/// A terminal that passes bytes as they are: the side of the program, and that of the user.
fn terminal() -> (File, File) {
    let user = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("openpt");
    grantpt(&user).expect("grantpt");
    unlockpt(&user).expect("unlockpt");
    let name = ptsname(&user, Vec::new()).expect("ptsname").into_string().expect("a path");
    let flags = OFlags::NOCTTY.bits() as i32;
    let program = OpenOptions::new().read(true).write(true).custom_flags(flags).open(name).expect("open");
    let mut settings = tcgetattr(&program).expect("tcgetattr");
    settings.make_raw();
    tcsetattr(&program, OptionalActions::Now, &settings).expect("tcsetattr");
    (program, user.into())
}

#[test]
fn a_terminal_echoes_from_either_side_and_ends_with_the_other() {
    for adopts_user in [false, true] {
        on_call(|wsi, _, reason| {
            if let Reason::RawRxFile(data) = reason {
                wsi.write(data).expect("there is room");
            }
            Verdict::Continue
        });
        let mut turned = Loop::new(home());
        let (program, user) = terminal();
        let (ours, theirs) = if adopts_user { (user, program) } else { (program, user) };
        let id = turned.adopts_file(ours);
        let bytes = random_bytes(5, 50_000);
        let echoed = turned.during({
            let bytes = bytes.clone();
            move || {
                let mut theirs = theirs;
                let mut echoed = Vec::new();
                for chunk in bytes.chunks(1000) {
                    send(&mut theirs, chunk);
                    echoed.extend(read_exactly(&mut theirs, chunk.len()));
                }
                echoed
            }
        });
        assert_same_bytes(&echoed, &bytes);
        turned.gone(id);
        assert_eq!(order(id), WHOLE_LIFE);
    }
}

#[test]
fn what_is_typed_at_a_terminal_that_is_only_written_is_not_for_it() {
    let (mut program, mut user) = terminal();
    let path = format!("/proc/self/fd/{}", program.as_raw_fd());
    let only_written = OpenOptions::new().write(true).open(path).expect("the terminal again");
    on_call(|wsi, _, reason| {
        if let Reason::User(_) = reason {
            wsi.write(b"still there").expect("it is only written");
        }
        Verdict::Continue
    });
    let mut turned = Loop::new(home());
    let (id, vhost) = (turned.adopts_file(only_written), turned.vhost);
    turned.turns();
    send(&mut user, b"typed\n");
    turned.until("it is there", || rustix::io::ioctl_fionread(&program).is_ok_and(|waiting| waiting == 6));
    turned.turns();
    turned.cx().callback_all_protocol(vhost, NAME, 0);
    turned.turns();
    assert_eq!(count_of(id, "RawCloseFile"), 0);
    assert_eq!(read_exactly(&mut user, 11), b"still there");
    // Its other reader still has it.
    assert_eq!(read_exactly(&mut program, 6), b"typed\n");
    drop(user);
    turned.gone(id);
}

#[test]
fn inotify_tells_of_changes() {
    let folder = tempfile::tempdir().expect("a folder");
    let watch = inotify::init(inotify::CreateFlags::CLOEXEC).expect("inotify");
    inotify::add_watch(&watch, folder.path(), inotify::WatchFlags::CREATE).expect("watch");
    let mut turned = Loop::new(home());
    let id = turned.adopts_file(watch);
    turned.turns();
    assert_eq!(count("RawRxFile"), 0);
    for n in 1..4 {
        let name = format!("file-{n}");
        std::fs::write(folder.path().join(&name), b"").expect("write");
        turned.until(&name, || received(id).windows(name.len()).any(|window| window == name.as_bytes()));
    }
    turned.cx().close_later(id);
    turned.gone(id);
}

#[test]
fn an_eventfd_counts_both_ways() {
    let counter = eventfd(0, EventfdFlags::CLOEXEC).expect("eventfd");
    let copy = File::from(counter.try_clone().expect("dup"));
    on_call(|wsi, _, reason| {
        if let Reason::RawRxFile(data) = reason
            && data == 40_u64.to_ne_bytes()
        {
            wsi.write(&2_u64.to_ne_bytes()).expect("there is room");
        }
        Verdict::Continue
    });
    let mut turned = Loop::new(home());
    let id = turned.adopts_file(counter);
    turned.turns();
    (&copy).write_all(&40_u64.to_ne_bytes()).expect("write");
    turned.until("it hears itself", || received_len(id) == 16);
    assert_eq!(received(id)[8..], 2_u64.to_ne_bytes());
}

#[test]
fn what_is_readable_again_after_a_rest_is_read() {
    on_call(|wsi, cx, reason| {
        match reason {
            Reason::RawAdoptFile => {
                wsi.rx_flow_control(false);
                wsi.set_timer(cx, Duration::from_millis(30));
            }
            Reason::Timer => wsi.rx_flow_control(true),
            _ => {}
        }
        Verdict::Continue
    });
    let mut turned = Loop::new(home());
    let (reader, mut writer) = pipe().expect("pipe");
    send(&mut writer, b"before");
    let id = turned.adopts_file(reader);
    turned.turns();
    send(&mut writer, b" and after");
    drop(writer);
    turned.turns();
    assert_eq!(order(id)[2..], ["RawAdoptFile"]);
    turned.gone(id);
    assert_eq!(received(id), b"before and after");
}

#[test]
fn a_copy_of_the_descriptor_brings_no_callbacks_once_it_is_closed() {
    let mut turned = Loop::new(home());
    let (reader, mut writer): (PipeReader, PipeWriter) = pipe().expect("pipe");
    let copy = reader.try_clone().expect("dup");
    let first = turned.adopts_file(reader);
    turned.turns();
    turned.cx().close_later(first);
    turned.gone(first);
    send(&mut writer, b"for the copy");
    turned.turns();
    assert_eq!(received_len(first), 0);
    let second = turned.adopts_file(copy);
    turned.until("the copy is read", || received(second) == b"for the copy");
}

#[test]
fn the_descriptor_is_at_hand_and_gone_with_the_connection() {
    let mut turned = Loop::new(home());
    let (reader, writer) = pipe().expect("pipe");
    on_vhost(|_, _, reason| {
        if let VhostReason::WsiCreate(wsi) = reason {
            let flags = fcntl_getfl(wsi.fd().expect("it has one")).expect("F_GETFL");
            assert!(flags.contains(OFlags::NONBLOCK));
        }
        Verdict::Continue
    });
    let id = turned.adopts_file(reader);
    turned.turns();
    assert_eq!(count("WsiCreate"), 1);
    turned.cx().close_later(id);
    turned.gone(id);
    let error = { writer }.write_all(b"nobody").expect_err("the reader is closed");
    assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
}

#[test]
fn what_does_not_fit_is_an_error_that_names_what_would() {
    let mut turned = Loop::new(home());
    let vhost = turned.vhost;
    let plain = AdoptInfo::new(vhost, NAME);
    let info = |role| plain.clone().role(role);
    let folder = File::open("/").expect("open");
    let error = turned.cx().adopt_file(folder, plain.clone()).expect_err("a directory");
    assert!(matches!(error, Error::System { .. }), "{error}");
    for role in ["raw-skt", "raw-udp", "http", "raw-proxy", "nothing"] {
        let (reader, mut writer) = pipe().expect("pipe");
        let error = turned.cx().adopt_file(reader, info(role)).expect_err(role).to_string();
        server::assert_names(&error, &[role, "raw-file"]);
        writer.write_all(b"x").expect_err("what was refused is closed");
    }
    let (ours, _theirs) = std::os::unix::net::UnixStream::pair().expect("socketpair");
    let error = turned.cx().adopt_unix(ours, info("raw-file")).expect_err("a stream").to_string();
    server::assert_names(&error, &["raw-file", "raw-skt", "known are"]);
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("bind");
    let error = turned.cx().adopt_udp(socket, info("raw_skt")).expect_err("datagrams").to_string();
    server::assert_names(&error, &["raw_skt", "raw-udp"]);
    for role in ["raw-file", "raw-udp"] {
        let accepts = rlws::VhostInfo { listen_accept_role: Some(role.into()), name: "accepts".into(), ..home() };
        let error = turned.context.create_vhost(accepts).expect_err(role).to_string();
        server::assert_names(&error, &["accepts", role, "raw-skt", "raw-proxy"]);
    }
    turned.turns();
    assert_eq!((turned.wsi_count(), count("WsiCreate")), (0, 0));
    let (reader, _writer) = pipe().expect("pipe");
    turned.cx().adopt_file(reader.as_fd().try_clone_to_owned().expect("dup"), info("raw_file")).expect("it fits");
}
