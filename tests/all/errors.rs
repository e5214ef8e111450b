//! A guarded call's error becomes the user's own, whatever that is.
use crate::support::{MS, io};
use seawall::{Bulkhead, Error, Pipeline, Reason, Rejected, Timeout};
use std::io::Error as IoError;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What most services have.
#[derive(Debug, thiserror::Error)]
enum AppError {
    #[error("refused: {0}")]
    Refused(#[from] Rejected),
    #[error("io: {0}")]
    Io(#[from] IoError),
}

fn full() -> Rejected {
    Rejected::new("db".into(), Reason::BulkheadFull)
}

async fn both<M>() -> [M; 2]
where
    M: From<IoError> + From<Rejected>,
{
    let open = Pipeline::builder("p").error::<M>().build().unwrap();
    let shut = Pipeline::builder("p")
        .with(Bulkhead::new(0))
        .error::<M>()
        .build()
        .unwrap();
    let failing = || async { Err::<(), _>(io()) };
    [
        open.run(failing).await.err().unwrap(),
        shut.run(failing).await.err().unwrap(),
    ]
}

#[tokio::test]
async fn an_own_enum_needs_two_froms() {
    let [inner, refused] = both::<AppError>().await;
    assert!(matches!(inner, AppError::Io(_)));
    assert!(matches!(refused, AppError::Refused(r) if r.never_sent()));
    assert_eq!(refused.to_string(), "refused: bulkhead `bulkhead` is full");
}

#[tokio::test]
async fn anyhow_can_be_asked_for_either_half() {
    let [inner, refused] = both::<anyhow::Error>().await;
    assert!(inner.is::<IoError>());
    let r = refused.downcast_ref::<Rejected>().unwrap();
    assert_eq!(r.reason, Reason::BulkheadFull);
}

#[tokio::test]
async fn boxed_errors_can_be_asked_for_either_half() {
    let [inner, refused] = both::<BoxError>().await;
    assert!(inner.is::<IoError>());
    assert!(refused.is::<Rejected>());
}

#[tokio::test]
async fn an_operation_may_fail_with_what_is_no_std_error() {
    let guard = Pipeline::builder("p")
        .with(Bulkhead::new(0))
        .error::<anyhow::Error>()
        .build()
        .unwrap();
    let refused = guard
        .run(|| async { Err::<(), _>(anyhow::anyhow!("never asked")) })
        .await
        .unwrap_err();
    assert!(refused.is::<Rejected>());

    let guard = Pipeline::builder("p").error::<BoxError>().build().unwrap();
    let inner = guard
        .run(|| async { Err::<(), BoxError>("no luck".into()) })
        .await
        .unwrap_err();
    assert_eq!(inner.to_string(), "no luck");
}

#[tokio::test]
async fn the_question_mark_takes_a_flat_error_into_anyhow_and_boxes() {
    async fn boxed() -> Result<(), BoxError> {
        let guard = Bulkhead::new(0).build()?;
        Ok(guard.run(|| async { Err(io()) }).await?)
    }
    async fn any() -> anyhow::Result<()> {
        let guard = Bulkhead::new(0).build()?;
        Ok(guard.run(|| async { Err(io()) }).await?)
    }
    let flat = boxed().await.unwrap_err();
    let flat = flat.downcast_ref::<Error<IoError>>().unwrap();
    assert_eq!(flat.rejected().unwrap().reason, Reason::BulkheadFull);
    let flat = any().await.unwrap_err();
    assert!(flat.is::<Error<IoError>>());
}

#[test]
fn fold_gives_each_half_to_its_from() {
    let inner: AppError = Error::Inner(io()).fold();
    assert!(matches!(inner, AppError::Io(_)));
    let refused: AppError = Error::<IoError>::Rejected(full()).fold();
    assert!(matches!(refused, AppError::Refused(_)));
}

#[test]
fn display_tells_this_level_and_source_the_rest() {
    #[derive(Debug, thiserror::Error)]
    #[error("no page")]
    struct NoPage(#[source] IoError);
    let error = Error::Inner(NoPage(io()));
    assert_eq!(error.to_string(), "no page");
    let source = std::error::Error::source(&error).unwrap();
    assert_eq!(source.to_string(), "refused");
    assert!(std::error::Error::source(&Error::<NoPage>::Rejected(full())).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_refusal_tells_whether_anything_had_been_sent() {
    let guard = Timeout::after(10 * MS).name("attempt").build().unwrap();
    let stuck = guard.run(std::future::pending::<Result<(), IoError>>);
    let refused = *stuck.await.unwrap_err().rejected().unwrap();
    assert!(!refused.never_sent() && refused.is_timeout());
    assert_eq!((refused.policy.as_str(), refused.started), ("attempt", 1));
}
