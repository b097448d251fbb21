//! What client and server agree on of permessage-deflate (RFC 7692 section 7.1).

use std::fmt::{self, Write};

/// Compression of messages, as a vhost offers it to clients, and a client to servers. In lws: `lws_extension_callback_pm_deflate`.
///
/// The default keeps nothing from one message to the next, on either side, so that an idle connection costs no memory for it. To keep it makes
/// small messages that are alike much smaller, for up to 256 KiB (`level` 6, 15 bits) and 40 KiB a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PermessageDeflate {
    /// 1 is fast, 9 small; 6.
    pub level: u8,
    /// The server goes on with what it has sent before; `false`.
    pub server_context_takeover: bool,
    /// So does the client; `false`.
    pub client_context_takeover: bool,
    /// How far back the server's references go, as a power of two: 9 to 15; 15.
    pub server_max_window_bits: u8,
    /// And those of the client.
    pub client_max_window_bits: u8,
    /// Shorter messages are sent as they are; 32 bytes.
    pub least: usize,
}

impl Default for PermessageDeflate {
    fn default() -> PermessageDeflate {
        PermessageDeflate {
            level: 6,
            server_context_takeover: false,
            client_context_takeover: false,
            server_max_window_bits: MOST_BITS,
            client_max_window_bits: MOST_BITS,
            least: 32,
        }
    }
}

/// What was agreed on for each direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Agreed {
    pub(crate) server: Window,
    pub(crate) client: Window,
}

/// How one side compresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// From one message to the next.
    pub(crate) is_kept: bool,
    /// 8 to 15.
    pub(crate) bits: u8,
}

const NAME: &str = "permessage-deflate";
const SERVER_NO_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_NO_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_BITS: &str = "server_max_window_bits";
const CLIENT_BITS: &str = "client_max_window_bits";
const MOST_BITS: u8 = 15;
/// The fewest that we compress with.
const LEAST_BITS: u8 = 9;

impl PermessageDeflate {
    /// What of it there is not.
    pub(crate) fn mistake(&self) -> Option<String> {
        if !(1..=9).contains(&self.level) {
            return Some(format!("level {} of permessage-deflate: there are 1 to 9", self.level));
        }
        let windows = [(SERVER_BITS, self.server_max_window_bits), (CLIENT_BITS, self.client_max_window_bits)];
        let (name, bits) = windows.into_iter().find(|(_, bits)| !(LEAST_BITS..=MOST_BITS).contains(bits))?;
        Some(format!("{name} {bits} of permessage-deflate: there are {LEAST_BITS} to {MOST_BITS}"))
    }

    /// Agrees to the first of a client's offers that can be kept. `offers` are the values of its `Sec-WebSocket-Extensions`.
    pub(crate) fn accept<'a>(&self, offers: impl Iterator<Item = &'a str>) -> Option<Agreed> {
        let offer = offers.flat_map(|value| value.split(',')).find_map(|offer| Params::parse(offer).ok())?;
        Some(Agreed {
            server: Window {
                is_kept: self.server_context_takeover && !offer.server_no_takeover,
                bits: self.server_max_window_bits.min(offer.server_bits.unwrap_or(MOST_BITS)),
            },
            client: Window {
                is_kept: self.client_context_takeover && !offer.client_no_takeover,
                bits: match offer.client_bits {
                    ClientBits::Unsaid => MOST_BITS,
                    ClientBits::Any => self.client_max_window_bits,
                    ClientBits::Most(bits) => self.client_max_window_bits.min(bits),
                },
            },
        })
    }

    /// What a client offers.
    pub(crate) fn offer(&self) -> String {
        let mut offer = format!("{NAME}; {CLIENT_BITS}");
        if self.client_max_window_bits < MOST_BITS {
            let _ = write!(offer, "={}", self.client_max_window_bits);
        }
        if self.server_max_window_bits < MOST_BITS {
            let _ = write!(offer, "; {SERVER_BITS}={}", self.server_max_window_bits);
        }
        for (is_kept, word) in
            [(self.server_context_takeover, SERVER_NO_TAKEOVER), (self.client_context_takeover, CLIENT_NO_TAKEOVER)]
        {
            if !is_kept {
                let _ = write!(offer, "; {word}");
            }
        }
        offer
    }

    /// Takes a server's answer to [`PermessageDeflate::offer`]: `Ok(None)` where it agrees to none.
    pub(crate) fn agree<'a>(&self, mut answers: impl Iterator<Item = &'a str>) -> Result<Option<Agreed>, Misfit<'a>> {
        let Some(answer) = answers.next() else { return Ok(None) };
        let params = Params::parse(answer)?;
        if let Some(more) = answers.next() {
            return Err(Misfit::NotOffered(more));
        }
        let server_bits = params.server_bits.unwrap_or(MOST_BITS);
        let client_bits = match params.client_bits {
            ClientBits::Unsaid => self.client_max_window_bits,
            ClientBits::Most(bits) => bits.min(self.client_max_window_bits),
            ClientBits::Any => return Err(Misfit::Parameter(CLIENT_BITS)),
        };
        if server_bits > self.server_max_window_bits {
            return Err(Misfit::NotKept(SERVER_BITS));
        }
        if !self.server_context_takeover && !params.server_no_takeover {
            return Err(Misfit::NotKept(SERVER_NO_TAKEOVER));
        }
        Ok(Some(Agreed {
            server: Window { is_kept: !params.server_no_takeover, bits: server_bits },
            client: Window { is_kept: self.client_context_takeover && !params.client_no_takeover, bits: client_bits },
        }))
    }
}

