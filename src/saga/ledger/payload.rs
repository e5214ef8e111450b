//! Which payloads are the same call.
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// How deep values are compared: as deep as serde_json reads.
const DEEPEST: usize = 128;

/// Byte by byte, or else as values.
pub(super) fn same(kept: &str, given: &str) -> bool {
    alike(kept, given, DEEPEST)
}

/// Not through `serde_json::Value`: it makes a float of a number beyond 64 bits, and so one of many.
fn alike(kept: &str, given: &str, deepest: usize) -> bool {
    if kept == given {
        return true;
    }
    let Some(deeper) = deepest.checked_sub(1) else {
        return false;
    };
    let both = |a: &RawValue, b: &RawValue| alike(a.get(), b.get(), deeper);
    match (kept.as_bytes(), given.as_bytes()) {
        ([b'{', ..], [b'{', ..]) => pair(kept, given).is_some_and(|(kept, given): (Map, Map)| {
            kept.len() == given.len()
                && kept
                    .iter()
                    .zip(&given)
                    .all(|((k, a), (l, b))| k == l && both(a, b))
        }),
        ([b'[', ..], [b'[', ..]) => pair(kept, given).is_some_and(|(kept, given): (List, List)| {
            kept.len() == given.len() && kept.iter().zip(&given).all(|(a, b)| both(a, b))
        }),
        ([b'"', ..], [b'"', ..]) => {
            pair(kept, given).is_some_and(|(kept, given): (String, String)| kept == given)
        }
        _ => float(kept).is_some_and(|kept| Some(kept) == float(given)),
    }
}

type Map<'a> = BTreeMap<String, &'a RawValue>;
type List<'a> = Vec<&'a RawValue>;

fn pair<'a, T: serde::Deserialize<'a>>(kept: &'a str, given: &'a str) -> Option<(T, T)> {
    let read = |text| serde_json::from_str(text).ok();
    Some((read(kept)?, read(given)?))
}

/// A number that there is more than one way to write.
fn float(text: &str) -> Option<f64> {
    let number = text.contains(['.', 'e', 'E']).then(|| text.parse().ok());
    number.flatten().filter(|n: &f64| n.is_finite())
}
