//! Parents and children, and what user code hangs on a connection.

mod util;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::os::unix::net::UnixStream;
use std::rc::{Rc, Weak};

use rlws::{AdoptInfo, ConnectInfo, Cx, Options, Reason, Target, Verdict, VhostId, VhostInfo, VhostReason, Wsi, WsiId};
use util::script::{Loop, NAME, count, count_of, home, listening, notes, on_call, on_vhost, order, who};
use util::*;

/// Adopts a socket whose other end is hung on it.
fn child_of(cx: &mut Cx, vhost: VhostId, parent: WsiId) -> WsiId {
    let (ours, theirs) = UnixStream::pair().expect("socketpair");
    let id = cx.adopt_unix(theirs, AdoptInfo::new(vhost, NAME).parent(parent)).expect("adopt_unix");
    cx.set_opaque_user_data(id, Rc::new(ours));
    id
}

/// At its end, so that it need not wait for it to hang up.
fn lets_go_of_its_peer(wsi: &mut Wsi, reason: Reason<'_>) {
    if let Reason::RawClose = reason {
        wsi.set_opaque_user_data(Rc::new(()));
    }
}

#[track_caller]
fn adopted(turned: &mut Loop) -> (WsiId, UnixStream) {
    let (ours, theirs) = UnixStream::pair().expect("socketpair");
    let info = AdoptInfo::new(turned.vhost, NAME);
    let id = turned.cx().adopt_unix(theirs, info).expect("adopt_unix");
    turned.turns();
    (id, ours)
}

#[track_caller]
fn children(turned: &mut Loop, id: WsiId) -> Vec<WsiId> {
    let mut children = turned.cx().wsi(id).expect("it is there").children().to_vec();
    children.sort();
    children
}

/// The children whose end a parent heard of.
fn closings(parent: WsiId) -> Vec<String> {
    let mine = notes().into_iter().filter(|note| note.wsi == Some(parent) && note.what == "ChildClosing");
    mine.map(|note| note.whole).collect()
}

#[test]
fn children_are_listed_after_the_callback_and_go_with_their_parent() {
    let onward = Onward::idle();
    let target: Target = onward.target().parse().expect("a target");
    on_call(move |wsi, cx, reason| {
        if let Reason::RawRx(_) = reason {
            let (vhost, me) = (wsi.vhost(), wsi.id());
            let out = ConnectInfo::new(vhost, target.clone(), NAME).parent(me);
            let out = cx.client_connect(out).expect("client_connect");
            let with = child_of(cx, vhost, me);
            assert_eq!(wsi.children(), []);
            assert_eq!([out, with].map(|id| cx.wsi(id).and_then(|child| child.parent())), [Some(me); 2]);
        }
        lets_go_of_its_peer(wsi, reason);
        Verdict::Continue
    });
    let mut turned = Loop::new(home());
    let (parent, mut peer) = adopted(&mut turned);
    send(&mut peer, b"go");
    turned.until("both are up", || count("RawConnected") == 1 && count("RawAdopt") == 2);
    let born: Vec<WsiId> = children(&mut turned, parent);
    assert_eq!(born.len(), 2);
    drop(peer);
    turned.until("the parent is gone", || count_of(parent, "WsiDestroy") == 1);
    turned.until("the children are closed", || born.iter().all(|id| count_of(*id, "RawClose") == 1));
    assert_eq!(closings(parent), [""; 0], "who is gone hears nothing");
    drop(onward);
    turned.until_it("all are gone", |turned| turned.wsi_count() == 0);
}

