use super::Listener::{Plain, Tls, TlsEstablished};
use super::*;
use std::collections::BTreeSet;

const LISTENERS: [Listener; 3] = [Plain, Tls, TlsEstablished];

const HTTP: &[u8] = b"GET / HTTP/1.1\r\n";
const HELLO: &[u8] = &[22, 3, 1, 2, 0, 1];
const SSH: &[u8] = b"SSH-2.0-";
const UNDECIDED: &[u8] = b"GE";

/// What is done under each of the 16 sets of options, one letter each, the sets as in the header:
/// `.` wait, `h` http, `t` TLS handshake, `r` redirect, `L` listen-accept, `4` refuse, `x` drop.
#[rustfmt::skip]
fn expected(listener: Listener) -> [(Moment<'static>, &'static str); 12] {
    use Moment::{Accept, Eof, Rx, Silence, Timeout};
    match listener {
        //                         F F F F F F F F    FALLBACK
        //                          RR  RR  RR  RR    REDIRECT
        //                            AAAA    AAAA    ALLOW
        //                                PPPPPPPP    APPLY
        Plain | TlsEstablished => [
            (Accept,             "........LLLLLLLL"),
            (Rx(b""),            "................"),
            (Rx(UNDECIDED),      "................"),
            (Rx(HTTP),           "hhhhhhhhhhhhhhhh"),
            (Rx(HELLO),          "4L4L4L4L4L4L4L4L"),
            (Rx(SSH),            "4L4L4L4L4L4L4L4L"),
            (Eof(b""),           "xxxxxxxxxxxxxxxx"),
            (Eof(UNDECIDED),     "4L4L4L4L4L4L4L4L"),
            (Eof(HTTP),          "hhhhhhhhhhhhhhhh"),
            (Silence(b""),       "4L4L4L4L4L4L4L4L"),
            (Silence(UNDECIDED), "4L4L4L4L4L4L4L4L"),
            (Timeout,            "xxxxxxxxxxxxxxxx"),
        ],
        Tls => [
            (Accept,             "........LLLLLLLL"),
            (Rx(b""),            "................"),
            (Rx(UNDECIDED),      "................"),
            (Rx(HTTP),           "xLrrhhrrxLrrhhrr"),
            (Rx(HELLO),          "tttttttttttttttt"),
            (Rx(SSH),            "xLxLxLxLxLxLxLxL"),
            (Eof(b""),           "xxxxxxxxxxxxxxxx"),
            (Eof(UNDECIDED),     "xLxLxLxLxLxLxLxL"),
            (Eof(HTTP),          "xLrrhhrrxLrrhhrr"),
            (Silence(b""),       "xLxLxLxLxLxLxLxL"),
            (Silence(UNDECIDED), "xLxLxLxLxLxLxLxL"),
            (Timeout,            "xxxxxxxxxxxxxxxx"),
        ],
    }
}

fn letter(decision: Decision) -> char {
    match decision {
        Decision::Wait => '.',
        Decision::Http => 'h',
        Decision::TlsHandshake => 't',
        Decision::RedirectToHttps => 'r',
        Decision::ListenAccept => 'L',
        Decision::Refuse => '4',
        Decision::Drop => 'x',
    }
}

/// The sets of the four options that the table knows, FALLBACK changing fastest.
fn option_sets() -> impl Iterator<Item = Options> {
    (0..16).map(|set| {
        [FALLBACK, REDIRECT, ALLOW, APPLY]
            .into_iter()
            .enumerate()
            .filter(|(place, _)| set >> place & 1 == 1)
            .map(|(_, option)| option)
            .collect()
    })
}

#[test]
fn every_question_has_the_expected_answer() {
    for listener in LISTENERS {
        for (moment, expected) in expected(listener) {
            let decided: String = option_sets().map(|options| letter(decide(listener, options, moment))).collect();
            assert_eq!(decided, expected, "{listener:?} {moment:?}");
        }
    }
}

#[test]
fn every_question_has_a_row_and_every_row_a_question() {
    let mut answers = BTreeSet::new();
    for listener in LISTENERS {
        for (moment, _) in expected(listener) {
            let packet = Packet::at(moment);
            for options in option_sets() {
                let row = TABLE.iter().position(|row| row.fits(listener, options, packet));
                answers.insert(row.expect("a row fits"));
            }
        }
    }
    assert!(answers.into_iter().eq(0..TABLE.len()));
}

#[test]
fn the_other_options_decide_nothing() {
    let others = Options::all() - (FALLBACK | REDIRECT | ALLOW | APPLY);
    for listener in LISTENERS {
        for (moment, _) in expected(listener) {
            for options in option_sets() {
                let decided = decide(listener, options | others, moment);
                assert_eq!(decided, decide(listener, options, moment));
            }
        }
    }
}
