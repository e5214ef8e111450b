//! The `Retry-After` header (RFC 9110, section 10.2.3): whole seconds, or an HTTP-date.
use http::{HeaderMap, header::RETRY_AFTER};
use std::time::{Duration, SystemTime};

/// How long the server wants to be left alone. A date that has passed is zero, more seconds than
/// fit are the most that do; anything that is neither seconds nor a date is no hint. Of several
/// headers the first counts.
pub(super) fn retry_after(headers: &HeaderMap, now: fn() -> SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 1994-11-06 08:49:37 GMT, the date of RFC 9110's examples.
    fn then() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777)
    }

    fn read(value: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, value.parse().unwrap());
        retry_after(&headers, then)
    }

    #[test]
    fn seconds_and_the_three_forms_of_a_date_are_read() {
        let table = [
            ("0", 0),
            ("120", 120),
            (" 7 ", 7),
            ("Sun, 06 Nov 1994 08:50:37 GMT", 60),
            ("Sunday, 06-Nov-94 08:50:37 GMT", 60),
            ("Sun Nov  6 08:50:37 1994", 60),
        ];
        for (value, secs) in table {
            assert_eq!(read(value), Some(Duration::from_secs(secs)), "{value}");
        }
    }

    #[test]
    fn a_date_that_has_passed_is_zero() {
        assert_eq!(read("Sun, 06 Nov 1994 08:49:36 GMT"), Some(Duration::ZERO));
        assert_eq!(read("Thu, 01 Jan 1970 00:00:00 GMT"), Some(Duration::ZERO));
    }

    #[test]
    fn more_seconds_than_fit_are_the_most_that_do() {
        let most = Some(Duration::from_secs(u64::MAX));
        assert_eq!(read("99999999999999999999999999"), most);
    }

    #[test]
    fn what_is_neither_is_no_hint() {
        for value in ["", "-5", "1.5", "1e3", "soon", "+1", "06 Nov 1994", "12 s"] {
            assert_eq!(read(value), None, "{value}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), then), None);
    }

    proptest! {
        #[test]
        fn no_value_makes_it_panic(value in "[ -~]{0,40}") {
            let _ = read(&value);
        }

        #[test]
        fn a_date_is_read_to_the_second(ahead in 0_u64..3_000_000_000) {
            let date = then() + Duration::from_secs(ahead);
            let read = read(&httpdate::fmt_http_date(date));
            prop_assert_eq!(read, Some(Duration::from_secs(ahead)));
        }
    }
}
