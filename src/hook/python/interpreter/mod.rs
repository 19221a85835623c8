//! Reads a source once from beginning to end, follows its names and computes its constants.
//!
//! `machine` has the state and the cursor. Statements are read in `statement`, expressions in `expression`,
//! `brackets` and `strings`. `call` decides what a call does, with the table in `library`, the methods in `method`
//! and the consequences in `execution`. `reach` and `imports` know what a name leads to. Each file adds methods to
//! [`machine::Machine`]; a lambda that is called is read again as an expression.

mod brackets;
mod call;
mod execution;
mod expression;
mod imports;
mod library;
mod machine;
mod method;
mod names;
mod reach;
mod statement;
mod strings;

pub use machine::{Analysis, Machine};
