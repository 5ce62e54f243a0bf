//! What a network demands of evidence beyond its being genuine.

use crate::evidence::{EvidenceKind, Measurement};

/// A network's demands. The default accepts no kind at all.
///
/// All limits are inclusive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Kinds that are accepted; they must be trusted by the anchors as well.
    pub kinds: Vec<EvidenceKind>,
    /// Measurements of the programs that are accepted. Empty: any, and the appraisal says
    /// `measured: false`.
    pub measurements: Vec<Measurement>,
    /// The greatest age of a document that carries its own time, in seconds.
    pub max_age_seconds: u64,
    /// How far a document's own time may lie ahead of the trusted time, in seconds: the
    /// platform's clock and the chain's never agree exactly.
    pub max_future_skew_seconds: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            kinds: Vec::new(),
            measurements: Vec::new(),
            // The mission's number: evidence is at most a minute old.
            max_age_seconds: 60,
            // Ample for two NTP-disciplined clocks and one slot between them.
            max_future_skew_seconds: 5,
        }
    }
}
