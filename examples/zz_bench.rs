#![allow(
    clippy::all,
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::disallowed_methods
)]
use seawall::saga::{journal::*, store::*, *};
use std::sync::{Arc, atomic::*};
use std::time::Instant;
fn row(uid: &[u8; 16], seq: u32, at: i64, n: usize) -> Row {
    let ev: Vec<Event> = serde_json::from_str(&format!(
        r#"[{{"patch":{{"op":{seq},"name":"{}"}}}}]"#,
        "x".repeat(n)
    ))
    .unwrap();
    Row::encode(uid, seq, 1, at, &ev).unwrap()
}
#[tokio::main(worker_threads = 2)]
async fn main() {
    let a: Vec<String> = std::env::args().collect();
    let (n, conc): (usize, usize) = (a[1].parse().unwrap(), a[2].parse().unwrap());
    let folder = tempfile::tempdir_in("/tmp").unwrap();
    let file = folder.path().join("s.db");
    let s = SqliteStore::open(&file).await.unwrap();
    let next = Arc::new(AtomicUsize::new(0));
    let t = Instant::now();
    let mut hs = vec![];
    for _ in 0..conc {
        let s = s.clone();
        let next = next.clone();
        hs.push(tokio::spawn(async move {
            loop {
                let i = next.fetch_add(1, Ordering::Relaxed);
                if i >= n {
                    break;
                }
                let mut uid = [0; 16];
                uid[..8]
                    .copy_from_slice(&(i as u64).wrapping_mul(0x9E3779B97F4A7C15).to_le_bytes());
                uid[8..]
                    .copy_from_slice(&(i as u64).wrapping_mul(0xD1B54A32D192ED03).to_le_bytes());
                let at = 1_700_000_000_000 + i as i64;
                let c = s
                    .create(NewSaga {
                        name: "place_order".into(),
                        key: format!("order-{i}"),
                        version: 1,
                        uid,
                        row: row(&uid, 0, at, 110),
                        next: Next::Keep,
                        owner: Owner(0x1234567812345678),
                    })
                    .await
                    .unwrap();
                let Created::New { id, .. } = c else { panic!() };
                for seq in 1..4 {
                    let next = if seq == 3 {
                        Next::End {
                            status: Status::Finished,
                        }
                    } else {
                        Next::Keep
                    };
                    s.append(Append {
                        id,
                        row: row(&uid, seq, at + 5, if seq == 3 { 40 } else { 80 }),
                        next,
                        consumed: vec![],
                        letters: vec![],
                        new_run: false,
                        clear_crashes: false,
                    })
                    .await
                    .unwrap();
                }
            }
        }));
    }
    for h in hs {
        h.await.unwrap();
    }
    let e = t.elapsed();
    let cpu = std::fs::read_dir("/proc/self/task")
        .unwrap()
        .map(|d| {
            let p = d.unwrap().path();
            let c = std::fs::read_to_string(p.join("comm")).unwrap_or_default();
            let s = std::fs::read_to_string(p.join("schedstat")).unwrap_or_default();
            (
                c.trim().to_string(),
                s.split(' ')
                    .next()
                    .unwrap_or("0")
                    .parse::<u64>()
                    .unwrap_or(0) as f64
                    / 1e3
                    / n as f64,
            )
        })
        .collect::<Vec<_>>();
    println!(
        "{n} at {conc}: {:.0}/s  cpu us/saga {:?}",
        n as f64 / e.as_secs_f64(),
        cpu
    );
    s.close().await;
    std::fs::copy(&file, "/tmp/zz.db").ok();
    println!(
        "bytes/saga {}",
        std::fs::metadata(&file).unwrap().len() as usize / n
    );
    let t = Instant::now();
    let s = SqliteStore::open(&file).await.unwrap();
    println!("reopen {:?}", t.elapsed());
    s.close().await;
}
