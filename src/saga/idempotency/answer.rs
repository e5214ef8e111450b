//! An answer as it is kept, and as it is given again.
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use std::collections::HashSet;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// `name: value` lines.
    pub(super) headers: Vec<u8>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn of(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Answer {
        // Connection names further headers that end with the connection.
        let named: HashSet<String> = headers
            .get_all(header::CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(|name| name.trim().to_ascii_lowercase())
            .collect();
        let mut lines = Vec::new();
        for (name, value) in headers {
            if !FLEETING.contains(&name.as_str()) && !named.contains(name.as_str()) {
                lines.extend_from_slice(name.as_str().as_bytes());
                lines.extend_from_slice(b": ");
                lines.extend_from_slice(value.as_bytes());
                lines.push(b'\n');
            }
        }
        Answer {
            status: status.as_u16(),
            headers: lines,
            body: body.to_vec(),
        }
    }

    /// Given again. `None` if it cannot be read.
    pub(super) fn replay(self) -> Option<Response<Vec<u8>>> {
        let mut response = Response::new(self.body);
        *response.status_mut() = StatusCode::from_u16(self.status).ok()?;
        for line in self.headers.split(|byte| *byte == b'\n') {
            if line.is_empty() {
                continue;
            }
            let at = line.windows(2).position(|pair| pair == b": ")?;
            let (name, value) = (line.get(..at)?, line.get(at.saturating_add(2)..)?);
            let name = HeaderName::from_bytes(name).ok()?;
            let value = HeaderValue::from_bytes(value).ok()?;
            response.headers_mut().append(name, value);
        }
        let replayed = HeaderName::from_static("idempotency-replayed");
        let headers = response.headers_mut();
        headers.insert(replayed, HeaderValue::from_static("true"));
        Some(response)
    }
}

/// May the answer be given again? Not one that asks to be asked again, nor the no to an undo: that
/// has to succeed in the end, and comes again when an operator has removed what stood in its way.
pub(super) fn is_kept(status: StatusCode, undo: bool) -> bool {
    let again = status.is_server_error() || matches!(status.as_u16(), 401 | 408 | 425 | 429);
    let refused_undo = undo && status.is_client_error();
    !again && !refused_undo
}

/// Of one connection or one moment (RFC 9110 7.6.1, 6.6.1), or for the server to set anew.
const FLEETING: [&str; 10] = [
    "connection",
    "content-length",
    "date",
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_headers_come_again_but_those_of_the_moment() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("location", "/orders/7"),
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2: 3"),
            ("empty", ""),
            ("connection", "close, X-Mine"),
            ("x-mine", "1"),
            ("date", "Sun, 06 Nov 1994 08:49:37 GMT"),
            ("content-length", "2"),
            ("transfer-encoding", "chunked"),
        ] {
            headers.append(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        let latin = HeaderValue::from_bytes(b"caf\xe9").unwrap();
        headers.insert("x-latin", latin.clone());
        let response = Answer::of(StatusCode::CREATED, &headers, b"{}")
            .replay()
            .unwrap();
        assert_eq!(response.status(), 201);
        assert_eq!(response.body(), b"{}");
        let mut seen: Vec<_> = response
            .headers()
            .keys()
            .map(|name| name.as_str())
            .collect();
        seen.sort_unstable();
        let expected = [
            "empty",
            "idempotency-replayed",
            "location",
            "set-cookie",
            "x-latin",
        ];
        assert_eq!(seen, expected);
        assert_eq!(response.headers()["x-latin"], latin);
        let cookies: Vec<_> = response.headers().get_all("set-cookie").iter().collect();
        assert_eq!(cookies, ["a=1", "b=2: 3"]);
    }

    #[test]
    fn what_cannot_be_read_is_no_answer() {
        let kept = |status, headers: &[u8]| Answer {
            status,
            headers: headers.to_vec(),
            body: vec![],
        };
        assert!(kept(99, b"").replay().is_none());
        assert!(kept(200, b"no colon\n").replay().is_none());
        assert!(kept(200, b"a: \x01\n").replay().is_none());
        assert!(kept(200, b"a: b\n").replay().is_some());
    }

    #[test]
    fn answers_that_ask_to_be_asked_again_are_not_kept() {
        let kept = |undo| move |status| is_kept(StatusCode::from_u16(status).unwrap(), undo);
        let again = [401, 408, 425, 429, 500, 502, 503, 504];
        assert!([200, 201, 302].into_iter().all(kept(true)));
        assert!([200, 302, 400, 404, 409, 422].into_iter().all(kept(false)));
        assert!(!again.into_iter().any(kept(false)) && !again.into_iter().any(kept(true)));
        assert!(![400, 404, 409, 422].into_iter().any(kept(true)));
    }
}
