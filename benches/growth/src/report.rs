//! All cases, drawn and listed: `docs/growth/*.svg`, and the tables of `docs/growth.md`.
use crate::callgrind;
use crate::cases::{Case, Error, Growth, all, memory};
use crate::chart::{Curve, draw};
use std::fmt::Write as _;
use std::path::PathBuf;

/// Each chart: its file and its title.
const CHARTS: [(&str, &str); 7] = [
    ("breaker", "Circuit breaker"),
    ("line", "Calls in line"),
    ("retry", "Retry and hedge"),
    ("sagas", "Sagas in the memory store"),
    ("journal", "One saga, by what it has behind it"),
    ("files", "Sagas in an SQLite file"),
    ("keys", "Idempotency keys"),
];

const INSTRUCTIONS: &str = "instructions";
const BEGIN: &str = "<!-- measured: begin -->";
const END: &str = "<!-- measured: end -->";

pub fn write() -> Result<(), Error> {
    let folder = tempfile::tempdir()?;
    let docs = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    std::fs::create_dir_all(docs.join("growth"))?;
    let cases = all();
    prepare(&folder, &cases)?;
    let mut tables = String::new();
    for (file, title) in CHARTS {
        let mut curves = Vec::new();
        writeln!(
            tables,
            "### {title}\n\n![{title}: {INSTRUCTIONS} by n](growth/{file}.svg)\n"
        )?;
        writeln!(
            tables,
            "| {INSTRUCTIONS} of | n | | | allowed |\n|---|---|---|---|---|"
        )?;
        for case in cases.iter().filter(|case| case.chart == file) {
            let counts = callgrind::instructions(&[(case, case.sizes)], folder.path())?;
            let counts = counts.into_iter().next().ok_or("no counts")?;
            eprintln!("{}: {counts:.0?}", case.name);
            row(
                &mut tables,
                case.name,
                case.sizes,
                &counts,
                allowed(case.growth),
            )?;
            curves.push(curve(case.name, case.sizes, counts));
        }
        tables.push('\n');
        draw(
            &docs.join(format!("growth/{file}.svg")),
            title,
            INSTRUCTIONS,
            &curves,
        )?;
    }
    let title = "Memory";
    let mut curves = Vec::new();
    writeln!(
        tables,
        "### {title}\n\n![{title}: bytes by n](growth/memory.svg)\n"
    )?;
    writeln!(
        tables,
        "| bytes of | n | | | allowed |\n|---|---|---|---|---|"
    )?;
    for footprint in memory::all() {
        let bytes = footprint.sizes.iter().map(|n| (footprint.run)(*n));
        let bytes = bytes.collect::<Result<Vec<_>, _>>()?;
        row(
            &mut tables,
            footprint.name,
            footprint.sizes,
            &bytes,
            "O(1) each",
        )?;
        curves.push(curve(footprint.name, footprint.sizes, bytes));
    }
    draw(&docs.join("growth/memory.svg"), title, "bytes", &curves)?;
    insert(&docs.join("growth.md"), &tables)
}

#[cfg(feature = "sqlite")]
fn prepare(folder: &tempfile::TempDir, cases: &[Case]) -> Result<(), Error> {
    use crate::cases::files;
    let sizes = cases
        .iter()
        .filter(|case| case.chart == "files")
        .map(|case| case.sizes);
    files::prepare(
        folder.path(),
        sizes.max_by_key(|sizes| sizes.len()).unwrap_or_default(),
    )?;
    // SAFETY: no other thread has been started that reads it.
    unsafe { std::env::set_var(files::FILES, folder.path()) };
    Ok(())
}

#[cfg(not(feature = "sqlite"))]
fn prepare(_: &tempfile::TempDir, _: &[Case]) -> Result<(), Error> {
    Ok(())
}

fn allowed(growth: Growth) -> &'static str {
    match growth {
        Growth::Flat => "O(1)",
        Growth::Log => "O(log n)",
        Growth::Linear => "O(n), see above",
    }
}

fn curve(name: &str, sizes: &[usize], values: Vec<f64>) -> Curve {
    Curve {
        name: name.to_owned(),
        points: sizes.iter().map(|n| *n as f64).zip(values).collect(),
    }
}

/// The first, the middle and the last point.
fn row(
    into: &mut String,
    name: &str,
    sizes: &[usize],
    values: &[f64],
    allowed: &str,
) -> Result<(), Error> {
    write!(into, "| {name} |")?;
    let last = sizes.len() - 1;
    for at in [0, last / 2, last] {
        write!(
            into,
            " {}: {} |",
            grouped(sizes[at] as f64),
            grouped(values[at])
        )?;
    }
    writeln!(into, " {allowed} |")?;
    Ok(())
}

fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Puts the tables between the two marks.
fn insert(document: &std::path::Path, tables: &str) -> Result<(), Error> {
    let text = std::fs::read_to_string(document)?;
    let (before, rest) = text.split_once(BEGIN).ok_or("docs/growth.md has no mark")?;
    let (_, after) = rest
        .split_once(END)
        .ok_or("docs/growth.md has no end mark")?;
    std::fs::write(document, format!("{before}{BEGIN}\n{tables}\n{END}{after}"))?;
    Ok(())
}
