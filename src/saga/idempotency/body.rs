use bytes::Buf as _;
use http_body::Body;
use std::{future::poll_fn, pin::pin};

/// Why a body could not be had whole.
#[derive(Debug, PartialEq)]
pub(super) enum Cut {
    TooLong,
    Broken,
}

/// Reads a body to its end. Trailers are dropped.
///
/// # Cancel safety
/// What has been read is lost with the body.
pub(super) async fn whole<B: Body>(body: B, limit: usize) -> Result<Vec<u8>, Cut> {
    let sure = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if sure > limit {
        return Err(Cut::TooLong);
    }
    let mut body = pin!(body);
    let mut read = Vec::with_capacity(sure);
    while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        let Ok(mut data) = frame.map_err(|_| Cut::Broken)?.into_data() else {
            continue;
        };
        while data.has_remaining() {
            let chunk = data.chunk();
            let length = chunk.len();
            if length > limit.saturating_sub(read.len()) {
                return Err(Cut::TooLong);
            }
            read.extend_from_slice(chunk);
            data.advance(length);
        }
    }
    Ok(read)
}
