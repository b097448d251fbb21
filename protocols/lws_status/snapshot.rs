//! The server's state as JSON.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::json::Json;
use crate::{Count, Cx, Options, Origin, Vhost, VhostId};

/// What is shown of a server.
pub(super) struct Shown {
    pub(super) update: Duration,
    pub(super) hides_vhosts: bool,
    pub(super) viewers: usize,
}

/// What grows all the time, over all vhosts.
#[derive(Clone, Copy, Default)]
struct Sums {
    accepted: u64,
    requests: u64,
    received: u64,
    sent: u64,
}

/// The sums of the last snapshot, from which the rates follow.
#[derive(Default)]
pub(super) struct Last(Option<(Instant, Sums)>);

impl Last {
    /// What was counted is so old that the rates since then would say nothing of now.
    pub(super) fn forget(&mut self) {
        self.0 = None;
    }
}

/// Writes a snapshot; what it holds is said [where it is sent](super).
pub(super) fn write(out: &mut String, cx: &Cx, shown: &Shown, last: &mut Last) {
    let sums = Sums::of(cx);
    let before = last.0.replace((cx.now(), sums));
    Json::into(out).object(|json| {
        json.key("version").text(env!("CARGO_PKG_VERSION"));
        json.key("pid").number(std::process::id());
        json.key("uptime").number(cx.uptime().as_secs());
        json.key("update_ms").number(shown.update.as_millis());
        json.key("viewers").number(shown.viewers);
        json.key("wsi_alive").number(cx.wsi_count());
        json.key("listen_wsi").number(listen_sockets(cx));
        json.key("sums").object(|json| sums.write(json));
        json.key("rates").object(|json| {
            let before = before.map(|(at, before)| (cx.now().saturating_duration_since(at), before));
            sums.since(before).write(json);
        });
        json.key("roles").array(|json| counts(json, cx, |vhost| vhost.tally().roles()));
        json.key("protocols").array(|json| counts(json, cx, |vhost| vhost.tally().protocols()));
        json.key("verdicts").object(|json| verdicts(json, || vhosts(cx)));
        if !shown.hides_vhosts {
            json.key("listeners").array(|json| listeners(json, cx));
            let places = places(cx);
            json.key("vhosts").array(|json| {
                for (id, it) in cx.vhosts().filter_map(|id| Some((id, cx.vhost(id)?))) {
                    json.object(|json| vhost(json, it, places.get(&id).map_or(&[], Vec::as_slice)));
                }
            });
        }
    });
}

fn vhosts(cx: &Cx) -> impl Iterator<Item = &Vhost> {
    cx.vhosts().filter_map(|id| cx.vhost(id))
}

fn listen_sockets(cx: &Cx) -> u64 {
    vhosts(cx).flat_map(|vhost| vhost.tally().roles()).filter(|role| role.name == "listen").map(|role| role.now).sum()
}

impl Sums {
    fn of(cx: &Cx) -> Sums {
        vhosts(cx).map(Vhost::tally).fold(Sums::default(), |sums, tally| Sums {
            accepted: sums.accepted + tally.accepted(),
            requests: sums.requests + tally.requests(),
            received: sums.received + tally.received(),
            sent: sums.sent + tally.sent(),
        })
    }

    /// By the second, rounded; of vhosts that have gone meanwhile nothing is known.
    fn since(&self, before: Option<(Duration, Sums)>) -> Sums {
        let Some((time, before)) = before.filter(|(time, _)| !time.is_zero()) else { return Sums::default() };
        let rate = |now: u64, before: u64| (now.saturating_sub(before) as f64 / time.as_secs_f64()).round() as u64;
        Sums {
            accepted: rate(self.accepted, before.accepted),
            requests: rate(self.requests, before.requests),
            received: rate(self.received, before.received),
            sent: rate(self.sent, before.sent),
        }
    }

    fn write(&self, json: &mut Json<'_>) {
        json.key("accepted").number(self.accepted);
        json.key("requests").number(self.requests);
        json.key("rx").number(self.received);
        json.key("tx").number(self.sent);
    }
}

