//! The operator's own sites and global options, from the files that `caddy.extra` names.
//!
//! Caddy takes global options only at the very top of a Caddyfile, so a file that has some cannot
//! just be imported: its options are cut out for the block that WakeDock writes, and the rest of
//! it is written after the sites. Files without options are imported, so that Caddy names them
//! and their lines in its messages.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::caddy::lexer::is_bare_token;
use crate::caddy::lexer::{self, Token};

/// Why the operator's files were not read.
#[derive(Debug, thiserror::Error)]
pub enum ExtraError {
    #[error("caddy.extra `{pattern}` has a `*` before its last segment")]
    Pattern { pattern: String },
    #[error("cannot read {path}", path = .path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the global options of {path} have no closing brace", path = .path.display())]
    Unclosed { path: PathBuf },
}

/// One global option of the operator's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GlobalOption {
    pub name: String,
    /// As written, its block included.
    pub text: String,
    pub file: PathBuf,
}

/// An address at which the operator has a site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnSite {
    /// `None`: HTTPS, as Caddy takes it.
    pub scheme: Option<String>,
    /// In lower case, a wildcard as it stands.
    pub host: String,
    /// `None`: that of the scheme.
    pub port: Option<u16>,
    pub file: PathBuf,
}

/// What the operator's files hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extra {
    pub options: Vec<GlobalOption>,
    /// Sites in these files. What they import is not followed.
    pub sites: Vec<OwnSite>,
    /// Files to import.
    pub imports: Vec<PathBuf>,
    /// Files whose options were cut out, and what is left of them.
    pub inlined: Vec<(PathBuf, String)>,
}

impl Extra {
    /// Reads the files a pattern names: a path, whose last segment may hold `*`. No match is fine.
    ///
    /// # Errors
    /// [`ExtraError`] where a file that is there cannot be read or understood.
    pub fn read(pattern: &str) -> Result<Self, ExtraError> {
        let mut extra = Self::default();
        for path in matches(pattern)? {
            let content = fs::read_to_string(&path)
                .map_err(|source| ExtraError::Read { path: path.clone(), source })?;
            extra.add(path, &content)?;
        }
        Ok(extra)
    }

    fn add(&mut self, path: PathBuf, content: &str) -> Result<(), ExtraError> {
        let tokens = lexer::tokens(content);
        let addresses = sites(content, &tokens);
        self.sites.extend(addresses.into_iter().filter_map(|address| OwnSite::parse(&address, &path)));
        let has_options = tokens.first().is_some_and(|token| token.is(content, "{"));
        if !has_options {
            if is_importable(&path) {
                self.imports.push(path);
            } else {
                self.inlined.push((path, content.trim_end().to_owned()));
            }
            return Ok(());
        }
        let close =
            closing_brace(content, &tokens).ok_or_else(|| ExtraError::Unclosed { path: path.clone() })?;
        self.options.extend(options(content, &tokens[1..close], &path));
        let rest = content.get(tokens[close].span.end..).unwrap_or_default().trim();
        if !rest.is_empty() {
            self.inlined.push((path, rest.to_owned()));
        }
        Ok(())
    }
}

impl OwnSite {
    /// `None`: it has no host, or one that only Caddy knows.
    fn parse(address: &str, file: &Path) -> Option<Self> {
        let (scheme, rest) = match address.split_once("://") {
            Some((scheme, rest)) => (Some(scheme.to_ascii_lowercase()), rest),
            None => (None, address),
        };
        let authority = rest.split('/').next().unwrap_or_default();
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port.parse().ok()?)),
            _ => (authority, None),
        };
        let is_plain = !host.is_empty() && !host.contains(['{', '$']);
        is_plain.then(|| Self { scheme, host: host.to_ascii_lowercase(), port, file: file.to_owned() })
    }
}

