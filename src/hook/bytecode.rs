//! STUB
use super::Findings;
use crate::event::ContentClass;
/// S
pub fn analyse_bytecode(_s: &[u8]) -> Findings {
    Findings { class: ContentClass::Opaque, ..Findings::default() }
}
