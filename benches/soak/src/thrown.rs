//! What is thrown on purpose. It is thrown by `resume_unwind`, past the panic hook: nothing is printed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Thrown {
    ByClosure,
    ByAttempt,
    ByDrop,
    ByPolicy,
    ByObserver,
}
