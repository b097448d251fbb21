//! Role raw-file: pipes and regular files.

use std::fs::File;
use std::io::{PipeReader, PipeWriter, Read, Seek, Write, pipe};
use std::os::fd::OwnedFd;

use rlws::AdoptInfo;

use super::Scenario;
use super::stage::*;

/// Has the first vhost adopt a descriptor.
fn adopt(play: &Play, fd: impl Into<OwnedFd>) {
    let (fd, info) = (fd.into(), AdoptInfo::new(play.vhost(0), BOUND));
    play.ask(move |context| context.cx().adopt_file(fd, info).expect("adopt_file"));
}

/// A stage that reads a pipe; the other end of it.
fn reading(stage: Stage) -> (Play, PipeWriter) {
    let ((reader, writer), play) = (pipe().expect("pipe"), stage.start());
    adopt(&play, reader);
    (play, writer)
}

/// A stage that writes to one.
fn writing(stage: Stage) -> (Play, PipeReader) {
    let ((reader, writer), play) = (pipe().expect("pipe"), stage.start());
    adopt(&play, writer);
    (play, reader)
}

pub const ROWS: &[Scenario] = &[
    ("bytes come through a pipe, then its writer leaves", || {
        let (play, mut writer) = reading(Stage::of(home()));
        writer.write_all(b"hello").expect("write");
        play.hears("RawRxFile");
        play.end(writer).each()
    }),
    ("the writer leaves before a byte", || {
        let (play, writer) = reading(Stage::of(home()));
        play.hears("RawAdoptFile");
        play.end(writer).each()
    }),
    ("bytes are written to a pipe, then its reader leaves", || {
        let stage = Stage::of(home())
            .on("RawAdoptFile", doing(|wsi, _| wsi.callback_on_writable()))
            .on("RawWriteableFile", doing(|wsi, _| wsi.write(b"hello").expect("there is room")));
        let (play, mut reader) = writing(stage);
        reader.read_exact(&mut [0; 5]).expect("read");
        play.end(reader).each()
    }),
    ("a regular file is read to its end", || {
        let mut file: File = tempfile::tempfile().expect("a file");
        file.write_all(b"hello").and_then(|()| file.rewind()).expect("write");
        let play = Stage::of(home()).start();
        adopt(&play, file);
        play.end(()).each()
    }),
    ("`Timer`, `User`, and a name that it does not have; then the writer leaves", || {
        let act = doing(|wsi, cx| {
            wsi.set_timer(cx, SOON);
            wsi.ask_peer_name(cx);
        });
        let (play, writer) = reading(Stage::of(home()).on("RawAdoptFile", act));
        play.hears("PeerName");
        play.later(2 * SOON);
        play.hears("Timer");
        let vhost = play.vhost(0);
        play.ask(move |context| context.cx().callback_all_protocol(vhost, BOUND, 7));
        play.hears("User");
        play.end(writer).each()
    }),
    ("`WsiCreate` returns `Close`", || {
        let (play, writer) = reading(Stage::of(home()).on("WsiCreate", close));
        play.end(writer).each()
    }),
    ("the bind reason returns `Close`", || {
        let (play, writer) = reading(Stage::of(home()).on("RawFileBindProtocol", close));
        play.hears("WsiDestroy");
        play.end(writer).each()
    }),
    ("`RawAdoptFile` returns `Close`", || {
        let (play, writer) = reading(Stage::of(home()).on("RawAdoptFile", close));
        play.hears("WsiDestroy");
        play.end(writer).each()
    }),
    ("`RawRxFile` returns `Close`", || {
        let (play, mut writer) = reading(Stage::of(home()).on("RawRxFile", close));
        writer.write_all(b"hello").expect("write");
        play.hears("WsiDestroy");
        play.end(writer).each()
    }),
    ("`RawWriteableFile` returns `Close`", || {
        let stage = Stage::of(home())
            .on("RawAdoptFile", doing(|wsi, _| wsi.callback_on_writable()))
            .on("RawWriteableFile", close);
        let (play, reader) = writing(stage);
        play.hears("WsiDestroy");
        play.end(reader).each()
    }),
    ("`set_timeout` passes", || {
        let act = doing(|wsi, cx| wsi.set_timeout(cx, SOON));
        let (play, writer) = reading(Stage::of(home()).on("RawAdoptFile", act));
        play.hears("RawAdoptFile");
        play.later(2 * SOON);
        play.hears("WsiDestroy");
        play.end(writer).each()
    }),
    ("`close_later`", || {
        let (play, writer) = reading(Stage::of(home()));
        play.hears("RawAdoptFile");
        play.close_later(0);
        play.hears("WsiDestroy");
        play.end(writer).each()
    }),
    ("its vhost is destroyed", || {
        let (play, writer) = reading(Stage::of(home()));
        play.hears("RawAdoptFile");
        play.destroy_vhost(0);
        play.end(writer).each()
    }),
];
