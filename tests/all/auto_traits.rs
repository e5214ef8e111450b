//! Which of the public types can be sent, shared, moved while they are polled, and held over a panic.
//! All of that is part of their interface, and one private field can take it away without a word.
//!
//! `SEAWALL_WRITE_GOLDEN=1` writes the table anew.
use seawall::saga::{flow, idempotency, ledger, operator, status, store, *};
use seawall::*;
use std::{convert::Infallible, panic, path::Path};

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
        let has = [
            ("Send", <Ask<$type>>::SEND),
            ("Sync", <Ask<$type>>::SYNC),
            ("Unpin", <Ask<$type>>::UNPIN),
            ("UnwindSafe", <Ask<$type>>::UNWIND),
        ];
        let has = has.map(|(name, has)| if has { name } else { "-" });
        let name = stringify!($type).replace(" <", "<");
        format!(
            "{name:52} {:5} {:5} {:6} {}\n",
            has[0], has[1], has[2], has[3]
        )
    }};
}

macro_rules! table {
    ($($type:ty),* $(,)?) => { [$(row!($type)),*].concat() };
}

#[test]
fn every_public_type_is_as_free_as_it_was() {
    let table = table![
        // Policies, and what they are made of.
        Bulkhead,
        bulkhead::BulkheadConfig,
        CircuitBreaker,
        circuit_breaker::CircuitBreakerConfig,
        circuit_breaker::Snapshot,
        Hedge,
        hedge::HedgeConfig,
        RateLimit,
        rate_limit::RateLimitConfig,
        Retry,
        retry::RetryConfig,
        retry::RetryBudget,
        Timeout,
        timeout::TimeoutConfig,
        Pipeline,
        Guard<(), ()>,
        GuardLayer<()>,
        // Answers.
        Error<Infallible>,
        Rejected,
        BuildError,
        Name,
        Reason,
        Class,
        Event<'static>,
        // Sagas.
        Engine<()>,
        Builder<()>,
        Handle<u64>,
        Starting<u64>,
        SagaRef<u64, u64>,
        StepRef<u64, u64>,
        StepContext,
        Flow,
        flow::Op<u64>,
        Failure,
        Abort,
        SagaError,
        StartError,
        SagaStatus,
        status::WaitsFor,
        Operator,
        operator::Find,
        Timeline,
        Refused,
        MemoryStore,
        SqliteStore,
        StoreError,
        store::Counts,
        dyn Store,
        ScopeSaga,
        Ledger,
        ledger::LedgerError,
        idempotency::IdempotencyLayer,
    ];
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/auto_traits.txt");
    if std::env::var_os("SEAWALL_WRITE_GOLDEN").is_some() {
        std::fs::write(&file, &table).unwrap();
    }
    assert_eq!(table, std::fs::read_to_string(&file).unwrap());
}
