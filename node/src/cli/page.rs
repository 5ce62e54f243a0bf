//! Text for people, 80 columns wide: headings, aligned key and value lines,
//! tables. Ids stand in full where somebody may copy them (key and value), and
//! shortened in tables' side columns.

use aether_mesh::Amount;
use anstyle::{AnsiColor, Style};
use std::fmt::Write as _;

/// The width that everything but a single long value keeps to.
pub(crate) const WIDTH: usize = 80;

pub(super) const BAD: Style = AnsiColor::Red.on_default().bold();
const GOOD: Style = AnsiColor::Green.on_default();
const HEADING: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

/// How a value is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// As it is.
    Plain,
    /// It is well.
    Good,
    /// It is not.
    Bad,
}

impl Tone {
    fn style(self) -> Style {
        match self {
            Tone::Plain => Style::new(),
            Tone::Good => GOOD,
            Tone::Bad => BAD,
        }
    }
}

/// A page in the making.
#[derive(Default)]
pub struct Page {
    text: String,
    /// Keys and values that wait for their neighbours, to align with them.
    fields: Vec<(String, String, Tone)>,
}

impl Page {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// A line in bold, with an empty one before it where something stands.
    pub fn heading(&mut self, text: &str) -> &mut Self {
        self.flush();
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        let _ = writeln!(self.text, "{HEADING}{text}{HEADING:#}");
        self
    }

    /// A key with its value; neighbours align. Long values go on below,
    /// broken at spaces.
    pub fn field(&mut self, key: &str, value: impl ToString) -> &mut Self {
        self.toned(key, value, Tone::Plain)
    }

    /// A key with a value that is well or not.
    pub fn toned(&mut self, key: &str, value: impl ToString, tone: Tone) -> &mut Self {
        self.fields.push((key.to_owned(), value.to_string(), tone));
        self
    }

    /// A field where there is a value, else nothing.
    pub fn maybe(&mut self, key: &str, value: Option<impl ToString>) -> &mut Self {
        if let Some(value) = value {
            self.field(key, value);
        }
        self
    }

    /// A line of its own.
    pub fn line(&mut self, text: impl AsRef<str>) -> &mut Self {
        self.flush();
        for line in wrapped(text.as_ref(), WIDTH) {
            let _ = writeln!(self.text, "{line}");
        }
        self
    }

    /// A line as it is, to be copied, however long.
    pub fn verbatim(&mut self, text: impl AsRef<str>) -> &mut Self {
        self.flush();
        let _ = writeln!(self.text, "{}", text.as_ref());
        self
    }

    /// Rows under column names. The first row decides nothing: each column is
    /// as wide as its widest cell, the last is not padded.
    pub fn table(&mut self, columns: &[&str], rows: &[Vec<String>]) -> &mut Self {
        self.flush();
        let width = |i: usize| {
            let cells = rows
                .iter()
                .filter_map(|r| r.get(i))
                .map(|c| c.chars().count());
            cells
                .chain(columns.get(i).map(|c| c.len()))
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns.len()).map(width).collect();
        let line = |cells: &mut dyn Iterator<Item = &str>| {
            let padded: Vec<String> = cells
                .zip(&widths)
                .map(|(cell, w)| format!("{cell:<w$}"))
                .collect();
            padded.join("  ").trim_end().to_owned()
        };
        let _ = writeln!(
            self.text,
            "{DIM}{}{DIM:#}",
            line(&mut columns.iter().copied())
        );
        for row in rows {
            let _ = writeln!(self.text, "{}", line(&mut row.iter().map(String::as_str)));
        }
        self
    }

    fn flush(&mut self) {
        let fields = std::mem::take(&mut self.fields);
        let column = fields
            .iter()
            .map(|(k, ..)| k.chars().count())
            .max()
            .unwrap_or(0)
            + 2;
        for (key, value, tone) in fields {
            let style = tone.style();
            let room = WIDTH.saturating_sub(column + 2).max(20);
            for (i, line) in wrapped(&value, room).into_iter().enumerate() {
                let key = if i == 0 { key.as_str() } else { "" };
                let _ = writeln!(
                    self.text,
                    "  {DIM}{key:<column$}{DIM:#}{style}{line}{style:#}"
                );
            }
        }
    }

    pub(super) fn finish(mut self) -> String {
        self.flush();
        self.text
    }
}

/// Lines of at most `width` characters, broken at spaces; a word that is
/// longer stays whole, so that it can be copied.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let mut line = String::new();
        for word in paragraph.split(' ') {
            let longer = line.chars().count() + 1 + word.chars().count();
            if !line.is_empty() && longer > width {
                lines.push(std::mem::take(&mut line));
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    lines
}

/// An amount with its unit.
pub(crate) fn aic(amount: Amount) -> String {
    format!("{amount} AIC")
}

/// A number with its thousands apart.
pub(crate) fn number(n: impl Into<u128>) -> String {
    let digits = n.into().to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A size with a unit that fits.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} bytes");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// A span in words.
pub(crate) fn duration(seconds: u64) -> String {
    let (d, h, m, s) = (
        seconds / 86_400,
        seconds / 3_600 % 24,
        seconds / 60 % 60,
        seconds % 60,
    );
    match (d, h, m) {
        (0, 0, 0) => format!("{s} s"),
        (0, 0, _) => format!("{m} min {s} s"),
        (0, ..) => format!("{h} h {m} min"),
        _ => format!("{d} d {h} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(page: Page) -> String {
        anstream::adapter::strip_str(&page.finish()).to_string()
    }

    #[test]
    fn fields_align_and_long_words_stay_whole() {
        let mut page = Page::new();
        let id = "ab".repeat(32);
        page.heading("Job")
            .field("job", &id)
            .field("payment", aic(Amount::aic(3)));
        page.heading("Why")
            .toned("reason", "no ".repeat(40).trim(), Tone::Bad);
        let text = plain(page);
        assert!(text.starts_with(&format!("Job\n  job      {id}\n  payment  3 AIC\n\nWhy\n")));
        assert!(text.lines().all(|l| l.chars().count() <= WIDTH), "{text}");
    }

    #[test]
    fn tables_are_as_wide_as_their_cells() {
        let mut page = Page::new();
        let rows = vec![
            vec!["a".into(), "long cell".into()],
            vec!["bbbb".into(), "x".into()],
        ];
        page.table(&["id", "what"], &rows);
        assert_eq!(plain(page), "id    what\na     long cell\nbbbb  x\n");
    }

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!(number(0u64), "0");
        assert_eq!(number(999u64), "999");
        assert_eq!(number(1_234_567u64), "1,234,567");
        assert_eq!(size(1023), "1023 bytes");
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(size(64 << 20), "64.0 MiB");
        assert_eq!(duration(59), "59 s");
        assert_eq!(duration(3_725), "1 h 2 min");
        assert_eq!(duration(200_000), "2 d 7 h");
    }
}
