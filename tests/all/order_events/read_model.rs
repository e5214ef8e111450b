//! The table of orders: made anew where it is missing or old, and never behind the events.
use super::{Shop, book, lamps};

/// Three orders, one of them unfinished.
async fn three_orders() -> Shop {
    let shop = Shop::new(2);
    let book = shop.open().await.unwrap();
    for key in ["a", "b", "c"] {
        book.create(&lamps(key)).await.unwrap();
    }
    book.confirm("a", 9_800).await.unwrap();
    book.cancel("b").await.unwrap();
    let why = "no".to_owned();
    book.close("b", "cancelled", 402, why).await.unwrap();
    shop
}

#[tokio::test]
async fn a_start_makes_the_table_anew_where_it_is_missing_or_of_another_release() {
    let shop = three_orders().await;
    let kept = shop.rows("orders");
    assert_eq!(kept.len(), 3);
    let spoil = "UPDATE orders SET status = 'stuck'; DELETE FROM orders WHERE key = 'a';";
    for loss in [
        "DELETE FROM read_models",
        "UPDATE read_models SET version = version - 1",
        "UPDATE read_models SET version = version + 1",
        "DROP TABLE orders",
        "DROP TABLE orders; DELETE FROM read_models",
        "DROP TABLE orders; CREATE TABLE orders (key TEXT); DELETE FROM read_models",
    ] {
        shop.raw()
            .execute_batch(&format!("{spoil} {loss}"))
            .unwrap();
        let book = shop.open().await.unwrap();
        assert_eq!(shop.rows("orders"), kept, "{loss}");
        assert_eq!(book.unfinished().await.unwrap(), [lamps("c")]);
        assert!(shop.rows("read_models")[0].ends_with(&format!("Integer({})", book::READ_MODEL)));
    }
    // One that fits is taken as it is: a start does not read all events.
    shop.raw().execute_batch(spoil).unwrap();
    let book = shop.open().await.unwrap();
    assert_ne!(shop.rows("orders"), kept);
    book.rebuild().await.unwrap();
    assert_eq!(shop.rows("orders"), kept);
}

#[tokio::test]
async fn an_event_whose_row_cannot_be_written_is_not_written() {
    let shop = three_orders().await;
    let book = shop.open().await.unwrap();
    let (events, snapshots) = (shop.events("c"), shop.rows("order_snapshots"));
    shop.raw().execute_batch("DROP TABLE orders").unwrap();
    book.confirm("c", 9_800).await.unwrap_err();
    assert_eq!(shop.events("c"), events);
    assert_eq!(shop.rows("order_snapshots"), snapshots);
}

#[tokio::test]
async fn orders_that_have_no_events_are_not_thrown_away() {
    let shop = Shop::new(2);
    let before = "CREATE TABLE orders (key TEXT PRIMARY KEY, customer TEXT NOT NULL);
                  INSERT INTO orders VALUES ('a', 'ada');";
    shop.raw().execute_batch(before).unwrap();
    let refused = shop.open().await.err().unwrap().to_string();
    assert!(refused.contains("another folder with --data"), "{refused}");
    assert_eq!(shop.rows("orders").len(), 1);
}

#[tokio::test]
async fn an_order_ends_as_cancelled_or_stuck() {
    let shop = three_orders().await;
    let book = shop.open().await.unwrap();
    let refused = book.close("c", "lost", 424, String::new()).await;
    assert_eq!(
        refused.unwrap_err().to_string(),
        "order `c` cannot end as `lost`: `cancelled` or `stuck` is meant"
    );
    assert_eq!(shop.load("c").order, lamps("c"));
}
