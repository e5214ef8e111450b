//! Text for terminals.
use std::fmt::{self, Write as _};

/// UTC milliseconds as a date and a time.
pub(in crate::saga) struct Utc(pub(in crate::saga) i64);

const DAY: i64 = 86_400_000;

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date(self.0.div_euclid(DAY));
        write!(f, "{year:04}-{month:02}-{day:02} ")?;
        time(f, self.0)
    }
}

/// A time to come: without the date where that is today's.
pub(super) struct Until {
    pub(super) at: i64,
    pub(super) now: i64,
}

impl fmt::Display for Until {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at.div_euclid(DAY) == self.now.div_euclid(DAY) {
            true => time(f, self.at)?,
            false => Utc(self.at).fmt(f)?,
        }
        f.write_str(" UTC")
    }
}

fn time(f: &mut fmt::Formatter<'_>, ms: i64) -> fmt::Result {
    let ms = ms.rem_euclid(DAY);
    let (h, m, s) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    write!(f, "{h:02}:{m:02}:{s:02}.{:03}", ms % 1000)
}

/// Year, month and day of a day counted from 1970-01-01, in the proleptic Gregorian calendar: years
/// are counted from March, so that the day a leap year adds is its last (H. Hinnant,
/// *chrono-Compatible Low-Level Date Algorithms*, `civil_from_days`).
fn date(days: i64) -> (i64, i64, i64) {
    // No journal has a year beyond these; the sums below cannot overflow.
    let days = days.clamp(-100_000_000, 100_000_000) + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// Text from elsewhere, on one line and without a hold on the terminal.
pub(in crate::saga) struct Plain<'a>(pub(in crate::saga) &'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c.is_control() {
                true => write!(f, "{}", c.escape_default())?,
                false => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_days_have_their_dates() {
        for (ms, text) in [
            (0, "1970-01-01 00:00:00.000"),
            (-1, "1969-12-31 23:59:59.999"),
            (951_782_400_000, "2000-02-29 00:00:00.000"),
            (4_107_542_399_999, "2100-02-28 23:59:59.999"),
            (4_107_542_400_000, "2100-03-01 00:00:00.000"),
            (1_700_000_000_004, "2023-11-14 22:13:20.004"),
        ] {
            assert_eq!(Utc(ms).to_string(), text);
        }
        // Whatever is in a journal, it can be shown.
        let _ = (Utc(i64::MIN).to_string(), Utc(i64::MAX).to_string());
    }

    proptest! {
        /// A day later is the next day of the month, or the first of the next month.
        #[test]
        fn dates_follow_one_another(day in -1_000_000_i64..1_000_000) {
            let ((y, m, d), next) = (date(day), date(day + 1));
            let leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
            let days = [31, 28 + i64::from(leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
            let most = days[usize::try_from(m - 1).unwrap()];
            let expected = match (d < most, m < 12) {
                (true, _) => (y, m, d + 1),
                (false, true) => (y, m + 1, 1),
                (false, false) => (y + 1, 1, 1),
            };
            prop_assert_eq!(next, expected);
        }
    }

    #[test]
    fn text_from_elsewhere_stays_on_its_line_and_leaves_the_terminal_alone() {
        let text = Plain("a\nb\u{1b}[31mc\t\u{9b}dé").to_string();
        assert_eq!(text, "a\\nb\\u{1b}[31mc\\t\\u{9b}dé");
    }
}
