//! Routes by prefix. Paths are rewritten: what services call their things is their own business.
use super::{auth::Client, upstream::Upstream};
use crate::{name::Name, service::ids::Ids, service::problem::Problem};
use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::{HeaderName, Method, StatusCode, Uri, header},
    response::Response,
};

/// Prefix, service, what the prefix becomes there, the scope to read and the scope to write.
const ROUTES: [(&str, Name, &str, &str, Option<&str>); 3] = [
    ("/api/users", Name::Users, "/users", "users:read", None),
    (
        "/api/catalog",
        Name::Inventory,
        "/products",
        "products:read",
        None,
    ),
    (
        "/api/orders",
        Name::Orders,
        "/orders",
        "orders:read",
        Some("orders:write"),
    ),
];

/// Where a request goes.
#[derive(Debug, PartialEq)]
pub struct To {
    pub target: Target,
    /// Path and query there.
    pub path: String,
    pub scope: &'static str,
}

#[derive(Debug, PartialEq)]
pub enum Target {
    Service(Name),
    /// The aggregate of this order.
    Overview(String),
}

/// Finds the way.
pub fn route(method: &Method, uri: &Uri) -> Result<To, Problem> {
    let path = uri.path();
    // A URL parser on the way would resolve these, and lead out of the prefix.
    let climbs = |part: &str| {
        let part = part.to_ascii_lowercase().replace("%2e", ".");
        part == "." || part == ".."
    };
    if path.split('/').any(climbs) || path.contains('\\') {
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "`.` and `..` lead nowhere here",
        ));
    }
    let missing = || Problem::new(StatusCode::NOT_FOUND, format!("there is no {path} here"));
    let (rest, (_, name, to, read, write)) = ROUTES
        .iter()
        .find_map(|route| Some((path.strip_prefix(route.0)?, route)))
        // `/api/orders` and what is below it, but not `/api/orderspace`.
        .filter(|(rest, _)| rest.is_empty() || rest.starts_with('/'))
        .ok_or_else(missing)?;
    let scope = if method.is_safe() {
        Some(*read)
    } else {
        *write
    };
    let scope = scope.ok_or_else(|| Problem::new(StatusCode::METHOD_NOT_ALLOWED, "read only"))?;
    let overview = rest
        .strip_suffix("/overview")
        .and_then(|r| r.strip_prefix('/'));
    let target = match overview {
        Some(key) if *name == Name::Orders && method == Method::GET => {
            Target::Overview(key.to_owned())
        }
        _ => Target::Service(*name),
    };
    let query = uri.query().map(|q| format!("?{q}")).unwrap_or_default();
    Ok(To {
        target,
        path: format!("{to}{rest}{query}"),
        scope,
    })
}

/// The headers that go through, each way. All others end here.
const INWARD: [HeaderName; 3] = [
    header::ACCEPT,
    header::CONTENT_TYPE,
    HeaderName::from_static("idempotency-key"),
];
const OUTWARD: [HeaderName; 3] = [header::ALLOW, header::CONTENT_TYPE, header::RETRY_AFTER];

/// Bodies are small, and are held whole so that they can be sent again.
const LARGEST_BODY: usize = 64 * 1024;

/// Hands the request on and the answer back.
pub async fn forward(
    upstream: &Upstream,
    path: &str,
    ids: &Ids,
    client: &Client,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let large = |_| Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "at most 64 KiB");
    let body = to_bytes(body, LARGEST_BODY).await.map_err(large)?;
    let mut onward = upstream.request(parts.method, path, ids, &client.id)?;
    for name in INWARD {
        if let Some(value) = parts.headers.get(&name) {
            onward.headers_mut().insert(name, value.clone());
        }
    }
    *onward.body_mut() = Some(body.into());

    let (status, headers, body) = upstream.fetch(onward).await?;
    let mut answer = Response::new(Body::from(body));
    *answer.status_mut() = status;
    for name in OUTWARD {
        if let Some(value) = headers.get(&name) {
            answer.headers_mut().insert(name, value.clone());
        }
    }
    Ok(answer)
}
