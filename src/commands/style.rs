//! Text for a terminal: its width and colours.

use std::io::IsTerminal;

/// Columns where the width of the terminal is unknown.
const WIDTH: usize = 120;
/// Text is not made narrower than this.
const NARROWEST: usize = 40;

/// Width and colours of the output.
pub struct Style {
    width: usize,
    has_colors: bool,
}

/// Colour of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Color {
    /// Something is wrong.
    Red,
    /// Something is restricted.
    Yellow,
    /// Ordinary.
    None,
}

impl Style {
    /// Of standard output: the width and colours of a terminal; 120 columns without colours elsewhere. `NO_COLOR`
    /// switches colours off.
    pub fn of_output() -> Self {
        let output = std::io::stdout();
        if !output.is_terminal() {
            return Self::plain(WIDTH);
        }
        let columns = rustix::termios::tcgetwinsize(&output).map_or(0, |size| usize::from(size.ws_col));
        let width = if columns == 0 { WIDTH } else { columns.max(NARROWEST) };
        Self { width, has_colors: std::env::var_os("NO_COLOR").is_none() }
    }

    /// This width, without colours.
    pub fn plain(width: usize) -> Self {
        Self { width, has_colors: false }
    }

    /// Columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The line, cut to the width. An ellipsis marks the cut.
    pub fn fit(&self, line: &str) -> String {
        if line.chars().count() <= self.width {
            return format!("{line}\n");
        }
        let kept: String = line.chars().take(self.width.saturating_sub(1)).collect();
        format!("{kept}…\n")
    }

    /// The text after `indent` blanks, on as many lines as it needs.
    pub fn wrap(&self, indent: usize, text: &str) -> String {
        let room = self.width.saturating_sub(indent).max(1);
        let (mut output, mut line) = (String::new(), String::new());
        for word in text.split(' ') {
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

    /// The line in this colour.
    pub fn paint(&self, color: Color, line: String) -> String {
        let code = match color {
            Color::Red => "1;31",
            Color::Yellow => "33",
            Color::None => return line,
        };
        if self.has_colors { format!("\x1b[{code}m{}\x1b[0m\n", line.trim_end_matches('\n')) } else { line }
    }
}

/// A name cut to the width in its middle, so that its start and its end stay readable.
pub fn shorten_middle(name: &str, width: usize) -> String {
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
        assert_eq!(shorten_middle("/usr/lib/python3.11/x.pth", 40), "/usr/lib/python3.11/x.pth");
        assert_eq!(shorten_middle("/usr/lib/python3.11/x.pth", 10), "/us…/x.pth");
        assert_eq!(shorten_middle("", 0), "");
        let style = Style::plain(5);
        assert_eq!((style.fit("abcde"), style.fit("äbcdef")), ("abcde\n".into(), "äbcd…\n".into()));
    }

    #[test]
    fn long_text_continues_on_the_next_line() {
        let style = Style::plain(10);
        assert_eq!(style.wrap(2, "one two three four"), "  one two\n  three\n  four\n");
        assert_eq!(style.wrap(2, ""), "  \n");
    }

    #[test]
    fn a_colour_ends_with_its_line() {
        let style = Style { width: 80, has_colors: true };
        assert_eq!(style.paint(Color::Red, "x\n".into()), "\x1b[1;31mx\x1b[0m\n");
        assert_eq!(style.paint(Color::None, "x\n".into()), "x\n");
    }
}
