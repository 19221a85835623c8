//! From bytes to tokens: literals, identifiers, coding comments, and the decoders of encoded text.

mod encoding;
mod literal;
mod token;
mod unicode;

pub mod decode;

pub use encoding::{Encoding, declared_encoding};
pub use literal::{hides_letters, push as push_character, unescape};
pub use token::{Kind, Lexer, Token, integer};
pub use unicode::fold;
