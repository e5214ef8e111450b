//! Which call a request is, from its head alone.
use super::problem::Problem;
use crate::saga::ledger::check;
use http::{HeaderMap, Method, request::Parts};

/// What a request's headers ask for.
#[derive(Debug, PartialEq)]
pub(super) enum Asked {
    /// No key, and none needed.
    Plain,
    Keyed {
        key: String,
        /// The step that this undoes.
        step: Option<String>,
    },
}

pub(super) const KEY: &str = "idempotency-key";
pub(super) const STEP: &str = "saga-step";

pub(super) fn read(head: &Parts, required: bool) -> Result<Asked, Problem> {
    if head.method.is_safe() {
        return Ok(Asked::Plain);
    }
    let key = header(&head.headers, KEY)?;
    let step = header(&head.headers, STEP)?;
    let Some(key) = key else {
        if step.is_some() {
            return Err(Problem::bad(
                "a request with Saga-Step needs an Idempotency-Key: the step's key and `/undo`",
            ));
        }
        if required && (head.method == Method::POST || head.method == Method::PATCH) {
            return Err(Problem::bad(
                "this request needs the header Idempotency-Key, so that it may be sent again",
            ));
        }
        return Ok(Asked::Plain);
    };
    match &step {
        Some(step) if *step == key => Err(Problem::bad(
            "Idempotency-Key and Saga-Step are the same: an undo has a key of its own, \
             the step's key and `/undo`",
        )),
        // Let through as a step, it would leave no tombstone.
        None if key.ends_with("/undo") => Err(Problem::bad(
            "an undo, whose Idempotency-Key ends in `/undo`, names its step in the header Saga-Step",
        )),
        _ => Ok(Asked::Keyed { key, step }),
    }
}

fn header(headers: &HeaderMap, name: &'static str) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let wrong = |why: &str| Problem::bad(format!("the header {name} {why}"));
    if values.next().is_some() {
        return Err(wrong("is there more than once"));
    }
    let text = value.to_str().ok().and_then(unquoted);
    let text = text.ok_or_else(|| {
        wrong("has to be a string in double quotes (RFC 9651), or visible ASCII without them")
    })?;
    check(name, &text).map_err(|e| Problem::bad(e.to_string()))?;
    Ok(Some(text))
}

/// `"k"` and `k` are the same key: the draft wants quotes, and most clients send none.
fn unquoted(text: &str) -> Option<String> {
    let Some(rest) = text.strip_prefix('"') else {
        let bare = text.bytes().all(|b| b.is_ascii_graphic() && b != b'"');
        return bare.then(|| text.to_owned());
    };
    let mut read = String::new();
    let mut chars = rest.strip_suffix('"')?.chars();
    while let Some(c) = chars.next() {
        read.push(match c {
            '\\' => chars.next().filter(|c| matches!(c, '"' | '\\'))?,
            '"' => return None,
            ' '..='~' => c,
            _ => return None,
        });
    }
    Some(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: &str, headers: &[(&str, &str)]) -> Result<Asked, String> {
        let mut request = http::Request::builder().method(method);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        read(&head, true).map_err(|problem| format!("{problem:?}"))
    }

    fn keyed(key: &str, step: Option<&str>) -> Result<Asked, String> {
        let (key, step) = (key.to_owned(), step.map(str::to_owned));
        Ok(Asked::Keyed { key, step })
    }

    #[test]
    fn a_key_may_come_with_quotes_or_without() {
        for (sent, key) in [
            ("k-1", "k-1"),
            ("\"k-1\"", "k-1"),
            ("\"a \\\"b\\\\\"", "a \"b\\"),
            ("order/1", "order/1"),
        ] {
            assert_eq!(asked("POST", &[(KEY, sent)]), keyed(key, None), "{sent}");
        }
        let long = "k".repeat(256);
        let wrong = [
            "", "\"\"", "a b", "\"a", "a\"", "\"a\"b\"", "\"a\\b\"", "\"a\\\"", &long,
        ];
        for sent in wrong {
            assert!(asked("POST", &[(KEY, sent)]).is_err(), "{sent}");
        }
        assert!(asked("POST", &[(KEY, "a"), (KEY, "b")]).is_err());
    }

    #[test]
    fn who_needs_a_key_and_who_may_have_one() {
        for (method, without) in [
            ("POST", false),
            ("PATCH", false),
            ("PUT", true),
            ("GET", true),
        ] {
            assert_eq!(asked(method, &[]).is_ok(), without, "{method}");
        }
        assert_eq!(asked("DELETE", &[(KEY, "k")]), keyed("k", None));
        // A safe method has nothing to repeat, whatever it is sent with.
        assert_eq!(asked("GET", &[(KEY, "k")]), Ok(Asked::Plain));
    }

    #[test]
    fn an_undo_has_both_headers_and_two_keys() {
        let undo = asked("POST", &[(KEY, "k/undo"), (STEP, "k")]);
        assert_eq!(undo, keyed("k/undo", Some("k")));
        assert!(asked("POST", &[(KEY, "k"), (STEP, "\"k\"")]).is_err());
        assert!(asked("PUT", &[(STEP, "k")]).is_err());
        assert!(asked("POST", &[(KEY, "k/undo")]).is_err());
    }
}
