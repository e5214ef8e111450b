//! Which of the public types can be sent, shared, moved while they are polled, and held over a panic.
//! All of that is part of their interface, and one private field can take it away without a word.
//!
//! Every public type has a row, as `.ci/api` makes sure; a generic one with arguments that have all of
//! the traits. `SEAWALL_WRITE_GOLDEN=1` writes the table anew.
use seawall::*;
use std::{convert::Infallible, future::Ready, panic, path::Path};

type Answer = Ready<Result<u8, u8>>;
type Asked = fn(u8) -> Answer;
type Echo = tower::util::ServiceFn<Asked>;
type Run = service::GuardFuture<Echo, u8>;
type Undone = fn(saga::ScopeSaga) -> Answer;

/// Whether a type has a trait: its own constant is found before the one that every type has.
macro_rules! row {
    ($type:ty) => {{
        struct Ask<T: ?Sized>(std::marker::PhantomData<T>);
        #[allow(dead_code)]
        trait Else {
            const SEND: bool = false;
            const SYNC: bool = false;
            const UNPIN: bool = false;
            const UNWIND: bool = false;
            const SHARED: bool = false;
        }
        impl<T: ?Sized> Else for Ask<T> {}
        #[allow(dead_code)]
        impl<T: ?Sized + Send> Ask<T> {
            const SEND: bool = true;
        }
        #[allow(dead_code)]
        impl<T: ?Sized + Sync> Ask<T> {
            const SYNC: bool = true;
        }
        #[allow(dead_code)]
        impl<T: ?Sized + Unpin> Ask<T> {
            const UNPIN: bool = true;
        }
        #[allow(dead_code)]
        impl<T: ?Sized + panic::UnwindSafe> Ask<T> {
            const UNWIND: bool = true;
        }
        #[allow(dead_code)]
        impl<T: ?Sized + panic::RefUnwindSafe> Ask<T> {
            const SHARED: bool = true;
        }
        let has = [
            ("Send", <Ask<$type>>::SEND),
            ("Sync", <Ask<$type>>::SYNC),
            ("Unpin", <Ask<$type>>::UNPIN),
            ("UnwindSafe", <Ask<$type>>::UNWIND),
            ("RefUnwindSafe", <Ask<$type>>::SHARED),
        ];
        let has = has.map(|(name, has)| if has { name } else { "-" });
        let name = stringify!($type).replace(" <", "<");
        format!(
            "{name:52} {:5} {:5} {:6} {:11} {}\n",
            has[0], has[1], has[2], has[3], has[4]
        )
    }};
}

macro_rules! table {
    ($($type:ty),* $(,)?) => { [$(row!($type)),*].concat() };
}

