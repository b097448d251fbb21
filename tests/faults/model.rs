//! What has to hold of a connection when both of its ends are done. That every byte is the right one was seen as it came.

use crate::peer::{End, Outcome};
use crate::script::{Act, Case, Talk};

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
}

pub fn judge(case: &Case, client: &Outcome, onward: Option<&Outcome>) -> Result<Verdict, String> {
    match &case.talk {
        Talk::Requests(_) => {
            nobody_onward(onward)?;
            alone(client, client.whole)
        }
        Talk::Echoed => {
            nobody_onward(onward)?;
            no_more("the client", client.heard, client.sent)?;
            alone(client, client.heard == client.sent)
        }
        Talk::NoTls { .. } => {
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
    if !is_whole {
        return Err("the client did not get all of its answer".to_owned());
    }
    Ok(Verdict::Whole)
}

fn relayed(case: &Case, client: &Outcome, onward: Option<&Outcome>) -> Result<Verdict, String> {
    let Some(onward) = onward else {
        no_more("the client", client.heard, 0)?;
        let may_be_nobody =
            case.is_refused_onward() || !client.polite || case.door.waits_for_bytes() && client.sent == 0;
        return if may_be_nobody { Ok(Verdict::Refused) } else { Err("it was not relayed".to_owned()) };
    };
    if case.is_refused_onward() {
        return Err("relayed to where nobody listens".to_owned());
    }
    no_more("the client", client.heard, onward.sent)?;
    no_more("the onward server", onward.heard, client.sent)?;
    if client.polite && onward.polite {
        ended_in_order("the client", client)?;
        ended_in_order("the onward server", onward)?;
        all("the onward server", onward.heard, client.sent)?;
        all("the client", client.heard, onward.sent)?;
        return Ok(Verdict::Whole);
    }
    // Who goes with all sent and nothing unread says by that that it is done; TLS wants it said.
    let closes = |acts: &[Act]| acts.ends_with(&[Act::Close]);
    if closes(&case.client.acts) && onward.polite && case.onward.says() == 0 && !case.tls && client.broken.is_none() {
        all("the onward server", onward.heard, client.sent)?;
        return Ok(Verdict::OneWay);
    }
    if closes(&case.onward.acts) && client.polite && case.client.says() == 0 && onward.broken.is_none() {
        all("the client", client.heard, onward.sent)?;
        return Ok(Verdict::OneWay);
    }
    Ok(Verdict::Torn)
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