#[test]
fn a_parent_hears_once_of_each_child_that_closes_however_it_does() {
    let (onward, refusing, hole) = (Onward::idle(), Refusing::new(), BlackHole::new());
    let mut turned = Loop::new(home());
    let (parent, _peer) = adopted(&mut turned);
    let vhost = turned.vhost;
    let target = |target: String| target.parse::<Target>().expect("a target");
    let mut born = Vec::new();
    for to in [onward.target(), refusing.target(), hole.target()] {
        let info = ConnectInfo::new(vhost, target(to), NAME).parent(parent);
        born.push(turned.cx().client_connect(info).expect("client_connect"));
    }
    for _ in 0..3 {
        let id = child_of(turned.cx(), vhost, parent);
        born.push(id);
    }
    turned.until("one is refused", || closings(parent).len() == 1);
    assert_eq!(closings(parent), [format!("ChildClosing({})", show(born[1]))]);
    assert_eq!(children(&mut turned, parent).len(), 5);
    // The peer of one goes, one is closed by us, one times out.
    turned.cx().set_opaque_user_data(born[3], Rc::new(()));
    turned.cx().close_later(born[4]);
    turned.cx().set_timeout(born[5], std::time::Duration::ZERO);
    turned.cx().close_later(born[2]);
    turned.until("they close", || closings(parent).len() == 5);
    assert_eq!(children(&mut turned, parent), [born[0]]);
    turned.cx().close_later(born[0]);
    turned.until("the last one closes", || closings(parent).len() == 6);
    turned.turns();
    let heard: BTreeSet<String> = closings(parent).into_iter().collect();
    assert_eq!(heard, born.iter().map(|id| format!("ChildClosing({})", show(*id))).collect());
    assert_eq!(children(&mut turned, parent), []);
    assert_eq!(count_of(parent, "RawClose"), 0);
}

/// An id as the log shows it.
fn show(id: WsiId) -> String {
    id.to_string()
}

#[test]
fn a_family_of_many_generations_goes_from_the_top() {
    on_call(|wsi, _, reason| {
        lets_go_of_its_peer(wsi, reason);
        Verdict::Continue
    });
    let mut turned = Loop::new(home());
    let (first, peer) = adopted(&mut turned);
    let vhost = turned.vhost;
    let mut last = first;
    for _ in 0..2000 {
        last = child_of(turned.cx(), vhost, last);
    }
    turned.until("all are up", || count("RawAdopt") == 2001);
    drop(peer);
    turned.until("all are closed", || count("RawClose") == 2001);
    turned.until_it("all are gone", |turned| turned.wsi_count() == 0);
    assert_eq!(count("WsiDestroy"), 2001);
}

#[test]
fn a_child_of_a_parent_that_has_gone_is_closed() {
    for stale in [true, false] {
        let draining: Rc<Cell<Option<WsiId>>> = Rc::default();
        on_call({
            let draining = draining.clone();
            move |wsi, cx, reason| match reason {
                // Its last words are a child.
                Reason::RawRx(_) => {
                    draining.set(Some(child_of(cx, wsi.vhost(), wsi.id())));
                    Verdict::Close
                }
                _ => Verdict::Continue,
            }
        });
        let mut turned = Loop::new(home());
        let (parent, mut peer) = adopted(&mut turned);
        let child = if stale {
            drop(peer);
            turned.until("it is gone", || count_of(parent, "WsiDestroy") == 1);
            let vhost = turned.vhost;
            child_of(turned.cx(), vhost, parent)
        } else {
            send(&mut peer, b"close");
            turned.until("it closes", || count_of(parent, "RawClose") == 1);
            draining.get().expect("it was made")
        };
        turned.until_it("the child is closed", |turned| {
            turned.cx().wsi(child).is_none_or(|it| it.role_name() == "drain")
        });
        turned.turns();
        assert_eq!(closings(parent), [""; 0]);
    }
}