impl Agreed {
    /// The server's answer.
    pub(crate) fn answer(&self) -> String {
        let mut answer = NAME.to_owned();
        for (window, word, bits) in
            [(self.server, SERVER_NO_TAKEOVER, SERVER_BITS), (self.client, CLIENT_NO_TAKEOVER, CLIENT_BITS)]
        {
            if !window.is_kept {
                let _ = write!(answer, "; {word}");
            }
            if window.bits < MOST_BITS {
                let _ = write!(answer, "; {bits}={}", window.bits);
            }
        }
        answer
    }
}

/// What is wrong with an offer, which is declined then, or with an answer, which ends the connection (section 7.1).
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Misfit<'a> {
    /// It is another extension, or one more.
    NotOffered(&'a str),
    /// A parameter that is not defined, or not so, or is there twice.
    Parameter(&'a str),
    /// A parameter that the offer had, and that the answer does not keep to.
    NotKept(&'static str),
}

impl fmt::Display for Misfit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Who has sent it may be hostile.
        let quoted = |text: &str| text.chars().take(64).collect::<String>();
        match self {
            Misfit::NotOffered(extension) => {
                write!(f, "the server wants {:?}, an extension that was not offered", quoted(extension))
            }
            Misfit::Parameter(what) => {
                write!(f, "the server's {NAME} has {:?}, which does not belong there", quoted(what))
            }
            Misfit::NotKept(name) => {
                write!(f, "the server's {NAME} does not keep to the {name} that it was offered with")
            }
        }
    }
}

/// One offer, or one answer.
#[derive(Default)]
struct Params {
    server_no_takeover: bool,
    client_no_takeover: bool,
    server_bits: Option<u8>,
    client_bits: ClientBits,
}

#[derive(Default, PartialEq, Eq)]
enum ClientBits {
    #[default]
    Unsaid,
    Any,
    Most(u8),
}

impl Params {
    fn parse(text: &str) -> Result<Params, Misfit<'_>> {
        let mut parts = text.split(';').map(str::trim);
        let extension = parts.next().unwrap_or_default();
        if extension != NAME {
            return Err(Misfit::NotOffered(extension));
        }
        let (mut params, mut seen) = (Params::default(), Vec::new());
        for part in parts {
            let name = part.split('=').next().unwrap_or_default().trim_end();
            if seen.contains(&name) || params.set(name, part).is_none() {
                return Err(Misfit::Parameter(part));
            }
            seen.push(name);
        }
        Ok(params)
    }

    fn set(&mut self, name: &str, part: &str) -> Option<()> {
        let value = match part.split_once('=') {
            Some((_, value)) => Some(unquoted(value.trim_start())?),
            None => None,
        };
        match (name, value) {
            (SERVER_NO_TAKEOVER, None) => self.server_no_takeover = true,
            (CLIENT_NO_TAKEOVER, None) => self.client_no_takeover = true,
            (SERVER_BITS, Some(value)) => self.server_bits = Some(bits(value)?),
            (CLIENT_BITS, Some(value)) => self.client_bits = ClientBits::Most(bits(value)?),
            (CLIENT_BITS, None) => self.client_bits = ClientBits::Any,
            _ => return None,
        }
        Some(())
    }
}

/// What is between quotes, if there are any.
fn unquoted(value: &str) -> Option<&str> {
    match value.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"'),
        None => Some(value),
    }
}

