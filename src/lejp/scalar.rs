//! The inside of strings and numbers, a character at a time (RFC 8259 6 and 7).

use super::error::ErrorKind;

/// A string after its opening quote: where in an escape it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quoted {
    /// In none.
    Plain,
    /// After a backslash.
    Escape,
    /// After `\u` and some of its digits: how many are missing, what those so far are, and the high surrogate before.
    Hex { missing: u8, unit: u16, high: Option<u16> },
    /// After a high surrogate.
    LowBackslash { high: u16 },
    /// After a high surrogate and a backslash.
    LowU { high: u16 },
}

/// What a character does to a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece {
    /// An escape goes on.
    None,
    /// The string has one more character.
    Char(char),
    /// It was the closing quote.
    End,
}

impl Quoted {
    pub(super) fn take(&mut self, c: char) -> Result<Piece, ErrorKind> {
        let unexpected = |expected| Err(ErrorKind::unexpected(c, expected));
        let plain = |state: &mut Quoted, c| {
            *state = Quoted::Plain;
            Ok(Piece::Char(c))
        };
        match *self {
            Quoted::Plain => match c {
                '"' => Ok(Piece::End),
                '\\' => self.go(Quoted::Escape),
                '\0'..='\x1f' => unexpected(self.expected()),
                c => Ok(Piece::Char(c)),
            },
            Quoted::Escape => match c {
                '"' | '\\' | '/' => plain(self, c),
                'b' => plain(self, '\x08'),
                'f' => plain(self, '\x0c'),
                'n' => plain(self, '\n'),
                'r' => plain(self, '\r'),
                't' => plain(self, '\t'),
                'u' => self.go(Quoted::Hex { missing: 4, unit: 0, high: None }),
                _ => unexpected(self.expected()),
            },
            Quoted::Hex { missing, unit, high } => {
                let Some(digit) = c.to_digit(16).and_then(|digit| u16::try_from(digit).ok()) else {
                    return unexpected(self.expected());
                };
                let unit = unit << 4 | digit;
                match missing {
                    1 => self.unit(high, unit),
                    _ => self.go(Quoted::Hex { missing: missing - 1, unit, high }),
                }
            }
            Quoted::LowBackslash { high } if c == '\\' => self.go(Quoted::LowU { high }),
            Quoted::LowU { high } if c == 'u' => self.go(Quoted::Hex { missing: 4, unit: 0, high: Some(high) }),
            Quoted::LowBackslash { .. } | Quoted::LowU { .. } => unexpected(self.expected()),
        }
    }

    /// All four digits of a `\u` are there.
    fn unit(&mut self, high: Option<u16>, unit: u16) -> Result<Piece, ErrorKind> {
        let mut decoded = char::decode_utf16(high.into_iter().chain([unit]));
        match (high, decoded.next()) {
            (_, Some(Ok(c))) => {
                *self = Quoted::Plain;
                Ok(Piece::Char(c))
            }
            (None, _) if (0xd800..0xdc00).contains(&unit) => self.go(Quoted::LowBackslash { high: unit }),
            (None, _) => Err(alone(unit, "a high surrogate (`\\ud800` to `\\udbff`) before it")),
            (Some(_), _) => Err(alone(unit, LOW_SURROGATE)),
        }
    }

    fn go(&mut self, to: Quoted) -> Result<Piece, ErrorKind> {
        *self = to;
        Ok(Piece::None)
    }

    /// What may come next, for messages.
    pub(super) fn expected(self) -> &'static str {
        match self {
            Quoted::Plain => "a closing `\"` (line ends and tabs are `\\n`, `\\r`, `\\t` in a string)",
            Quoted::Escape => "one of `\"\\/bfnrtu` after the backslash",
            Quoted::Hex { .. } => "four hex digits after `\\u`",
            Quoted::LowBackslash { .. } | Quoted::LowU { .. } => LOW_SURROGATE,
        }
    }
}

const LOW_SURROGATE: &str = "a low surrogate (`\\udc00` to `\\udfff`) after the high one";

fn alone(unit: u16, expected: &'static str) -> ErrorKind {
    ErrorKind::Unexpected { found: format!("`\\u{unit:04x}`"), expected }
}

/// A number: what its last character was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    Minus,
    /// A 0 in front.
    Zero,
    Int,
    Point,
    Fraction,
    Exponent,
    ExponentSign,
    ExponentDigit,
}

impl Number {
    /// The number that starts with this character.
    pub(super) fn start(c: char) -> Option<Number> {
        match c {
            '-' => Some(Number::Minus),
            '0' => Some(Number::Zero),
            '1'..='9' => Some(Number::Int),
            _ => None,
        }
    }

    /// Whether it is complete, and this byte neither a part of it nor a mistake in it.
    pub(super) fn ends_before(self, byte: u8) -> bool {
        let is_after_zero = self == Number::Zero && byte.is_ascii_digit();
        self.is_complete() && self.next(char::from(byte)).is_none() && !is_after_zero
    }

    /// The number with one more character.
    pub(super) fn take(self, c: char) -> Result<Number, ErrorKind> {
        self.next(c).ok_or_else(|| ErrorKind::unexpected(c, self.expected()))
    }

    fn next(self, c: char) -> Option<Number> {
        match (self, c) {
            (Number::Minus, _) => Number::start(c).filter(|&next| next != Number::Minus),
            (Number::Int, '0'..='9') => Some(Number::Int),
            (Number::Zero | Number::Int, '.') => Some(Number::Point),
            (Number::Point | Number::Fraction, '0'..='9') => Some(Number::Fraction),
            (Number::Zero | Number::Int | Number::Fraction, 'e' | 'E') => Some(Number::Exponent),
            (Number::Exponent, '+' | '-') => Some(Number::ExponentSign),
            (Number::Exponent | Number::ExponentSign | Number::ExponentDigit, '0'..='9') => Some(Number::ExponentDigit),
            _ => None,
        }
    }

    pub(super) fn is_complete(self) -> bool {
        matches!(self, Number::Zero | Number::Int | Number::Fraction | Number::ExponentDigit)
    }

    /// What must come next, for messages.
    pub(super) fn expected(self) -> &'static str {
        match self {
            Number::Zero => "no digit after a leading 0",
            Number::Point => "a digit after the decimal point",
            Number::Exponent => "a digit or a sign in the exponent",
            Number::ExponentSign => "a digit in the exponent",
            _ => "a digit",
        }
    }
}

/// `true`, `false` or `null`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    True,
    False,
    Null,
}

impl Word {
    /// The word that starts with this character.
    pub(super) fn start(c: char) -> Option<Word> {
        match c {
            't' => Some(Word::True),
            'f' => Some(Word::False),
            'n' => Some(Word::Null),
            _ => None,
        }
    }

    pub(super) fn text(self) -> &'static str {
        match self {
            Word::True => "true",
            Word::False => "false",
            Word::Null => "null",
        }
    }

    pub(super) fn expected(self) -> &'static str {
        match self {
            Word::True => "`true`",
            Word::False => "`false`",
            Word::Null => "`null`",
        }
    }
}
