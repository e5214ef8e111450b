//! A whole journal as it was loaded: what can be read of it, how the saga stands by that, and what is
//! damaged.
use super::{Damage, Event, Row, View};

#[derive(Debug)]
pub(crate) struct Reading {
    /// Everything that can be read, also behind a damage.
    pub(crate) read: Vec<Read>,
    /// The fold of what is before the first damage.
    pub(crate) view: View,
    /// What cannot be read, in its order.
    pub(crate) damage: Vec<Damage>,
}

/// An event with the row that it is in.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) seq: u32,
    pub(crate) epoch: u32,
    pub(crate) at: i64,
    pub(crate) event: Event,
}

impl Reading {
    pub(crate) fn of(uid: &[u8; 16], rows: &[Row]) -> Reading {
        let mut reading = Reading {
            read: Vec::new(),
            view: View::default(),
            damage: Vec::new(),
        };
        let mut due = rows.first().map(|row| row.seq);
        for row in rows {
            let events = row.decode(uid);
            // Runs between the first row and the present one are gone. Before the end of the last
            // one may stand what led to it.
            let ends_run = |event: &Event| matches!(event, Event::Continued {});
            let next_run = events.iter().flatten().any(ends_run);
            if let Some(due) = due.filter(|due| *due != row.seq && !next_run) {
                let why = "it is missing".to_owned();
                reading.damage.push(Damage { seq: due, why });
            }
            due = row.seq.checked_add(1);
            match events {
                Err(damage) => reading.damage.push(damage),
                Ok(events) => reading.take(row, events),
            }
        }
        if rows.is_empty() {
            let why = "it is missing".to_owned();
            reading.damage.push(Damage { seq: 0, why });
        }
        reading
    }

    fn take(&mut self, row: &Row, events: Vec<Event>) {
        if self.damage.is_empty() {
            self.view.apply_row(row.epoch, &events);
        }
        let (seq, epoch, at) = (row.seq, row.epoch, row.at);
        let read = events.into_iter().map(|event| Read {
            seq,
            epoch,
            at,
            event,
        });
        self.read.extend(read);
    }
}
