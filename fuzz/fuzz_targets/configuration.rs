//! A configuration file. What is read is written as YAML that means the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wakedock::config::{bench::read, effective};

fuzz_target!(|bytes: &[u8]| {
    match read(bytes) {
        Ok(loaded) => {
            let written = effective(&loaded.config);
            let again = read(written.as_bytes()).unwrap_or_else(|problems| panic!("{problems}\n{written}"));
            assert_eq!(again.config, loaded.config, "{written}");
        }
        Err(problems) => {
            assert!(!problems.0.is_empty(), "refused without a reason");
            assert!(problems.0.iter().all(|problem| !problem.reason.is_empty() && !problem.mend.is_empty()));
            // It is shown on a terminal.
            assert!(!problems.to_string().is_empty());
        }
    }
});
