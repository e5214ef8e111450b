//! A bulkhead's line under any interleaving: first come, first served.
use super::explore;
use crate::Bulkhead;
use shuttle::future::{block_on, spawn};
use shuttle::thread;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

#[test]
fn those_in_line_go_in_by_the_order_of_their_arrival() {
    explore(|| {
        let bulkhead = Bulkhead::new(1).queue(4).build().unwrap();
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut cx = Context::from_waker(Waker::noop());
        let own = bulkhead.clone();
        let mut holder = Box::pin(async move {
            let _ = own.run(std::future::pending::<Result<(), ()>>).await;
        });
        assert!(holder.as_mut().poll(&mut cx).is_pending());
        // They come one after the other, and from then on each runs as a task of its own.
        let tasks: Vec<_> = (0..4)
            .map(|n| {
                let (own, order) = (bulkhead.clone(), order.clone());
                let (came, has_come) = shuttle::sync::mpsc::channel();
                let task = spawn(async move {
                    let mut call = pin!(own.run(|| async {
                        order.lock().unwrap().push(n);
                        shuttle::future::yield_now().await;
                        Ok::<_, ()>(())
                    }));
                    let mut told = false;
                    std::future::poll_fn(|cx| {
                        // The third goes away at its second look.
                        if told && n == 2 {
                            return Poll::Ready(());
                        }
                        let polled = call.as_mut().poll(cx).map(|end| end.unwrap());
                        if !std::mem::replace(&mut told, true) {
                            assert!(polled.is_pending());
                            came.send(()).unwrap();
                        }
                        polled
                    })
                    .await;
                });
                has_come.recv().unwrap();
                task
            })
            .collect();
        assert_eq!((bulkhead.in_flight(), bulkhead.queued()), (1, 4));
        let leaves = thread::spawn(move || drop(holder));
        for task in tasks {
            block_on(task).unwrap();
        }
        leaves.join().unwrap();
        assert_eq!(*order.lock().unwrap(), [0, 1, 3]);
        assert_eq!((bulkhead.in_flight(), bulkhead.queued()), (0, 0));
    });
}
