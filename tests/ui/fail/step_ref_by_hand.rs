//~ cannot construct `StepRef<
//~ private
use seawall::saga::StepRef;

fn main() {
    let _: StepRef<u64, u64> = StepRef { name: "charge" };
}
