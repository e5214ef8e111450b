//! What is thrown on purpose, and by whom. It is thrown by `resume_unwind`, past the panic hook: nothing
//! is printed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Thrown {
    Closure,
    Attempt,
    Drop,
    Policy,
    Observer,
}
