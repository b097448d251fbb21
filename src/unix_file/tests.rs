use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use super::*;

#[test]
fn what_is_in_its_place_is_left_alone() {
    let dir = tempfile::tempdir().expect("a folder");
    let (victim, other, place) = (dir.path().join("victim"), dir.path().join("other"), dir.path().join("place"));
    fs::write(&victim, "secret").expect("write");
    let _other = UnixListener::bind(&other).expect("bind");
    let modes = || [&victim, &other].map(|path| fs::metadata(path).expect("it is there").mode());
    let before = modes();
    for make in [|from: &Path, to: &Path| symlink(from, to), |from: &Path, to: &Path| fs::hard_link(from, to)] {
        for target in [&victim, &other] {
            let _listener = UnixListener::bind(&place).expect("bind");
            let file = UnixFile::at(&place).expect("it is there");
            file.give_new(Some(0o640), None).expect("it is ours");
            assert_eq!(fs::metadata(&place).expect("it is there").mode() & 0o777, 0o640);
            fs::remove_file(&place).and_then(|()| make(target, &place)).expect("a link");
            let swapped_at_once = UnixFile::at(&place).expect("it is there");
            for error in [file.give(Some(0o602), None), swapped_at_once.give_new(Some(0o602), None)] {
                let error = error.expect_err("it is not the one that was bound").to_string();
                assert!(error.contains("something else in its place"), "{error}");
            }
            std::mem::forget(swapped_at_once);
            drop(file);
            assert!(fs::symlink_metadata(&place).is_ok(), "what is not ours is not removed");
            fs::remove_file(&place).expect("the link");
        }
    }
    assert_eq!(modes(), before);
}

#[test]
fn it_goes_when_it_is_over() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("socket");
    let _listener = UnixListener::bind(&path).expect("bind");
    drop(UnixFile::at(&path).expect("it is there"));
    assert!(!path.exists());
    assert!(UnixFile::at(&path).is_err());
}
