//~ Response == String
use seawall::saga::{self, Outcome};
use std::{
    future::{Ready, ready},
    io,
    task::{Context, Poll},
};
use tower_layer::Layer;
use tower_service::Service;

#[derive(Clone)]
struct Stock;

impl Service<u64> for Stock {
    type Response = u64;
    type Error = io::Error;
    type Future = Ready<Result<u64, io::Error>>;
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), io::Error>> {
        Poll::Ready(Ok(()))
    }
    fn call(&mut self, n: u64) -> Self::Future {
        ready(Ok(n))
    }
}

async fn release(_: u64, _: Outcome<String>) -> io::Result<()> {
    Ok(())
}

async fn reserve() {
    let _ = saga::scope(async |saga| {
        let mut stock = saga.layer("reserve_stock", release).layer(Stock);
        stock.call(7).await
    });
}

fn main() {
    let _ = reserve;
}
