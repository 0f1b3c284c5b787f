//! Fuzz targets that are tests of the crate whose code they call. `cargo test` checks their corpora, `tests/fuzz/run` extends
//! these with libFuzzer, by the branches that an input reaches.

use bolero::TargetLocation;

/// Checks `property` for each input of `tests/fuzz/__fuzz__/NAME/corpus`. A property panics where it does not hold.
///
/// Under `tests/fuzz/run`, inputs are made until its time is over.
pub fn check(name: &str, property: fn(&[u8])) {
    // The directory of `file` has the corpora of all targets, which the macro of bolero would put beside the code.
    let location = TargetLocation {
        package_name: env!("CARGO_PKG_NAME"),
        manifest_dir: env!("CARGO_MANIFEST_DIR"),
        module_path: module_path!(),
        file: "tests/fuzz/run",
        line: line!(),
        item_path: "fuzz::check::__bolero_item_path__",
        test_name: Some(name.to_owned()),
    };
    // Laws try random inputs already, in the same order in every run.
    bolero::test(location).with_iterations(0).for_each(property);
}
