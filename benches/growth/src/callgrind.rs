//! This program, run again under callgrind.
use crate::cases::{Case, Error};
use std::path::Path;
use std::process::Command;

/// Instructions of one operation of each case, at each of its sizes.
pub fn instructions(cases: &[(&Case, &[usize])], folder: &Path) -> Result<Vec<Vec<f64>>, Error> {
    let out = folder.join("counts");
    let mut valgrind = Command::new("valgrind");
    valgrind
        .args(["--tool=callgrind", "-q", "--dump-line=no"])
        .args(["--zero-before=*mark::begin*", "--dump-before=*mark::end*"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(std::env::current_exe()?)
        .arg("run");
    for (case, sizes) in cases {
        let sizes: Vec<_> = sizes.iter().map(usize::to_string).collect();
        valgrind.arg(case.name).arg(sizes.join(","));
    }
    let run = valgrind
        .output()
        .map_err(|e| format!("valgrind cannot be started ({e}); install it"))?;
    let said = String::from_utf8(run.stdout)?;
    if !run.status.success() {
        let trouble = String::from_utf8_lossy(&run.stderr);
        return Err(format!("under valgrind: {}\n{said}{trouble}", run.status).into());
    }
    // A line for each count: the operations in it.
    let mut ops = said.lines();
    let mut dumps = 1..;
    let mut each = |_: &usize| -> Result<f64, Error> {
        let ops: f64 = ops.next().ok_or("a count is missing")?.parse()?;
        let dump = folder.join(format!("counts.{}", dumps.next().unwrap_or(0)));
        let instructions = total(&dump)? / ops;
        std::fs::remove_file(dump)?;
        Ok(instructions)
    };
    cases
        .iter()
        .map(|(_, sizes)| sizes.iter().map(&mut each).collect())
        .collect()
}

fn total(dump: &Path) -> Result<f64, Error> {
    let text = std::fs::read_to_string(dump)?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
    let total = total.ok_or_else(|| format!("no total in {}", dump.display()))?;
    Ok(total.trim().parse()?)
}