#[test]
fn a_child_that_closes_before_its_parent_knows_it_is_not_listed_for_ever() {
    // The child's vhost is destroyed after the same callback that makes the child, and before the parent learns of it.
    let child: Rc<Cell<Option<WsiId>>> = Rc::default();
    on_call({
        let child = child.clone();
        move |wsi, cx, reason| {
            if let Reason::RawRx(_) = reason {
                let other = cx.vhost_by_name("other").expect("it is there");
                cx.destroy_vhost_later(other);
                let (ours, theirs) = UnixStream::pair().expect("socketpair");
                let info = AdoptInfo::new(other, NAME).parent(wsi.id());
                let id = cx.adopt_unix(theirs, info).expect("adopt_unix");
                wsi.set_opaque_user_data(Rc::new(ours));
                child.set(Some(id));
            }
            Verdict::Continue
        }
    });
    let mut turned = Loop::new(home());
    turned.context.create_vhost(VhostInfo { name: "other".into(), ..home() }).expect("a vhost");
    let (parent, mut peer) = adopted(&mut turned);
    send(&mut peer, b"go");
    turned.until("it is made", || child.get().is_some());
    turned.turns();
    let child = child.get().expect("just seen");
    turned
        .until_it("it goes with its vhost", |turned| turned.cx().wsi(child).is_none_or(|it| it.role_name() == "drain"));
    assert_eq!(children(&mut turned, parent), []);
}

#[test]
fn a_parent_may_make_a_new_child_for_each_that_closes() {
    on_call(|wsi, cx, reason| {
        match reason {
            Reason::ChildClosing(gone) => {
                assert!(!wsi.children().contains(&gone));
                if count("ChildClosing") < 50 {
                    child_of(cx, wsi.vhost(), wsi.id());
                }
            }
            Reason::RawAdopt if wsi.parent().is_some() => return Verdict::Close,
            _ => {}
        }
        Verdict::Continue
    });
    let mut turned = Loop::new(home());
    let (parent, _peer) = adopted(&mut turned);
    let vhost = turned.vhost;
    child_of(turned.cx(), vhost, parent);
    turned.until("fifty have gone", || count("ChildClosing") == 50);
    assert_eq!(children(&mut turned, parent), []);
}

#[test]
fn a_verdict_on_a_childs_end_closes_the_parent_and_its_other_children() {
    on_call(|_, _, reason| match reason {
        Reason::ChildClosing(_) => Verdict::Close,
        _ => Verdict::Continue,
    });
    let mut turned = Loop::new(home());
    let (parent, _peer) = adopted(&mut turned);
    let vhost = turned.vhost;
    let born: Vec<WsiId> = (0..10).map(|_| child_of(turned.cx(), vhost, parent)).collect();
    turned.turns();
    turned.cx().close_later(born[4]);
    turned.until("all close", || count("RawClose") == 11);
    assert_eq!(closings(parent).len(), 1);
}

#[test]
fn a_child_may_be_on_another_vhost_and_ends_with_either() {
    let mut turned = Loop::new(home());
    let other = turned.context.create_vhost(VhostInfo { name: "other".into(), ..home() }).expect("a vhost");
    let (parent, peer) = adopted(&mut turned);
    let first = child_of(turned.cx(), other, parent);
    turned.turns();
    turned.context.destroy_vhost(other);
    turned.until("the parent hears", || closings(parent) == [format!("ChildClosing({})", show(first))]);
    let third = turned.context.create_vhost(VhostInfo { name: "third".into(), ..home() }).expect("a vhost");
    let second = child_of(turned.cx(), third, parent);
    turned.turns();
    drop(peer);
    turned.until("it goes with its parent", || count_of(second, "RawClose") == 1);
}

