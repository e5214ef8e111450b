//! `google.rpc.RetryInfo` in a status' details, read by hand: three messages, four fields, against
//! two more crates in every build with gRPC.
//!
//! ```text
//! google.rpc.Status    { 3: repeated Any }         (error_details.proto, status.proto, any.proto,
//! google.protobuf.Any  { 1: type_url, 2: value }    duration.proto of googleapis and protobuf)
//! google.rpc.RetryInfo { 1: Duration }
//! Duration             { 1: seconds, 2: nanos }
//! ```
use std::time::Duration;

const RETRY_INFO: &[u8] = b"google.rpc.RetryInfo";

/// The `retry_delay` of the first RetryInfo among a status' details. A negative one is zero; bytes
/// that are no such message give nothing.
pub(super) fn retry_delay(details: &[u8]) -> Option<Duration> {
    fields(details)
        .filter_map(|(field, value)| if field == 3 { value.bytes() } else { None })
        .find_map(of_any)
        .map(of_retry_info)
}

/// What a RetryInfo in an `Any` holds; nothing of other types.
fn of_any(any: &[u8]) -> Option<&[u8]> {
    let (mut is_retry_info, mut held) = (false, &[][..]);
    for (field, value) in fields(any) {
        match (field, value.bytes()) {
            (1, Some(url)) => {
                is_retry_info = url.rsplit(|b| *b == b'/').next() == Some(RETRY_INFO);
            }
            (2, Some(value)) => held = value,
            _ => {}
        }
    }
    is_retry_info.then_some(held)
}

fn of_retry_info(info: &[u8]) -> Duration {
    let (mut seconds, mut nanos) = (0_i64, 0_i64);
    let delay =
        fields(info).filter_map(|(field, value)| if field == 1 { value.bytes() } else { None });
    for (field, value) in delay.flat_map(fields) {
        match (field, value) {
            (1, Value::Number(n)) => seconds = n.cast_signed(),
            (2, Value::Number(n)) => nanos = n.cast_signed(),
            _ => {}
        }
    }
    // Both bear the same sign (duration.proto).
    match (u64::try_from(seconds), u32::try_from(nanos)) {
        (Ok(seconds), Ok(nanos)) => {
            Duration::from_secs(seconds).saturating_add(Duration::from_nanos(nanos.into()))
        }
        _ => Duration::ZERO,
    }
}

#[derive(Clone, Copy)]
enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// Of fixed width; no message here has one.
    Other,
}

impl<'a> Value<'a> {
    fn bytes(self) -> Option<&'a [u8]> {
        match self {
            Value::Bytes(bytes) => Some(bytes),
            Value::Number(_) | Value::Other => None,
        }
    }
}

/// A message's fields with their numbers, up to the first byte that makes no sense.
fn fields(mut message: &[u8]) -> impl Iterator<Item = (u64, Value<'_>)> {
    std::iter::from_fn(move || {
        let tag = varint(&mut message)?;
        let value = match tag & 7 {
            0 => Value::Number(varint(&mut message)?),
            1 => take(&mut message, 8).map(|_| Value::Other)?,
            2 => {
                let len = usize::try_from(varint(&mut message)?).ok()?;
                Value::Bytes(take(&mut message, len)?)
            }
            5 => take(&mut message, 4).map(|_| Value::Other)?,
            _ => return None,
        };
        Some((tag >> 3, value))
    })
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = *message.split_off_first()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn take<'a>(message: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    message.split_off(..len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use prost::Message;

    #[derive(Clone, PartialEq, Message)]
    struct Status {
        #[prost(int32, tag = "1")]
        code: i32,
        #[prost(string, tag = "2")]
        message: String,
        #[prost(message, repeated, tag = "3")]
        details: Vec<Any>,
    }

    #[derive(Clone, PartialEq, Message)]
    struct Any {
        #[prost(string, tag = "1")]
        type_url: String,
        #[prost(bytes = "vec", tag = "2")]
        value: Vec<u8>,
    }

    #[derive(Clone, PartialEq, Message)]
    struct RetryInfo {
        #[prost(message, optional, tag = "1")]
        retry_delay: Option<Delay>,
    }

    #[derive(Clone, PartialEq, Message)]
    struct Delay {
        #[prost(int64, tag = "1")]
        seconds: i64,
        #[prost(int32, tag = "2")]
        nanos: i32,
    }

    fn details(kind: &str, seconds: i64, nanos: i32) -> Vec<u8> {
        let info = RetryInfo {
            retry_delay: Some(Delay { seconds, nanos }),
        };
        let any = |kind: &str, value| Any {
            type_url: format!("type.googleapis.com/google.rpc.{kind}"),
            value,
        };
        let status = Status {
            code: 8,
            message: "quota".into(),
            details: vec![
                any("DebugInfo", vec![8, 1]),
                any(kind, info.encode_to_vec()),
            ],
        };
        status.encode_to_vec()
    }

    #[test]
    fn the_delay_is_found_among_other_details() {
        let delay = retry_delay(&details("RetryInfo", 2, 500_000_000));
        assert_eq!(delay, Some(Duration::from_millis(2_500)));
    }

    #[test]
    fn fields_of_fixed_width_are_passed_over() {
        let eight = [9 << 3 | 1, 1, 2, 3, 4, 5, 6, 7, 8];
        let four = [10 << 3 | 5, 1, 2, 3, 4];
        let status = [&eight[..], &four, &details("RetryInfo", 2, 0)].concat();
        assert_eq!(retry_delay(&status), Some(Duration::from_secs(2)));
        assert_eq!(retry_delay(&status[1..]), None);
    }

    #[test]
    fn a_delay_that_is_not_there_gives_nothing_and_one_in_the_past_is_zero() {
        assert_eq!(retry_delay(&details("QuotaFailure", 2, 0)), None);
        assert_eq!(retry_delay(&[]), None);
        let past = retry_delay(&details("RetryInfo", -1, -5));
        assert_eq!(past, Some(Duration::ZERO));
    }

    proptest! {
        #[test]
        fn what_a_real_encoder_wrote_is_read(seconds in 0_i64.., nanos in 0_i32..1_000_000_000) {
            let expected = Duration::new(seconds.try_into().unwrap(), nanos.try_into().unwrap());
            prop_assert_eq!(retry_delay(&details("RetryInfo", seconds, nanos)), Some(expected));
        }

        #[test]
        fn no_bytes_make_it_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..80),
            cut in 0_usize..100,
        ) {
            let _ = retry_delay(&bytes);
            let whole = details("RetryInfo", 3, 4);
            let _ = retry_delay(&whole[..cut.min(whole.len())]);
        }
    }
}
