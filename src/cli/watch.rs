//! `wakedock status --watch`: the picture, drawn again with every change.

use std::time::Duration;

use serde_json::Value as Json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{interval, sleep};

use crate::cli::Exit;
use crate::cli::client::{Client, ClientError, FINDS_ITS_FEET};
use crate::cli::ending::until_told;
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
    /// The connection ended.
    Ended,
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
    let mut view = View {
        client,
        name,
        terminal,
        screen: (terminal.draws() && !json).then(|| Screen::enter(terminal)),
        json,
        picture,
        taken: clock::now(),
        printed: None,
        broke: None,
        lost: None,
    };
    let (tell, news) = mpsc::channel(16);
    let work = async {
        tokio::select! {
            () = follow(client, tell) => Ok(Exit::Fine),
            ended = view.show(news) => ended,
        }
    };
    let ended = until_told(work).await;
    view.leave()?;
    ended.unwrap_or(Ok(Exit::Fine))
}

/// Tells of every event, and connects again for ever.
async fn follow(client: &Client, tell: mpsc::Sender<News>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let lost = match client.events("/api/v1/events", None).await {
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
                news.map_or_else(News::Lost, |_| News::Ended)
            }
            Err(error) => News::Lost(error),
        };
        if tell.send(lost).await.is_err() {
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
    /// What was printed last, where no screen is drawn.
    printed: Option<Json>,
    /// When the connection ended last.
    broke: Option<Moment>,
    /// Since when nobody answers, and why.
    lost: Option<(Moment, String)>,
}

/// What a step came to; `Some`: it is over.
type Step = Result<Option<Exit>, ClientError>;

impl View<'_> {
    async fn show(&mut self, mut news: mpsc::Receiver<News>) -> Result<Exit, ClientError> {
        let Ok(mut resize) = signal(SignalKind::window_change()) else { return Ok(Exit::Failed) };
        let (mut tick, mut look) = (interval(TICK), interval(LOOK));
        look.tick().await;
        let mut over = self.draw()?;
        loop {
            if let Some(exit) = over {
                return Ok(exit);
            }
            over = tokio::select! {
                _ = resize.recv() => self.tick()?,
                _ = tick.tick() => self.tick()?,
                _ = look.tick() => self.look().await?,
                some = news.recv() => match some {
                    None => Some(Exit::Fine),
                    Some(News::Lost(error)) => self.lose(&error)?,
                    Some(News::Ended) => {
                        self.broke = Some(clock::now());
                        None
                    }
                    Some(News::Something) => {
                        sleep(TOGETHER).await;
                        while let Ok(News::Something) = news.try_recv() {}
                        self.look().await?
                    }
                },
            };
        }
    }

    /// What was seen last stays on the first screen.
    fn leave(&mut self) -> Result<(), ClientError> {
        if let Some(screen) = self.screen.take() {
            drop(screen);
            self.terminal.print(&self.text()?);
        }
        Ok(())
    }

    async fn look(&mut self) -> Step {
        match Picture::take(self.client, self.name).await {
            Ok(picture) => {
                (self.picture, self.taken) = (picture, clock::now());
                if self.lost.take().is_some() && self.screen.is_none() {
                    self.terminal.note("WakeDock answers again");
                }
                self.draw()
            }
            Err(error) => self.lose(&error),
        }
    }

    /// What cannot pass ends it; the rest is shown, with what was known last.
    fn lose(&mut self, error: &ClientError) -> Step {
        let since = self.lost.as_ref().map(|(since, _)| *since).or(self.broke);
        let is_young = since.is_some_and(|since| clock::now().since(since) < FINDS_ITS_FEET);
        let passes = error.passes() || (error.is_early() && is_young);
        if !passes {
            // The screen is left first, so that it is seen.
            self.screen = None;
            return Ok(Some(error.tell(self.terminal)));
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
    fn tick(&mut self) -> Step {
        if self.screen.is_some() { self.draw() } else { Ok(None) }
    }

    fn draw(&mut self) -> Step {
        if let Some(screen) = &self.screen {
            return Ok(self.terminal.put(screen.page(&self.text()?, &self.footer()).as_bytes()));
        }
        // One that is as it was is no news.
        let picture = self.picture.json(self.name);
        if self.printed.as_ref() == Some(&picture) {
            return Ok(None);
        }
        let text = if self.json { format!("{picture}\n") } else { format!("{}\n", self.text()?) };
        self.printed = Some(picture);
        Ok(self.terminal.put(text.as_bytes()))
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
        // What is wider than the terminal is cut by it: a line is a line.
        let _ = terminal.write(b"\x1b[?1049h\x1b[?25l\x1b[?7l");
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
        let more = if more > 0 { format!("… {more} more · ") } else { String::new() };
        page.push_str(&format!("\u{1b}[K\r\n{more}{footer}\u{1b}[K\u{1b}[J"));
        page
    }
}

impl Drop for Screen<'_> {
    fn drop(&mut self) {
        let _ = self.0.write(b"\x1b[?7h\x1b[?25h\x1b[?1049l");
    }
}
