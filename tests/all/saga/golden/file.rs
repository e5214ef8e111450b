//! A whole journal as text: a row a line, and how the saga stands by it.
use super::super::stage::Stage;
use seawall::saga::{
    Store as _,
    journal::{Event, OpState, Row, View},
    store::Claimed,
};
use serde::{Deserialize, Serialize};
use serde_json::{json, value::RawValue};

#[derive(Serialize, Deserialize)]
pub struct File {
    pub saga: String,
    pub key: String,
    pub version: u32,
    pub status: String,
    pub rows: Vec<Line>,
    pub fold: Box<RawValue>,
}

/// A row. Its checksum is over random bits and is left out; so are these where they stand in keys.
#[derive(Serialize, Deserialize)]
pub struct Line {
    pub epoch: u32,
    pub at: i64,
    pub events: Box<RawValue>,
}

impl Line {
    pub fn events(&self) -> Vec<Event> {
        serde_json::from_str(self.events.get()).unwrap()
    }
}

/// Stands for the 128 random bits of every saga.
pub const UID: &str = "00000000000000000000000000000000";

impl File {
    pub async fn of(stage: &Stage, name: &str, key: &str) -> File {
        let id = stage.id(name, key).await;
        let kept = stage.store.load(id, true).await.unwrap();
        let rows = kept.rows.iter().map(|row| Line {
            epoch: row.epoch,
            at: row.at,
            events: RawValue::from_string(masked(row, &kept)).unwrap(),
        });
        let mut file = File {
            saga: kept.name.clone(),
            key: kept.key.clone(),
            version: kept.version,
            status: kept.status.to_string(),
            rows: rows.collect(),
            fold: RawValue::NULL.to_owned(),
        };
        if let Some((_, op)) = file.key.split_once('/') {
            file.key = format!("{UID}/{op}");
        }
        file.fold = file.folded();
        file
    }

    pub fn text(&self) -> String {
        let head = json!([self.saga, self.key, self.version, self.status]);
        let [saga, key, version, status] = [0, 1, 2, 3].map(|place| head[place].to_string());
        let rows: Vec<_> = self
            .rows
            .iter()
            .map(|row| serde_json::to_string(row).unwrap())
            .collect();
        format!(
            "{{\n\"saga\":{saga},\n\"key\":{key},\n\"version\":{version},\n\"status\":{status},\n\
             \"rows\":[\n{}\n],\n\"fold\":{}\n}}\n",
            rows.join(",\n"),
            self.fold.get(),
        )
    }

    /// How the saga stands after all rows.
    pub fn view(&self) -> View {
        let mut view = View::default();
        for row in &self.rows {
            view.apply_row(row.epoch, &row.events());
        }
        view
    }

    /// What the fold says, as text.
    pub fn folded(&self) -> Box<RawValue> {
        let view = self.view();
        let ops: serde_json::Map<_, _> = view
            .ops
            .iter()
            .map(|(op, known)| {
                let state = match &known.state {
                    OpState::Intent => "intent".to_owned(),
                    OpState::Done(out) => format!("done {out}"),
                    OpState::Clean => "clean".to_owned(),
                    OpState::Unknown => "unknown".to_owned(),
                    OpState::Undone => "undone".to_owned(),
                    OpState::Skipped => "skipped".to_owned(),
                    other => panic!("{other:?} is new"),
                };
                (op.to_string(), json!([known.name, state]))
            })
            .collect();
        let stuck = view
            .stuck
            .as_ref()
            .map(|(kind, why)| format!("{}: {why}", kind.as_str()));
        let fold = json!({
            "phase": format!("{:?}", view.phase),
            "ops": ops,
            "to_undo": view.to_undo(),
            "pivoted": view.pivoted,
            "reason": view.reason,
            "stuck": stuck,
            "exceptions": view.exceptions,
            "patches": view.patches,
            "deadline": view.deadline,
        });
        serde_json::value::to_raw_value(&fold).unwrap()
    }
}

fn masked(row: &Row, kept: &Claimed) -> String {
    let body = String::from_utf8(row.decode(&kept.uid).map(|_| row.body.clone()).unwrap()).unwrap();
    let hex: String = kept.uid.iter().map(|byte| format!("{byte:02x}")).collect();
    let body = body.replace(&hex, UID);
    // A child's journal has its parent's.
    match kept.key.split_once('/') {
        Some((parent, _)) => body.replace(parent, UID),
        None => body,
    }
}
