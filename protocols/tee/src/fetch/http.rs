//! One GET, bounded in every way: time to connect, time in all, bytes, attempts.
//!
//! A refusal (4xx) is final. What may pass (429, 5xx, no connection, a time-out) is tried again
//! after a wait that doubles, or as long as `Retry-After` says; never longer than the settings
//! allow. No redirect is followed and no proxy used.

use std::time::Duration;

use ureq::Agent;
use ureq::http::Response;

use super::{FetchError, FetchSettings};

/// A header longer than this is none of a vendor's: issuer chains have 2 to 4 KB.
const HEADER_BYTES_MAX: usize = 32 * 1024;

/// What a service answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    /// The header that was asked for, as sent; empty where none was.
    pub(super) header: String,
    pub(super) body: Vec<u8>,
}

/// Asks vendors' services.
pub(super) struct Http {
    agent: Agent,
    attempts: u32,
    first_wait: Duration,
    longest_wait: Duration,
}

/// Whether asking again may help, and when the service said it would.
enum Failure {
    Final(FetchError),
    Passing(FetchError, Option<Duration>),
}

impl Http {
    pub(super) fn new(settings: &FetchSettings) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(0)
            .timeout_connect(Some(settings.connect_timeout))
            .timeout_global(Some(settings.call_timeout))
            .max_response_header_size(2 * HEADER_BYTES_MAX)
            .user_agent(concat!("aether/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        Self {
            agent,
            attempts: settings.attempts.max(1),
            first_wait: settings.first_wait,
            longest_wait: settings.longest_wait,
        }
    }

    /// The answer to GET `url`, of at most `most` bytes, with one of its headers.
    pub(super) fn get(&self, url: &str, header: &str, most: usize) -> Result<Answer, FetchError> {
        let mut wait = self.first_wait;
        let mut attempt = 1;
        loop {
            match self.once(url, header, most) {
                Ok(answer) => return Ok(answer),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Passing(error, _)) if attempt == self.attempts => return Err(error),
                Err(Failure::Passing(_, asked)) => {
                    std::thread::sleep(asked.unwrap_or(wait).min(self.longest_wait));
                    wait = wait.saturating_mul(2);
                    attempt += 1;
                }
            }
        }
    }

    fn once(&self, url: &str, header: &str, most: usize) -> Result<Answer, Failure> {
        let mut response = self.agent.get(url).call().map_err(|e| failed(url, &e))?;
        let status = response.status().as_u16();
        if status != 200 {
            let error = FetchError::Status {
                url: url.into(),
                status,
            };
            return Err(match status {
                429 | 500..=599 => Failure::Passing(error, retry_after(&response)),
                _ => Failure::Final(error),
            });
        }
        let header = text_of(&response, header).unwrap_or_default();
        if header.len() > HEADER_BYTES_MAX {
            return Err(Failure::Final(too_large(url, HEADER_BYTES_MAX)));
        }
        // The limit counts what it lets through; one byte more would be cut.
        let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
        let reader = response.body_mut().with_config().limit(limit);
        let body = reader.read_to_vec().map_err(|error| match error {
            ureq::Error::BodyExceedsLimit(_) => Failure::Final(too_large(url, most)),
            other => failed(url, &other),
        })?;
        if body.len() > most {
            return Err(Failure::Final(too_large(url, most)));
        }
        Ok(Answer { header, body })
    }
}

fn too_large(url: &str, most: usize) -> FetchError {
    FetchError::TooLarge {
        url: url.into(),
        most,
    }
}

fn failed(url: &str, error: &ureq::Error) -> Failure {
    use ureq::Error as E;
    let unreachable = FetchError::Unreachable {
        url: url.into(),
        reason: error.to_string(),
    };
    match error {
        E::Io(_) | E::Timeout(_) | E::HostNotFound | E::ConnectionFailed | E::Protocol(_) => {
            Failure::Passing(unreachable, None)
        }
        _ => Failure::Final(unreachable),
    }
}

fn text_of<T>(response: &Response<T>, name: &str) -> Option<String> {
    let value = response.headers().get(name)?;
    value.to_str().ok().map(str::to_owned)
}

/// Seconds; the form with a date is not used by these services.
fn retry_after<T>(response: &Response<T>) -> Option<Duration> {
    let seconds = text_of(response, "retry-after")?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}
