//! Any bytes as a form: the outcome does not depend on how they were cut, what is told is within the limits, and nothing panics.
//!
//! The first byte says of which type the form is (one of them is read from the input, up to its first line end), the second how it is
//! cut.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rlws::forms::{Form, FormEvent, FormLimits, Refusal, safe_file_name, urlencoded};
use rlws_fuzz::cut;

const LIMITS: FormLimits =
    FormLimits { fields: 8, name: 16, value: 64, text: 128, files: 3, file: 96, part_headers: 160, total: 4096 };

/// What was told, the pieces of a file joined.
#[derive(Debug, PartialEq)]
enum Told {
    Field(String, String),
    File { name: String, filename: String, content_type: Option<String>, data: Vec<u8>, ended: bool },
}

#[derive(Default)]
struct Heard(Vec<Told>);

impl Heard {
    fn take(&mut self, event: FormEvent<'_>) -> Result<(), Refusal> {
        let open = matches!(self.0.last(), Some(Told::File { ended: false, .. }));
        match event {
            FormEvent::Field { name, value } => {
                assert!(!open);
                self.0.push(Told::Field(name.to_owned(), value.to_owned()));
            }
            FormEvent::FileBegin { name, filename, content_type } => {
                assert!(!open);
                assert!(safe_file_name(filename).is_none_or(|name| !name.contains(['/', '\\', '\0'])));
                let content_type = content_type.map(str::to_owned);
                let (name, filename) = (name.to_owned(), filename.to_owned());
                self.0.push(Told::File { name, filename, content_type, data: Vec::new(), ended: false });
            }
            FormEvent::FileData(bytes) => match self.0.last_mut() {
                Some(Told::File { data, ended: false, .. }) if !bytes.is_empty() => data.extend_from_slice(bytes),
                _ => panic!("data of no file"),
            },
            FormEvent::FileEnd => match self.0.last_mut() {
                Some(Told::File { ended, .. }) if !*ended => *ended = true,
                _ => panic!("the end of no file"),
            },
            _ => panic!("what is {event:?}?"),
        }
        Ok(())
    }
}

fn read<'c>(content_type: &str, pieces: impl Iterator<Item = &'c [u8]>) -> (Vec<Told>, Option<String>) {
    let mut heard = Heard::default();
    let mut form = match Form::new(content_type, LIMITS) {
        Ok(form) => form,
        Err(error) => return (Vec::new(), Some(error.to_string())),
    };
    for piece in pieces {
        if let Err(error) = form.feed(piece, |event| heard.take(event)) {
            assert!([400, 413].contains(&error.http_status()));
            let told = heard.0.len();
            assert!(form.feed(b"--b\r\n", |event| heard.take(event)).is_err() && heard.0.len() == told);
            return (heard.0, Some(error.to_string()));
        }
    }
    let end = form.finish(|event| heard.take(event));
    (heard.0, end.err().map(|error| error.to_string()))
}

fuzz_target!(|input: &[u8]| {
    let [kind, seed, body @ ..] = input else { return };
    let (content_type, body) = match kind % 4 {
        0 | 1 => ("multipart/form-data; boundary=b".to_owned(), body),
        2 => ("application/x-www-form-urlencoded".to_owned(), body),
        _ => {
            let at = body.iter().position(|byte| *byte == b'\n').unwrap_or(body.len());
            (String::from_utf8_lossy(&body[..at]).into_owned(), body.get(at + 1..).unwrap_or_default())
        }
    };
    let whole = read(&content_type, std::iter::once(body));
    assert_eq!(read(&content_type, body.chunks(1)), whole);
    assert_eq!(read(&content_type, cut(body, *seed)), whole);

    let (told, end) = whole;

    let (mut fields, mut files, mut text) = (0, 0, 0);
    for one in &told {
        match one {
            Told::Field(name, value) => {
                (fields, text) = (fields + 1, text + name.len() + value.len());
            }
            Told::File { name, filename, data, .. } => {
                files += 1;
                assert!(name.len() <= LIMITS.name && filename.len() <= 3 * LIMITS.part_headers);
                assert!(data.len() as u64 <= LIMITS.file);
            }
        }
    }
    assert!(fields <= LIMITS.fields && files <= LIMITS.files && text <= LIMITS.text);

    if kind % 4 == 2 && end.is_none() {
        let pairs = urlencoded::parse(body).map(|(name, value)| Told::Field(name.into_owned(), value.into_owned()));
        assert_eq!(told, Vec::from_iter(pairs));
    }
});
