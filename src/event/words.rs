//! One macro for every enum whose words are an interface: rules, alerts, configuration and the command line.

use std::fmt;

/// The error for an unknown word. Displays the accepted words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct UnknownWord(&'static [&'static str]);

impl UnknownWord {
    /// An error with these accepted words.
    pub const fn new(accepted: &'static [&'static str]) -> Self {
        Self(accepted)
    }
}

impl fmt::Display for UnknownWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "use one of {}", self.0.join(", "))
    }
}

/// Declares an enum with one word for each value, the list of all values, their descriptions, `Display`, `FromStr` and
/// serde. A variant has a doc comment, perhaps followed by `#[default]`; `$default` matches nothing and only lets the
/// attribute be repeated.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $(
        $(#[doc = $doc:literal])+ $(#[default $(@$default:ident)?])? $variant:ident = $word:literal,
    )* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[doc = $doc])+ $(#[default $($default)?])? $variant,)* }

        impl $name {
            /// Every value, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its word.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// What it means, in one paragraph: the doc comment of the value.
            pub const fn describe(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+).trim_ascii(),)* }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::event::UnknownWord;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                match word {
                    $($word => Ok(Self::$variant),)*
                    _ => Err($crate::event::UnknownWord::new(&[$($word,)*])),
                }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let word = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
                word.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

pub(crate) use words;

#[cfg(test)]
mod tests {
    use crate::event::{Level, Signal};

    #[test]
    fn a_doc_comment_is_the_description() {
        assert_eq!(Level::Informational.describe(), "For context only.");
        assert!(Signal::ALL.iter().all(|signal| signal.describe().ends_with('.')));
    }

    #[test]
    fn every_word_is_parsed_back_and_an_unknown_one_lists_those_accepted() {
        for level in Level::ALL {
            assert_eq!(level.as_str().parse(), Ok(*level));
        }
        let error = "severe".parse::<Level>().unwrap_err();
        assert_eq!(error.to_string(), "use one of informational, low, medium, high, critical");
    }
}
