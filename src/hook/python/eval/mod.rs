//! Values and what Python computes from them. Pure: everything here depends on its arguments and on the
//! [`Budget`], which bounds time and memory.

mod args;
mod budget;
mod builtins;
mod decoders;
mod operators;
mod sequence;
mod template;
mod text;
mod text_methods;
mod value;

pub use args::Args;
pub use budget::Budget;
pub use builtins::builtin;
pub use decoders::decoder;
pub use operators::combine;
pub use sequence::{item, slice, values};
pub use template::{Next, Template};
pub use text::{breaks_word, concatenate, shown};
pub use text_methods::{TextCall, text_method};
pub use value::{
    CRYPTIC, DECODED, ENVIRON, FILE, HIDDEN, Kind, Lambda, MAX_ITEMS, NETWORK, OUTSIDE, PIECED, Taint, Value,
    WHOLE_ENVIRON,
};
