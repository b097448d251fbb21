//! Which codings of a file a client takes (`Accept-Encoding`, RFC 9110 section 12.5.3).
//!
//! Pure. Of two that the client likes as much the smaller one goes first: `br`, `gzip`, then the file as it is. That one is sent where
//! nothing else can be, even to a client that says it does not take it. Counterpart in lws: its serving of files from zip archives.

/// How a file's bytes were compressed.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Coding {
    /// Not at all.
    Identity,
    /// Brotli (RFC 7932).
    Brotli,
    /// gzip (RFC 1952).
    Gzip,
}

impl Coding {
    /// What a file's name has behind it when it is compressed so.
    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Coding::Identity => "",
            Coding::Brotli => ".br",
            Coding::Gzip => ".gz",
        }
    }

    /// The value of `Content-Encoding`; `None`: there is to be none.
    pub(crate) fn name(self) -> Option<&'static str> {
        match self {
            Coding::Identity => None,
            Coding::Brotli => Some("br"),
            Coding::Gzip => Some("gzip"),
        }
    }
}

/// A weight in thousandths: 0 is "not acceptable", 1000 the most.
type Weight = u16;

/// How a client likes each coding.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Accepted {
    brotli: Weight,
    gzip: Weight,
    identity: Weight,
}

impl Accepted {
    /// From the values of a request's `Accept-Encoding` lines. Without any only the file as it is is accepted.
    pub(crate) fn parse<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Accepted {
        let (mut brotli, mut gzip, mut identity, mut others) = (None, None, None, None);
        for element in lines.flat_map(|line| line.split(|byte| *byte == b',')) {
            let Some((name, weight)) = weighted(element) else { continue };
            let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
            if is("br") {
                brotli = Some(weight);
            } else if is("gzip") || is("x-gzip") {
                gzip = Some(weight);
            } else if is("identity") {
                identity = Some(weight);
            } else if is("*") {
                others = Some(weight);
            }
        }
        let or_others = |weight: Option<Weight>| weight.or(others).unwrap_or(0);
        // Acceptable unless it is ruled out; where the client names only others, it likes those more.
        Accepted { brotli: or_others(brotli), gzip: or_others(gzip), identity: identity.or(others).unwrap_or(1) }
    }

    /// A number for what is [preferred](Accepted::preferred), the same for all that lead to the same order.
    pub(crate) fn order(self) -> u8 {
        self.preferred().fold(0, |order, coding| order * 3 + coding as u8)
    }

    /// The compressed ones to look for, the best first.
    pub(crate) fn preferred(self) -> impl Iterator<Item = Coding> {
        let (brotli, gzip) = ((Coding::Brotli, self.brotli), (Coding::Gzip, self.gzip));
        let order = if self.gzip > self.brotli { [gzip, brotli] } else { [brotli, gzip] };
        order.into_iter().filter(move |(_, weight)| *weight > 0 && *weight >= self.identity).map(|(coding, _)| coding)
    }
}

/// `gzip;q=0.5`: an element of the list; `None` where it is none.
fn weighted(element: &[u8]) -> Option<(&[u8], Weight)> {
    let mut parts = element.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    let name = parts.next().filter(|name| !name.is_empty())?;
    let weight = match parts.next() {
        None => 1000,
        Some([b'q' | b'Q', b'=', value @ ..]) => thousandths(value)?,
        Some(_) => return None,
    };
    parts.next().is_none().then_some((name, weight))
}

/// A `qvalue` (RFC 9110 section 12.4.2): 0 or 1, and at most three decimals, which are zeros behind a 1.
fn thousandths(value: &[u8]) -> Option<Weight> {
    let (whole, decimals) = match value {
        [whole @ (b'0' | b'1')] => (whole, &[][..]),
        [whole @ (b'0' | b'1'), b'.', decimals @ ..] if decimals.len() <= 3 => (whole, decimals),
        _ => return None,
    };
    let mut weight = Weight::from(whole - b'0');
    for place in 0..3 {
        let digit = decimals.get(place).unwrap_or(&b'0');
        weight = weight * 10 + Weight::from(digit.is_ascii_digit().then(|| digit - b'0')?);
    }
    (weight <= 1000).then_some(weight)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn preferred(lines: &[&str]) -> String {
        let accepted = Accepted::parse(lines.iter().map(|line| line.as_bytes()));
        accepted.preferred().filter_map(Coding::name).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_client_gets_what_it_likes_most() {
        for (line, expected) in [
            ("", ""),
            ("gzip", "gzip"),
            ("br", "br"),
            ("gzip, deflate, br, zstd", "br gzip"),
            ("GZIP, Br", "br gzip"),
            ("x-gzip", "gzip"),
            ("deflate", ""),
            ("identity", ""),
            ("*", "br gzip"),
            ("*;q=0", ""),
            ("*;q=0, gzip", "gzip"),
            ("gzip;q=0, *", "br"),
            ("br;q=0.5, gzip", "gzip br"),
            ("br;q=0.5, gzip;q=0.501", "gzip br"),
            ("gzip;q=0.5, br;q=0.5", "br gzip"),
            ("gzip;q=0", ""),
            ("gzip;q=0.000", ""),
            ("gzip;q=0.001", "gzip"),
            ("identity, gzip;q=0.5", ""),
            ("identity;q=0.5, gzip;q=0.5, br;q=0.4", "gzip"),
            ("identity;q=0, gzip;q=0.1", "gzip"),
            ("gzip ; q=1.0 ,, br\t;\tq=1.000", "br gzip"),
            ("gzip;Q=1", "gzip"),
        ] {
            assert_eq!(preferred(&[line]), expected, "{line}");
        }
        assert_eq!(preferred(&[]), "");
        assert_eq!(preferred(&["gzip", "br"]), "br gzip");
    }

    #[test]
    fn an_element_that_is_none_is_left_out() {
        for element in [
            "gzip;q=2",
            "gzip;q=1.001",
            "gzip;q=-1",
            "gzip;q=0.1234",
            "gzip;q=",
            "gzip;q=.5",
            "gzip;level=1",
            "gzip;q=1;q=1",
            ";q=1",
        ] {
            assert_eq!(preferred(&[&format!("{element}, br;q=0.1")]), "br", "{element}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_get_a_verdict(lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..4)) {
            let accepted = Accepted::parse(lines.iter().map(Vec::as_slice));
            prop_assert!(accepted.preferred().count() <= 2);
        }

        #[test]
        fn weights_are_what_they_say(thousand in 0..=1000_u16) {
            let text = format!("{}.{:03}", thousand / 1000, thousand % 1000);
            prop_assert_eq!(thousandths(text.as_bytes()), Some(thousand));
            prop_assert_eq!(thousandths(text.trim_end_matches('0').as_bytes()), Some(thousand));
        }
    }
}
