//! A backup of the store, over the wire: one consistent copy, while everything goes on.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use tokio::sync::{Semaphore, mpsc};

use crate::admin::AdminState;
use crate::admin::api::accept;
use crate::admin::api::query::Query;
use crate::admin::api::router::{ApiRouter, Use, at};
use crate::admin::audit::{self, Entry};
use crate::admin::caller::Caller;
use crate::admin::problem::Problem;

const KIND: &str = "application/octet-stream";
/// Read and sent at once.
const PIECE: usize = 64 << 10;
/// Each takes a copy of the store beside it for a while.
static ONE: Semaphore = Semaphore::const_new(1);

pub(super) fn routes<U: Use>() -> ApiRouter<U> {
    ApiRouter::new().any(at!("/api/v1/system/backup": get get_backup))
}

/// Download a backup
///
/// Everything that WakeDock remembers, as it is this moment, as one file that `wakedock restore`
/// takes. It holds the hashes of passwords and tokens: keep it as you would keep them.
#[utoipa::path(
    get, path = "/api/v1/system/backup", tag = "system", operation_id = "getBackup",
    responses(
        (status = 200, description = "The file", content((String = "application/octet-stream"))),
        (status = 503, description = "The store is away, or another backup is being made", body = Problem,
            content_type = "application/problem+json"),
    ),
)]
pub(super) async fn get_backup(
    State(state): State<AdminState>,
    caller: Caller,
    headers: HeaderMap,
    _none: Query<()>,
) -> Result<Response, Problem> {
    accept::choose(&headers, &[KIND])?;
    let away = |kind: &str, title: &str| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, kind, title).field(header::RETRY_AFTER, 5.into())
    };
    let place =
        ONE.try_acquire().map_err(|_| away("backup-runs", "Another backup is being made at this moment"))?;
    // A client that goes away while it is made leaves no copy of every hash behind, and nobody begins
    // another one over it.
    let making = tokio::spawn(async move {
        let copy = beside(state.store.path());
        let made = state.store.backup(&copy).await;
        let opened = made.map_err(|error| error.to_string()).and_then(|made| {
            let opened = File::open(&copy).map_err(|error| error.to_string());
            // The name goes at once; the bytes stay for as long as they are read.
            if let Err(error) = std::fs::remove_file(&copy) {
                tracing::warn!(path = %copy.display(), %error, "a copy of the store is left");
            }
            Ok((opened?, made))
        });
        if let Ok((_, made)) = &opened {
            let entry = Entry::by(&caller, "backup-downloaded", "store");
            audit::note(&state.store, entry.after(serde_json::json!({ "records": made.records })));
        }
        (place, opened)
    });
    let (place, opened) = match making.await {
        Ok((place, Ok(opened))) => (place, opened),
        Ok((_, Err(error))) => {
            tracing::warn!(error, "no backup was made");
            return Err(away("store-away", "The store cannot be copied at the moment"));
        }
        Err(_) => return Err(away("store-away", "The store cannot be copied at the moment")),
    };
    let (file, made) = opened;
    let (pieces, read) = mpsc::channel(2);
    tokio::task::spawn_blocking(move || {
        let _place = place;
        send(file, &pieces);
    });
    let body = Body::from_stream(stream::unfold(read, |mut read| async {
        read.recv().await.map(|piece| (piece, read))
    }));
    let fields = [
        (header::CONTENT_TYPE, KIND.to_owned()),
        (header::CONTENT_LENGTH, made.size.to_string()),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"wakedock-backup.redb\"".to_owned()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((fields, body).into_response())
}

/// Where the copy lies for a moment: with the store, which has room for itself and is nobody
/// else's.
fn beside(store: &Path) -> PathBuf {
    let name = "wakedock-backup.download";
    match store.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => folder.join(name),
        // It is no file.
        None => std::env::temp_dir().join(format!("{}-{name}", std::process::id())),
    }
}

/// Until the end, or until nobody reads any more.
fn send(mut file: File, pieces: &mpsc::Sender<io::Result<Bytes>>) {
    loop {
        let mut piece = Vec::with_capacity(PIECE);
        let read = (&mut file).take(PIECE as u64).read_to_end(&mut piece);
        let next = match read {
            Ok(0) => return,
            Ok(_) => Ok(Bytes::from(piece)),
            Err(error) => Err(error),
        };
        let broken = next.is_err();
        if pieces.blocking_send(next).is_err() || broken {
            return;
        }
    }
}
