//! The log of our programs: a small [`log::Log`] that writes lws's lines to stderr.
//!
//! The library itself only uses the `log` macros and prints nothing. A program that wants its lines calls [`init`] once,
//! with lws's bitmap of levels, and gets
//!
//! ```text
//! [2026/11/23 06:22:37:1234] N: listening on 127.0.0.1:7681 (vhost localhost)
//! ```
//!
//! that is UTC, down to a tenth of a millisecond, then the level's letter. On a terminal the line has its level's colour. Where
//! stderr is systemd's journal, the line starts with a `<N>` priority instead: the journal has its own clock.
//!
//! What holds:
//! - a line is one `write`: lines of several threads or processes do not mix;
//! - control characters in a message are escaped: what a peer sent us can't forge a line, or drive the terminal;
//! - a stderr that is closed or broken loses the line and nothing else.
//!
//! Counterpart in lws: `lib/core/logs.c`.

use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal, Write as _};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use log::{Level, LevelFilter, Log, Metadata, Record};

/// lws's bitmap of levels (`enum lws_log_levels`).
pub mod bits {
    /// Errors: we are broken (`LLL_ERR`, `lwsl_err`). [`log::Level::Error`].
    pub const ERR: u32 = 1 << 0;
    /// Warnings: the operator should look (`LLL_WARN`, `lwsl_warn`). [`log::Level::Warn`].
    pub const WARN: u32 = 1 << 1;
    /// What an operator wants to see in any case, like the ports we listen on (`LLL_NOTICE`, `lwsl_notice`).
    /// [`log::Level::Info`] with the target [`super::NOTICE`].
    pub const NOTICE: u32 = 1 << 2;
    /// One line for a connection's verdict (`LLL_INFO`, `lwsl_info`). [`log::Level::Info`].
    pub const INFO: u32 = 1 << 3;
    /// The callbacks and what they answered (`LLL_DEBUG`, `lwsl_debug`). [`log::Level::Debug`].
    pub const DEBUG: u32 = 1 << 4;
    /// Bytes and inner states: `LLL_PARSER`, `LLL_HEADER`, `LLL_EXT`, `LLL_CLIENT` and `LLL_LATENCY`. Any one of these bits
    /// turns all of [`log::Level::Trace`] on: we do not tell them apart.
    pub const TRACE: u32 = 0x1f << 5;
    /// The information that user code logs (`LLL_USER`, `lwsl_user`): [`log::Level::Info`] from any target outside of `rlws`.
    pub const USER: u32 = 1 << 10;
}

/// What a program shows when it is not told otherwise: errors, warnings, notices and the user's own lines (1031).
pub const DEFAULT: u32 = bits::ERR | bits::WARN | bits::NOTICE | bits::USER;

/// The target that makes a [`log::info!`] a notice (`lwsl_notice`): `log` has no such level of its own.
///
/// ```
/// log::info!(target: rlws::logger::NOTICE, "listening on {}", "127.0.0.1:7681");
/// ```
pub const NOTICE: &str = "rlws::notice";

/// Bytes for the log, sixteen to a line: offset, hexadecimal, and what is printable (`lwsl_hexdump`).
///
/// ```
/// let lines: Vec<String> = rlws::logger::hexdump(b"hello\n").collect();
/// assert_eq!(lines, ["0000: 68 65 6C 6C 6F 0A                                  hello."]);
/// ```
pub fn hexdump(bytes: &[u8]) -> impl Iterator<Item = String> {
    bytes.chunks(16).enumerate().map(|(number, line)| {
        let hex: String = line.iter().map(|byte| format!("{byte:02X} ")).collect();
        let printable = |byte: &u8| if (b' '..=b'~').contains(byte) { char::from(*byte) } else { '.' };
        let text: String = line.iter().map(printable).collect();
        format!("{:04X}: {hex:<48}   {text}", number * 16)
    })
}

/// Makes stderr the log of this program, at the levels of `level_bits` (`lws_set_log_level`).
///
/// It may be called again to change the levels. In a program that has another logger already it changes nothing.
pub fn init(level_bits: u32) {
    static OURS: OnceLock<bool> = OnceLock::new();

    LOGGER.bits.store(level_bits, Ordering::Relaxed);
    LOGGER.form.get_or_init(Form::of_stderr);
    if *OURS.get_or_init(|| log::set_logger(&LOGGER).is_ok()) {
        log::set_max_level(max_level(level_bits));
    }
}

static LOGGER: Logger = Logger { bits: AtomicU32::new(0), form: OnceLock::new() };

struct Logger {
    bits: AtomicU32,
    form: OnceLock<Form>,
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.bits.load(Ordering::Relaxed) & Line::of(metadata).bits() != 0
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let form = self.form.get().copied().unwrap_or(Form::Plain);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let line = form.line(Line::of(record.metadata()), now, record.args());
        // Nobody is left to be told that stderr is gone.
        let _ = io::stderr().lock().write_all(line.as_bytes());
    }

    fn flush(&self) {}
}

