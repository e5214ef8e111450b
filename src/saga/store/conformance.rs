//! What every store must do, as checks to run against your own.
