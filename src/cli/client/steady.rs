//! A stream of events that outlives its connection: opened again where it breaks, and gone on with
//! where it was left.

use std::time::Duration;

use tokio::time::sleep;

use super::{Client, ClientError, Event, Events};
use crate::cli::terminal::Terminal;
use crate::clock;
use crate::domain::time::Moment;

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A WakeDock that has just started may not know yet what it will know in a moment: a service by
/// label, a container that is being made anew.
pub(in crate::cli) const FINDS_ITS_FEET: Duration = Duration::from_secs(15);

/// A stream of events that goes on for ever.
#[derive(Debug)]
pub(in crate::cli) struct Steady<'a> {
    client: &'a Client,
    path: String,
    terminal: &'a Terminal,
    events: Option<Events>,
    /// Everything up to here was seen.
    place: Option<String>,
    pause: Duration,
    /// Since when there is no connection, and whether that was said.
    away: Option<(Moment, bool)>,
    /// How often it was opened.
    opened: u64,
}

impl<'a> Steady<'a> {
    /// Opens it.
    ///
    /// # Errors
    /// It cannot be opened now: then it is better said than tried again.
    pub(in crate::cli) async fn open(
        client: &'a Client,
        path: String,
        terminal: &'a Terminal,
    ) -> Result<Self, ClientError> {
        let events = Some(client.events(&path, None).await?);
        let (place, away) = (None, None);
        Ok(Self { client, path, terminal, events, place, pause: FIRST_PAUSE, away, opened: 1 })
    }

    /// Whether it was ever opened again.
    pub(in crate::cli) fn is_first(&self) -> bool {
        self.opened == 1
    }

    /// The next one.
    ///
    /// # Errors
    /// What trying again does not mend: the token is not good any more, the service is gone.
    pub(in crate::cli) async fn next(&mut self) -> Result<Event, ClientError> {
        loop {
            if let Some(events) = &mut self.events {
                let next = events.next().await;
                if let Some(place) = events.place() {
                    self.place = Some(place.to_owned());
                }
                match next {
                    Ok(Some(event)) => {
                        self.pause = FIRST_PAUSE;
                        return Ok(event);
                    }
                    Ok(None) => {}
                    Err(error) if error.passes() => {}
                    Err(error) => return Err(error),
                }
                self.events = None;
                self.away = Some((clock::now(), false));
            }
            self.again().await?;
        }
    }

    /// Tries once more, after a pause.
    async fn again(&mut self) -> Result<(), ClientError> {
        sleep(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        let (since, said) = self.away.unwrap_or_else(|| (clock::now(), false));
        match self.client.events(&self.path, self.place.as_deref()).await {
            Ok(events) => {
                if said {
                    self.terminal.note("WakeDock answers again");
                }
                (self.events, self.away) = (Some(events), None);
                self.opened += 1;
            }
            Err(error)
                if error.passes() || (error.is_early() && clock::now().since(since) < FINDS_ITS_FEET) =>
            {
                if !said {
                    self.terminal.note(&format!("{error}; trying again"));
                }
                self.away = Some((since, true));
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }
}