/// What a line is, in lws's terms.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
enum Line {
    Err,
    Warn,
    Notice,
    Info,
    Debug,
    Trace,
    User,
}

impl Line {
    fn of(metadata: &Metadata<'_>) -> Line {
        let target = metadata.target();
        match metadata.level() {
            Level::Error => Line::Err,
            Level::Warn => Line::Warn,
            Level::Info if target == NOTICE => Line::Notice,
            Level::Info if target == "rlws" || target.starts_with("rlws::") => Line::Info,
            Level::Info => Line::User,
            Level::Debug => Line::Debug,
            Level::Trace => Line::Trace,
        }
    }

    /// Any of these turns it on.
    fn bits(self) -> u32 {
        match self {
            Line::Err => bits::ERR,
            Line::Warn => bits::WARN,
            Line::Notice => bits::NOTICE,
            Line::Info => bits::INFO,
            Line::Debug => bits::DEBUG,
            Line::Trace => bits::TRACE,
            Line::User => bits::USER,
        }
    }

    fn letter(self) -> char {
        match self {
            Line::Err => 'E',
            Line::Warn => 'W',
            Line::Notice => 'N',
            Line::Info => 'I',
            Line::Debug => 'D',
            Line::Trace => 'T',
            Line::User => 'U',
        }
    }

    /// The number of syslog(3), which systemd reads at the start of a line.
    fn priority(self) -> u8 {
        match self {
            Line::Err => 3,
            Line::Warn => 4,
            Line::Notice | Line::User => 5,
            Line::Info => 6,
            Line::Debug | Line::Trace => 7,
        }
    }

    /// The parameters of the terminal's SGR sequence.
    fn colour(self) -> &'static str {
        match self {
            Line::Err => "1;31",
            Line::Warn => "1;33",
            Line::Notice => "1",
            Line::Info => "32",
            Line::Debug => "34",
            Line::Trace => "2",
            Line::User => "36",
        }
    }
}

fn max_level(level_bits: u32) -> LevelFilter {
    let on = |wanted| level_bits & wanted != 0;
    if on(bits::TRACE) {
        LevelFilter::Trace
    } else if on(bits::DEBUG) {
        LevelFilter::Debug
    } else if on(bits::INFO | bits::NOTICE | bits::USER) {
        LevelFilter::Info
    } else if on(bits::WARN) {
        LevelFilter::Warn
    } else if on(bits::ERR) {
        LevelFilter::Error
    } else {
        LevelFilter::Off
    }
}

/// How lines look, by what stderr is.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
enum Form {
    Plain,
    Colour,
    Journal,
}

impl Form {
    fn of_stderr() -> Form {
        let journal = std::env::var("JOURNAL_STREAM").unwrap_or_default();
        // Children of a service inherit the variable along with a stderr that may have been redirected since.
        match rustix::fs::fstat(io::stderr()) {
            Ok(stat) if journal == format!("{}:{}", stat.st_dev, stat.st_ino) => Form::Journal,
            _ if io::stderr().is_terminal() => Form::Colour,
            _ => Form::Plain,
        }
    }

    /// The whole line with its newline, ready for one write. `since_epoch` is the time, UTC.
    fn line(self, line: Line, since_epoch: Duration, text: &fmt::Arguments<'_>) -> String {
        let mut out = String::with_capacity(128);
        // A String takes all that is written to it; what may fail is a Display of the caller's, whose line then ends there.
        let _ = match self {
            Form::Journal => write!(out, "<{}>", line.priority()),
            Form::Plain => write!(out, "[{}] {}: ", Stamp(since_epoch), line.letter()),
            Form::Colour => {
                write!(out, "[{}] \x1b[{}m{}: ", Stamp(since_epoch), line.colour(), line.letter())
            }
        };
        let _ = Escaped(&mut out).write_fmt(*text);
        if self == Form::Colour {
            out.push_str("\x1b[0m");
        }
        out.push('\n');
        out
    }
}

/// Passes text on with its control characters escaped.
struct Escaped<'a>(&'a mut String);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        for c in s.chars() {
            // Tools that know Unicode take its own line separators for ends of lines too.
            if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') {
                self.0.extend(c.escape_default());
            } else {
                self.0.push(c);
            }
        }
        Ok(())
    }
}

/// A time since the epoch, shown as UTC `YYYY/MM/DD hh:mm:ss:ffff`, where ffff counts 0.1 ms.
struct Stamp(Duration);

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (year, month, day) = civil_date(seconds / 86_400);
        let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        let fraction = self.0.subsec_micros() / 100;
        write!(f, "{year:04}/{month:02}/{day:02} {hour:02}:{minute:02}:{second:02}:{fraction:04}")
    }
}

