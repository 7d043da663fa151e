//! What the pages say, in each language.

use std::time::Duration;

use crate::html::Language;
use crate::html::waiting::Refused;

/// The texts of one language. `{}` is where a time goes; no text holds a `|`.
pub(super) struct Wording {
    pub(super) waking: Phrase,
    /// Still waking: the service runs.
    pub(super) probing: Phrase,
    pub(super) stopping: Phrase,
    pub(super) failed: Phrase,
    pub(super) usual: &'static str,
    pub(super) late: &'static str,
    pub(super) progress: &'static str,
    pub(super) retry: &'static str,
    pub(super) wait: &'static str,
    pub(super) log: &'static str,
    /// For readers without script.
    pub(super) hint: &'static str,
    pub(super) lost: &'static str,
    pub(super) refused: fn(Refused) -> Phrase,
}

/// The word for what is, and a sentence.
#[derive(Debug, Clone, Copy)]
pub(super) struct Phrase {
    pub(super) word: &'static str,
    pub(super) what: &'static str,
}

const fn phrase(word: &'static str, what: &'static str) -> Phrase {
    Phrase { word, what }
}

impl Wording {
    pub(super) const fn of(language: Language) -> &'static Self {
        match language {
            Language::English => &ENGLISH,
            Language::French => &FRENCH,
        }
    }
}

const ENGLISH: Wording = Wording {
    waking: phrase("Waking", "The service was asleep and is being started."),
    probing: phrase("Waking", "The service has started and does not answer yet."),
    stopping: phrase("Stopping", "The service was just going to sleep. It is woken again right after."),
    failed: phrase("Failed", "The service could not be woken."),
    usual: "usually {}",
    late: "longer than usual ({})",
    progress: "Progress of the wake",
    retry: "Try again",
    wait: "possible in {}",
    log: "Last lines of the log",
    hint: "This page loads itself again every {}.",
    lost: "The connection was lost at {}. Reconnecting.",
    refused: |refused| match refused {
        Refused::UnknownHost => phrase("Not found", "There is no service at this address."),
        Refused::HoldTimeout => {
            phrase("Still waking", "The service takes longer to answer than a request may wait.")
        }
        Refused::Overloaded => phrase("Overloaded", "Too many requests are waiting for this service."),
        Refused::Draining => phrase("Restarting", "What stands before the service is being restarted."),
        Refused::Disabled => phrase("Out of use", "The operator has taken this service out of use."),
        Refused::EngineUnavailable => {
            phrase("Asleep", "The service is asleep and cannot be woken at the moment.")
        }
        Refused::UpstreamError => phrase("No answer", "The service is awake and broke off the connection."),
        Refused::UpstreamTimeout => phrase("No answer", "The service is awake and took too long to answer."),
    },
};

const FRENCH: Wording = Wording {
    waking: phrase("Réveil", "Le service était en veille et démarre."),
    probing: phrase("Réveil", "Le service a démarré et ne répond pas encore."),
    stopping: phrase("Arrêt", "Le service se mettait en veille. Il est réveillé aussitôt après."),
    failed: phrase("Échec", "Le service n’a pas pu être réveillé."),
    usual: "d’habitude {}",
    late: "plus long que d’habitude ({})",
    progress: "Avancement du réveil",
    retry: "Réessayer",
    wait: "possible dans {}",
    log: "Dernières lignes du journal",
    hint: "Cette page se recharge d’elle-même toutes les {}.",
    lost: "La connexion est perdue depuis {}. Reconnexion en cours.",
    refused: |refused| match refused {
        Refused::UnknownHost => phrase("Introuvable", "Il n’y a pas de service à cette adresse."),
        Refused::HoldTimeout => phrase(
            "Réveil en cours",
            "Le service met plus de temps à répondre qu’une requête ne peut attendre.",
        ),
        Refused::Overloaded => phrase("Surchargé", "Trop de requêtes attendent ce service."),
        Refused::Draining => phrase("Redémarrage", "Ce qui précède le service redémarre."),
        Refused::Disabled => phrase("Hors service", "L’exploitant a mis ce service hors service."),
        Refused::EngineUnavailable => {
            phrase("En veille", "Le service est en veille et ne peut pas être réveillé pour le moment.")
        }
        Refused::UpstreamError => {
            phrase("Sans réponse", "Le service est éveillé et a interrompu la connexion.")
        }
        Refused::UpstreamTimeout => {
            phrase("Sans réponse", "Le service est éveillé et a mis trop de temps à répondre.")
        }
    },
};

/// `12 s`, `1 min 5 s`; the same in every language, and in the script.
pub(super) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        _ => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

/// As [`duration`], never less than a time that has yet to pass.
pub(super) fn duration_up(time: Duration) -> String {
    duration(Duration::from_secs(time.as_millis().div_ceil(1000).max(1).try_into().unwrap_or(u64::MAX)))
}

pub(super) fn fill(text: &str, value: &str) -> String {
    text.replace("{}", value)
}