#[test]
fn what_is_hung_on_a_connection_stays_through_its_roles_and_is_freed_with_it() {
    let alive: Rc<RefCell<Vec<Weak<String>>>> = Rc::default();
    on_vhost({
        let alive = alive.clone();
        move |_, _, reason| {
            match reason {
                VhostReason::WsiCreate(wsi) => {
                    assert_eq!(wsi.opaque_user_data::<String>(), None);
                    let data = Rc::new(format!("of {}", wsi.id()));
                    alive.borrow_mut().push(Rc::downgrade(&data));
                    wsi.set_opaque_user_data(data);
                }
                VhostReason::WsiDestroy(wsi) => {
                    assert_eq!(wsi.opaque_user_data(), Some(&format!("of {}", wsi.id())));
                }
                _ => {}
            }
            Verdict::Continue
        }
    });
    on_call(|wsi, _, reason| {
        assert_eq!(wsi.opaque_user_data(), Some(&format!("of {}", wsi.id())), "{reason:?}");
        assert_eq!(wsi.opaque_user_data::<u32>(), None, "of another type");
        Verdict::Continue
    });
    let fallback = Options::FALLBACK_TO_APPLY_LISTEN_ACCEPT_CONFIG;
    let mut turned = Loop::new(VhostInfo { options: fallback, ..listening() });
    let port = turned.port();
    let mut raw = connect(port);
    send(&mut raw, b"\0not http");
    let mut http = connect(port);
    send(&mut http, b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    turned.until("both are served", || count("RawRx") == 1 && count("Http") == 1);
    drop((raw, http));
    turned.until("both are gone", || count("WsiDestroy") == 2);
    turned.turns();
    assert_eq!(alive.borrow().iter().filter(|data| data.upgrade().is_some()).count(), 0);
    assert_eq!(who("WsiCreate").len(), alive.borrow().len());
}

#[test]
fn what_was_read_before_an_adoption_comes_first() {
    let mut turned = Loop::new(home());
    let (mut ours, theirs) = UnixStream::pair().expect("socketpair");
    send(&mut ours, b"second");
    let info = AdoptInfo::new(turned.vhost, NAME).readbuf(b"first ".to_vec());
    let id = turned.cx().adopt_unix(theirs, info).expect("adopt_unix");
    turned.until("both come", || script::received(id) == b"first second");
    // Without a byte, and with an end, more.
    let (ours, theirs) = UnixStream::pair().expect("socketpair");
    drop(ours);
    let info = AdoptInfo::new(turned.vhost, NAME).readbuf(b"all there is".to_vec());
    let id = turned.cx().adopt_unix(theirs, info).expect("adopt_unix");
    turned.until("it is gone", || count_of(id, "WsiDestroy") == 1);
    assert_eq!(script::received(id), b"all there is");
    assert_eq!(order(id)[3..], ["RawRx", "RawClose", "RawSktDropProtocol", "WsiDestroy"]);
}

#[test]
fn a_socket_adopted_as_if_accepted_goes_the_way_of_those_that_were() {
    let fallback = Options::FALLBACK_TO_APPLY_LISTEN_ACCEPT_CONFIG;
    let mut turned = Loop::new(VhostInfo { options: fallback, ..listening() });
    let vhost = turned.vhost;
    let own = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("bind");
    let port = own.local_addr().expect("bound").port();
    for (readbuf, rest, becomes) in [
        ("GET /x HT", "TP/1.1\r\nHost: a\r\n\r\n", "Http"),
        ("GET /x HTTP/1.1\r\nHost: a\r\n\r\n", "", "Http"),
        ("\0raw", "", "RawRx"),
        ("", "\0raw", "RawRx"),
    ] {
        let mut client = connect(port);
        let (accepted, _) = own.accept().expect("accept");
        send(&mut client, rest.as_bytes());
        let before = count(becomes);
        let id = turned.cx().adopt_accepted(accepted, vhost, readbuf.as_bytes()).expect("adopt_accepted");
        turned.until(becomes, || count(becomes) > before);
        assert_eq!(order(id)[..2], ["WsiCreate", "ServerNewClientInstantiated"]);
        drop(client);
        turned.until("it is gone", || count_of(id, "WsiDestroy") == 1);
    }
    let client = connect(port);
    let silent = turned.context.create_vhost(VhostInfo { name: "silent".into(), ..home() }).expect("a vhost");
    let error = turned.cx().adopt_accepted(client, silent, b"").expect_err("it does not listen").to_string();
    server::assert_names(&error, &["silent", "does not listen"]);
}
