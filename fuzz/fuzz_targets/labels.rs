//! Lists of containers and their labels, as strangers wrote them: read, and made services of.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wakedock::config::bench::labelled;
use wakedock::engine::bench::list;

fuzz_target!(|bytes: &[u8]| {
    let (left, right) = bytes.split_at(bytes.len() / 2);
    let whole = list([bytes]);
    assert_eq!(list([left, right]), whole, "however it is cut");
    let assembled = labelled(whole.iter().map(|listed| (listed.name.as_str(), &listed.labels)));
    let mut owners = std::collections::BTreeMap::new();
    for (name, assembly) in &assembled.services {
        let Some(spec) = &assembly.spec else {
            assert!(!assembly.problems.is_empty(), "left out without a reason");
            continue;
        };
        for host in &spec.hosts {
            assert!(owners.insert((host.clone(), spec.path.clone()), name).is_none(), "{host} is that of two");
        }
    }
    for problem in &assembled.problems {
        assert!(!problem.reason.is_empty() && !problem.mend.is_empty());
        assert!(!problem.to_string().chars().any(char::is_control), "it is shown on a terminal: {problem}");
    }
});
