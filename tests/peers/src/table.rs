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

/// The version of a package that is linked in.
pub(crate) fn version(package: &str) -> String {
    let lock = include_str!("../Cargo.lock");
    let mut lines = lock
        .lines()
        .skip_while(|l| *l != format!("name = \"{package}\""));
    let version = lines.nth(1).and_then(|l| l.split('"').nth(1));
    version.unwrap_or("?").to_owned()
}