#[test]
fn every_public_type_is_as_free_as_it_was() {
    let table = table![
        BuildError,
        Bulkhead,
        CircuitBreaker,
        Class,
        Error<Infallible>,
        Event<'static>,
        Flat,
        Guard<Echo>,
        GuardLayer,
        Hedge,
        Name,
        Pipeline,
        RateLimit,
        Reason,
        Rejected,
        Replay,
        Retry,
        Run,
        Timeout,
        bulkhead::BulkheadConfig,
        circuit_breaker::Cause,
        circuit_breaker::CircuitBreakerConfig,
        circuit_breaker::Counts,
        circuit_breaker::Probes,
        circuit_breaker::Snapshot,
        circuit_breaker::State,
        circuit_breaker::Window,
        dialect::AsStatus,
        dialect::By<Asked>,
        dialect::Grpc,
        dialect::Http,
        dialect::Standard,
        error::Problem,
        error::To<u8>,
        event::GaveUp,
        event::SagaEvent<'static>,
        event::SagaEventKind<'static>,
        event::UndoOutcome<'static>,
        hedge::HedgeConfig,
        observe::MetricsObserver,
        observe::TracingObserver,
        operation::Once<Asked>,
        operation::Repeated<Asked>,
        pipeline::Advice,
        pipeline::Builder,
        pipeline::List,
        pipeline::Slot,
        policy::Call<'static>,
        policy::Enter,
        policy::Exit,
        policy::Outcome<'static>,
        policy::Role,
        policy::Ticket,
        rate_limit::RateLimitConfig,
        rate_limit::Snapshot,
        retry::Backoff,
        retry::RetryBudget,
        retry::RetryBudgetConfig,
        retry::RetryConfig,
        service::CloneRequest,
        service::CopyWith<Asked>,
        service::Exchange<Echo, u8, ()>,
        service::ReadyCall<Echo, u8>,
        service::Respond<Echo, u8>,
        service::RespondFuture<Answer, u8>,
        service::RespondLayer<u8>,
        service::SendOnce,
        timeout::TimeoutConfig,
        value::Each<u8>,
        value::FallbackError<u8, u8>,
        value::Fallen<Answer, u8>,
        value::Kept<u8>,
        value::LastKnownGood<u8>,
        value::LastKnownGoodConfig<u8>,
        value::OnlyIf<u8, u8>,
        value::OrLastGood<u8>,
        value::OrRun<Asked>,
        value::OrService<Echo, u8>,
        value::OrValue<u8>,
        value::OrWith<Asked>,
        value::Other<Echo, ()>,
        value::RescueLayer<()>,
        value::RescueService<Echo, ()>,
        value::Rescued<Answer, (), Answer>,
        saga::Abort,
        saga::Builder<()>,
        saga::ChildRef<u8, u8>,
        saga::Context<(), u8>,
        saga::Engine<()>,
        saga::EngineError,
        saga::Failure,
        saga::FailureKind,
        saga::Find,
        saga::Flow,
        saga::Handle<u8>,
        saga::Ledger,
        saga::MemoryStore,
        saga::OnUnknown,
        saga::Op<u8>,
        saga::OpId,
        saga::Operator,
        saga::Outcome<u8>,
        saga::Raced<u8, u8>,
        saga::Refused,
        saga::SagaError,
        saga::SagaId,
        saga::SagaRef<u8, u8>,
        saga::SagaService<u8, u8>,
        saga::SagaStatus,
        saga::Scope,
        saga::ScopeConfig,
        saga::ScopeError<u8>,
        saga::ScopeRun<Undone, Answer, u8>,
        saga::ScopeSaga,
        saga::Settlement,
        saga::SignalError,
        saga::SqliteStore,
        saga::Start<u8>,
        saga::StartError,
        saga::Starting<u8>,
        saga::Stats,
        saga::Status,
        saga::StepBuilder<'static, (), u8, u8>,
        saga::StepCall<u8>,
        saga::StepContext,
        saga::StepFailed,
        saga::StepLayer<u8, u8>,
        saga::StepOutcome,
        saga::StepRef<u8, u8>,
        saga::StepReport,
        saga::StepRetry,
        saga::StepRun<Echo, u8>,
        saga::StepService<Echo, u8, u8>,
        saga::StoreError,
        saga::StuckKind,
        saga::Timeline,
        saga::Verdict<u8>,
        saga::WaitsFor,
        saga::engine::SagaRun<u8>,
        saga::flow::Numbered<u8>,
        saga::idempotency::IdempotencyConfig,
        saga::idempotency::IdempotencyError,
        saga::idempotency::IdempotencyLayer,
        saga::idempotency::Idempotent<()>,
        saga::journal::Damage,
        saga::journal::Event,
        saga::journal::OpState,
        saga::journal::OpView,
        saga::journal::Parent,
        saga::journal::Phase,
        saga::journal::Row,
        saga::journal::View,
        saga::journal::WaitingFor,
        saga::ledger::Effect<u8>,
        saga::ledger::KeyError,
        saga::ledger::LedgerError,
        saga::ledger::Reply<u8>,
        saga::ledger::UndoReply,
        saga::operator::Bulk,
        saga::operator::BulkPage,
        saga::operator::BulkResult,
        saga::operator::ChildSaga,
        saga::operator::Entry,
        saga::operator::Page,
        saga::operator::Show,
        saga::step::At<0>,
        saga::store::Append,
        saga::store::Claim,
        saga::store::Claimed,
        saga::store::Claims,
        saga::store::Counts,
        saga::store::Created,
        saga::store::Expired,
        saga::store::Letter,
        saga::store::Mail,
        saga::store::NewSaga,
        saga::store::Next,
        saga::store::Owner,
        saga::store::Posted,
        saga::store::Query,
        saga::store::Summary,
        saga::store::conformance::Broken,
        saga::store::conformance::Promise,
        saga::store::sqlite::Backup,
        dyn saga::Store,
    ];
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/auto_traits.txt");
    if std::env::var_os("SEAWALL_WRITE_GOLDEN").is_some() {
        std::fs::write(&file, &table).unwrap();
    }
    assert_eq!(table, std::fs::read_to_string(&file).unwrap());
}