/// 8 to 15, without leading zeros (section 7.1.2).
fn bits(value: &str) -> Option<u8> {
    ["8", "9", "10", "11", "12", "13", "14", "15"].contains(&value).then(|| value.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keeping() -> PermessageDeflate {
        PermessageDeflate { server_context_takeover: true, client_context_takeover: true, ..Default::default() }
    }

    fn answer(info: &PermessageDeflate, offer: &str) -> Option<String> {
        info.accept([offer].into_iter()).map(|agreed| agreed.answer())
    }

    #[test]
    fn a_server_agrees_to_the_first_offer_that_it_can_keep() {
        let all = keeping();
        assert_eq!(answer(&all, "permessage-deflate").unwrap(), "permessage-deflate");
        // What browsers say.
        assert_eq!(answer(&all, "permessage-deflate; client_max_window_bits").unwrap(), "permessage-deflate");
        assert_eq!(
            answer(&all, "x-other, permessage-deflate; server_max_window_bits=99, permessage-deflate;server_max_window_bits=\"10\"").unwrap(),
            "permessage-deflate; server_max_window_bits=10"
        );
        let none = PermessageDeflate { client_max_window_bits: 9, ..Default::default() };
        assert_eq!(
            answer(&none, "permessage-deflate; client_max_window_bits=12").unwrap(),
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits=9"
        );
        assert_eq!(
            answer(&none, "permessage-deflate").unwrap(),
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
            "a client that does not offer to limit its window is not told to"
        );
    }

    #[test]
    fn what_there_is_not_is_a_mistake() {
        assert_eq!(keeping().mistake(), None);
        for (wrong, what) in [
            (PermessageDeflate { level: 0, ..keeping() }, "level 0"),
            (PermessageDeflate { level: 10, ..keeping() }, "level 10"),
            (PermessageDeflate { server_max_window_bits: 8, ..keeping() }, "server_max_window_bits 8"),
            (PermessageDeflate { client_max_window_bits: 16, ..keeping() }, "client_max_window_bits 16"),
        ] {
            assert!(wrong.mistake().is_some_and(|mistake| mistake.starts_with(what)), "{what}");
        }
    }

    #[test]
    fn offers_that_are_not_defined_are_declined() {
        for offer in [
            "",
            "permessage-bzip2",
            "permessage-deflate; unknown",
            "permessage-deflate; server_max_window_bits",
            "permessage-deflate; server_max_window_bits=7",
            "permessage-deflate; server_max_window_bits=\"9",
            "permessage-deflate; server_max_window_bits=9\"",
            "permessage-deflate; server_max_window_bits=\"",
            "permessage-deflate; server_max_window_bits=09",
            "permessage-deflate; server_no_context_takeover=1",
            "permessage-deflate; client_max_window_bits; client_max_window_bits",
        ] {
            assert_eq!(answer(&keeping(), offer), None, "{offer}");
        }
    }

    #[test]
    fn a_client_takes_only_what_it_has_offered() {
        let info = PermessageDeflate { server_max_window_bits: 11, ..Default::default() };
        assert_eq!(
            info.offer(),
            "permessage-deflate; client_max_window_bits; server_max_window_bits=11; server_no_context_takeover; \
             client_no_context_takeover"
        );
        let agree = |answers: &[&'static str]| info.agree(answers.iter().copied());
        assert_eq!(agree(&[]), Ok(None));
        let good =
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=10; client_max_window_bits=12";
        let agreed = agree(&[good]).expect("it was offered").expect("agreed");
        assert_eq!(agreed.server, Window { is_kept: false, bits: 10 });
        assert_eq!(agreed.client, Window { is_kept: false, bits: 12 });
        assert_eq!(agree(&[good, good]), Err(Misfit::NotOffered(good)));
        for (answer, misfit) in [
            ("x-other", Misfit::NotOffered("x-other")),
            ("permessage-deflate; server_max_window_bits=11", Misfit::NotKept(SERVER_NO_TAKEOVER)),
            ("permessage-deflate; server_no_context_takeover", Misfit::NotKept(SERVER_BITS)),
            ("permessage-deflate; client_max_window_bits", Misfit::Parameter(CLIENT_BITS)),
            ("permessage-deflate; client_max_window_bits=7", Misfit::Parameter("client_max_window_bits=7")),
            ("permessage-deflate; server_no_context_takeover; unknown", Misfit::Parameter("unknown")),
        ] {
            assert_eq!(agree(&[answer]), Err(misfit), "{answer}");
        }
    }
}
