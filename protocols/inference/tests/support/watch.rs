//! A run that hangs would hang a test without a word: this names it and ends the
//! process.

use std::sync::{Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

/// What runs, since when: a run that hangs would hang the test without a word.
static NOW: Mutex<Option<(Instant, String)>> = Mutex::new(None);

/// Ends the process with the name of what takes far too long.
pub(crate) fn watch() {
    static WATCH: Once = Once::new();
    WATCH.call_once(|| {
        std::thread::spawn(|| {
            loop {
                std::thread::sleep(Duration::from_millis(500));
                let now = NOW.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some((since, what)) = now.as_ref()
                    && since.elapsed() > Duration::from_secs(30)
                {
                    eprintln!("HANGS: {what}");
                    std::process::exit(101);
                }
            }
        });
    });
}

/// Notes what runs from here on.
pub(crate) fn note(what: Option<String>) {
    let mut now = NOW.lock().unwrap_or_else(PoisonError::into_inner);
    *now = what.map(|w| (Instant::now(), w));
}
