//! Columns, as Go's `text/tabwriter` lays them out with Docker's settings: at least ten wide, three blanks
//! between; the last cell of a line is not padded.

use unicode_width::UnicodeWidthStr;

const MIN_WIDTH: usize = 10;
const PADDING: usize = 3;

/// Lays out text whose cells end in tabs and whose lines end in newlines.
///
/// A column is a run of adjacent lines that all have a tab-terminated cell there; its width is that of its
/// widest cell plus the padding.
pub fn align(text: &str) -> String {
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split('\t').collect()).collect();
    let mut widths: Vec<Vec<usize>> = lines.iter().map(|cells| vec![0; cells.len() - 1]).collect();
    for line in 0..lines.len() {
        for column in 0..widths[line].len() {
            if widths[line][column] == 0 {
                measure(&lines, &mut widths, line, column);
            }
        }
    }
    let mut out = String::with_capacity(text.len() * 2);
    for (cells, widths) in lines.iter().zip(&widths) {
        push_line(&mut out, cells, widths);
    }
    out
}

/// Finds the width of the column block that begins at this line.
fn measure(lines: &[Vec<&str>], widths: &mut [Vec<usize>], first: usize, column: usize) {
    let end = (first..lines.len()).find(|line| widths[*line].len() <= column).unwrap_or(lines.len());
    let widest = lines[first..end].iter().map(|cells| cells[column].width()).max().unwrap_or(0);
    for line in &mut widths[first..end] {
        line[column] = (widest + PADDING).max(MIN_WIDTH);
    }
}

fn push_line(out: &mut String, cells: &[&str], widths: &[usize]) {
    for (cell, width) in cells.iter().zip(widths.iter().map(Some).chain(std::iter::repeat(None))) {
        out.push_str(cell);
        if let Some(width) = width {
            out.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.width())));
        }
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_as_dockers() {
        let table = "REPOSITORY\tTAG\tIMAGE ID\nhello-world\tlatest\tfeb5d9fea6a5\n";
        assert_eq!(align(table), "REPOSITORY    TAG       IMAGE ID\nhello-world   latest    feb5d9fea6a5\n");
    }

    #[test]
    fn a_line_without_the_cell_ends_the_column() {
        assert_eq!(
            align("a\tb\nlong without tab\nccccccccc\td\n"),
            "a         b\nlong without tab\nccccccccc   d\n"
        );
        assert_eq!(align("日本語日本\tx\nab\ty\n"), "日本語日本   x\nab           y\n");
        assert_eq!(align(""), "");
    }
}
