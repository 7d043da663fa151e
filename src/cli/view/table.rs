//! Tables that fit: columns are cut to their least width, then left out, the least important first.

use super::paint::{Ink, Palette};

/// Between two columns.
const GAP: usize = 2;

/// A column.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct Column {
    pub(in crate::cli) title: &'static str,
    /// Figures line up at their end.
    pub(in crate::cli) right: bool,
    /// The highest is left out first; 0 always stays.
    pub(in crate::cli) rank: u8,
    /// It may be cut to so many letters; `usize::MAX`: not at all.
    pub(in crate::cli) least: usize,
}

impl Column {
    /// Of text, that is never cut.
    pub(in crate::cli) const fn text(title: &'static str, rank: u8) -> Self {
        Self { title, right: false, rank, least: usize::MAX }
    }

    /// Of figures.
    pub(in crate::cli) const fn figures(title: &'static str, rank: u8) -> Self {
        Self { title, right: true, rank, least: usize::MAX }
    }

    /// It may be cut to so many letters.
    pub(in crate::cli) const fn at_least(self, least: usize) -> Self {
        Self { least, ..self }
    }
}

/// One field of a table.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Cell {
    text: String,
    ink: Ink,
}

impl Cell {
    pub(in crate::cli) fn new(ink: Ink, text: impl AsRef<str>) -> Self {
        Self { text: super::paint::plain(text.as_ref()), ink }
    }

    /// A text, or a faint dash where there is none.
    pub(in crate::cli) fn or_nothing(text: Option<String>) -> Self {
        match text {
            Some(text) => Self::new(Ink::Plain, text),
            None => Self::new(Ink::Faint, super::words::NOTHING),
        }
    }
}

/// How many places of a line a text takes.
pub(in crate::cli) fn places(text: &str) -> usize {
    text.chars().count()
}

/// The table, a line a row; `width` is that of the terminal, and `None` as wide as it takes.
pub(in crate::cli) fn render(
    columns: &[Column],
    rows: &[Vec<Cell>],
    width: Option<usize>,
    palette: Palette,
) -> String {
    let chosen = fit(columns, rows, width);
    let mut text = String::new();
    let titles = chosen.iter().map(|(index, places)| {
        let column = &columns[*index];
        (Cell::new(Ink::Faint, column.title), column.right, *places)
    });
    line(&mut text, titles, palette);
    for row in rows {
        let cells = chosen.iter().filter_map(|(index, places)| {
            Some((row.get(*index)?.clone(), columns.get(*index)?.right, *places))
        });
        line(&mut text, cells, palette);
    }
    text
}

fn line(text: &mut String, cells: impl Iterator<Item = (Cell, bool, usize)>, palette: Palette) {
    let mut written = String::new();
    // Spaces are written only before something: no line ends with them.
    let mut owed = 0;
    for (index, (cell, right, width)) in cells.enumerate() {
        let shown = cut(&cell.text, width);
        let spare = width.saturating_sub(places(&shown));
        owed += if index > 0 { GAP } else { 0 } + if right { spare } else { 0 };
        if !shown.is_empty() {
            written.push_str(&" ".repeat(std::mem::take(&mut owed)));
            written.push_str(&palette.paint(cell.ink, &shown));
        }
        owed += if right { 0 } else { spare };
    }
    text.push_str(&written);
    text.push('\n');
}

/// The columns that are shown, by their index, each with its width.
fn fit(columns: &[Column], rows: &[Vec<Cell>], width: Option<usize>) -> Vec<(usize, usize)> {
    let natural: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(index, column)| {
            let widest = rows.iter().filter_map(|row| row.get(index)).map(|cell| places(&cell.text)).max();
            widest.unwrap_or(0).max(places(column.title))
        })
        .collect();
    let mut shown: Vec<usize> = (0..columns.len()).collect();
    let Some(width) = width else { return shown.into_iter().map(|index| (index, natural[index])).collect() };
    loop {
        let gaps = GAP * shown.len().saturating_sub(1);
        let least = |index: &usize| columns[*index].least.min(natural[*index]);
        let needed: usize = shown.iter().map(least).sum::<usize>() + gaps;
        let droppable = shown.iter().enumerate().max_by_key(|(_, index)| columns[**index].rank);
        match droppable {
            Some((place, index)) if needed > width && columns[*index].rank > 0 => {
                shown.remove(place);
            }
            _ => {
                let wanted = shown.iter().map(|index| (*index, natural[*index], least(index))).collect();
                return shrink(wanted, columns, width.saturating_sub(gaps));
            }
        }
    }
}

/// A column with its natural width and its least one.
type Wanted = (usize, usize, usize);

