//! Request-response: protocol names and frames.
//!
//! Bytes are opaque both ways. Frames, integers little-endian:
//!
//! ```text
//! request   u32 length ‖ bytes
//! response  u8 status  ‖ u32 length ‖ bytes       status 0 = answered, 1 = busy
//! ```
//!
//! The length is compared with the limit before anything is allocated, and memory grows with
//! the bytes that really arrive, so a claim costs its author the sending. A refused request is
//! answered by closing the stream; "busy" (rate quota or full queue) is said, so that the other
//! side knows that waiting helps.

use std::io;

use aether_bootnode::NetworkId;
use libp2p::{
    StreamProtocol,
    futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    request_response::Codec,
};
use thiserror::Error;

/// Allocated up front for a frame, whatever length it claims.
const FIRST_ALLOCATION: usize = 64 << 10;

const STATUS_ANSWERED: u8 = 0;
const STATUS_BUSY: u8 = 1;

/// The request-response protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// Blocks with certificates, snapshots.
    Sync,
    /// Verified ranges of content-addressed blobs.
    Blob,
    /// Heights, roots, what a peer serves.
    Status,
}

impl Protocol {
    /// Every protocol there is.
    pub const ALL: [Self; 3] = [Self::Sync, Self::Blob, Self::Status];

    /// The name in the protocol id and in metrics.
    #[must_use]
    pub fn kind(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Blob => "blob",
            Self::Status => "status",
        }
    }

    pub(super) fn id(self, network: &NetworkId) -> StreamProtocol {
        network.stream_protocol(self.kind())
    }
}

/// What a peer asked. libp2p does not report what goes wrong before a request is complete, so a
/// broken frame travels upwards as a request, to be held against its sender.
pub(super) type Request = Result<Vec<u8>, FrameError>;

/// What a peer answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Response {
    Answered(Vec<u8>),
    Busy,
}

/// A frame that breaks the rules; the fault is the sender's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum FrameError {
    #[error("a frame of {claimed} bytes, {max} are allowed")]
    TooLarge { claimed: u32, max: usize },
    #[error("unknown response status {0}")]
    UnknownStatus(u8),
}

impl From<FrameError> for io::Error {
    fn from(error: FrameError) -> Self {
        Self::new(io::ErrorKind::InvalidData, error)
    }
}

impl FrameError {
    /// Finds the broken rule behind an I/O error, if there is one.
    pub(super) fn of(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().copied()
    }
}

/// Reads and writes frames within the limits.
#[derive(Clone, Debug)]
pub(super) struct FrameCodec {
    pub(super) request_bytes_max: usize,
    pub(super) response_bytes_max: usize,
}

async fn read_frame(io: &mut (impl AsyncRead + Unpin + Send), max: usize) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    io.read_exact(&mut length).await?;
    let claimed = u32::from_le_bytes(length);
    let length = usize::try_from(claimed).unwrap_or(usize::MAX);
    if length > max {
        return Err(FrameError::TooLarge { claimed, max }.into());
    }
    let mut bytes = Vec::with_capacity(length.min(FIRST_ALLOCATION));
    let read = io.take(u64::from(claimed)).read_to_end(&mut bytes).await?;
    if read < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes)
}

async fn write_frame(
    io: &mut (impl AsyncWrite + Unpin + Send),
    bytes: &[u8],
    max: usize,
) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    if bytes.len() > max {
        return Err(FrameError::TooLarge {
            claimed: length,
            max,
        }
        .into());
    }
    io.write_all(&length.to_le_bytes()).await?;
    io.write_all(bytes).await
}

impl Codec for FrameCodec {
    type Protocol = StreamProtocol;
    type Request = Request;
    type Response = Response;

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Request>
    where
        T: AsyncRead + Unpin + Send,
    {
        match read_frame(io, self.request_bytes_max).await {
            Ok(bytes) => Ok(Ok(bytes)),
            Err(error) => FrameError::of(&error).map(Err).ok_or(error),
        }
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Response>
    where
        T: AsyncRead + Unpin + Send,
    {
        let mut status = [0; 1];
        io.read_exact(&mut status).await?;
        match status {
            [STATUS_ANSWERED] => read_frame(io, self.response_bytes_max)
                .await
                .map(Response::Answered),
            [STATUS_BUSY] => read_frame(io, 0).await.map(|_| Response::Busy),
            [other] => Err(FrameError::UnknownStatus(other).into()),
        }
    }

    async fn write_request<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        request: Request,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write_frame(io, &request?, self.request_bytes_max).await
    }

    async fn write_response<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        response: Response,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        let (status, bytes) = match response {
            Response::Answered(bytes) => (STATUS_ANSWERED, bytes),
            Response::Busy => (STATUS_BUSY, Vec::new()),
        };
        io.write_all(&[status]).await?;
        write_frame(io, &bytes, self.response_bytes_max).await
    }
}

#[cfg(test)]
mod tests {
    use libp2p::futures::{executor::block_on, io::Cursor};

    use super::*;

    const NAME: StreamProtocol = StreamProtocol::new("/test");

    fn codec() -> FrameCodec {
        FrameCodec {
            request_bytes_max: 8,
            response_bytes_max: 16,
        }
    }

    #[test]
    fn frames_come_back_as_they_were_sent() {
        for response in [
            Response::Answered(vec![]),
            Response::Answered(vec![7; 16]),
            Response::Busy,
        ] {
            let mut wire = Cursor::new(Vec::new());
            block_on(codec().write_response(&NAME, &mut wire, response.clone())).unwrap();
            wire.set_position(0);
            assert_eq!(
                block_on(codec().read_response(&NAME, &mut wire)).unwrap(),
                response
            );
        }
    }

    #[test]
    fn frames_that_break_the_rules_are_refused() {
        let too_large = |claimed, max| Some(FrameError::TooLarge { claimed, max });
        let cases: [(&[u8], Option<FrameError>); 6] = [
            (&[0, 17, 0, 0, 0], too_large(17, 16)),
            (&[0, 255, 255, 255, 255, 1], too_large(u32::MAX, 16)),
            (&[2, 0, 0, 0, 0], Some(FrameError::UnknownStatus(2))),
            (&[1, 1, 0, 0, 0, 9], too_large(1, 0)),
            (&[0, 4, 0, 0, 0, 1, 2, 3], None), // truncated
            (&[], None),
        ];
        for (wire, expected) in cases {
            let mut io = Cursor::new(wire);
            let error = block_on(codec().read_response(&NAME, &mut io)).unwrap_err();
            assert_eq!(FrameError::of(&error), expected, "{wire:?}");
        }
    }

    #[test]
    fn a_request_that_is_too_large_is_known_by_its_claim() {
        let mut io = Cursor::new([9, 0, 0, 0]);
        let request = block_on(codec().read_request(&NAME, &mut io)).unwrap();
        assert_eq!(request, Err(FrameError::TooLarge { claimed: 9, max: 8 }));
    }

    #[test]
    fn we_never_send_what_others_would_refuse() {
        let mut wire = Cursor::new(Vec::new());
        let error = block_on(codec().write_request(&NAME, &mut wire, Ok(vec![0; 9]))).unwrap_err();
        assert!(FrameError::of(&error).is_some());
        assert!(wire.into_inner().is_empty());
    }
}
