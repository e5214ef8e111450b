//! What we have set ourselves, and whether a run shows it.
use crate::cases::LENGTHS_OF;
use crate::groups::*;
use crate::measure::Row;

/// A sentence, what was measured, and whether it holds.
pub struct Target {
    pub says: String,
    pub measured: String,
    pub met: bool,
}

/// The policies that are compared one by one.
const SINGLE: [&Group; 8] = [
    &TIMEOUT,
    &RETRY,
    &CONSECUTIVE,
    &COUNT_WINDOW,
    &TIME_WINDOW,
    &BULKHEAD,
    &RATE_LIMIT,
    &RATE_LIMIT_COUNTER,
];

/// All of them, in the order in which they were set. `None` if a case was not measured.
pub fn targets(rows: &[Row]) -> Option<Vec<Target>> {
    let mut all = stack(rows)?;
    for group in SINGLE {
        all.push(single(rows, group)?);
    }
    all.extend(threads(rows)?);
    all.extend(refusals(rows)?);
    all.extend(windows(rows)?);
    all.extend(lengths(rows)?);
    Some(all)
}

fn target(says: impl Into<String>, measured: String, met: bool) -> Target {
    Target {
        says: says.into(),
        measured,
        met,
    }
}

fn of<'a>(rows: &'a [Row], group: &Group) -> impl Iterator<Item = &'a Row> {
    rows.iter().filter(move |row| row.case.group == group)
}

/// The first of a group is ours, through `run`.
fn ours<'a>(rows: &'a [Row], group: &Group) -> Option<&'a Row> {
    of(rows, group).next()
}

fn named<'a>(rows: &'a [Row], group: &Group, who: &str) -> Option<&'a Row> {
    of(rows, group).find(|row| row.case.who.starts_with(who))
}

fn clock(rows: &[Row]) -> Option<f64> {
    Some(named(rows, &NOTHING, "one clock reading")?.ns())
}

fn stack(rows: &[Row]) -> Option<Vec<Target>> {
    let five = ours(rows, &FIVE)?;
    let times = |who: &str, at_least: f64, whose: &str| {
        let times = named(rows, &FIVE, who)?.ns() / five.ns();
        Some(target(
            format!("The stack of five is at least {at_least} times as fast as {whose}."),
            format!("{times:.1} times"),
            times >= at_least,
        ))
    };
    Some(vec![
        times("tower-resilience", 13.0, "tower-resilience's")?,
        times("by hand", 2.5, "the one made by hand")?,
        target(
            "The stack of five allocates nothing.",
            format!("{} allocations a call", five.allocations),
            five.allocations == 0.0,
        ),
        target(
            "The future of a call through five is at most 300 bytes.",
            format!("{} bytes", five.case.bytes),
            five.case.bytes <= 300,
        ),
    ])
}

/// The fastest of its group, or within a fifth of the fastest peer that does the same.
fn single(rows: &[Row], group: &Group) -> Option<Target> {
    let ours = ours(rows, group)?;
    let rival = of(rows, group)
        .filter(|row| row.case.same && !row.case.who.starts_with("seawall"))
        .min_by(|a, b| a.ns().total_cmp(&b.ns()))?;
    let ratio = ours.ns() / rival.ns();
    Some(target(
        format!(
            "{}: the fastest, or within 20 % of the fastest peer that does the same.",
            group.title
        ),
        format!(
            "{:.1} ns; {}: {:.1} ns; {ratio:.2} of it",
            ours.ns(),
            rival.case.who,
            rival.ns()
        ),
        ratio <= 1.2,
    ))
}

fn at_most(says: &str, row: &Row, most: f64) -> Target {
    let measured = format!("{:.1} ns; {most:.1} allowed", row.ns());
    target(says, measured, row.ns() <= most)
}

fn threads(rows: &[Row]) -> Option<Vec<Target>> {
    let five = ours(rows, &TWO_FIVE)?;
    let says = "Two threads on one stack of five: at most 150 ns a call.";
    Some(vec![at_most(says, five, 150.0)])
}

fn refusals(rows: &[Row]) -> Option<Vec<Target>> {
    let reading = clock(rows)?;
    let open = "An open breaker refuses in at most one clock reading and 15 ns";
    let full = "A full bulkhead refuses in at most 5 ns";
    Some(vec![
        at_most(&format!("{open}."), ours(rows, &OPEN)?, reading + 15.0),
        at_most(
            &format!("{open}, two threads at once."),
            ours(rows, &TWO_OPEN)?,
            reading + 15.0,
        ),
        at_most(&format!("{full}."), ours(rows, &FULL)?, 5.0),
        at_most(
            &format!("{full}, two threads at once."),
            ours(rows, &TWO_FULL)?,
            5.0,
        ),
    ])
}

fn windows(rows: &[Row]) -> Option<Vec<Target>> {
    let (reading, count) = (clock(rows)?, ours(rows, &COUNT_WINDOW)?.ns());
    let dearer = |what: &str, group| {
        let says = format!("{what} costs at most one clock reading more than a count window.");
        Some(at_most(&says, ours(rows, group)?, count + reading))
    };
    let full = ours(rows, &CONTENTS)?.ns();
    let empty = named(rows, &CONTENTS, "seawall, at most")?.ns();
    Some(vec![
        dearer("A time window", &TIME_WINDOW)?,
        dearer("Watching for slow calls", &SLOW_CALLS)?,
        target(
            "What a time window holds does not matter: within 10 %.",
            format!("{full:.1} ns full, {empty:.1} ns nearly empty"),
            full <= empty * 1.1,
        ),
    ])
}

/// By the price of one more policy: up to 8, and from there to 12, as it is up to 5.
fn lengths(rows: &[Row]) -> Option<Vec<Target>> {
    let mut all = Vec::new();
    for (group, surface) in [(&LENGTHS, "run"), (&LENGTHS_LAYER, "Layer")] {
        let ns = |length: usize| {
            let (_, who) = LENGTHS_OF.iter().find(|(l, _)| *l == length)?;
            Some(named(rows, group, who).filter(|r| r.case.who == *who)?.ns())
        };
        let each = |from: usize, to: usize| Some((ns(to)? - ns(from)?) / (to - from) as f64);
        // Two, since a pipeline of one has parts that are never looked at again.
        let (first, next, last) = (each(2, 5)?, each(5, 8)?, each(8, 12)?);
        all.push(target(
            format!(
                "A pipeline of 8 is linear ({surface}): each policy up to 8, and to 12, costs at \
                 most 15 % more than those up to 5."
            ),
            format!("{first:.1} ns each from 2 to 5, {next:.1} to 8, {last:.1} to 12"),
            next <= first * 1.15 && last <= first * 1.15,
        ));
    }
    Some(all)
}
