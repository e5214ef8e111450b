use crate::clock;
use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// What tells the time that goes into a file: the system's wall clock, or a test's own.
#[derive(Clone)]
pub(super) struct Wall(Option<Arc<dyn Fn() -> SystemTime + Send + Sync>>);

impl Wall {
    /// The system's.
    pub(super) const SYSTEM: Wall = Wall(None);

    pub(super) fn of(tell: impl Fn() -> SystemTime + Send + Sync + 'static) -> Wall {
        Wall(Some(Arc::new(tell)))
    }

    /// UTC milliseconds.
    pub(super) fn now_ms(&self) -> i64 {
        ms(match &self.0 {
            None => clock::wall(),
            Some(tell) => tell(),
        })
    }
}

impl fmt::Debug for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_none() { "system" } else { "given" })
    }
}

/// UTC milliseconds, negative before 1970; what does not fit is the nearest that does.
pub(super) fn ms(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => span_ms(after),
        Err(before) => -span_ms(before.duration()),
    }
}

/// Whole milliseconds, [`i64::MAX`] for more than fit.
pub(super) fn span_ms(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_utc_milliseconds_on_both_sides_of_1970() {
        let second = Duration::from_secs(1);
        assert_eq!(ms(UNIX_EPOCH), 0);
        assert_eq!(ms(UNIX_EPOCH + second), 1_000);
        assert_eq!(ms(UNIX_EPOCH - second), -1_000);
        assert_eq!(span_ms(Duration::MAX), i64::MAX);
        assert_eq!(Wall::of(move || UNIX_EPOCH + second).now_ms(), 1_000);
    }
}
