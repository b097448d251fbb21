//! What holds of every connection, whatever happens to it.

use std::collections::{BTreeMap, BTreeSet};

use super::stage::{BOUND, Event, FIRST};

/// Of all events of a context's life.
pub fn check(events: &[Event]) {
    let mut connections: BTreeMap<_, Vec<&Event>> = BTreeMap::new();
    for event in events.iter().filter(|event| event.wsi.is_some()) {
        connections.entry(event.wsi).or_default().push(event);
    }
    for of_one in connections.values() {
        created_and_destroyed_once(of_one);
        bound_and_dropped_in_turn(of_one);
    }
    of_vhosts(events);
}

/// Nothing is heard of it before `WsiCreate`, nothing after `WsiDestroy`, and both come to the same protocol.
fn created_and_destroyed_once(events: &[&Event]) {
    let names = names(events);
    let count = |name| names.iter().filter(|other| **other == name).count();
    assert_eq!((count("WsiCreate"), count("WsiDestroy")), (1, 1), "{names:?}");
    let (first, last) = (events[0], events[events.len() - 1]);
    assert_eq!((first.name.as_str(), last.name.as_str()), ("WsiCreate", "WsiDestroy"), "{names:?}");
    assert_eq!((first.vhost, first.protocol), (last.vhost, last.protocol), "{names:?}");
    assert!(names.iter().skip(2).all(|name| *name != "ServerNewClientInstantiated"), "{names:?}");
}

/// Every bind has its drop, the close reason comes right before it, and nothing comes to a protocol that is not bound but
/// `ClientConnectionError`, where it never was. Of http, a transaction that is complete has no close reason; of ws, what was not established.
fn bound_and_dropped_in_turn(events: &[&Event]) {
    let all = names(events);
    let mut bound: Option<String> = None;
    let mut before = "";
    for event in events {
        let name = event.name.as_str();
        let protocol = if event.of_vhost { FIRST } else { BOUND };
        assert_eq!(event.protocol, protocol, "who hears {name}, of {all:?}");
        if let Some(family) = name.strip_suffix("BindProtocol") {
            assert_eq!(bound.replace(family.to_owned()), None, "{all:?}");
        } else if let Some(family) = name.strip_suffix("DropProtocol") {
            assert_eq!(bound.take().as_deref(), Some(family), "{all:?}");
            let (is_closed, is_ws) = (before.contains("Close"), family.starts_with("Ws"));
            assert!(is_closed || is_ws || family == "Http", "{all:?}");
            let was_open = all.iter().any(|name| ["Established", "ClientEstablished"].contains(name));
            assert!(!is_ws || is_closed == was_open, "{all:?}");
        } else if !event.of_vhost {
            let is_failed_ws = bound.as_deref() == Some("WsClient") && name == "ClientConnectionError";
            assert_eq!(bound.is_none() || is_failed_ws, name == "ClientConnectionError", "{name} of {all:?}");
        }
        before = name;
    }
    assert_eq!(bound, None, "{all:?}");
}

/// Whoever is accepted was asked about first, once. (Of those that `adopt_accepted` brings nobody is asked.)
#[track_caller]
pub fn accepted_after_the_filter(events: &[Event], all: &[Event]) {
    if events[1].name != "ServerNewClientInstantiated" {
        return;
    }
    let asked = |event: &Event| event.name == "FilterNetworkConnection" && event.peer == events[0].peer;
    assert_eq!(all.iter().filter(|event| asked(event)).count(), 1, "{events:?}");
    let created = all.iter().position(|event| event.name == "WsiCreate" && event.wsi == events[0].wsi);
    assert!(all.iter().position(asked) < created, "{events:?}");
}

/// A protocol hears nothing of a vhost before its `init` and nothing after its `ProtocolDestroy`, and has one for the other.
fn of_vhosts(events: &[Event]) {
    let of_whom: BTreeSet<_> = events.iter().map(|event| (event.vhost, event.protocol)).collect();
    for (vhost, protocol) in of_whom {
        let own: Vec<&Event> =
            events.iter().filter(|event| (event.vhost, event.protocol) == (vhost, protocol)).collect();
        let names = names(&own);
        let count = |name| names.iter().filter(|other| **other == name).count();
        assert_eq!((names[0], count("init")), ("init", 1), "{names:?}");
        if own[0].refused {
            assert_eq!(names.len(), 1, "nothing comes after an init that failed: {names:?}");
        } else {
            assert_eq!((names[names.len() - 1], count("ProtocolDestroy")), ("ProtocolDestroy", 1), "{names:?}");
        }
    }
}

fn names<'a>(events: &[&'a Event]) -> Vec<&'a str> {
    events.iter().map(|event| event.name.as_str()).collect()
}