/// The counts of all vhosts by name, those that nobody ever was left out.
fn counts<'a, I: Iterator<Item = Count>>(json: &mut Json<'_>, cx: &'a Cx, of: impl Fn(&'a Vhost) -> I) {
    let mut sums: Vec<Count> = Vec::new();
    for count in vhosts(cx).flat_map(of).filter(|count| count.ever > 0 || count.now > 0) {
        match sums.iter_mut().find(|sum| sum.name == count.name) {
            Some(sum) => {
                sum.now += count.now;
                sum.ever += count.ever;
            }
            None => sums.push(count),
        }
    }
    sums.iter().for_each(|sum| json.object(|json| named(json, sum)));
}

fn named(json: &mut Json<'_>, count: &Count) {
    json.key("name").text(count.name);
    json.key("now").number(count.now);
    json.key("ever").number(count.ever);
}

fn verdicts<'a, I: Iterator<Item = &'a Vhost>>(json: &mut Json<'_>, of: impl Fn() -> I) {
    let names = of().next().into_iter().flat_map(|vhost| vhost.tally().verdicts());
    for (name, _) in names {
        let all = of().flat_map(|vhost| vhost.tally().verdicts());
        json.key(name).number(all.filter(|(other, _)| *other == name).map(|(_, count)| count).sum::<u64>());
    }
}

fn listeners(json: &mut Json<'_>, cx: &Cx) {
    for listening in cx.listening() {
        let vhosts = || listening.vhosts().iter().filter_map(|id| cx.vhost(*id));
        json.object(|json| {
            json.key("listen").text(&listening.listen().to_string());
            json.key("addresses").array(|json| {
                listening.addresses().iter().for_each(|address| json.text(&address.to_string()));
            });
            json.key("use_ssl").bool(listening.is_tls());
            json.key("accepted").number(vhosts().map(|vhost| vhost.tally().accepted()).sum::<u64>());
            json.key("verdicts").object(|json| verdicts(json, vhosts));
            json.key("vhosts").array(|json| vhosts().for_each(|vhost| json.text(vhost.name())));
        });
    }
}

/// Where each vhost is listened for: what was bound, or what was asked for where nothing is.
fn places(cx: &Cx) -> HashMap<VhostId, Vec<String>> {
    let mut places: HashMap<VhostId, Vec<String>> = HashMap::new();
    for listening in cx.listening() {
        let mut bound: Vec<String> = listening.addresses().iter().map(ToString::to_string).collect();
        if bound.is_empty() {
            bound.push(listening.listen().to_string());
        }
        listening.vhosts().iter().for_each(|id| places.entry(*id).or_default().extend_from_slice(&bound));
    }
    places
}

fn vhost(json: &mut Json<'_>, vhost: &Vhost, places: &[String]) {
    let tally = vhost.tally();
    let is_peer = |role: &Count| role.name != "listen";
    json.key("name").text(vhost.name());
    json.key("listen").array(|json| places.iter().for_each(|place| json.text(place)));
    json.key("use_ssl").bool(vhost.is_tls());
    json.key("sts").bool(vhost.options().contains(Options::STS));
    json.key("connections").number(tally.roles().filter(is_peer).map(|role| role.now).sum::<u64>());
    json.key("requests").number(tally.requests());
    json.key("rx").number(tally.received());
    json.key("tx").number(tally.sent());
    json.key("protocols").array(|json| tally.protocols().for_each(|count| json.object(|json| named(json, &count))));
    json.key("mounts").array(|json| {
        for mount in vhost.mounts() {
            json.object(|json| {
                json.key("mountpoint").text(&mount.mountpoint);
                json.key("origin").text(&origin(&mount.origin));
            });
        }
    });
}

fn origin(origin: &Origin) -> String {
    match origin {
        Origin::File(path) => format!("file://{}", path.display()),
        Origin::Callback(protocol) => format!("callback://{protocol}"),
        Origin::Redirect { url, .. } => format!(">{url}"),
        #[allow(unreachable_patterns, reason = "for who uses the public names alone there may be more")]
        _ => String::new(),
    }
}
