//! What to answer when a call has failed: a value, another operation, the last good answer.
//!
//! Policies never see values, so these are not policies: they close a call, outside of whatever
//! guards it. [`ValueExt`] puts them on every future of a `Result`, and functions of the same names
//! make the tower layers. Both are one [`Rescue`] in one future.
//!
//! | | answers a failed call with | the result |
//! |---|---|---|
//! | `or_value` | a value | `Result<T, E>` |
//! | `or_with` | a function of the error | `Result<T, E>` |
//! | `or_run` | another operation | `Result<T, FallbackError<E, F>>` |
//! | [`or_service`] | another service, asked the same (tower only) | `Result<T, FallbackError<E, F>>` |
//! | `or_last_good` | the last good answer, marked as stale | `Result<Kept<T>, E>` |
//!
//! `only_if`, on each of them, says which errors are rescued at all. Without it every error is, a
//! 404 like a refusal: a page that was deleted would live on in a [`LastKnownGood`]. [`refusals`]
//! is the strictest choice: only where a policy said no.
//!
//! Not for writes: nobody can answer "it is booked" in place of a dependency. And a fallback that
//! fails together with what it replaces, the same database behind another name say, only makes an
//! outage longer.
//!
//! A fallback's own panic goes on to the caller, as an operation's does; the guarded call has been
//! settled before. A panic of an `only_if` is contained: the error passes.
//!
//! # Sources
//! The last good answer in place of an error is HTTP's `stale-if-error` (RFC 5861, section 4), and
//! its age is counted as RFC 9111, 4.2.3, counts that of a stored answer.
//!
//! # Example
//! ```
//! use seawall::Timeout;
//! use seawall::value::{Kept, LastKnownGood, ValueExt, refusals};
//! use std::time::Duration;
//!
//! # let rt = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
//! # rt.block_on(async {
//! let limit = Timeout::after(Duration::from_millis(250)).build()?;
//! let rates = LastKnownGood::new("rates").max_age(Duration::from_secs(600)).build()?;
//!
//! let good = limit
//!     .run(|| async { Ok::<_, std::io::Error>(1.08) })
//!     .or_last_good(&rates)
//!     .await?;
//! assert_eq!(good, Kept::Fresh(1.08));
//!
//! tokio::time::advance(Duration::from_secs(60)).await;
//! let kept = limit
//!     .run(|| std::future::pending::<Result<f64, std::io::Error>>())
//!     .or_last_good(&rates)
//!     .only_if(refusals)
//!     .await?;
//! assert!(kept.is_stale());
//! assert_eq!(kept.into_value(), 1.08);
//!
//! // The same as a layer, and a plain value where nothing is kept.
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//! let service = ServiceBuilder::new()
//!     .layer(seawall::value::or_value(1.0))
//!     .layer(limit.layer())
//!     .service(service_fn(|_: ()| async { Err::<f64, _>(std::io::Error::other("down")) }));
//! assert_eq!(service.oneshot(()).await?, 1.0);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
mod error;
mod fallback;
mod last_known_good;
mod layer;
mod rescue;

pub use error::FallbackError;
pub use fallback::{Fallen, OrRun, OrService, OrValue, OrWith};
pub use last_known_good::{Kept, LastKnownGood, LastKnownGoodConfig, OrLastGood};
pub use layer::{
    Each, Other, Prepare, RescueLayer, RescueService, or_last_good, or_run, or_service,
    or_service_with, or_value, or_with,
};
pub use rescue::{OnlyIf, Rescue, Rescued, RescuedBy, ValueExt, refusals};
