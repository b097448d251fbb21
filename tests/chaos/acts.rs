//! What is done at random: from callbacks, and by the test between two turns.

use std::io::{Read, Write, pipe};
use std::net::UdpSocket;
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use rlws::{
    AdoptInfo, ConnectInfo, Cx, Listen, Options, Peer, ProtocolTable, SulId, VhostId, VhostInfo, Wsi, WsiId, limits,
};

use crate::util;
use crate::world::{Other, World, drains};
use crate::{Chaos, MS, NAMES};

/// Up to three things at random. `own`: the connection in hand, of which what is asked by id waits for its turn to end.
pub fn act(world: &mut World, cx: &mut Cx, own: Option<WsiId>, mut wsi: Option<&mut Wsi>, vhost: VhostId) {
    for _ in 0..3 {
        if world.budget == 0 || !world.one_in(2) {
            return;
        }
        world.budget -= 1;
        let other = world.anybody();
        match (world.below(13), wsi.as_deref_mut(), other) {
            (0 | 1, _, _) => begin(world, cx, own, vhost),
            (2, Some(wsi), _) => on_itself(world, cx, wsi),
            (3, Some(wsi), _) => on_itself(world, cx, wsi),
            (4 | 5, _, Some(other)) if Some(other) != own => on_another(world, cx, other),
            (6, _, Some(other)) => {
                let found = cx.wsi(other).map(|wsi| wsi.id());
                assert!(found.is_none_or(|found| found == other && Some(found) != own));
                let is_gone = world.life(other).destroyed && !cx.wsi(other).is_some_and(drains);
                assert!(found.is_none() || !is_gone, "{other} is gone");
            }
            (7, _, _) => {
                let (n, by) = (world.broadcasts.len() as u32, world.below(2));
                let of = world.pick(&world.vhosts.clone()).unwrap_or(vhost);
                world.broadcasts.push((of, by));
                cx.callback_all_protocol(of, NAMES[by], n);
            }
            (8, _, _) => cx.callback_vhost_protocols(vhost, 1),
            (9, _, _) => timing(world, cx, vhost),
            (10, _, _) if world.one_in(3) => vhosts(world, cx, vhost),
            (11, _, _) => cx.waker().wake(),
            (12, _, _) => {
                let by = world.below(2);
                cx.callback_on_writable_all_protocol(vhost, NAMES[by]);
                world.lives.values_mut().for_each(|life| life.wants_writeable += 1);
                world.all_asked = true;
            }
            _ => {}
        }
    }
}

/// A new connection of some kind, for somebody.
pub fn begin(world: &mut World, cx: &mut Cx, own: Option<WsiId>, vhost: VhostId) {
    let on = if world.one_in(2) { vhost } else { world.pick(&world.vhosts.clone()).unwrap_or(vhost) };
    let by = NAMES[world.below(2)];
    let parent = match world.below(4) {
        0 => own,
        1 => world.anybody(),
        _ => None,
    };
    if world.one_in(2) {
        let target = match world.below(8) {
            0 => world.refusing.clone(),
            _ => {
                let known = world.sockets.len().max(1);
                let at = world.below(known);
                let Some(socket) = world.sockets.get(at) else { return };
                socket.clone()
            }
        };
        let mut info = ConnectInfo::new(on, target.parse().expect("a target"), by);
        info.parent = parent;
        if let Ok(id) = cx.client_connect(info) {
            world.born(id, None).is_client = true;
        }
        return;
    }
    world.tags = world.tags.wrapping_add(1);
    let mut info = AdoptInfo::new(on, by);
    info.parent = parent;
    let (id, other) = match world.below(4) {
        0 | 1 => {
            let (ours, theirs) = UnixStream::pair().expect("socketpair");
            ours.set_nonblocking(true).expect("O_NONBLOCK");
            (cx.adopt_unix(theirs, info), Other::Unix(ours))
        }
        2 => {
            let (reader, writer) = pipe().expect("pipe");
            if world.one_in(2) {
                (cx.adopt_file(reader, info), Other::Writer(writer))
            } else {
                (cx.adopt_file(writer, info), Other::Reader { _holds: reader })
            }
        }
        _ => {
            let theirs = UdpSocket::bind("127.0.0.1:0").expect("bind");
            let ours = UdpSocket::bind("127.0.0.1:0").expect("bind");
            // Nobody else's datagrams, though ports are used again.
            ours.connect(theirs.local_addr().expect("bound")).expect("connect");
            theirs.connect(ours.local_addr().expect("bound")).expect("connect");
            ours.set_nonblocking(true).expect("O_NONBLOCK");
            (cx.adopt_udp(theirs, info), Other::Udp(ours))
        }
    };
    if let Ok(id) = id {
        let tag = world.tags;
        world.born(id, Some(tag));
        world.peers.insert(id, other);
    }
}

/// Something about the connection in hand.
pub fn on_itself(world: &mut World, cx: &mut Cx, wsi: &mut Wsi) {
    let (id, after) = (wsi.id(), MS * world.below(40) as u32);
    match world.below(9) {
        0 => {
            wsi.set_timer(cx, after);
            world.life(id).timer = Some(cx.now() + after);
        }
        1 => {
            wsi.cancel_timer();
            world.life(id).timer = None;
        }
        2 => {
            wsi.set_timeout(cx, after * 5);
            world.life(id).may_close = true;
        }
        3 => wsi.cancel_timeout(),
        4 => {
            let on = world.one_in(2);
            wsi.rx_flow_control(on);
            world.life(id).paused = !on;
        }
        5 => {
            wsi.callback_on_writable();
            world.life(id).wants_writeable += 1;
        }
        6 => {
            let len = if world.one_in(4) { limits::TX } else { world.below(2000) };
            let _full_or_not_raw = wsi.write(&vec![0; len]);
        }
        7 => wsi.set_opaque_user_data(Rc::new(id)),
        _ if matches!(wsi.peer(), Peer::Unix | Peer::File) => wsi.ask_peer_name(cx),
        _ => {}
    }
}

