//! Groups in memory, from seeds: the program's own core, with a network that cuts, stalls and loses.
//!
//! Nothing here opens a socket or looks at a clock. A failure prints its seed;
//! `GROUPCHAT_SEED=7 cargo test --test simulation` runs that one alone. `scripts/soak.sh` runs seeds
//! that nobody has seen.

mod ledger;
mod link;
mod world;

use std::env;
use std::panic::catch_unwind;
use std::time::{Duration, Instant};

use world::World;

fn run(seed: u64) {
    let result = catch_unwind(|| {
        let mut world = World::new(seed);
        for _ in 0..world.random.usize(50..600) {
            world.step();
        }
        world.settle();
        world.check();
        world.part();
    });
    if result.is_err() {
        panic!("seed {seed} failed: run it alone with GROUPCHAT_SEED={seed}");
    }
}

/// Runs `seeds`, or what the environment says: one seed, or fresh ones for so many seconds.
fn run_all(seeds: std::ops::Range<u64>) {
    let number = |name: &str| env::var(name).ok().map(|text| text.parse().expect("a number"));
    match (number("GROUPCHAT_SEED"), number("GROUPCHAT_SOAK_SECONDS")) {
        (Some(seed), _) => run(seed),
        (None, None) => seeds.for_each(run),
        (None, Some(seconds)) => {
            let end = Instant::now() + Duration::from_secs(seconds);
            let mut count = 0_u64;
            while Instant::now() < end {
                run(fastrand::u64(..));
                count += 1;
            }
            println!("{count} groups have held");
        }
    }
}

#[test]
fn groups_hear_everything_once_and_in_order() {
    run_all(0..1_500);
}

#[test]
fn other_groups_hear_everything_once_and_in_order() {
    run_all(1_500..3_000);
}
