//! Fields, by their names.

use super::{FormEvent, Refusal};

/// The fields of a form, in the order in which they came (`lws_spa_get_string()`).
///
/// What it keeps is bounded by [`FormLimits::fields`](super::FormLimits::fields) and [`FormLimits::text`](super::FormLimits::text).
///
/// ```
/// use rlws::forms::{Fields, Form, FormLimits};
///
/// let mut fields = Fields::default();
/// let mut form = Form::new("application/x-www-form-urlencoded", FormLimits::default())?;
/// form.feed(b"name=Ada&langu", |event| fields.take(event))?;
/// form.feed(b"age=en&language=fr", |event| fields.take(event))?;
/// form.finish(|event| fields.take(event))?;
///
/// assert_eq!(fields.get("name"), Some("Ada"));
/// assert_eq!(fields.get_all("language").collect::<Vec<_>>(), ["en", "fr"]);
/// assert_eq!(fields.get("address"), None);
/// # Ok::<(), rlws::forms::FormError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields {
    pairs: Vec<(String, String)>,
}

impl Fields {
    /// Takes the fields of a form: what a form without files gives to [`Form::feed`](super::Form::feed).
    ///
    /// # Errors
    ///
    /// A file comes: 400.
    pub fn take(&mut self, event: FormEvent<'_>) -> Result<(), Refusal> {
        match event {
            FormEvent::Field { name, value } => {
                self.push(name, value);
                Ok(())
            }
            _ => Err(Refusal::new(400, "a file in a form that has none")),
        }
    }

    /// Takes one field.
    pub fn push(&mut self, name: &str, value: &str) {
        self.pairs.push((name.to_owned(), value.to_owned()));
    }

    /// The first value of that name; case counts. `Some("")` is a field that was left empty, `None` one that the form does not have.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.get_all(name).next()
    }

    /// All values of that name: those of a `<select multiple>`, or of checkboxes with one name.
    pub fn get_all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.iter().filter(move |(field, _)| *field == name).map(|(_, value)| value)
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (&**name, &**value))
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }
}
