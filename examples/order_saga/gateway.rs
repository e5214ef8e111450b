//! The one door: who may pass, how often, and where to.
//!
//! ```text
//! request -> ids -> token -> route and scope -> limit of this client -> guarded call of a service
//!                   401      404, 403           429 + Retry-After      502, 503, 504
//! ```
mod auth;
mod health;
mod limits;
mod overview;
mod proxy;
mod upstream;

pub use auth::{SECRET, sign};

use crate::name::Name;
use crate::service::{App, Surroundings, db::Db, ids::Ids, log, problem::Problem};
use auth::{Client, Door};
use axum::{
    Extension, Router,
    extract::{Request, State},
    response::{IntoResponse, Response},
    routing,
};
use limits::Limits;
use rusqlite::params;
use seawall::value::LastKnownGood;
use std::sync::Arc;
use upstream::Upstream;

/// What the handlers share.
struct Gateway {
    door: Door,
    limits: Limits,
    users: Upstream,
    inventory: Upstream,
    orders: Upstream,
    /// For when inventory cannot be asked.
    catalog: LastKnownGood<serde_json::Value>,
    db: Db,
}

/// Who asked for what. The only thing that the gateway remembers.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS access (
        request     TEXT NOT NULL,
        correlation TEXT NOT NULL,
        client      TEXT NOT NULL,
        method      TEXT NOT NULL,
        path        TEXT NOT NULL,
        status      INTEGER NOT NULL,
        micros      INTEGER NOT NULL
    ) STRICT;
";

pub async fn app(around: &Surroundings) -> anyhow::Result<App> {
    let db = around.db(Name::Gateway, SCHEMA)?;
    let http = crate::clients::connections()?;
    let upstream = |name| anyhow::Ok(Upstream::new(name, around.url(name)?, http.clone())?);
    let gateway = Arc::new(Gateway {
        door: Door::from_env()?,
        limits: Limits::new(around.flags.client_rate),
        users: upstream(Name::Users)?,
        inventory: upstream(Name::Inventory)?,
        orders: upstream(Name::Orders)?,
        catalog: overview::catalog()?,
        db: db.clone(),
    });
    let router = Router::new()
        .route("/api/{*rest}", routing::any(entry))
        .with_state(gateway)
        .merge(health::routes(around, http)?);
    Ok(App::new(router, db))
}

/// Everything under `/api` comes in here.
async fn entry(
    State(gateway): State<Arc<Gateway>>,
    Extension(ids): Extension<Ids>,
    request: Request,
) -> Response {
    let begun = log::now();
    let (method, path) = (
        request.method().to_string(),
        request.uri().path().to_owned(),
    );
    let client = gateway.door.check(request.headers());
    let name = client.as_ref().map_or("-", |c| c.id.as_str()).to_owned();
    let answer = match client {
        Ok(client) => pass(&gateway, &ids, &client, request).await,
        Err(problem) => Err(problem),
    };
    let answer = answer.unwrap_or_else(Problem::into_response);

    let micros = i64::try_from(begun.elapsed().as_micros()).unwrap_or(i64::MAX);
    let status = answer.status().as_u16();
    let db = gateway.db.clone();
    // Nobody waits for the access table.
    tokio::spawn(async move {
        db.write(move |tx| {
            tx.prepare_cached("INSERT INTO access VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
                .execute(params![
                    ids.request,
                    ids.correlation,
                    name,
                    method,
                    path,
                    status,
                    micros
                ])
        })
        .await
    });
    answer
}

async fn pass(
    gateway: &Gateway,
    ids: &Ids,
    client: &Client,
    request: Request,
) -> Result<Response, Problem> {
    let to = proxy::route(request.method(), request.uri())?;
    client.needs(to.scope)?;
    let answered = gateway
        .limits
        .of(&client.id)?
        // The limit alone, around whatever this request turns out to be.
        .run(|| async {
            Ok::<_, std::convert::Infallible>(match &to.target {
                proxy::Target::Overview(key) => overview::answer(gateway, ids, client, key).await,
                proxy::Target::Service(name) => {
                    let upstream = match name {
                        Name::Users => &gateway.users,
                        Name::Inventory => &gateway.inventory,
                        _ => &gateway.orders,
                    };
                    proxy::forward(upstream, &to.path, ids, client, request).await
                }
            })
        })
        .await;
    match answered {
        Ok(answer) => answer,
        Err(seawall::Error::Rejected(spent)) => Err(upstream::refusal(&spent)),
        Err(seawall::Error::Inner(never)) => match never {},
    }
}
