//! What threads share state with. Here alone, because the models of `crates/models` run the same code with types that explore
//! every order of its steps.

pub(crate) use parking_lot::Mutex;
