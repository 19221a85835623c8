//! Tables for a person: no wider than the terminal, colours only where they help.

use std::io::IsTerminal;

/// Columns where no terminal tells.
const WIDTH: usize = 120;
/// Fewer than this are no help to anybody.
const NARROWEST: usize = 40;

/// How the output takes it.
pub struct Style {
    width: usize,
    colour: bool,
}

/// How much a line is to be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Bad.
    High,
    /// Not as it should be.
    Some,
    /// Ordinary.
    None,
}

impl Style {
    /// Of standard output: its own width and colours on a terminal, none elsewhere.
    pub fn of_output() -> Self {
        let output = std::io::stdout();
        if !output.is_terminal() {
            return Self { width: WIDTH, colour: false };
        }
        let columns = rustix::termios::tcgetwinsize(&output).map_or(0, |size| usize::from(size.ws_col));
        let width = if columns == 0 { WIDTH } else { columns.max(NARROWEST) };
        Self { width, colour: std::env::var_os("NO_COLOR").is_none() }
    }

    /// Columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The line, cut to the width; what was cut is said by an ellipsis.
    pub fn fit(&self, line: &str) -> String {
        if line.chars().count() <= self.width {
            return format!("{line}\n");
        }
        let kept: String = line.chars().take(self.width.saturating_sub(1)).collect();
        format!("{kept}…\n")
    }

    /// The words after `indent` blanks, on as many lines as they need.
    pub fn wrap(&self, indent: usize, words: &str) -> String {
        let room = self.width.saturating_sub(indent).max(1);
        let (mut output, mut line) = (String::new(), String::new());
        for word in words.split(' ') {
            if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > room {
                output += &self.fit(&format!("{:indent$}{line}", ""));
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        output + &self.fit(&format!("{:indent$}{line}", ""))
    }

    /// The line in the colour of its urgency.
    pub fn paint(&self, urgency: Urgency, line: String) -> String {
        let code = match urgency {
            Urgency::High => "1;31",
            Urgency::Some => "33",
            Urgency::None => return line,
        };
        if self.colour { format!("\x1b[{code}m{}\x1b[0m\n", line.trim_end_matches('\n')) } else { line }
    }
}

/// A name that is too long without its middle: both ends tell more.
pub fn middle(name: &str, width: usize) -> String {
    let length = name.chars().count();
    if length <= width {
        return name.to_owned();
    }
    let end = width.saturating_sub(1) * 2 / 3;
    let start = width.saturating_sub(1).saturating_sub(end);
    let mut short: String = name.chars().take(start).collect();
    short.push('…');
    short.extend(name.chars().skip(length.saturating_sub(end)));
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_keeps_both_ends_and_a_line_its_width() {
        assert_eq!(middle("/usr/lib/python3.11/x.pth", 40), "/usr/lib/python3.11/x.pth");
        assert_eq!(middle("/usr/lib/python3.11/x.pth", 10), "/us…/x.pth");
        assert_eq!(middle("", 0), "");
        let style = Style { width: 5, colour: false };
        assert_eq!((style.fit("abcde"), style.fit("äbcdef")), ("abcde\n".into(), "äbcd…\n".into()));
    }

    #[test]
    fn words_go_on_below_each_other() {
        let style = Style { width: 10, colour: false };
        assert_eq!(style.wrap(2, "one two three four"), "  one two\n  three\n  four\n");
        assert_eq!(style.wrap(2, ""), "  \n");
    }

    #[test]
    fn colours_end_with_their_line() {
        let style = Style { width: 80, colour: true };
        assert_eq!(style.paint(Urgency::High, "x\n".into()), "\x1b[1;31mx\x1b[0m\n");
        assert_eq!(style.paint(Urgency::None, "x\n".into()), "x\n");
    }
}
