//! Two ids that travel with every call, so that one order can be followed through all logs.
use axum::http::{HeaderMap, HeaderName, HeaderValue};

/// Names one HTTP request as it came in at the gateway.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Names what the requests are about; a client may give several requests the same one.
pub const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");

/// The ids of the request being answered. Handlers hand them on with every call they make.
#[derive(Clone, Debug)]
pub struct Ids {
    pub request: String,
    pub correlation: String,
}

impl Ids {
    /// What the caller sent, or new ones. A value that could forge a log line counts as absent.
    pub fn of(headers: &HeaderMap) -> Ids {
        Ids {
            request: clean(headers, &REQUEST_ID).unwrap_or_else(|| fresh("r")),
            correlation: clean(headers, &CORRELATION_ID).unwrap_or_else(|| fresh("c")),
        }
    }

    /// For work on an order whose request has ended: the shop's customers correlate by its key.
    pub fn about(order: &str) -> Ids {
        Ids {
            request: fresh("r"),
            correlation: order.to_owned(),
        }
    }

    /// As headers of a request or an answer.
    pub fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            (REQUEST_ID, &self.request),
            (CORRELATION_ID, &self.correlation),
        ] {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        }
        headers
    }
}

fn clean(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let text = headers.get(name)?.to_str().ok()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/".contains(c);
    ((1..=64).contains(&text.len()) && text.chars().all(plain)).then(|| text.to_owned())
}

fn fresh(prefix: &str) -> String {
    format!("{prefix}-{:012x}", fastrand::u64(..) >> 16)
}
