use super::Event;
use std::fmt;

/// One commit of one saga: a JSON array of [`Event`]s, with its place, its time and a checksum.
///
/// The checksum is CRC-32C (RFC 3720, appendix B.4) over the saga's 128-bit identity, `seq`,
/// `epoch`, `at` (each little-endian) and the body, so a changed bit in any of them is noticed, and
/// so is a row of another saga.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Row {
    /// Its number in the journal, from 0, without gaps.
    pub seq: u32,
    /// The epoch of the owner that wrote it: the fencing token.
    pub epoch: u32,
    /// When it was written, UTC ms.
    pub at: i64,
    /// The checksum, CRC-32C.
    pub sum: u32,
    /// The events, as JSON text.
    pub body: Vec<u8>,
}

impl Row {
    /// Encodes `events`, as row number `seq`, at `at` milliseconds since 1970.
    ///
    /// # Errors
    /// Where a payload cannot be written as JSON; ours always can.
    pub fn encode(
        uid: &[u8; 16],
        seq: u32,
        epoch: u32,
        at: i64,
        events: &[Event],
    ) -> serde_json::Result<Row> {
        // Room for most rows, so that it does not grow on its way.
        let mut body = Vec::with_capacity(256);
        serde_json::to_writer(&mut body, events)?;
        let sum = checksum(uid, seq, epoch, at, &body);
        Ok(Row {
            seq,
            epoch,
            at,
            sum,
            body,
        })
    }

    /// One as a store has kept it: its number, its epoch, UTC ms, the checksum and the events.
    pub fn kept(seq: u32, epoch: u32, at: i64, sum: u32, body: Vec<u8>) -> Row {
        Row {
            seq,
            epoch,
            at,
            sum,
            body,
        }
    }

    /// The events in it.
    ///
    /// # Errors
    /// [`Damage`]: the checksum does not fit, or the body is not what this version can read. Never
    /// panics, whatever the bytes.
    pub fn decode(&self, uid: &[u8; 16]) -> Result<Vec<Event>, Damage> {
        let found = checksum(uid, self.seq, self.epoch, self.at, &self.body);
        if found != self.sum {
            let why = format!("its checksum is {:08x}, not {found:08x}", self.sum);
            return Err(Damage { seq: self.seq, why });
        }
        serde_json::from_slice(&self.body).map_err(|e| Damage {
            seq: self.seq,
            why: format!("it cannot be read: {e}"),
        })
    }
}

/// A journal row that cannot be trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Damage {
    /// The number of the row in the journal, from 0.
    pub seq: u32,
    /// What is wrong with it.
    pub why: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "journal row {} is damaged: {}", self.seq, self.why)
    }
}

impl std::error::Error for Damage {}

fn checksum(uid: &[u8; 16], seq: u32, epoch: u32, at: i64, body: &[u8]) -> u32 {
    // Together, since it takes 16 bytes at a time.
    let mut head = [0; 32];
    let (identity, place) = head.split_at_mut(16);
    identity.copy_from_slice(uid);
    let (place, time) = place.split_at_mut(8);
    place.copy_from_slice(&(u64::from(epoch) << 32 | u64::from(seq)).to_le_bytes());
    time.copy_from_slice(&at.to_le_bytes());
    let mut digest = CRC.digest();
    digest.update(&head);
    digest.update(body);
    digest.finalize()
}

/// Sixteen tables: a row costs a tenth of a microsecond instead of a whole one.
static CRC: crc::Crc<u32, crc::Table<16>> =
    crc::Crc::<u32, crc::Table<16>>::new(&crc::CRC_32_ISCSI);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_says_which_row_and_what_is_wrong_with_it() {
        let mut row = Row::encode(&[9; 16], 3, 4, 5, &[]).unwrap();
        row.sum ^= 1;
        let told = row.decode(&[9; 16]).unwrap_err().to_string();
        assert!(
            told.starts_with("journal row 3 is damaged: its checksum is "),
            "{told}"
        );
    }
}
