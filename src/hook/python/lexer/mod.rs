//! From bytes to tokens, and from what is written to what it means: literals, identifiers, codecs.

mod encoding;
mod literal;
mod token;
mod unicode;

pub mod decode;

pub use encoding::{Encoding, declared_encoding};
pub use literal::{hides_letters, push as push_character, unescape};
pub use token::{Kind, Lexer, Token, integer};
pub use unicode::fold;
