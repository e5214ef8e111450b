//! What was measured, as markdown.
use crate::groups::*;
use crate::idle::Idle;
use crate::measure::{CALLS, ROUNDS, Row};
use crate::targets::Target;
use std::fmt::Write;

/// All groups, a table each.
pub fn calls(rows: &[Row]) -> String {
    let mut text = format!(
        "Of {ROUNDS} rounds of {CALLS} calls, all cases in turn in one process: the best, and the \
         median in brackets. Where two threads call at once, what each of them sees: the median, and \
         the least and the most in brackets. *Times ours* is against the first row; *allocations* \
         are those of one call; *bytes* is the size of the future of one call.\n"
    );
    for group in rows.chunk_by(|a, b| a.case.group == b.case.group) {
        let Some(first) = group.first() else { continue };
        let Group { title, about } = first.case.group;
        _ = write!(
            text,
            "\n**{}**. {about}\n\n| | ns | times ours | allocations | bytes |\n|---|---|---|---|---|\n",
            capital(title)
        );
        for row in group {
            text += &line(row, first);
        }
    }
    text
}

fn capital(title: &str) -> String {
    let (first, rest) = title.split_at(1);
    first.to_uppercase() + rest
}

fn line(row: &Row, first: &Row) -> String {
    let (ns, times) = (row.ns(), row.ns() / first.ns());
    let spread = if row.contends() {
        format!("{:.0}..{:.0}", row.best(), row.worst())
    } else {
        format!("{:.1}", row.median())
    };
    let (who, bytes, allocations) = (row.case.who, row.case.bytes, row.allocations);
    format!("| {who} | {ns:.1} ({spread}) | {times:.2} | {allocations:.0} | {bytes} |\n")
}

pub fn targets(targets: &[Target]) -> String {
    let met = targets.iter().filter(|t| t.met).count();
    let mut text = format!(
        "{met} of {} are met in this run.\n\n| target | measured | |\n|---|---|---|\n",
        targets.len()
    );
    for Target {
        says,
        measured,
        met,
    } in targets
    {
        let met = if *met { "met" } else { "**missed**" };
        _ = writeln!(text, "| {says} | {measured} | {met} |");
    }
    text
}

pub fn idle(all: &[Idle]) -> String {
    let mut text = String::from("| | | handle | on the heap | together |\n|---|---|---|---|---|\n");
    for Idle {
        what,
        who,
        handle,
        heap,
    } in all
    {
        let sum = *handle as i64 + heap;
        _ = writeln!(text, "| {what} | {who} | {handle} | {heap} | {sum} |");
    }
    text
}

/// The few rows that the README shows.
pub fn short(rows: &[Row]) -> String {
    let shown = [
        &TIMEOUT,
        &RETRY,
        &CONSECUTIVE,
        &COUNT_WINDOW,
        &BULKHEAD,
        &RATE_LIMIT,
        &OPEN,
        &FULL,
        &FIVE,
        &TWO_FIVE,
    ];
    let mut text = String::from("| | Seawall | others |\n|---|---|---|\n");
    for group in shown {
        let mut of = rows.iter().filter(|row| row.case.group == group);
        let Some(ours) = of.next() else { continue };
        let others: Vec<String> = of
            .filter(|row| !row.case.who.starts_with("seawall"))
            .map(|row| {
                let (who, ns) = (row.case.who, row.ns());
                match row.allocations {
                    0.0 => format!("{who} {ns:.1}"),
                    n => format!("{who} {ns:.0} ({n:.0} allocations)"),
                }
            })
            .collect();
        let (title, ns) = (group.title, ours.ns());
        _ = writeln!(text, "| {title} | {ns:.1} | {} |", others.join("; "));
    }
    text
}
