//! The gRPC example's code is what its .proto gives: no build script and no `protoc` is needed.
use std::{fs, path::Path};

const UPDATE: &str = "SEAWALL_UPDATE_GENERATED";

#[test]
fn the_committed_grpc_code_is_what_its_proto_gives() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/tonic_client");
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("generated");
    fs::create_dir_all(&out).unwrap();
    let descriptors = protox::compile(["stock.proto"], [&example]).unwrap();
    tonic_prost_build::configure()
        .out_dir(&out)
        .compile_fds(descriptors)
        .unwrap();
    let fresh = fs::read_to_string(out.join("stock.rs")).unwrap();
    let committed = example.join("generated.rs");
    if std::env::var_os(UPDATE).is_some() {
        fs::write(&committed, &fresh).unwrap();
    }
    let committed = fs::read_to_string(&committed).unwrap_or_default();
    assert!(
        committed == fresh,
        "examples/tonic_client/generated.rs is out of date; run with {UPDATE}=1"
    );
}