/// The addresses of sites: what stands before a block that is in no other.
fn sites(source: &str, tokens: &[Token]) -> Vec<String> {
    let mut found = Vec::new();
    let mut before: Vec<&str> = Vec::new();
    let mut depth = 0_usize;
    for token in tokens {
        if token.is(source, "{") {
            // A name in brackets is a snippet's, or a route's.
            let is_site = depth == 0 && before.first().is_some_and(|first| !first.contains('('));
            if is_site {
                let addresses = before.iter().flat_map(|address| address.split(','));
                found.extend(addresses.filter(|address| !address.is_empty()).map(ToOwned::to_owned));
            }
            before.clear();
            depth += 1;
        } else if token.is(source, "}") {
            depth = depth.saturating_sub(1);
        } else if depth == 0 {
            // A line goes on after a comma; without one it was something else, an import.
            if token.starts_line && before.last().is_some_and(|last| !last.ends_with(',')) {
                before.clear();
            }
            before.push(token.text(source));
        }
    }
    found
}

/// When the operator's files were changed last: to notice an edit without reading them.
#[must_use]
pub fn stamp(pattern: &str) -> Vec<(PathBuf, SystemTime, u64)> {
    let files = matches(pattern).unwrap_or_default();
    files
        .into_iter()
        .filter_map(|path| {
            let about = fs::metadata(&path).ok()?;
            Some((path, about.modified().ok()?, about.len()))
        })
        .collect()
}

/// Caddy expands patterns in an `import`, and splits it at spaces.
fn is_importable(path: &Path) -> bool {
    path.to_str().is_some_and(|path| is_bare_token(path) && !path.contains(['*', '?', '[', ']']))
}

fn closing_brace(source: &str, tokens: &[Token]) -> Option<usize> {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate() {
        if token.is(source, "{") {
            depth += 1;
        } else if token.is(source, "}") {
            depth = depth.saturating_sub(1);
            if depth == 0 {
                return Some(index);
            }
        }
    }
    None
}

fn options(source: &str, tokens: &[Token], file: &Path) -> Vec<GlobalOption> {
    let mut found = Vec::new();
    let mut depth = 0_usize;
    let mut start: Option<&Token> = None;
    let mut end = 0;
    let mut finish = |start: Option<&Token>, end: usize| {
        if let Some(first) = start {
            let text = source.get(first.span.start..end).unwrap_or_default().to_owned();
            found.push(GlobalOption { name: first.text(source).to_owned(), text, file: file.to_owned() });
        }
    };
    for (index, token) in tokens.iter().enumerate() {
        if depth == 0 && (index == 0 || token.starts_line) {
            finish(start.replace(token), end);
        }
        if token.is(source, "{") {
            depth += 1;
        } else if token.is(source, "}") {
            depth = depth.saturating_sub(1);
        }
        end = token.span.end;
    }
    finish(start, end);
    found
}

