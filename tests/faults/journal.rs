//! The access log of a run, against what was seen of its connections: each line is about one client, and tells what that one did.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use crate::case::{ADDRESSES, Case, Door, Host, Talk, client_address, number_of, onward_address};
use crate::model::Verdict;
use crate::peer::Outcome;
use crate::requests::{self, WHOSE};
use crate::responses::Answer;
use crate::util::{access, settled};

/// The role that a connection has until its PROXY header has come whole.
const PROXY_HEADER: &str = "proxy-header";

/// What is remembered of a connection.
struct Entry {
    case: Case,
    verdict: Verdict,
    /// From the client, without what a balancer said.
    sent: u64,
    heard: u64,
    answers: Vec<Answer>,
    /// Lines that were about it.
    lines: usize,
}

#[derive(Default)]
pub struct Journal {
    /// By what an address tells of a number.
    entries: HashMap<u64, Entry>,
}

impl Journal {
    /// A connection is over.
    pub fn note(&mut self, case: Case, verdict: Verdict, client: &Outcome) {
        let (sent, heard, answers) = (case.own(client.sent), client.heard, client.answers.clone());
        self.entries.insert(case.number % ADDRESSES, Entry { case, verdict, sent, heard, answers, lines: 0 });
    }

    /// Looks at all lines, and begins anew. How many they were.
    pub fn check(&mut self, log: &Path) -> usize {
        settled(|| std::fs::metadata(log).map_or(0, |state| state.len() as usize));
        let lines = access::lines(log);
        for line in &lines {
            if let Err(why) = self.check_line(line) {
                panic!("the access log: {why}: {line}");
            }
        }
        for (number, entry) in &self.entries {
            let wanted = match &entry.case.talk {
                _ if entry.verdict != Verdict::Whole || entry.case.door == Door::Unix => continue,
                Talk::Requests(wants) => wants.len(),
                _ => 1,
            };
            assert_eq!(entry.lines, wanted, "lines in the access log about connection {number}: {:?}", entry.case);
        }
        self.entries.clear();
        std::fs::File::options().write(true).open(log).and_then(|file| file.set_len(0)).expect("own file");
        lines.len()
    }

    fn check_line(&mut self, line: &str) -> Result<(), String> {
        let peer = line.split(' ').next().unwrap_or_default();
        let peer = peer.parse::<std::net::SocketAddr>().map(|peer| peer.ip()).or_else(|_| peer.parse());
        // Whoever came by unix socket has no address.
        let Ok(IpAddr::V4(address)) = peer else {
            return if line.starts_with("unix ") { Ok(()) } else { Err("whose is it?".to_owned()) };
        };
        let number = number_of(address);
        let entry = self.entries.get_mut(&number).ok_or("there was no such client")?;
        let raw = access::is_raw(line).then(|| access::Connection::parse(line));
        // Whose PROXY header has not come whole is whom its socket shows.
        let is_unsaid = raw.as_ref().is_some_and(|said| said.role == PROXY_HEADER);
        let expected = if is_unsaid { client_address(entry.case.number) } else { entry.case.client_address() };
        if address != expected {
            return Err(format!("that is {expected}"));
        }
        entry.lines += 1;
        raw.map_or_else(|| entry.check_request(line), |said| entry.check_raw(&said))
    }
}

impl Entry {
    fn check_raw(&self, said: &access::Connection) -> Result<(), String> {
        if self.lines > 1 {
            return Err("a second line".to_owned());
        }
        let own = onward_address(self.case.number).to_string();
        let to_another = said.onward.split(':').any(|part| part.starts_with("127.") && part != own);
        if to_another && self.case.host == Host::Context {
            return Err(format!("it was relayed to {own}"));
        }
        if said.role == PROXY_HEADER {
            // What it sent behind may never have been read: a reset throws it away.
            let whole = self.case.head.as_ref().map_or(0, |head| head.text.0.len() as u64);
            return match self.case.talk {
                Talk::NoHead => Ok(()),
                _ if said.received < whole => Ok(()),
                _ => Err(format!("its header of {whole} bytes had come")),
            };
        }
        let is_stream = matches!(self.case.talk, Talk::Relayed | Talk::Echoed);
        if is_stream && !self.case.tls && (said.received > self.sent || said.sent < self.heard) {
            return Err(format!("it sent {} and heard {} bytes", self.sent, self.heard));
        }
        if is_stream && self.verdict == Verdict::Whole && (said.received, said.sent) != (self.sent, self.heard) {
            return Err(format!("it sent {} and heard {} bytes, all in order", self.sent, self.heard));
        }
        Ok(())
    }

    fn check_request(&self, line: &str) -> Result<(), String> {
        let Talk::Requests(wants) = &self.case.talk else { return Err("it asked for nothing".to_owned()) };
        let (said, request) = (access::Request::parse(line), self.lines - 1);
        if request >= wants.len() {
            return Err(format!("it asked {} times", wants.len()));
        }
        let name = requests::name(self.case.number, request);
        if ![&said.line, &said.referer, &said.user_agent].into_iter().all(|field| tells_of(field, &name)) {
            return Err(format!("it is about {name}"));
        }
        match self.answers.get(request) {
            Some(answer) if (said.status, said.bytes) != (answer.status, answer.bytes) => Err(format!("{answer:?}")),
            Some(_) if said.user_agent != name || said.referer != format!("http://{name}/") => {
                Err(format!("it is about {name}"))
            }
            _ => Ok(()),
        }
    }
}

/// Whether a field has the name of that request alone. Of a head that never came whole it may be the beginning.
fn tells_of(field: &str, name: &str) -> bool {
    let mut names = field.match_indices(WHOSE).map(|(at, _)| &field[at..]);
    names.all(|rest| rest.starts_with(name) || name.starts_with(rest))
}

/// No line of the log that tells what one client has said is about another one.
pub fn assert_tells_of_its_client_alone<'a>(log: impl Iterator<Item = &'a str>) {
    for line in log {
        for name in line.split(WHOSE).skip(1) {
            let number = name.split('-').next().and_then(|number| number.parse::<u64>().ok());
            let number = number.unwrap_or_else(|| panic!("no name that is sent: {line}"));
            let words = line.split(|char: char| !char.is_ascii_digit() && char != '.');
            let addresses = words.filter_map(|word| word.parse().ok()).filter(|address| is_clients(*address));
            let of_others: Vec<Ipv4Addr> = addresses.filter(|address| number_of(*address) != number).collect();
            assert!(of_others.is_empty(), "it is not {of_others:?} that has said it: {line}");
        }
    }
}

fn is_clients(address: Ipv4Addr) -> bool {
    matches!(address.octets(), [127, 128..=255, ..] | [10, ..])
}
