//! Reading Prometheus' text.

/// The value of the one sample with this name and at least these labels; the sum where there are
/// several; `None` where there is none.
pub fn value(text: &str, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let matching = text.lines().filter_map(parse).filter(|sample| {
        sample.name == name
            && labels.iter().all(|(key, value)| sample.labels.iter().any(|(k, v)| k == key && v == value))
    });
    matching.map(|sample| sample.value).reduce(|sum, value| sum + value)
}

struct Sample<'a> {
    name: &'a str,
    labels: Vec<(&'a str, String)>,
    value: f64,
}

fn parse(line: &str) -> Option<Sample<'_>> {
    if line.starts_with('#') {
        return None;
    }
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        while !rest.starts_with('}') {
            let (key, after) = rest.split_once("=\"")?;
            let mut value = String::new();
            let mut characters = after.char_indices();
            let end = loop {
                match characters.next()? {
                    (at, '"') => break at + 1,
                    (_, '\\') => match characters.next()?.1 {
                        'n' => value.push('\n'),
                        other => value.push(other),
                    },
                    (_, plain) => value.push(plain),
                }
            };
            labels.push((key, value));
            rest = after[end..].trim_start_matches(',');
        }
        rest = &rest[1..];
    }
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some(Sample { name, labels, value })
}

#[test]
fn samples_are_found_by_name_and_labels() {
    let text = "# TYPE a counter\na{x=\"1\",y=\"b,}\\\"\\n\"} 2\na{x=\"2\"} 3.5\nb 4e3\nab{x=\"1\"} 9\n";
    assert_eq!(value(text, "a", &[("x", "1")]), Some(2.0));
    assert_eq!(value(text, "a", &[("y", "b,}\"\n")]), Some(2.0));
    assert_eq!(value(text, "a", &[]), Some(5.5));
    assert_eq!(value(text, "b", &[]), Some(4000.0));
    assert_eq!(value(text, "a", &[("x", "3")]), None);
    assert_eq!(value(text, "c", &[]), None);
}
