//! Forms made at random, cut at random.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Part {
    Field(String, String),
    File { name: String, filename: String, data: Vec<u8> },
}

/// Text as it may stand in quotes, with much of what has a meaning there.
fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z\"\\\\%;=é& ]{0,8}", "\\PC{0,6}"]
}

/// Data with many starts of the boundary `b-b`, and no boundary.
fn data() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"\r\n--b-".to_vec()),
        Just(b"\r\n--".to_vec()),
        Just(b"\r".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"--b-b".to_vec()),
        prop::collection::vec(any::<u8>(), 0..12),
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat()).prop_filter("it has no boundary", |data| {
        !data.starts_with(b"--b-b") && !data.windows(7).any(|window| window == b"\r\n--b-b")
    })
}

fn part() -> impl Strategy<Value = Part> {
    prop_oneof![
        (text(), data()).prop_map(|(name, data)| Part::Field(name, String::from_utf8_lossy(&data).into_owned())),
        (text(), text(), data()).prop_map(|(name, filename, data)| Part::File { name, filename, data }),
    ]
}

fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn multipart(parts: &[Part]) -> Vec<u8> {
    let mut body = Vec::new();
    for part in parts {
        let (parameters, data) = match part {
            Part::Field(name, value) => (format!("name={}", quote(name)), value.as_bytes()),
            Part::File { name, filename, data } => {
                (format!("name={}; filename={}", quote(name), quote(filename)), &data[..])
            }
        };
        body.extend(format!("--b-b\r\nContent-Disposition: form-data; {parameters}\r\n\r\n").into_bytes());
        body.extend_from_slice(data);
        body.extend(b"\r\n");
    }
    body.extend(b"--b-b--\r\n");
    body
}

fn told(parts: &[Part]) -> Heard {
    let mut heard = Vec::new();
    for part in parts {
        match part {
            Part::Field(name, value) => heard.push(format!("field {name:?} {value:?}")),
            Part::File { name, filename, data } => {
                heard.push(format!("file {name:?} {filename:?} -"));
                heard.push(format!("data {:?}", String::from_utf8_lossy(data)));
            }
        }
    }
    heard
}

/// A body in pieces of these lengths, again and again.
fn cut<'b>(body: &'b [u8], lengths: &[usize]) -> Vec<&'b [u8]> {
    let (mut rest, mut pieces) = (body, Vec::new());
    for length in lengths.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, behind) = rest.split_at((*length).min(rest.len()));
        pieces.push(piece);
        rest = behind;
    }
    pieces
}

fn lengths() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(1_usize..40, 1..8)
}

/// Percent-encodes what a list of choices says, and what must be.
fn encode(text: &str, choices: &[bool]) -> String {
    let mut encoded = String::new();
    for (byte, choice) in text.bytes().zip(choices.iter().cycle()) {
        match byte {
            b' ' if *choice => encoded.push('+'),
            b'a'..=b'z' if *choice => encoded.push(char::from(byte)),
            byte => encoded += &format!("%{byte:02X}"),
        }
    }
    encoded
}

proptest! {
    #[test]
    fn what_was_written_is_told_however_it_is_cut(parts in prop::collection::vec(part(), 0..6), lengths in lengths()) {
        let content_type = "multipart/form-data; boundary=b-b";
        let body = multipart(&parts);
        for pieces in [vec![&body[..]], body.chunks(1).collect(), cut(&body, &lengths)] {
            let (heard, end) = read(content_type, FormLimits::default(), pieces);
            prop_assert!(end.is_ok(), "{:?}: {}", end, String::from_utf8_lossy(&body));
            prop_assert_eq!(&heard, &told(&parts));
        }
    }

    #[test]
    fn so_it_is_of_urlencoded_forms(
        pairs in prop::collection::vec((text(), text()), 0..6),
        choices in prop::collection::vec(any::<bool>(), 1..9),
        lengths in lengths(),
    ) {
        let body = pairs.iter().map(|(name, value)| format!("{}={}", encode(name, &choices), encode(value, &choices)));
        let body = body.collect::<Vec<_>>().join("&");
        let want: Heard = pairs.iter().map(|(name, value)| format!("field {name:?} {value:?}")).collect();
        for pieces in [vec![body.as_bytes()], body.as_bytes().chunks(1).collect(), cut(body.as_bytes(), &lengths)] {
            let (heard, end) = read("application/x-www-form-urlencoded", FormLimits::default(), pieces);
            prop_assert!(end.is_ok());
            prop_assert_eq!(&heard, &want);
        }
    }

    #[test]
    fn the_decoder_tells_what_the_iterator_finds(body in "[a=&+%4é]{0,40}", any in any::<Vec<u8>>(), lengths in lengths()) {
        for body in [body.as_bytes(), &any] {
            let want: Heard = urlencoded::parse(body).map(|(name, value)| format!("field {name:?} {value:?}")).collect();
            let (heard, _) = read("application/x-www-form-urlencoded", FormLimits::default(), cut(body, &lengths));
            prop_assert_eq!(heard, want);
        }
    }

    #[test]
    fn what_is_damaged_has_one_outcome_however_it_is_cut(
        parts in prop::collection::vec(part(), 0..4),
        lengths in lengths(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(b"\r\n-b\"\\;:= x\0\xff".as_slice())), 1..5),
        file in 0_u64..40,
    ) {
        let limits = FormLimits { file, value: 30, total: 400, ..FormLimits::default() };
        let mut body = multipart(&parts);
        for (at, byte) in damage {
            let at = at.index(body.len());
            body[at] = byte;
        }
        let text = |(heard, end): (Heard, Result<(), FormError>)| (heard, end.map_err(|error| error.to_string()));
        let whole = text(read("multipart/form-data; boundary=b-b", limits, [&body[..]]));
        for pieces in [body.chunks(1).collect(), cut(&body, &lengths)] {
            prop_assert_eq!(&text(read("multipart/form-data; boundary=b-b", limits, pieces)), &whole);
        }
    }
}
