//! Bytes, by a counting allocator: what there is of each thing, divided by how many there are.
use super::{Error, TO_1E4, TO_1E5, bulkhead, limits, sagas};
use crate::live;

/// One curve of the chart of memory.
pub struct Footprint {
    pub name: &'static str,
    pub sizes: &'static [usize],
    /// Bytes of one.
    pub run: fn(usize) -> Result<f64, Error>,
}

pub fn all() -> Vec<Footprint> {
    let of = |name, sizes, run| Footprint { name, sizes, run };
    vec![
        of("a call in a bulkhead's line of n", TO_1E5, |n| {
            each(n, || bulkhead::line(n))
        }),
        of("one of n calls that a rate limit delays", TO_1E5, |n| {
            let runtime = limits::runtime()?;
            let _in = runtime.enter();
            each(n, || limits::delayed(n))
        }),
        of("one of n sagas in a step", TO_1E4, |n| {
            let desk = sagas::Desk::new()?;
            each(n, || desk.hang(n))
        }),
        of("one of n sagas that wait for a signal", TO_1E4, |n| {
            let desk = sagas::Desk::new()?;
            each(n, || desk.wait(n))
        }),
        of("one of n steps of a saga in memory", TO_1E4, |n| {
            let desk = sagas::Desk::new()?;
            each(n, || desk.steps_then_hang(n))
        }),
    ]
}

fn each<T>(n: usize, make: impl FnOnce() -> Result<T, Error>) -> Result<f64, Error> {
    let before = live::bytes();
    let made = make()?;
    let bytes = live::bytes() - before;
    drop(made);
    Ok(bytes as f64 / n as f64)
}
