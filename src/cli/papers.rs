//! What is made from the arguments themselves: completions, manual pages, the reference.

use std::path::{Path, PathBuf};

use clap::{Args, Command};
use clap_complete::Shell;
use clap_mangen::Man;

use crate::cli::Exit;
use crate::cli::terminal::Terminal;

pub(super) const EXIT_CODES: &str = "Exit codes: 0 fine, 1 failed, 2 connections were cut when the grace period \
    of a shutdown was over, 64 wrong usage or configuration.";

/// What clap_mangen knows nothing of, as roff.
const MORE: &str = r#".SH "EXIT STATUS"
.TP
\fB0\fR
Fine; also where what goes on was told to end, or nobody reads it any more.
.TP
\fB1\fR
It failed; standard error says what, where, and how to mend it.
.TP
\fB2\fR
Connections were cut when the grace period of a shutdown was over (\fBserve\fR).
.TP
\fB64\fR
The command line or the configuration is wrong.
.SH ENVIRONMENT
.TP
\fBWAKEDOCK_CONFIG\fR
The configuration file, where \fB\-\-config\fR names none.
.TP
\fBWAKEDOCK_URL\fR, \fBWAKEDOCK_TOKEN\fR
In the place of \fB\-\-url\fR and \fB\-\-token\fR.
.TP
\fBNO_COLOR\fR
No colours, where it is not empty.
.TP
\fBCOLUMNS\fR
How wide a table may be, where standard output is no terminal.
"#;

#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell that is to complete
    shell: Shell,
}

#[derive(Debug, Args)]
pub(super) struct Manual {
    /// Write a file a page into this directory instead of printing them all
    #[arg(long, value_name = "DIRECTORY")]
    dir: Option<PathBuf>,
}

pub(super) fn completions(arguments: &Completions, mut command: Command, terminal: &Terminal) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "wakedock", &mut script);
    terminal.print(&String::from_utf8_lossy(&script))
}

pub(super) fn manual(arguments: &Manual, command: Command, terminal: &Terminal) -> Exit {
    let pages = match pages(command) {
        Ok(pages) => pages,
        Err(error) => {
            terminal.fail(&format!("a manual page cannot be made: {error}"), None, None);
            return Exit::Failed;
        }
    };
    let Some(directory) = &arguments.dir else {
        let all: Vec<String> = pages.into_iter().map(|(_, text)| text).collect();
        return terminal.print(&all.concat());
    };
    match write(directory, &pages) {
        Ok(()) => Exit::Fine,
        Err(error) => {
            let at = directory.display().to_string();
            let mend = "name a directory that exists and that you may write to";
            terminal.fail(&format!("the pages cannot be written: {error}"), Some(&at), Some(mend));
            Exit::Failed
        }
    }
}

fn write(directory: &Path, pages: &[(String, String)]) -> std::io::Result<()> {
    for (name, text) in pages {
        std::fs::write(directory.join(name), text)?;
    }
    Ok(())
}

/// Every page with its file's name, the program's own first.
fn pages(mut command: Command) -> std::io::Result<Vec<(String, String)>> {
    command.build();
    let mut pages = Vec::new();
    page(&command, "wakedock", &mut pages)?;
    Ok(pages)
}

fn page(command: &Command, name: &str, pages: &mut Vec<(String, String)>) -> std::io::Result<()> {
    let mut text = Vec::new();
    // What makes the page asks for a text that lives for ever; a process prints its pages once.
    let own: &'static str = Box::leak(name.to_owned().into_boxed_str());
    Man::new(command.clone().name(own).display_name(own)).manual("WakeDock").render(&mut text)?;
    text.extend_from_slice(MORE.as_bytes());
    pages.push((format!("{name}.1"), String::from_utf8_lossy(&text).into_owned()));
    for inner in command.get_subcommands().filter(|inner| inner.get_name() != "help") {
        page(inner, &format!("{name}-{}", inner.get_name()), pages)?;
    }
    Ok(())
}

/// The reference of the command line, in Markdown: each command with its help.
pub(super) fn reference(mut command: Command) -> String {
    command.build();
    let mut text = format!(
        "# Command line\n\nMade from the program itself.\n\n{EXIT_CODES}\n\n\
         Commands that show or change what runs talk to the local socket (`admin.socket`), where root and \
         WakeDock's own user need no password, or to `--url URL` with a token from `--token-file FILE`, \
         `$WAKEDOCK_TOKEN` or `--token TOKEN`. What they print as JSON is what the API says, and as stable.\n\n\
         What goes on (`logs -f`, `events -f`, `status --watch`) outlives a restart of WakeDock: it connects \
         again by itself, goes on where it was, and tells each line and each event once. It ends, with exit \
         code 0, by Ctrl-C and when nobody reads it any more (`… | head`); with 1 where trying again helps \
         nothing, such as a token that was revoked.\n",
    );
    describe(&mut command, "wakedock", &mut text);
    text
}

fn describe(command: &mut Command, name: &str, text: &mut String) {
    let help = command.render_long_help();
    text.push_str(&format!("\n## `{name}`\n\n```text\n{}\n```\n", help.to_string().trim_end()));
    for inner in command.get_subcommands_mut() {
        if inner.get_name() != "help" {
            let name = format!("{name} {}", inner.get_name());
            describe(inner, &name, text);
        }
    }
}
