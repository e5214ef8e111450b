//! Programs as users write them.
use crate::support::{MS, S, io};
use seawall::error::To;
use seawall::retry::Backoff;
use seawall::{
    Bulkhead, CircuitBreaker, Error, Pipeline, Rejected, Retry, Timeout, dialect::Standard,
};

#[derive(Clone)]
struct Api {
    greeting: String,
    policy: Pipeline,
}
impl Api {
    async fn greet(&self, name: &str) -> Result<String, Error<std::io::Error>> {
        self.policy
            .run(|| async {
                tokio::time::sleep(MS).await;
                Ok(format!("{} {name}", self.greeting))
            })
            .await
    }
}

#[tokio::test(start_paused = true)]
async fn borrowed_locals_spawned_calls_and_closures_of_every_kind() {
    let policy = Pipeline::builder("p")
        .with(Timeout::after(S))
        .with(Retry::attempts(3).backoff(Backoff::constant(MS)))
        .with(Bulkhead::new(8))
        .build()
        .unwrap();
    let api = Api {
        greeting: "hello".into(),
        policy,
    };
    let shared = api.clone();
    let spawned = tokio::spawn(async move {
        let who = String::from("world");
        shared.greet(&who).await
    });
    assert_eq!(spawned.await.unwrap().unwrap(), "hello world");
    // FnOnce moves out; FnMut counts; async closures borrow.
    let body = vec![1u8];
    api.policy
        .run_once(move || async move {
            drop(body);
            Ok::<_, u8>(())
        })
        .await
        .unwrap();
    let body = vec![1u8];
    CircuitBreaker::new("b")
        .consecutive_failures(5)
        .build()
        .unwrap()
        .run(move || async move {
            drop(body);
            Ok::<_, u8>(())
        })
        .await
        .unwrap();
    let mut n = 0;
    assert_eq!(
        Retry::attempts(3)
            .backoff(Backoff::constant(MS))
            .build()
            .unwrap()
            .run(|| {
                n += 1;
                async move { if n < 3 { Err(io()) } else { Ok(n) } }
            })
            .await
            .unwrap(),
        3
    );
    let s = String::from("key");
    assert_eq!(api.policy.run(async || Ok::<_, u8>(s.len())).await, Ok(3));
    fn check<T: Send + Sync + Clone + 'static>(_: &T) {}
    check(&api);
    assert_eq!(
        format!("{:?}", api.policy),
        r#"Pipeline("p": ["timeout", "retry", "bulkhead"])"#
    );
}

#[derive(Debug)]
enum AppError {
    Refused(Rejected),
    Io(std::io::Error),
}
impl From<Rejected> for AppError {
    fn from(r: Rejected) -> Self {
        AppError::Refused(r)
    }
}
impl From<std::io::Error> for AppError {
    fn from(e: std::io::Error) -> Self {
        AppError::Io(e)
    }
}

#[tokio::test(start_paused = true)]
async fn errors_of_every_kind() {
    let full = || Pipeline::builder("p").with(Bulkhead::new(0));
    let own: Pipeline<Standard, To<AppError>> = full().error::<AppError>().build().unwrap();
    assert!(
        matches!(own.run(|| async { Err::<(), _>(io()) }).await, Err(AppError::Refused(r)) if r.never_sent())
    );
    let open = Pipeline::builder("p")
        .with(Timeout::after(S))
        .error::<AppError>()
        .build()
        .unwrap();
    assert!(
        matches!(open.run(|| async { Err::<(), _>(io()) }).await, Err(AppError::Io(e)) if e.kind() == std::io::ErrorKind::Other)
    );
    async fn with_anyhow(p: Pipeline<Standard, To<anyhow::Error>>) -> anyhow::Result<()> {
        p.run(|| async { Err::<(), _>(anyhow::anyhow!("inner")) })
            .await?;
        Ok(())
    }
    assert!(
        with_anyhow(full().error().build().unwrap())
            .await
            .unwrap_err()
            .downcast_ref::<Rejected>()
            .is_some()
    );
    async fn boxed(p: &Pipeline) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        Ok(p.run(|| async { Err::<(), _>(io()) }).await?)
    }
    assert!(
        boxed(&full().build().unwrap())
            .await
            .unwrap_err()
            .downcast_ref::<Error<std::io::Error>>()
            .is_some()
    );
}

#[test]
fn futures_are_send_and_small() {
    fn send<T: Send>(t: T) -> usize {
        size_of_val(&t)
    }
    let p = Pipeline::builder("p").build().unwrap();
    assert!(send(p.run(|| async { Ok::<u64, u8>(1) })) <= 320);
    assert!(
        send(
            Timeout::after(S)
                .build()
                .unwrap()
                .run(|| async { Ok::<u64, u8>(1) })
        ) <= 240
    );
    assert!(size_of::<Rejected>() <= 48);
}