/// The files a pattern names, sorted, by absolute path.
fn matches(pattern: &str) -> Result<Vec<PathBuf>, ExtraError> {
    let read_error = |path: &Path, source| ExtraError::Read { path: path.to_owned(), source };
    let path = std::path::absolute(pattern).map_err(|error| read_error(Path::new(pattern), error))?;
    let (Some(directory), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str()))
    else {
        return Ok(Vec::new());
    };
    if directory.to_string_lossy().contains('*') {
        return Err(ExtraError::Pattern { pattern: pattern.to_owned() });
    }
    if !name.contains('*') {
        return Ok(if path.is_file() { vec![path] } else { Vec::new() });
    }
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(read_error(directory, error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| read_error(directory, error))?;
        let fits = entry.file_name().to_str().is_some_and(|file| is_match(name, file));
        if fits && entry.path().is_file() {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}

/// Whether a file's name fits a pattern with `*`. As in a shell, a leading dot must be written.
fn is_match(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut last = None;
    for part in parts {
        if let Some(middle) = last.replace(part) {
            match rest.find(middle) {
                Some(at) => rest = rest.get(at + middle.len()..).unwrap_or_default(),
                None => return false,
            }
        }
    }
    last.map_or(rest.is_empty(), |last| rest.ends_with(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_sites() {
        let text = "{\n\temail a@example.com\n}\n(snippet) {\n\trespond ok\n}\nimport other.caddy\n\
                    http://Intranet.example.com, *.wiki.example.com,\nb.example.com:8443 {\n\thandle /x {\n\t\trespond x\n\t}\n}\n\
                    :8080 {\n}\n{$HOST} {\n}\n";
        let mut extra = Extra::default();
        extra.add("/etc/own.caddy".into(), text).unwrap();
        let site = |scheme: Option<&str>, host: &str, port| OwnSite {
            scheme: scheme.map(ToOwned::to_owned),
            host: host.to_owned(),
            port,
            file: "/etc/own.caddy".into(),
        };
        let expected = [
            site(Some("http"), "intranet.example.com", None),
            site(None, "*.wiki.example.com", None),
            site(None, "b.example.com", Some(8443)),
        ];
        assert_eq!(extra.sites, expected);
    }

    fn added(content: &str) -> Extra {
        let mut extra = Extra::default();
        extra.add("/etc/caddy/sites/own.caddy".into(), content).unwrap();
        extra
    }

    #[test]
    fn a_file_without_options_is_imported() {
        let extra = added("# only a site\nown.example.com {\n\trespond hi\n}\n");
        assert_eq!(extra.imports, [PathBuf::from("/etc/caddy/sites/own.caddy")]);
        assert!(extra.inlined.is_empty() && extra.options.is_empty());
    }

    #[test]
    fn options_are_cut_out_and_the_rest_is_kept() {
        let extra = added(concat!(
            "# mine\n{\n\temail me@example.com\n\tlog default {\n\t\tformat json # }\n\t}\n",
            "\t\"debug\"\n\tservers {\n\t\tmetrics\n\t}\n}\n\nown.example.com {\n\trespond \"}\"\n}\n"
        ));
        let options: Vec<(&str, &str)> =
            extra.options.iter().map(|option| (option.name.as_str(), option.text.as_str())).collect();
        assert_eq!(
            options,
            [
                ("email", "email me@example.com"),
                ("log", "log default {\n\t\tformat json # }\n\t}"),
                ("debug", "\"debug\""),
                ("servers", "servers {\n\t\tmetrics\n\t}"),
            ]
        );
        assert_eq!(extra.inlined.len(), 1);
        assert_eq!(extra.inlined[0].1, "own.example.com {\n\trespond \"}\"\n}");
        assert!(extra.imports.is_empty());
    }

    #[test]
    fn braces_in_quotes_and_heredocs_close_nothing() {
        let extra = added("{\n\tlog `}` {\n\t\tx <<E\n}\nE\n\t}\n\tdebug\n}");
        assert_eq!(extra.options.len(), 2, "{:?}", extra.options);
        assert!(extra.inlined.is_empty());
    }

    #[test]
    fn an_open_block_is_refused() {
        let error = Extra::default().add("/own.caddy".into(), "{\n\tlog {\n}\n").unwrap_err();
        assert!(matches!(error, ExtraError::Unclosed { .. }));
    }

    #[test]
    fn a_path_that_import_would_not_take_is_inlined() {
        let mut extra = Extra::default();
        extra.add("/etc/my sites/a.caddy".into(), "http://a {\n}\n").unwrap();
        assert_eq!(extra.inlined.len(), 1);
        assert!(extra.imports.is_empty());
    }

    #[test]
    fn expands_the_pattern_in_order() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.caddy", "a.caddy", ".hidden.caddy", "c.caddy~"] {
            fs::write(dir.path().join(name), "http://x {\n}\n").unwrap();
        }
        fs::create_dir(dir.path().join("d.caddy")).unwrap();
        let pattern = dir.path().join("*.caddy");
        let extra = Extra::read(pattern.to_str().unwrap()).unwrap();
        assert_eq!(extra.imports, [dir.path().join("a.caddy"), dir.path().join("b.caddy")]);
        assert_eq!(stamp(pattern.to_str().unwrap()).len(), 2);
    }

    #[test]
    fn nothing_there_is_fine() {
        let dir = tempfile::tempdir().unwrap();
        for pattern in ["none/*.caddy", "none.caddy", "*.caddy"] {
            let pattern = dir.path().join(pattern);
            assert_eq!(Extra::read(pattern.to_str().unwrap()).unwrap(), Extra::default());
        }
        assert!(matches!(Extra::read("/etc/*/x.caddy"), Err(ExtraError::Pattern { .. })));
    }

    #[test]
    fn stars_match() {
        for (pattern, name, fits) in [
            ("*.caddy", "a.caddy", true),
            ("*.caddy", "a.caddy.bak", false),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "ac", false),
            ("a*a", "a", false),
            ("*", "anything", true),
            ("*", ".hidden", false),
            (".*", ".hidden", true),
        ] {
            assert_eq!(is_match(pattern, name), fits, "{pattern} {name}");
        }
    }
}
