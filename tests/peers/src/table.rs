//! Printing and averages.

/// Geometric mean; NaN of nothing.
pub(crate) fn geometric_mean(v: &[f64]) -> f64 {
    (v.iter().map(|x| x.ln()).sum::<f64>() / v.len() as f64).exp()
}

/// One line of columns, the first to the left, the others to the right.
pub(crate) fn line(cells: &[String]) {
    let mut text = String::new();
    for (i, cell) in cells.iter().enumerate() {
        if i == 0 {
            text.push_str(&format!("{cell:<18}"));
        } else {
            text.push_str(&format!("{cell:>12}"));
        }
    }
    println!("{text}");
}
