//! Committed copies of what the program generates.

use std::path::Path;

/// Compares a committed file with what is generated; `WAKEDOCK_BLESS=1` writes it anew.
pub(crate) fn committed(path: &str, generated: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("WAKEDOCK_BLESS").is_some_and(|value| value == "1") {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, generated).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == generated,
        "{} differs from what is generated: run with WAKEDOCK_BLESS=1",
        path.display()
    );
}
