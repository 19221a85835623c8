//! Facts about Python's library and about strings, as tables: what a name does, which modules there are,
//! what a text mentions. Add a name here to make the analysis know it.

mod effect;
mod methods;
mod modules;
mod names;
mod path;
mod table;

pub mod mentions;

pub use effect::Effect;
pub use methods::{method_effect, starts_program};
pub use modules::{import_effect, is_standard};
pub use names::{is_builtin, is_core_module};
pub use path::{attribute_path, canonical};
pub use table::effect;
