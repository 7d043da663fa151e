//! Programs of others that the tests run.

use std::path::PathBuf;

/// Where `./dev.sh test` says that they lie, which it builds from `tests/peers`.
const PREBUILT: &str = "WAKEDOCK_PEERS";

/// One of them.
pub fn peer(name: &str) -> PathBuf {
    let folder = std::env::var_os(PREBUILT)
        .unwrap_or_else(|| panic!("{PREBUILT} does not say where {name} is: ./dev.sh test builds it"));
    let program = PathBuf::from(folder).join(name);
    assert!(program.exists(), "there is no {}", program.display());
    program
}
