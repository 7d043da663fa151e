//! `wakedock status --watch`: the picture, drawn again with every change.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{interval, sleep};

use crate::cli::Exit;
use crate::cli::client::{Client, ClientError};
use crate::cli::status::{Picture, frame};
use crate::cli::terminal::Terminal;
use crate::cli::view::paint::Ink;
use crate::cli::view::table::cut;
use crate::cli::view::words::coarse;
use crate::clock;
use crate::domain::time::{Moment, Timestamp};

/// Times on the screen count in seconds.
const TICK: Duration = Duration::from_secs(1);
/// Figures that no event tells of are asked for now and then.
const LOOK: Duration = Duration::from_secs(10);
/// Events that come together are one look.
const TOGETHER: Duration = Duration::from_millis(100);
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What the stream of events tells.
#[derive(Debug)]
enum News {
    Something,
    Lost(ClientError),
}

/// Shows until it is told to end.
pub(super) async fn run(
    client: &Client,
    name: Option<&str>,
    json: bool,
    terminal: &Terminal,
) -> Result<Exit, ClientError> {
    let picture = Picture::take(client, name).await?;
    let view = View {
        client,
        name,
        terminal,
        screen: (terminal.is_live() && !json).then(|| Screen::enter(terminal)),
        json,
        picture,
        taken: clock::now(),
        lost: None,
    };
    let (tell, news) = mpsc::channel(16);
    tokio::select! {
        () = follow(client, tell) => Ok(Exit::Fine),
        ended = view.show(news) => ended,
    }
}

/// Tells of every event, and connects again for ever.
async fn follow(client: &Client, tell: mpsc::Sender<News>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let lost = match client.events("/api/v1/events").await {
            Ok(mut events) => {
                pause = FIRST_PAUSE;
                // What happened in between is seen by looking.
                let mut news = Ok(None);
                let mut first = true;
                while first || matches!(news, Ok(Some(_))) {
                    first = false;
                    // A full queue will be looked at anyway.
                    let _ = tell.try_send(News::Something);
                    news = events.next().await;
                }
                news.err()
            }
            Err(error) => Some(error),
        };
        if let Some(error) = lost
            && tell.send(News::Lost(error)).await.is_err()
        {
            return;
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

struct View<'a> {
    client: &'a Client,
    name: Option<&'a str>,
    terminal: &'a Terminal,
    screen: Option<Screen<'a>>,
    json: bool,
    picture: Picture,
    /// When.
    taken: Moment,
    /// Since when nobody answers, and why.
    lost: Option<(Moment, String)>,
}

impl View<'_> {
    async fn show(mut self, mut news: mpsc::Receiver<News>) -> Result<Exit, ClientError> {
        let signals = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::window_change()];
        let [Ok(mut interrupt), Ok(mut terminate), Ok(mut resize)] = signals.map(signal) else {
            return Ok(Exit::Failed);
        };
        let (mut tick, mut look) = (interval(TICK), interval(LOOK));
        look.tick().await;
        let mut exit = self.draw()?;
        while exit == Exit::Fine {
            exit = tokio::select! {
                _ = interrupt.recv() => break,
                _ = terminate.recv() => break,
                _ = resize.recv() => self.draw()?,
                _ = tick.tick() => self.tick()?,
                _ = look.tick() => self.look().await?,
                some = news.recv() => match some {
                    None => break,
                    Some(News::Lost(error)) => self.lose(&error)?,
                    Some(News::Something) => {
                        sleep(TOGETHER).await;
                        while let Ok(News::Something) = news.try_recv() {}
                        self.look().await?
                    }
                },
            };
        }
        if let Some(screen) = self.screen.take() {
            drop(screen);
            self.terminal.print(&self.text()?);
        }
        Ok(exit)
    }

    async fn look(&mut self) -> Result<Exit, ClientError> {
        match Picture::take(self.client, self.name).await {
            Ok(picture) => {
                (self.picture, self.taken, self.lost) = (picture, clock::now(), None);
                self.draw()
            }
            Err(error) => self.lose(&error),
        }
    }

    /// What cannot pass ends it; the rest is shown, with what was known last.
    fn lose(&mut self, error: &ClientError) -> Result<Exit, ClientError> {
        if !error.passes() {
            // The screen is left first, so that it is seen.
            self.screen = None;
            return Ok(error.tell(self.terminal));
        }
        let reason = error.to_string();
        match &mut self.lost {
            Some((_, known)) => *known = reason,
            none => {
                *none = Some((clock::now(), reason.clone()));
                if self.screen.is_none() {
                    self.terminal.note(&format!("{reason}; trying again"));
                }
            }
        }
        self.tick()
    }

    /// Times go on, where somebody looks.
    fn tick(&mut self) -> Result<Exit, ClientError> {
        if self.screen.is_some() { self.draw() } else { Ok(Exit::Fine) }
    }

    fn draw(&mut self) -> Result<Exit, ClientError> {
        let text = match (&self.screen, self.json) {
            (Some(screen), _) => screen.page(&self.text()?, &self.footer()),
            (None, true) => format!("{}\n", self.picture.json(self.name)),
            (None, false) => format!("{}\n", self.text()?),
        };
        Ok(match self.terminal.write(text.as_bytes()) {
            Ok(()) => Exit::Fine,
            Err(_) => Exit::Failed,
        })
    }

    fn text(&self) -> Result<String, ClientError> {
        let since = i64::try_from(clock::now().since(self.taken).as_millis()).unwrap_or(0);
        let now = Timestamp::from_millis(self.picture.now.as_millis().saturating_add(since));
        self.picture.text(self.name, frame(now, self.terminal))
    }

    fn footer(&self) -> String {
        let palette = self.terminal.palette();
        match &self.lost {
            None => palette.paint(Ink::Faint, "live · Ctrl-C ends"),
            Some((since, reason)) => {
                let since = coarse(clock::now().since(*since));
                let text = format!("▲ {reason} since {since}; trying again. Above is what was known last.");
                palette.paint(Ink::Red, &cut(&text, self.terminal.width().unwrap_or(usize::MAX)))
            }
        }
    }
}

/// The terminal's second screen; the first one comes back when this is dropped.
struct Screen<'a>(&'a Terminal);

impl<'a> Screen<'a> {
    fn enter(terminal: &'a Terminal) -> Self {
        // A terminal that cannot be written to is noticed at the first picture.
        let _ = terminal.write(b"\x1b[?1049h\x1b[?25l");
        Self(terminal)
    }

    /// The bytes that show a page from the top, without clearing first: nothing flickers.
    fn page(&self, text: &str, footer: &str) -> String {
        let height = self.0.height().unwrap_or(usize::MAX).max(3);
        let lines: Vec<&str> = text.lines().collect();
        let room = height - 2;
        let mut page = String::from("\u{1b}[H");
        for line in lines.iter().take(room) {
            page.push_str(&format!("{line}\u{1b}[K\r\n"));
        }
        let more = lines.len().saturating_sub(room);
        let more = if more > 0 { format!("… {more} lines more · ") } else { String::new() };
        page.push_str(&format!("\u{1b}[K\r\n{more}{footer}\u{1b}[K\u{1b}[J"));
        page
    }
}

impl Drop for Screen<'_> {
    fn drop(&mut self) {
        let _ = self.0.write(b"\x1b[?25h\x1b[?1049l");
    }
}
