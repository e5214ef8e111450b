//! What may be said of a payload that does not fit its type: which type, where and how. serde's own words
//! quote what they stumble over, and that is a payload: it belongs into no reason, journal or log.
use serde_json::{Error, error::Category};
use std::any::type_name;

/// Why a payload cannot be decoded: "as `u32`: a value that does not fit, expected u32 (line 1, column 9)".
pub(crate) fn undecodable<T: ?Sized>(error: &Error) -> String {
    let text = error.to_string();
    let what = match error.classify() {
        Category::Data => data(&text),
        Category::Eof => "it ends too early".to_owned(),
        Category::Syntax | Category::Io => "it is no JSON".to_owned(),
    };
    let (line, column) = (error.line(), error.column());
    format!(
        "as `{}`: {what} (line {line}, column {column})",
        type_name::<T>()
    )
}

/// Why a payload cannot be encoded: "`f64`: a key must be a string".
pub(crate) fn unencodable<T: ?Sized>(_: &T, error: &Error) -> String {
    let text = error.to_string();
    let what = if text.starts_with("key must be a string") {
        "a key of a map must be a string"
    } else if text.starts_with("float key must be finite") {
        "a key of a map must be a finite number"
    } else {
        "its `Serialize` refuses it"
    };
    format!("`{}`: {what}", type_name::<T>())
}

/// Of serde's words those that come from the type, and not from the data.
fn data(text: &str) -> String {
    if text.starts_with("missing field `") {
        let end = text.rfind(" at line ").unwrap_or(text.len());
        return text.get(..end).unwrap_or_default().to_owned();
    }
    const OWN: [&str; 5] = [
        "invalid type: ",
        "invalid value: ",
        "invalid length ",
        "unknown variant `",
        "unknown field `",
    ];
    let expected = OWN.iter().any(|own| text.starts_with(own));
    // The last one: what comes before it is quoted from the data, and may have one of its own.
    let expected = text.rfind(", expected ").filter(|_| expected);
    let end = text.rfind(" at line ").unwrap_or(text.len());
    let expected = expected.and_then(|begin| text.get(begin..end));
    format!("a value does not fit{}", expected.unwrap_or_default())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde::{Deserialize, Serialize};

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Charge {
        #[allow(dead_code)]
        card: u32,
    }

    #[derive(Debug, Deserialize)]
    enum Paid {
        Cash,
    }

    fn told<T: serde::de::DeserializeOwned + std::fmt::Debug>(json: &str) -> String {
        undecodable::<T>(&serde_json::from_str::<T>(json).unwrap_err())
    }

    #[test]
    fn no_word_of_a_payload_is_told() {
        let all = [
            told::<Charge>(r#"{"card":"secret"}"#),
            told::<Charge>(r#"{"card":"secret, expected secret at line 7"}"#),
            told::<Charge>(r#"{"secret":1}"#),
            told::<Charge>(r#"{"card":1} secret"#),
            told::<Charge>(r#"{"card":1"#),
            told::<Paid>(r#""secret""#),
            told::<u8>("999"),
            told::<std::net::Ipv4Addr>(r#""secret""#),
        ];
        for text in &all {
            assert!(!text.contains("secret") && !text.contains("999"), "{text}");
            assert!(text.contains("(line 1, column "), "{text}");
        }
        let _ = Paid::Cash;
    }

    #[test]
    fn what_the_type_expects_is_told() {
        let ends = |text: String, end: &str| assert!(text.ends_with(end), "{text}");
        ends(
            told::<Charge>(r#"{"card":"4711"}"#),
            "Charge`: a value does not fit, expected u32 (line 1, column 14)",
        );
        ends(
            told::<Charge>("{}"),
            "Charge`: missing field `card` (line 1, column 2)",
        );
        ends(
            told::<Paid>(r#""Card""#),
            "Paid`: a value does not fit, expected `Cash` (line 1, column 6)",
        );
        assert_eq!(
            told::<u32>("7 7"),
            "as `u32`: it is no JSON (line 1, column 3)"
        );
    }

    #[test]
    fn a_payload_that_refuses_to_be_written_is_not_quoted() {
        struct Secret;
        impl Serialize for Secret {
            fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                Err(serde::ser::Error::custom("secret"))
            }
        }
        let error = serde_json::to_string(&Secret).unwrap_err();
        assert!(unencodable(&Secret, &error).ends_with("its `Serialize` refuses it"));
        let map = std::collections::BTreeMap::from([(vec![1], 2)]);
        let error = serde_json::to_string(&map).unwrap_err();
        assert!(unencodable(&map, &error).ends_with("must be a string"));
    }
}
