//! What has to hold of a connection when both of its ends are done. That every byte is the right one was seen as it came.

use crate::case::{Case, Door, Host, Talk};
use crate::peer::{End, Outcome};
use crate::script::Act;

/// How much could be said of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Everything arrived both ways, and ended in order.
    Whole,
    /// All that one end sent before it went arrived at the other.
    OneWay,
    /// Somebody went without a word: what arrived is a beginning of what was sent.
    Torn,
    /// It was to be refused, and was.
    Refused,
    /// The last of its answers said that it is the last, though it had asked for more.
    Dismissed,
}

pub fn judge(case: &Case, client: &Outcome, onward: Option<&Outcome>) -> Result<Verdict, String> {
    match &case.talk {
        Talk::Requests(_) => {
            nobody_onward(onward)?;
            // A server that is about to end says so.
            if client.dismissed && case.host == Host::Lwsws && client.polite {
                return if client.whole { Ok(Verdict::Dismissed) } else { Err("it was cut off".to_owned()) };
            }
            // A client with more to say may find that nobody listens any more.
            if client.polite && client.whole && case.is_beyond_prefix(client.sent) {
                return Ok(Verdict::Whole);
            }
            alone(client, client.whole)
        }
        Talk::Echoed => {
            nobody_onward(onward)?;
            no_more("the client", client.heard, client.sent)?;
            alone(client, client.heard == client.sent)
        }
        Talk::NoTls { .. } | Talk::NoHead => {
            nobody_onward(onward)?;
            Ok(Verdict::Refused)
        }
        Talk::Relayed => relayed(case, client, onward),
    }
}

/// A client that talks to the context itself.
fn alone(client: &Outcome, is_whole: bool) -> Result<Verdict, String> {
    if !client.polite {
        return Ok(Verdict::Torn);
    }
    ended_in_order("the client", client)?;
    if !is_whole || client.dismissed {
        return Err("the client did not get all of its answer".to_owned());
    }
    Ok(Verdict::Whole)
}

fn relayed(case: &Case, client: &Outcome, onward: Option<&Outcome>) -> Result<Verdict, String> {
    let sent = case.own(client.sent);
    let said_nothing = sent == 0 && !case.door.applies();
    let Some(onward) = onward else {
        no_more("the client", client.heard, 0)?;
        let may_be_nobody = case.is_refused_onward() || !client.polite || said_nothing;
        return if may_be_nobody { Ok(Verdict::Refused) } else { Err("it was not relayed".to_owned()) };
    };
    if case.is_refused_onward() {
        return Err("relayed to where nobody listens".to_owned());
    }
    if said_nothing && case.door != Door::Silence {
        return Err("it was relayed, and had said nothing".to_owned());
    }
    no_more("the client", client.heard, onward.sent)?;
    no_more("the onward server", onward.heard, sent)?;
    let (over_tls, onward_over_tls) = (case.tls, case.door.has_tls_onward());
    if over_tls && client.end == Some(End::Eof) {
        vouched_for("the client", client.heard, onward.sent, onward.finished || !onward_over_tls)?;
    }
    if onward_over_tls && onward.end == Some(End::Eof) {
        vouched_for("the onward server", onward.heard, sent, client.finished || !over_tls)?;
    }
    if client.polite && onward.polite {
        ended_in_order("the client", client)?;
        ended_in_order("the onward server", onward)?;
        all("the onward server", onward.heard, sent)?;
        all("the client", client.heard, onward.sent)?;
        return Ok(Verdict::Whole);
    }
    // Who goes with all sent and nothing unread says by that that it is done; TLS wants it said.
    let closes = |acts: &[Act]| acts.ends_with(&[Act::Close]);
    if closes(&case.client.acts) && onward.polite && case.onward.says() == 0 && !case.tls && client.broken.is_none() {
        all("the onward server", onward.heard, sent)?;
        return Ok(Verdict::OneWay);
    }
    let onward_leaves_nothing = case.client.says() == 0 && !onward_over_tls;
    if closes(&case.onward.acts) && client.polite && onward_leaves_nothing && onward.broken.is_none() {
        all("the client", client.heard, onward.sent)?;
        return Ok(Verdict::OneWay);
    }
    Ok(Verdict::Torn)
}

/// Over TLS an end that is said is the end of what the other side sent, and not where it was cut off; over TLS that one has said it.
fn vouched_for(who: &str, heard: u64, sent: u64, was_said: bool) -> Result<(), String> {
    match heard == sent {
        true if was_said => Ok(()),
        true => Err(format!("{who} is told of an end that nobody has said")),
        false => Err(format!("{who} is told that {heard} of {sent} bytes are all")),
    }
}

fn nobody_onward(onward: Option<&Outcome>) -> Result<(), String> {
    match onward {
        Some(_) => Err("it was relayed".to_owned()),
        None => Ok(()),
    }
}

fn no_more(who: &str, heard: u64, sent: u64) -> Result<(), String> {
    if heard <= sent { Ok(()) } else { Err(format!("{who} heard {heard} bytes of {sent}")) }
}

fn all(who: &str, heard: u64, sent: u64) -> Result<(), String> {
    if heard == sent { Ok(()) } else { Err(format!("{who} got {heard} of {sent} bytes")) }
}

fn ended_in_order(who: &str, seen: &Outcome) -> Result<(), String> {
    if let Some(why) = &seen.broken {
        return Err(format!("{who} could not send: {why}"));
    }
    match &seen.end {
        Some(End::Eof) if seen.finished => Ok(()),
        other => Err(format!("{who} saw the end {other:?}")),
    }
}