/// Cuts, letter by letter, the column that has the most to give, until all of them fit; those that
/// always stay give last.
fn shrink(mut wanted: Vec<Wanted>, columns: &[Column], width: usize) -> Vec<(usize, usize)> {
    let mut excess = wanted.iter().map(|(_, natural, _)| natural).sum::<usize>().saturating_sub(width);
    while excess > 0 {
        let cuttable = wanted.iter_mut().filter(|(_, wide, least)| wide > least);
        let most = cuttable.max_by_key(|(index, wide, least)| (columns[*index].rank > 0, *wide - *least));
        let Some((_, wide, _)) = most else { break };
        *wide -= 1;
        excess -= 1;
    }
    wanted.into_iter().map(|(index, wide, _)| (index, wide)).collect()
}

/// A text in so many places, with `…` where something is missing.
pub(in crate::cli) fn cut(text: &str, width: usize) -> String {
    if places(text) <= width {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(width.saturating_sub(1)).collect();
    if width > 0 {
        short.push('…');
    }
    short
}

/// A paragraph in lines of at most `width`. The first one stands behind `before` places that are
/// taken already, the others behind `indent` spaces.
pub(in crate::cli) fn wrap(text: &str, width: Option<usize>, before: usize, indent: usize) -> String {
    let width = width.map_or(usize::MAX, |width| width.max(indent + 10));
    let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
    let mut wrapped = String::new();
    let mut used = before;
    for (index, word) in words.iter().enumerate() {
        // A figure and its unit stay together.
        let unit =
            words.get(index + 1).filter(|unit| word.ends_with(|c: char| c.is_ascii_digit()) && is_unit(unit));
        let together = places(word) + unit.map_or(0, |unit| 1 + places(unit));
        if index > 0 && used + 1 + together > width {
            wrapped.push('\n');
            wrapped.push_str(&" ".repeat(indent));
            used = indent;
        } else if index > 0 {
            wrapped.push(' ');
            used += 1;
        }
        wrapped.push_str(word);
        used += places(word);
    }
    wrapped
}

fn is_unit(word: &str) -> bool {
    let word = word.trim_end_matches([',', '.', ';', ')']);
    matches!(word, "ms" | "s" | "min" | "h" | "d" | "%" | "B" | "KiB" | "MiB" | "GiB" | "TiB")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NO_COLOUR: Palette = Palette { colour: false };

    fn cells(texts: &[&str]) -> Vec<Cell> {
        texts.iter().map(|text| Cell::new(Ink::Plain, text)).collect()
    }

    #[test]
    fn columns_are_cut_and_then_left_out() {
        let columns = [
            Column::text("NAME", 0).at_least(4),
            Column::text("HOST", 2).at_least(6),
            Column::figures("N", 1),
        ];
        let rows = [cells(&["cloud", "cloud.example.com", "12"]), cells(&["a", "b", "3"])];
        let at = |width| render(&columns, &rows, width, NO_COLOUR);
        assert_eq!(
            at(None),
            "NAME   HOST                N\ncloud  cloud.example.com  12\na      b                   3\n"
        );
        assert_eq!(at(Some(20)), "NAME   HOST        N\ncloud  cloud.ex…  12\na      b           3\n");
        assert_eq!(at(Some(12)), "NAME    N\ncloud  12\na       3\n");
        assert_eq!(at(Some(4)), "NAME\nclo…\na\n");
    }

    #[test]
    fn a_paragraph_wraps_between_words() {
        assert_eq!(wrap("one two three four", Some(14), 0, 2), "one two three\n  four");
        assert_eq!(wrap("one two three four", Some(14), 3, 2), "one two\n  three four");
        assert_eq!(wrap("one  two", None, 0, 2), "one two");
        assert_eq!(
            wrap("it took about 2.1 s, all in all", Some(17), 0, 2),
            "it took about\n  2.1 s, all in\n  all"
        );
    }

    proptest! {
        /// Whatever comes, no line is longer than the terminal where the columns can be cut.
        #[test]
        fn no_line_is_too_long(
            texts in proptest::collection::vec(proptest::collection::vec("\\PC{0,30}", 3), 0..6),
            width in 6_usize..80,
        ) {
            let columns = [
                Column::text("A", 0).at_least(3),
                Column::text("B", 1).at_least(4),
                Column::figures("C", 2),
            ];
            let rows: Vec<_> =
                texts.iter().map(|row| row.iter().map(|text| Cell::new(Ink::Plain, text)).collect()).collect();
            for line in render(&columns, &rows, Some(width), NO_COLOUR).lines() {
                prop_assert!(places(line) <= width, "{line:?}");
                prop_assert!(!line.ends_with(' ') || rows.iter().flatten().any(|cell: &Cell| cell.text.ends_with(' ') || cell.text.contains(' ')));
            }
        }
    }
}
