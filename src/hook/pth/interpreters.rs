//! Sets of interpreters, by the grammar with which they read `.pth` files.

/// A set of interpreters, by their grammar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interpreters {
    /// In every locale.
    sure: u8,
    /// Only where the locale's encoding is of eight bits, as Latin-1.
    eight_bit: u8,
}

const PYTHON_2: u8 = 1;
const UP_TO_3_12: u8 = 2;
const FROM_3_13: u8 = 4;
const FROM_3_15: u8 = 8;

impl Interpreters {
    /// Every one.
    pub const ALL: Self = Self::of(PYTHON_2 | UP_TO_3_12 | FROM_3_13 | FROM_3_15);
    /// None.
    pub const NONE: Self = Self::of(0);
    /// 2.7 and 3.x up to 3.12.
    pub const OLD: Self = Self::of(PYTHON_2 | UP_TO_3_12);
    /// From 3.13 on.
    pub const SINCE_3_13: Self = Self::of(FROM_3_13 | FROM_3_15);
    /// From 3.15 on.
    pub const SINCE_3_15: Self = Self::of(FROM_3_15);

    const fn of(sure: u8) -> Self {
        Self { sure, eight_bit: 0 }
    }

    /// Whether the Python of this version is among them; `eight_bit_locale`: it runs in such a locale.
    pub fn contains(self, version: (u8, u8), eight_bit_locale: bool) -> bool {
        let bit = match version {
            (..3, _) => PYTHON_2,
            (3, ..13) => UP_TO_3_12,
            (3, 13 | 14) => FROM_3_13,
            _ => FROM_3_15,
        };
        self.sure & bit != 0 || (eight_bit_locale && self.eight_bit & bit != 0)
    }

    /// Whether there is none, in no locale.
    pub fn is_empty(self) -> bool {
        self.sure | self.eight_bit == 0
    }

    /// Those of either.
    pub fn union(self, other: Self) -> Self {
        Self { sure: self.sure | other.sure, eight_bit: self.eight_bit | other.eight_bit }
    }

    /// Those of both.
    pub fn intersection(self, other: Self) -> Self {
        Self { sure: self.sure & other.sure, eight_bit: self.eight_bit & (other.sure | other.eight_bit) }
    }

    /// The text in an alert; `None` for every interpreter.
    pub fn label(self) -> Option<&'static str> {
        let also_eight_bit = self.eight_bit & !self.sure != 0;
        Some(match (self.sure, also_eight_bit) {
            (0b1111, _) => return None,
            (0b1111.., _) | (0, false) => "none",
            (0, true) => "3.x in an 8-bit locale",
            (0b0001, false) => "2.7",
            (0b0001, true) => "2.7, 3.x in an 8-bit locale",
            (0b0010, false) => "3.0 to 3.12",
            (0b0011, false) => "up to 3.12",
            (0b0010 | 0b0011, true) => "up to 3.12, later ones in an 8-bit locale",
            (0b1100, _) => "3.13+",
            (0b1000, _) => "3.15+",
            (0b0100, _) => "3.13, 3.14",
            (0b1110, _) => "3.x",
            (0b1011, _) => "up to 3.12, 3.15+",
            (0b0111, _) => "up to 3.14",
            (_, false) => "some",
            (_, true) => "some, more in an 8-bit locale",
        })
    }

    /// Those that still read a line of a file that is not UTF-8. 3.0 to 3.12 decode while they read, and have run the
    /// lines before the wrong byte (`is_before`); in an eight-bit locale every byte can be decoded.
    pub(super) fn of_undecodable(self, is_before: bool) -> Self {
        let decoded = if is_before { PYTHON_2 | UP_TO_3_12 } else { PYTHON_2 };
        Self { sure: self.sure & decoded, eight_bit: self.sure & !decoded }
    }
}
