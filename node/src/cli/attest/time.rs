//! Instants: RFC 3339 in UTC or seconds since 1970, both with an optional fraction, read to the
//! millisecond; written as RFC 3339.

use std::time::{SystemTime, UNIX_EPOCH};

const DAY: u64 = 86_400;
/// The last second of the year 9999, as far as RFC 3339 goes.
const LAST: u64 = 253_402_300_799;

/// Milliseconds since 1970 of this machine's clock.
pub(super) fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
}

/// Milliseconds since 1970, of `1767225600`, `1767225600.5` or `2026-01-01T00:00:00.5Z`
/// (offsets as `+02:00` are understood). `None` where the text is no such instant.
pub(super) fn parse_ms(text: &str) -> Option<u64> {
    let text = text.trim();
    if text.contains('T') || text.contains('t') {
        return rfc3339(text);
    }
    let (seconds, ms) = fraction(text)?;
    let seconds: u64 = digits(seconds, 1..=12)?;
    (seconds <= LAST).then(|| seconds * 1000 + ms)
}

fn rfc3339(text: &str) -> Option<u64> {
    let text = text.to_ascii_uppercase();
    let (date, clock) = text.split_once('T')?;
    let mut date = date.splitn(3, '-');
    let year: u64 = digits(date.next()?, 4..=4)?;
    let month: u64 = digits(date.next()?, 2..=2)?;
    let day: u64 = digits(date.next()?, 2..=2)?;
    let (clock, offset) = match clock.strip_suffix('Z') {
        Some(clock) => (clock, 0),
        None => {
            let sign = clock.rfind(['+', '-'])?;
            let (clock, offset) = clock.split_at_checked(sign)?;
            let ahead = offset.starts_with('+');
            let (hours, minutes) = offset.get(1..)?.split_once(':')?;
            let hours: i64 = digits(hours, 2..=2)?.try_into().ok()?;
            let minutes: i64 = digits(minutes, 2..=2)?.try_into().ok()?;
            let seconds = (hours * 60 + minutes) * 60;
            (clock, if ahead { seconds } else { -seconds })
        }
    };
    let (clock, ms) = fraction(clock)?;
    let mut clock = clock.splitn(3, ':');
    let hour: u64 = digits(clock.next()?, 2..=2)?;
    let minute: u64 = digits(clock.next()?, 2..=2)?;
    let second: u64 = digits(clock.next()?, 2..=2)?;
    let proper = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=month_days(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !proper {
        return None;
    }
    let days: u64 = (1970..year)
        .map(|y| if is_leap(y) { 366 } else { 365 })
        .sum();
    let days = days + (1..month).map(|m| month_days(year, m)).sum::<u64>() + day - 1;
    let seconds = days * DAY + hour * 3600 + minute * 60 + second;
    let seconds = i64::try_from(seconds).ok()?.checked_sub(offset)?;
    Some(u64::try_from(seconds).ok()? * 1000 + ms)
}

/// The whole part, and the fraction in milliseconds; what is finer is cut off.
fn fraction(text: &str) -> Option<(&str, u64)> {
    let Some((whole, fraction)) = text.split_once('.') else {
        return Some((text, 0));
    };
    digits(fraction, 1..=9)?;
    let ms = fraction.bytes().chain(*b"00").take(3);
    let ms = ms.fold(0, |ms, digit| ms * 10 + u64::from(digit - b'0'));
    Some((whole, ms))
}

/// A number of so many digits and nothing else.
fn digits(text: &str, count: std::ops::RangeInclusive<usize>) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    (plain && count.contains(&text.len()))
        .then(|| text.parse().ok())
        .flatten()
}

const fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

const fn month_days(year: u64, month: u64) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// `2026-01-01T00:00:00Z`.
pub(super) fn show(seconds: u64) -> String {
    let seconds = seconds.min(LAST);
    let (mut days, rest) = (seconds / DAY, seconds % DAY);
    let (mut year, mut month) = (1970, 1);
    loop {
        let length = if is_leap(year) { 366 } else { 365 };
        if days < length {
            break;
        }
        days -= length;
        year += 1;
    }
    while days >= month_days(year, month) {
        days -= month_days(year, month);
        month += 1;
    }
    format!(
        "{year:04}-{month:02}-{:02}T{:02}:{:02}:{:02}Z",
        days + 1,
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read_in_both_forms() {
        let cases = [
            ("0", 0),
            ("1717200000", 1_717_200_000_000),
            ("1734075479.960", 1_734_075_479_960),
            ("1970-01-01T00:00:00Z", 0),
            ("2024-06-01T00:00:00Z", 1_717_200_000_000),
            ("2024-06-01t02:00:00.000+02:00", 1_717_200_000_000),
            ("2024-05-31T23:30:00-00:30", 1_717_200_000_000),
            ("2024-12-13T07:37:59.96Z", 1_734_075_479_960),
            ("2024-12-13T07:37:59.9600009Z", 1_734_075_479_960),
            ("2024-02-29T12:00:00Z", 1_709_208_000_000),
            ("2000-03-01T00:00:00Z", 951_868_800_000),
            ("9999-12-31T23:59:59Z", LAST * 1000),
        ];
        for (text, ms) in cases {
            assert_eq!(parse_ms(text), Some(ms), "{text}");
        }
    }

    #[test]
    fn other_texts_are_no_instants() {
        for text in [
            "",
            "now",
            "-1",
            "1.",
            ".5",
            "1e9",
            "99999999999999",
            "2024-06-01",
            "2024-06-01 00:00:00Z",
            "2024-06-01T00:00:00",
            "2023-02-29T00:00:00Z",
            "2024-13-01T00:00:00Z",
            "2024-00-01T00:00:00Z",
            "2024-06-31T00:00:00Z",
            "2024-06-01T24:00:00Z",
            "2024-06-01T00:60:00Z",
            "2024-06-01T00:00:60Z",
            "1969-12-31T23:59:59Z",
            "1970-01-01T00:00:00+01:00",
            "2024-6-1T0:0:0Z",
            "2024-06-01T00:00:00+2:00",
            "２０２４-06-01T00:00:00Z",
            "2024-06-01T00:00:00.Z",
        ] {
            assert_eq!(parse_ms(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_shown_reads_back() {
        for seconds in [
            0,
            59,
            DAY - 1,
            DAY,
            951_782_400,
            1_709_208_000,
            4_102_444_799,
            LAST,
        ] {
            assert_eq!(parse_ms(&show(seconds)), Some(seconds * 1000), "{seconds}");
        }
        assert_eq!(show(1_772_323_200), "2026-03-01T00:00:00Z");
        assert_eq!(show(u64::MAX), "9999-12-31T23:59:59Z");
    }
}
