//! The structure of a document: what may follow what (RFC 8259 2 to 5).
//!
//! ```text
//!             ┌────────── value ended ◀───────────┐
//!             ▼                                   │
//!   Between(Next) ──▶ Name ─▶ Between(Colon)      │
//!     │  ▲  │                                     │
//!     │  └──┘ spaces, comments, brackets, , :     │
//!     └──▶ Str, Number, Word ─────────────────────┘
//! ```
//!
//! Invariant: a state knows all that may come next, so that what does not fit is an error at once.

use super::error::{Error, ErrorKind};
use super::place::Container;
use super::scalar::{Number, Piece, Quoted, Word};
use super::{Ctx, Parser, Reason};

/// What is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Spaces, comments, and then the start of a token.
    Between(Next),
    Name(Quoted),
    Str(Quoted),
    Number(Number),
    /// A word, of which so many characters were there.
    Word(Word, usize),
}

/// What the next token may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Document,
    FirstName,
    AnotherName,
    Colon,
    Value,
    AfterMember,
    FirstElement,
    AnotherElement,
    AfterElement,
    End,
}

type Outcome<T = ()> = Result<T, ErrorKind>;

impl<U> Parser<U> {
    /// Returns how many bytes were taken: all of them, unless only `one` document is wanted and it is complete.
    pub(super) fn take_all(&mut self, user: &mut U, bytes: &[u8], one: bool) -> Result<usize, Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.try_take_all(user, bytes, one).map_err(|kind| self.fail(user, kind))
    }

    fn try_take_all(&mut self, user: &mut U, bytes: &[u8], one: bool) -> Outcome<usize> {
        if !bytes.is_empty() {
            self.start(user)?;
        }
        for (taken, &byte) in bytes.iter().enumerate() {
            // Before the byte is decoded: what is behind a document need not be text.
            if let State::Number(number) = self.state
                && number.ends_before(byte)
            {
                self.number(user)?;
            }
            if one && self.is_complete() {
                return Ok(taken);
            }
            if let Some(c) = self.input.take(byte)? {
                self.step(user, c)?;
                self.input.advance(c);
            }
        }
        Ok(bytes.len())
    }

    pub(super) fn end(&mut self, user: &mut U) -> Outcome {
        const END: &str = "the end of the input";
        self.start(user)?;
        if self.input.is_within_character() {
            return Err(ErrorKind::Unexpected { found: END.into(), expected: "the rest of a character" });
        }
        if let State::Number(number) = self.state
            && number.is_complete()
        {
            self.number(user)?;
        }
        if self.is_complete() {
            return Ok(());
        }
        Err(ErrorKind::Unexpected { found: END.into(), expected: self.state.expected() })
    }

    fn start(&mut self, user: &mut U) -> Outcome {
        if std::mem::replace(&mut self.started, true) {
            return Ok(());
        }
        self.tell(user, Reason::Start)
    }

    pub(super) fn fail(&mut self, user: &mut U, kind: ErrorKind) -> Error {
        let at = match kind {
            ErrorKind::Rejected(_) => self.token,
            _ => self.input.position,
        };
        if let State::Name(_) = self.state {
            self.place.leave_value();
        }
        let error = Error { line: at.line, column: at.column, path: self.place.path().to_owned(), kind };
        // It has failed already: no second reason is of use.
        let _ = self.tell(user, Reason::Failed(&error));
        self.failed = Some(error.clone());
        error
    }

    pub(super) fn is_complete(&self) -> bool {
        self.state == State::Between(Next::End)
    }

    fn tell(&self, user: &mut U, reason: Reason<'_>) -> Outcome {
        let ctx = Ctx { place: &self.place, at: self.token };
        (self.callback)(user, &ctx, reason).map_err(|reject| ErrorKind::Rejected(reject.into()))
    }

    fn step(&mut self, user: &mut U, c: char) -> Outcome {
        match self.state {
            State::Between(_) if self.comment => self.comment = c != '\n',
            State::Between(next) => match c {
                ' ' | '\t' | '\r' | '\n' => {}
                '#' => self.comment = true,
                _ => self.token(user, next, c)?,
            },
            State::Name(mut quoted) => match quoted.take(c)? {
                Piece::End => {
                    self.place.end_name();
                    self.state = State::Between(Next::Colon);
                }
                piece => {
                    self.state = State::Name(quoted);
                    if let Piece::Char(c) = piece {
                        self.place.push_name(c, &self.limits)?;
                    }
                }
            },
            State::Str(mut quoted) => match quoted.take(c)? {
                Piece::End => {
                    self.tell(user, Reason::ValStrEnd(&self.text))?;
                    self.value_ended(user)?;
                }
                piece => {
                    self.state = State::Str(quoted);
                    if let Piece::Char(c) = piece {
                        self.push_str(user, c)?;
                    }
                }
            },
            State::Number(number) => {
                let number = number.take(c)?;
                self.push_number(c)?;
                self.state = State::Number(number);
            }
            State::Word(word, have) => self.word(user, word, have, c)?,
        }
        Ok(())
    }

    /// The first character of a token.
    fn token(&mut self, user: &mut U, next: Next, c: char) -> Outcome {
        if !matches!(c, ',' | ':') {
            self.token = self.input.position;
        }
        match (next, c) {
            (Next::AfterMember, ',') => self.state = State::Between(Next::AnotherName),
            (Next::AfterElement, ',') => {
                self.place.next_element();
                self.state = State::Between(Next::AnotherElement);
            }
            (Next::FirstName | Next::AfterMember, '}') => self.close(user, Reason::ObjectEnd)?,
            (Next::FirstElement | Next::AfterElement, ']') => self.close(user, Reason::ArrayEnd)?,
            (Next::FirstName | Next::AnotherName, '"') => {
                self.place.start_name(&self.limits)?;
                self.state = State::Name(Quoted::Plain);
            }
            (Next::Colon, ':') => {
                self.tell(user, Reason::PairName(self.place.name()))?;
                self.state = State::Between(Next::Value);
            }
            (Next::Document | Next::Value | Next::FirstElement | Next::AnotherElement, c) => {
                self.value(user, next, c)?
            }
            _ => return Err(ErrorKind::unexpected(c, next.expected())),
        }
        Ok(())
    }

    /// The first character of a value.
    fn value(&mut self, user: &mut U, next: Next, c: char) -> Outcome {
        match c {
            '{' => self.open(user, Container::Object, Reason::ObjectStart, Next::FirstName),
            '[' => self.open(user, Container::Array, Reason::ArrayStart, Next::FirstElement),
            '"' => {
                self.text.clear();
                self.state = State::Str(Quoted::Plain);
                self.tell(user, Reason::ValStrStart)
            }
            _ => {
                if let Some(number) = Number::start(c) {
                    self.text.clear();
                    self.state = State::Number(number);
                    return self.push_number(c);
                }
                let word = Word::start(c).ok_or_else(|| ErrorKind::unexpected(c, next.expected()))?;
                self.state = State::Word(word, 1);
                Ok(())
            }
        }
    }

    fn open(&mut self, user: &mut U, container: Container, start: Reason<'_>, next: Next) -> Outcome {
        self.place.open(container, &self.limits)?;
        self.tell(user, start)?;
        self.place.enter();
        self.state = State::Between(next);
        Ok(())
    }

    fn close(&mut self, user: &mut U, end: Reason<'_>) -> Outcome {
        self.place.leave();
        self.tell(user, end)?;
        self.place.close();
        self.value_ended(user)
    }

    fn push_str(&mut self, user: &mut U, c: char) -> Outcome {
        if self.text.len() + c.len_utf8() > self.limits.string_chunk && !self.text.is_empty() {
            self.tell(user, Reason::ValStrChunk(&self.text))?;
            self.text.clear();
        }
        self.text.push(c);
        Ok(())
    }

    fn push_number(&mut self, c: char) -> Outcome {
        if self.text.len() >= self.limits.number {
            return Err(ErrorKind::NumberTooLong { limit: self.limits.number });
        }
        self.text.push(c);
        Ok(())
    }

    /// A number has ended.
    fn number(&mut self, user: &mut U) -> Outcome {
        let is_float = self.text.contains(['.', 'e', 'E']);
        let reason = if is_float { Reason::ValNumFloat(&self.text) } else { Reason::ValNumInt(&self.text) };
        self.tell(user, reason)?;
        self.value_ended(user)
    }

    /// One more character of a word.
    fn word(&mut self, user: &mut U, word: Word, have: usize, c: char) -> Outcome {
        let mut rest = word.text().chars().skip(have);
        if rest.next() != Some(c) {
            return Err(ErrorKind::unexpected(c, word.expected()));
        }
        if rest.next().is_some() {
            self.state = State::Word(word, have + 1);
            return Ok(());
        }
        let reason = match word {
            Word::True => Reason::ValTrue,
            Word::False => Reason::ValFalse,
            Word::Null => Reason::ValNull,
        };
        self.tell(user, reason)?;
        self.value_ended(user)
    }

    fn value_ended(&mut self, user: &mut U) -> Outcome {
        self.place.leave_value();
        let next = match self.place.container() {
            Some(Container::Object) => Next::AfterMember,
            Some(Container::Array) => Next::AfterElement,
            None => Next::End,
        };
        self.state = State::Between(next);
        if next == Next::End { self.tell(user, Reason::Complete) } else { Ok(()) }
    }
}

/// What may come next, for messages.
impl State {
    fn expected(self) -> &'static str {
        match self {
            State::Between(next) => next.expected(),
            State::Name(quoted) | State::Str(quoted) => quoted.expected(),
            State::Number(number) => number.expected(),
            State::Word(word, _) => word.expected(),
        }
    }
}

impl Next {
    fn expected(self) -> &'static str {
        match self {
            Next::Document | Next::Value => "a value",
            Next::FirstName => "a name in quotes or `}`",
            Next::AnotherName => "a name in quotes after the comma",
            Next::Colon => "`:` after the name",
            Next::AfterMember => "`,` or `}`",
            Next::FirstElement => "a value or `]`",
            Next::AnotherElement => "a value after the comma",
            Next::AfterElement => "`,` or `]`",
            Next::End => "nothing more after the document",
        }
    }
}
