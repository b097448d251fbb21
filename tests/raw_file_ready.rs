//! Descriptors that are always ready, and that no poll takes, in role raw-file: regular files and some devices.

mod util;

use std::cell::Cell;
use std::fs::{File, OpenOptions};
use std::rc::Rc;
use std::time::{Duration, Instant};

use rlws::{AdoptInfo, Reason, Verdict, limits};
use util::script::{Loop, NAME, count, count_of, home, on_call, order, received, received_len};
use util::*;

#[test]
fn a_regular_file_is_read_to_its_end_in_turns() {
    let folder = tempfile::tempdir().expect("a folder");
    let bytes = random_bytes(6, 2_000_000);
    std::fs::write(folder.path().join("file"), &bytes).expect("write");
    let mut turned = Loop::new(home());
    let id = turned.adopts_file(File::open(folder.path().join("file")).expect("open"));
    turned.turn();
    assert!(
        received_len(id) <= 2 * limits::SERVICE_BUFFER,
        "a turn as one that is new, and one as one that moves much"
    );
    turned.gone(id);
    assert_same_bytes(&received(id), &bytes);
    assert_eq!(order(id)[1..4], ["RawFileBindProtocol", "RawAdoptFile", "RawRxFile"]);
}

#[test]
fn an_empty_file_is_only_its_end() {
    let mut turned = Loop::new(home());
    let id = turned.adopts_file(tempfile::tempfile().expect("a file"));
    turned.gone(id);
    assert_eq!(count("RawRxFile"), 0);
}

#[test]
fn a_regular_file_is_written_as_long_as_its_protocol_likes() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file");
    let bytes = random_bytes(7, 1_000_000);
    script::writes_on_request(bytes.clone(), 10_000);
    let mut turned = Loop::new(home());
    let id = turned.adopts_file(File::create(&path).expect("create"));
    turned.gone(id);
    assert_same_bytes(&std::fs::read(&path).expect("read"), &bytes);
}

#[test]
fn a_regular_file_that_nobody_writes_now_stays_open() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("log");
    on_call(|wsi, _, reason| {
        if let Reason::User(n) = reason {
            wsi.write(format!("line {n}\n").as_bytes()).expect("there is room");
        }
        Verdict::Continue
    });
    let mut turned = Loop::new(home());
    let vhost = turned.vhost;
    let id = turned.adopts_file(OpenOptions::new().append(true).create(true).open(&path).expect("open"));
    for n in 1..4 {
        turned.turns();
        turned.cx().callback_all_protocol(vhost, NAME, n);
    }
    turned.turns();
    assert_eq!(count_of(id, "RawCloseFile"), 0);
    assert_eq!(std::fs::read_to_string(&path).expect("read"), "line 1\nline 2\nline 3\n");
}

#[test]
fn the_null_device_takes_everything_and_has_nothing() {
    let bytes = random_bytes(8, 500_000);
    script::writes_on_request(bytes, 50_000);
    let mut turned = Loop::new(home());
    let id = turned.adopts_file(OpenOptions::new().write(true).open("/dev/null").expect("open"));
    turned.gone(id);
    on_call(|_, _, _| Verdict::Continue);
    let id = turned.adopts_file(File::open("/dev/null").expect("open"));
    turned.gone(id);
    assert_eq!(count("RawRxFile"), 0);
}

#[test]
fn a_source_without_end_starves_nobody_and_rests_when_told() {
    let flowing = Rc::new(Cell::new(true));
    on_call({
        let flowing = flowing.clone();
        move |wsi, _, reason| {
            match reason {
                Reason::RawRxFile(data) => {
                    assert!(flowing.get(), "it was told to rest");
                    assert!(data.iter().all(|byte| *byte == 0));
                }
                Reason::RawRx(data) => wsi.write(data).expect("there is room"),
                Reason::User(n) => {
                    flowing.set(n == 1);
                    wsi.rx_flow_control(n == 1);
                }
                _ => {}
            }
            Verdict::Continue
        }
    });
    let mut turned = Loop::new(script::listening());
    let (vhost, port) = (turned.vhost, turned.port());
    let info = AdoptInfo::new(vhost, NAME);
    let zero = turned.cx().adopt_file(File::open("/dev/zero").expect("open"), info).expect("adopt_file");
    turned.during(move || {
        let mut client = connect(port);
        for round in 0..100 {
            send(&mut client, &[round]);
            assert_eq!(read_exactly(&mut client, 1), [round]);
        }
    });
    assert!(received_len(zero) > 0);
    turned.cx().callback_all_protocol(vhost, NAME, 0);
    turned.until("it rests", || count("User") >= 1);
    turned.turns();
    let begun = Instant::now();
    turned.context.service(Some(Duration::from_millis(50))).expect("service");
    assert!(begun.elapsed() >= Duration::from_millis(50), "the loop is awake for nothing");
    let so_far = received_len(zero);
    turned.cx().callback_all_protocol(vhost, NAME, 1);
    turned.until("it flows", || received_len(zero) > so_far);
    turned.cx().close_later(zero);
    turned.gone(zero);
}
