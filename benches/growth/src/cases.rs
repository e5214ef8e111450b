//! What is measured: an operation, against a number.
mod breaker;
mod bulkhead;
#[cfg(feature = "sqlite")]
pub mod files;
mod limits;
pub mod memory;
mod sagas;

pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// One curve.
pub struct Case {
    /// The chart that it stands in.
    #[cfg_attr(not(feature = "plot"), allow(dead_code))]
    pub chart: &'static str,
    pub name: &'static str,
    /// What it is measured at.
    pub sizes: &'static [usize],
    pub growth: Growth,
    /// Makes what there is already, counts between [`begin`](crate::mark::begin) and
    /// [`end`](crate::mark::end), and says how many operations that was.
    pub run: Run,
}

/// See [`Case::run`].
type Run = fn(usize) -> Result<usize, Error>;

impl Case {
    fn new(
        chart: &'static str,
        name: &'static str,
        sizes: &'static [usize],
        growth: Growth,
        run: Run,
    ) -> Case {
        Case {
            chart,
            name,
            sizes,
            growth,
            run,
        }
    }
}

/// What is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growth {
    /// O(1): a tenth more at sixteen times the size.
    Flat,
    /// O(log n): three tenths more.
    Log,
    /// Each of what there is costs. The document says why that is right.
    Linear,
}

/// Two points a decade.
pub const TO_1E3: &[usize] = &[10, 32, 100, 316, 1000];
pub const TO_1E4: &[usize] = &[10, 32, 100, 316, 1000, 3162, 10_000];
pub const TO_1E5: &[usize] = &[10, 32, 100, 316, 1000, 3162, 10_000, 31_623, 100_000];

pub fn all() -> Vec<Case> {
    let mut cases = breaker::cases();
    cases.extend(bulkhead::cases());
    cases.extend(limits::cases());
    cases.extend(sagas::cases());
    #[cfg(feature = "sqlite")]
    cases.extend(files::cases());
    cases
}