/// Something about another one, which may be long gone.
pub fn on_another(world: &mut World, cx: &mut Cx, id: WsiId) {
    let after = MS * world.below(40) as u32;
    match world.below(6) {
        0 => {
            cx.close_later(id);
            world.life(id).may_close = true;
        }
        1 => {
            cx.callback_on_writable(id);
            world.life(id).wants_writeable += 1;
        }
        2 => {
            let on = world.one_in(2);
            cx.rx_flow_control(id, on);
            // It may have a turn before it is told.
            world.life(id).resumed |= on;
        }
        3 => cx.set_opaque_user_data(id, Rc::new(id)),
        4 => {
            cx.set_timer(id, after);
            world.life(id).timer = Some(cx.now() + after);
        }
        _ => {
            cx.set_timeout(id, after * 5);
            world.life(id).may_close = true;
        }
    }
}

/// Something is scheduled, or taken back.
pub fn timing(world: &mut World, cx: &mut Cx, vhost: VhostId) {
    if world.one_in(3) {
        let all: Vec<SulId> = world.suls.keys().copied().collect();
        let Some(sul) = world.pick(&all) else { return };
        let (of, _) = world.suls.remove(&sul).expect("just picked");
        assert_eq!(cx.cancel_sul(sul), cx.vhost(of).is_some(), "it waits as long as its vhost lives");
        return;
    }
    let (by, after) = (world.below(2), MS * world.below(30) as u32);
    if let Ok(sul) = cx.schedule(vhost, NAMES[by], after) {
        assert!(world.suls.insert(sul, (vhost, by)).is_none());
    }
}

/// A vhost comes or goes.
pub fn vhosts(world: &mut World, cx: &mut Cx, vhost: VhostId) {
    if world.one_in(4) {
        let goes = world.pick(&world.vhosts.clone()).unwrap_or(vhost);
        cx.destroy_vhost_later(goes);
        world.vhosts.retain(|id| *id != goes);
        world.ended_vhosts.push(goes);
    } else if cx.vhosts().count() < 6 {
        let (info, fails) = some_vhost(world);
        let id = cx.create_vhost(info.clone()).expect("create_vhost");
        came(world, cx, id, &info.listen, fails);
    }
}

pub fn came(world: &mut World, cx: &Cx, id: VhostId, listen: &Listen, fails: bool) {
    if !fails && !world.ended_vhosts.contains(&id) {
        world.vhosts.push(id);
    }
    match (listen, cx.listen_port(id)) {
        (Listen::Unix { path, .. }, _) => world.sockets.push(format!("unix:{}", path.display())),
        (_, Some(port)) => world.sockets.push(format!("ipv4:127.0.0.1:{port}")),
        _ => {}
    }
}

/// Whether its init fails.
pub fn some_vhost(world: &mut World) -> (VhostInfo, bool) {
    let name = format!("v{}", world.below(1 << 30));
    let listen = match world.below(4) {
        0 => Listen::None,
        1 => Listen::unix(format!("@rlws-chaos-{}-{name}", std::process::id())),
        _ => Listen::on("127.0.0.1", 0),
    };
    let options = match world.below(3) {
        0 => Options::FALLBACK_TO_APPLY_LISTEN_ACCEPT_CONFIG,
        _ => Options::ADOPT_APPLY_LISTEN_ACCEPT_CONFIG,
    };
    let fails = world.one_in(6);
    let told = if fails { "1" } else { "0" };
    let info = VhostInfo {
        name,
        listen,
        options,
        protocols: vec![ProtocolTable::of::<Chaos<0>>(), ProtocolTable::of::<Chaos<1>>()],
        listen_accept_protocol: Some(NAMES[world.below(2)].into()),
        pvo: util::options(NAMES[1], &[("fails", told)]),
        ..Default::default()
    };
    (info, fails)
}

/// What the other ends do between two turns.
pub fn peers_act(world: &mut World) {
    let all: Vec<WsiId> = world.peers.keys().copied().collect();
    for _ in 0..5 {
        let Some(id) = world.pick(&all) else { return };
        let Some(tag) = world.life(id).tag else { return };
        let bytes = vec![tag; 1 + world.below(3000)];
        let (hangs_up, reads) = (world.one_in(12), world.one_in(2));
        let Some(peer) = world.peers.get_mut(&id) else { continue };
        match peer {
            Other::Unix(stream) if reads => drop(stream.read(&mut vec![0; 300_000])),
            Other::Unix(stream) => drop(stream.write(&bytes)),
            Other::Udp(socket) if reads => drop(socket.recv(&mut [0; 2000])),
            Other::Udp(socket) => drop(socket.send(&bytes)),
            Other::Writer(pipe) => drop(pipe.write(&bytes[..1.min(bytes.len())])),
            Other::Reader { .. } => {}
        }
        if hangs_up {
            world.peers.remove(&id);
            world.life(id).may_close = true;
        }
    }
}