/// The proleptic Gregorian date of a day counted from 1970-01-01. Its years start in March, so that the leap day comes last and
/// the lengths of the months follow one formula.
pub(crate) fn civil_date(days_since_epoch: u64) -> (u64, u64, u64) {
    const DAYS_PER_ERA: u64 = 146_097; // 400 years
    let days = days_since_epoch + 719_468; // from 0000-03-01
    let era = days / DAYS_PER_ERA;
    let day_of_era = days % DAYS_PER_ERA;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line_of(level: Level, target: &str) -> Line {
        Line::of(&Metadata::builder().level(level).target(target).build())
    }

    fn shown(form: Form, line: Line, text: &str) -> String {
        form.line(line, Duration::new(1_795_415_757, 123_456_789), &format_args!("{text}"))
    }

    #[test]
    fn a_line_has_the_time_and_the_letter_of_its_level() {
        assert_eq!(shown(Form::Plain, Line::Notice, "text"), "[2026/11/23 06:35:57:1234] N: text\n");
    }

    #[test]
    fn the_journal_gets_a_priority_and_no_time() {
        assert_eq!(shown(Form::Journal, Line::Err, "text"), "<3>text\n");
        assert_eq!(shown(Form::Journal, Line::Trace, "text"), "<7>text\n");
    }

    #[test]
    fn a_coloured_line_ends_its_colour() {
        assert_eq!(shown(Form::Colour, Line::Err, "text"), "[2026/11/23 06:35:57:1234] \x1b[1;31mE: text\x1b[0m\n");
    }

    #[test]
    fn control_characters_cannot_forge_a_line() {
        let evil = "a\r\n[2026/11/23 06:35:57:1234] E: forged\x1b[2J\0\u{85}\u{2028}\u{7f} é";
        let line = shown(Form::Plain, Line::Info, evil);
        assert_eq!(line.matches('\n').count(), 1);
        assert!(
            line.ends_with("I: a\\r\\n[2026/11/23 06:35:57:1234] E: forged\\u{1b}[2J\\u{0}\\u{85}\\u{2028}\\u{7f} é\n")
        );
    }

    #[test]
    fn a_failing_display_only_ends_its_own_line() {
        struct Broken;
        impl fmt::Display for Broken {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("half")?;
                Err(fmt::Error)
            }
        }
        let line = Form::Plain.line(Line::Warn, Duration::ZERO, &format_args!("one {Broken} two"));
        assert_eq!(line, "[1970/01/01 00:00:00:0000] W: one half\n");
    }

    #[test]
    fn levels_and_targets_are_the_levels_of_lws() {
        assert_eq!(line_of(Level::Error, "rlws::context"), Line::Err);
        assert_eq!(line_of(Level::Warn, "elsewhere"), Line::Warn);
        assert_eq!(line_of(Level::Info, NOTICE), Line::Notice);
        assert_eq!(line_of(Level::Info, "rlws"), Line::Info);
        assert_eq!(line_of(Level::Info, "rlws::anywhere::inside"), Line::Info);
        assert_eq!(line_of(Level::Info, "rlwsx"), Line::User);
        assert_eq!(line_of(Level::Info, "minimal_http_server"), Line::User);
        assert_eq!(line_of(Level::Debug, "elsewhere"), Line::Debug);
        assert_eq!(line_of(Level::Trace, "rlws"), Line::Trace);
    }

    #[test]
    fn the_bits_let_through_what_they_name_and_no_more() {
        let all = [Line::Err, Line::Warn, Line::Notice, Line::Info, Line::Debug, Line::Trace, Line::User];
        let on = |wanted: u32| all.iter().filter(|line| line.bits() & wanted != 0).count();
        assert_eq!((on(0), on(bits::ERR), on(DEFAULT), on(0x7ff)), (0, 1, 4, 7));
        for one_of_trace in [32, 64, 128, 256, 512] {
            assert_eq!(one_of_trace & Line::Trace.bits(), one_of_trace);
        }
        assert_eq!(DEFAULT, 1031);
    }

    #[test]
    fn the_most_talkative_bit_sets_the_limit_of_the_log_crate() {
        assert_eq!(max_level(0), LevelFilter::Off);
        assert_eq!(max_level(bits::ERR), LevelFilter::Error);
        assert_eq!(max_level(bits::ERR | bits::WARN), LevelFilter::Warn);
        assert_eq!(max_level(bits::NOTICE), LevelFilter::Info);
        assert_eq!(max_level(bits::USER), LevelFilter::Info);
        assert_eq!(max_level(bits::DEBUG | bits::ERR), LevelFilter::Debug);
        assert_eq!(max_level(512), LevelFilter::Trace);
    }

    #[test]
    fn dates_are_right_around_leap_days_and_centuries() {
        for (days, date) in [
            (0, (1970, 1, 1)),
            (58, (1970, 2, 28)),
            (59, (1970, 3, 1)),
            (789, (1972, 2, 29)),
            (11_016, (2000, 2, 29)),
            (11_017, (2000, 3, 1)),
            (11_322, (2000, 12, 31)),
            (11_323, (2001, 1, 1)),
            (20_780, (2026, 11, 23)),
            (47_540, (2100, 2, 28)),
            (47_541, (2100, 3, 1)),
        ] {
            assert_eq!(civil_date(days), date, "day {days}");
        }
    }
}
