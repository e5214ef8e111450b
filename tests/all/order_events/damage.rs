//! Events that cannot be read are told of, by order and version, and stop nobody else. Snapshots that
//! cannot be read are not missed.
use super::{Book, Shop, lamps, log, log::LogError};
use rusqlite::params;

/// `a` and `b`, with two events each: placed and confirmed.
async fn two_orders(snapshot_every: u32) -> (Shop, Book) {
    let shop = Shop::new(snapshot_every);
    let book = shop.open().await.unwrap();
    for key in ["a", "b"] {
        book.create(&lamps(key)).await.unwrap();
        book.confirm(key, 9_800).await.unwrap();
    }
    (shop, book)
}

fn log_error(error: &anyhow::Error) -> &LogError {
    error.downcast_ref().unwrap()
}

#[tokio::test]
async fn an_event_that_is_not_known_is_named_and_never_skipped() {
    let (shop, book) = two_orders(0).await;
    let list = shop.rows("orders");
    for event in [
        r#"{"shipped":{"by":"sea"}}"#,
        r#"{"confirmed":{"cents":9800,"tax":1900}}"#,
        r#"{"confirmed":{}}"#,
        r#"{"confirmed":{"cents":"9800"}}"#,
        r#"{"confirmed":{"cents":9800}"#,
        "null",
        "",
    ] {
        let sql = r#"UPDATE order_events SET event = ?1 WHERE "order" = 'a' AND version = 2"#;
        shop.raw().execute(sql, [event]).unwrap();
        let errors = [
            book.find("a".to_owned()).await.unwrap_err(),
            book.create(&lamps("a")).await.unwrap_err(),
            book.confirm("a", 1).await.unwrap_err(),
            book.cancel("a").await.unwrap_err(),
            book.rebuild().await.unwrap_err(),
        ];
        for error in errors {
            let told = log_error(&error);
            assert!(
                matches!(told, LogError::Unreadable { order, version: 2, .. } if order == "a"),
                "{event}: {error:#}"
            );
            let told = told.to_string();
            assert!(told.starts_with("order `a`: event 2 in the table `order_events` cannot be"));
        }
        // Nothing was written, and a rebuild that fails leaves the list as it was.
        assert_eq!(shop.events("a")[1..], [event]);
        assert_eq!(shop.rows("orders"), list);
        let other = book.find("b".to_owned()).await.unwrap().unwrap();
        assert_eq!(other.status, "confirmed");
    }
    book.cancel("b").await.unwrap();
    assert_eq!(shop.load("b").version, 3);
}

#[tokio::test]
async fn an_event_that_is_gone_is_named() {
    let (shop, book) = two_orders(0).await;
    let delete = r#"DELETE FROM order_events WHERE "order" = ?1 AND version = ?2"#;
    shop.raw().execute(delete, params!["a", 1]).unwrap();
    let error = book.find("a".to_owned()).await.unwrap_err();
    assert!(
        matches!(log_error(&error), LogError::Missing { order, version: 1 } if order == "a"),
        "{error}"
    );

    // The last one leaves no gap; but whoever has seen it cannot go on.
    let at = shop.load("b");
    shop.raw().execute(delete, params!["b", 2]).unwrap();
    let (db, event) = (shop.db(), super::cancelled(400));
    let append = db.transact(move |tx| log::append(tx, at, &event, 0));
    let error = append.await.unwrap_err();
    assert!(
        matches!(log_error(&error), LogError::Missing { order, version: 2 } if order == "b"),
        "{error}"
    );
}

#[tokio::test]
async fn a_snapshot_is_used_if_its_form_is_known_and_otherwise_not_missed() {
    let (shop, book) = two_orders(2).await;
    let kept = shop.load("a");
    assert_eq!(kept.version, 2);
    // One that tells something else shows that it is read at all.
    let chair = "UPDATE order_snapshots SET state = REPLACE(state, 'lamp', 'chair')";
    assert_eq!(shop.raw().execute(chair, []), Ok(2));
    assert_eq!(shop.load("a").order.sku, "chair");
    let state = r#"SELECT state FROM order_snapshots WHERE "order" = 'a'"#;
    let state: String = shop.raw().query_row(state, [], |row| row.get(0)).unwrap();
    let shape = log::SHAPE;
    let snapshot =
        format!("INSERT OR REPLACE INTO order_snapshots VALUES ('a', 2, {shape}, '{state}')");
    book.rebuild().await.unwrap();
    assert_eq!(shop.load("a"), kept);
    assert_eq!(shop.rows("order_snapshots"), Vec::<String>::new());
    for other in [
        "UPDATE order_snapshots SET shape = shape - 1",
        "UPDATE order_snapshots SET shape = shape + 2",
        "UPDATE order_snapshots SET shape = shape - 1, state = '{\"order\":{}}'",
        "UPDATE order_snapshots SET state = ''",
    ] {
        shop.raw().execute_batch(&snapshot).unwrap();
        shop.raw().execute_batch(other).unwrap();
        assert_eq!(shop.load("a"), kept, "{other}");
        assert_eq!(
            book.find("a".to_owned()).await.unwrap(),
            Some(kept.order.clone())
        );
    }
    // The next one that is due takes its place.
    book.cancel("a").await.unwrap();
    book.close("a", "cancelled", 402, "declined".to_owned())
        .await
        .unwrap();
    let sql = r#"SELECT version, shape FROM order_snapshots WHERE "order" = 'a'"#;
    let found = shop
        .raw()
        .query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?)));
    assert_eq!(found, Ok((4, log::SHAPE)));
    assert_eq!(shop.load("a"), log::replay(&shop.raw(), "a").unwrap());
}
