//! The line in front of a bulkhead.
use super::{Case, Error, Growth, TO_1E5};
use crate::mark;
use crate::poll::{Call, Gate, waits};
use seawall::Bulkhead;

const OPS: usize = 256;

pub fn cases() -> Vec<Case> {
    let case = |name, growth, run| Case::new("line", name, TO_1E5, growth, run);
    use Growth::{Flat, Log};
    vec![
        // Some of them pay for a larger room, in which the line moves.
        case("bulkhead: a call joins a line of n", Log, |n| {
            let (bulkhead, _holder, _line) = line(n)?;
            let mut calls: Vec<Call> = (0..OPS).map(|_| held(&bulkhead)).collect();
            mark::begin();
            for call in &mut calls {
                assert!(waits(call));
            }
            mark::end();
            Ok(OPS)
        }),
        case(
            "bulkhead: a call in the middle of a line of n goes away",
            Flat,
            |n| {
                let (_bulkhead, _holder, mut line) = line(n + 2 * OPS)?;
                let mut calls: Vec<Call> = line.drain(n / 2..n / 2 + OPS).collect();
                mark::begin();
                calls.clear();
                mark::end();
                Ok(OPS)
            },
        ),
        case(
            "bulkhead: a permit is handed to the first of a line of n",
            Flat,
            |n| {
                let (_bulkhead, mut holder, line) = line(n + OPS)?;
                let mut line = line.into_iter();
                mark::begin();
                for mut next in line.by_ref().take(OPS) {
                    drop(std::mem::replace(&mut holder, Box::pin(async {})));
                    assert!(waits(&mut next));
                    holder = next;
                }
                mark::end();
                Ok(OPS)
            },
        ),
    ]
}

/// A call that never ends by itself.
fn held(bulkhead: &Bulkhead) -> Call {
    let bulkhead = bulkhead.clone();
    Box::pin(async move {
        let _ = bulkhead.run(|| Gate::default().pass()).await;
    })
}

/// A bulkhead of one, whoever holds its permit, and so many in line.
pub fn line(n: usize) -> Result<(Bulkhead, Call, Vec<Call>), Error> {
    let bulkhead = Bulkhead::new(1).queue((n + 2 * OPS) as u32).build()?;
    let mut holder = held(&bulkhead);
    assert!(waits(&mut holder));
    let mut line = Vec::with_capacity(n);
    for _ in 0..n {
        let mut call = held(&bulkhead);
        assert!(waits(&mut call));
        line.push(call);
    }
    assert_eq!(bulkhead.queued() as usize, n);
    Ok((bulkhead, holder, line))
}
