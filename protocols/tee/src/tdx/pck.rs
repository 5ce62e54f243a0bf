//! What a PCK certificate says about its platform: Intel's extension 1.2.840.113741.1.13.1, a
//! sequence of pairs of an id and a value, one of which (the TCB) is such a sequence again.

use der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef};
use der::{Decode, Reader, SliceReader, Tagged};

const EXTENSION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113741.1.13.1");
const PPID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113741.1.13.1.1");
const TCB: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113741.1.13.1.2");
const PCE_ID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113741.1.13.1.3");
const FMSPC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113741.1.13.1.4");
/// Pairs in a sequence; genuine ones have 7 and 18.
const MAX_PAIRS: usize = 32;
/// Below the TCB's id: 1 to 16 are components, 17 the provisioning enclave's version.
const COMPONENTS: u32 = 16;
const PCE_SVN: u32 = 17;

use crate::refusal::Refusal;
use crate::x509::certificate::Link;

/// A platform, as its PCK certificate describes it.
pub(crate) struct Platform {
    /// Names the platform for as long as its owner does not reset it.
    pub(crate) ppid: [u8; 16],
    pub(crate) fmspc: [u8; 6],
    pub(crate) pce_id: [u8; 2],
    pub(crate) components: [u8; 16],
    pub(crate) pce_svn: u16,
}

/// What a certificate's extension says about its platform; `None` for other extensions.
pub(crate) fn read(id: ObjectIdentifier, content: &[u8]) -> Option<Platform> {
    (id == EXTENSION)
        .then(|| Platform::parse(content))
        .flatten()
}

impl Platform {
    pub(crate) fn of(pck: &Link<'_>) -> Result<Self, Refusal> {
        let content = pck.extension(EXTENSION);
        content.and_then(Self::parse).ok_or(Refusal::PckExtension)
    }

    fn parse(content: &[u8]) -> Option<Self> {
        let outer = pairs(AnyRef::from_der(content).ok()?)?;
        let tcb = pairs(find(&outer, TCB)?)?;
        let mut components = [0; 16];
        for (number, component) in (1..=COMPONENTS).zip(&mut components) {
            let value = find(&tcb, TCB.push_arc(number).ok()?)?;
            *component = value.decode_as().ok()?;
        }
        let pce_svn = find(&tcb, TCB.push_arc(PCE_SVN).ok()?)?;
        Some(Self {
            ppid: octets(find(&outer, PPID)?)?,
            fmspc: octets(find(&outer, FMSPC)?)?,
            pce_id: octets(find(&outer, PCE_ID)?)?,
            components,
            pce_svn: pce_svn.decode_as().ok()?,
        })
    }
}

type Pairs<'a> = Vec<(ObjectIdentifier, AnyRef<'a>)>;

/// The pairs of a sequence; ids are distinct.
fn pairs(sequence: AnyRef<'_>) -> Option<Pairs<'_>> {
    if sequence.tag() != der::Tag::Sequence {
        return None;
    }
    let mut reader = SliceReader::new(sequence.value()).ok()?;
    let mut found = Pairs::new();
    while !reader.is_finished() {
        let pair = AnyRef::decode(&mut reader).ok()?;
        if pair.tag() != der::Tag::Sequence || found.len() == MAX_PAIRS {
            return None;
        }
        let mut inner = SliceReader::new(pair.value()).ok()?;
        let id = ObjectIdentifier::decode(&mut inner).ok()?;
        let value = AnyRef::decode(&mut inner).ok()?;
        if !inner.is_finished() || found.iter().any(|(other, _)| *other == id) {
            return None;
        }
        found.push((id, value));
    }
    Some(found)
}

fn find<'a>(pairs: &Pairs<'a>, id: ObjectIdentifier) -> Option<AnyRef<'a>> {
    let pair = pairs.iter().find(|(other, _)| *other == id);
    pair.map(|(_, value)| *value)
}

fn octets<const N: usize>(value: AnyRef<'_>) -> Option<[u8; N]> {
    let octets: &OctetStringRef = value.decode_as().ok()?;
    octets.as_bytes().try_into().ok()
}
