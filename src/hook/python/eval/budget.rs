//! How much one analysis may still compute.

/// Bytes that any source may put together.
const BASE: usize = 1 << 20;
/// Further bytes for each byte of the source.
const PER_BYTE: usize = 3;

/// Bytes that may still be put together. An overdraft is remembered until it is taken.
pub struct Budget {
    left: usize,
    overdrawn: bool,
}

impl Budget {
    /// The budget of a source of this size.
    pub fn for_source(size: usize) -> Self {
        Self { left: BASE + size.saturating_mul(PER_BYTE), overdrawn: false }
    }

    /// Takes the cost of this many bytes. False if not enough is left; then nothing is left.
    pub fn spend(&mut self, bytes: usize) -> bool {
        match self.left.checked_sub(bytes + 1) {
            Some(left) => {
                self.left = left;
                true
            }
            None => {
                self.left = 0;
                self.overdrawn = true;
                false
            }
        }
    }

    /// Bytes left.
    pub fn left(&self) -> usize {
        self.left
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.left == 0
    }

    /// Whether a request exceeded the budget since the last call.
    pub fn take_overdraft(&mut self) -> bool {
        std::mem::take(&mut self.overdrawn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overdraft_empties_the_budget_and_is_taken_once() {
        let mut budget = Budget::for_source(0);
        assert!(budget.spend(10));
        assert_eq!(budget.left(), BASE - 11);
        assert!(!budget.take_overdraft());
        assert!(!budget.spend(BASE));
        assert!(budget.is_empty() && !budget.spend(0));
        assert!(budget.take_overdraft());
        assert!(!budget.take_overdraft());
    }
}
