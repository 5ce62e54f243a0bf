//! The table, for people and for machines.

/// A goal: the row's first contender against another, at most this ratio.
pub struct Goal {
    pub against: &'static str,
    pub at_most: f64,
}

/// One comparison.
pub struct Row {
    pub title: String,
    /// Operations that one measured run stands for.
    pub per: u64,
    pub times: Vec<(&'static str, u64)>,
    pub goals: Vec<Goal>,
}

impl Row {
    fn micros(&self, nanos: u64) -> f64 {
        nanos as f64 / 1000.0 / self.per as f64
    }

    fn verdicts(&self) -> impl Iterator<Item = (&Goal, f64)> {
        let (_, own) = self.times[0];
        self.goals.iter().map(move |goal| {
            let (_, other) = *self
                .times
                .iter()
                .find(|(name, _)| *name == goal.against)
                .expect("goals name a contender of their row");
            (goal, own as f64 / other as f64)
        })
    }
}

pub fn print_table(rows: &[Row]) {
    for row in rows {
        println!("\n{}", row.title);
        let (_, own) = row.times[0];
        for (name, nanos) in &row.times {
            let ratio = own as f64 / *nanos as f64;
            println!(
                "  {name:<44} {:>12.1} µs   ours is {ratio:.3} of it",
                row.micros(*nanos)
            );
        }
        for (goal, ratio) in row.verdicts() {
            let verdict = if ratio <= goal.at_most {
                "met"
            } else {
                "MISSED"
            };
            println!(
                "  goal: {:.3} of {} (at most {:.2}): {verdict}",
                ratio, goal.against, goal.at_most
            );
        }
    }
}

pub fn print_json(rows: &[Row]) {
    let list: Vec<String> = rows
        .iter()
        .map(|row| {
            let times: Vec<String> = row
                .times
                .iter()
                .map(|(name, nanos)| {
                    format!("{{\"name\":\"{name}\",\"us\":{:.3}}}", row.micros(*nanos))
                })
                .collect();
            let goals: Vec<String> = row
                .verdicts()
                .map(|(goal, ratio)| {
                    format!(
                        "{{\"against\":\"{}\",\"ratio\":{ratio:.4},\"at_most\":{},\"met\":{}}}",
                        goal.against,
                        goal.at_most,
                        ratio <= goal.at_most
                    )
                })
                .collect();
            format!(
                "{{\"title\":\"{}\",\"times\":[{}],\"goals\":[{}]}}",
                row.title,
                times.join(","),
                goals.join(",")
            )
        })
        .collect();
    println!("[{}]", list.join(",\n"));
}
