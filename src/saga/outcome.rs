/// What a compensation is told about the step it takes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<T> {
    /// It was applied, and answered this.
    Done(T),
    /// It may have been applied. The participant knows by the key.
    Unknown,
}
