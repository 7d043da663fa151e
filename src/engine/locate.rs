//! Where a container answers now.

use std::net::SocketAddr;
use std::num::NonZeroU16;

use crate::domain::address::{Attachment, Choice, Endpoints, NoAddress, Vantage, choose};
use crate::domain::service::AddressPolicy;
use crate::engine::vantage;
use crate::ports::{Container, ContainerEngine, ContainerState, InspectError, NetworkMode};

/// A container that shares another's network may share it with one that shares a third's. Longer
/// chains are a mistake.
const LONGEST_CHAIN: usize = 4;

/// The address of a running container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Located {
    pub address: SocketAddr,
    /// A port that the host publishes: a connection may be accepted there before the application
    /// listens, so that it proves nothing.
    pub published: bool,
}

/// Why a container cannot be dialled.
#[derive(Debug, thiserror::Error)]
pub enum LocateError {
    #[error(transparent)]
    NoAddress(#[from] NoAddress),
    #[error("the container uses the network of container `{holder}`, which is not running")]
    HolderOff { holder: String },
    #[error("the container uses the network of container `{holder}`, which leads to no network")]
    EndlessChain { holder: String },
    #[error("the container uses the network of container `{holder}`, which cannot be looked at")]
    Holder {
        holder: String,
        #[source]
        source: InspectError,
    },
}

/// Chooses the one right address of a container that was just looked at. Asks the engine only
/// where the container uses another container's network.
///
/// # Errors
/// Says why there is no address, and what to set.
pub async fn locate(
    engine: &dyn ContainerEngine,
    container: &Container,
    policy: &AddressPolicy,
    port: Option<NonZeroU16>,
) -> Result<Located, LocateError> {
    locate_from(&vantage::look(), engine, container, policy, port).await
}

async fn locate_from(
    here: &Vantage,
    engine: &dyn ContainerEngine,
    container: &Container,
    policy: &AddressPolicy,
    port: Option<NonZeroU16>,
) -> Result<Located, LocateError> {
    let mut holder: Option<Container> = None;
    for _ in 0..=LONGEST_CHAIN {
        let attached = holder.as_ref().unwrap_or(container);
        let attachment = match &attached.network_mode {
            NetworkMode::Own => Attachment::Own,
            NetworkMode::Host => Attachment::Host,
            NetworkMode::None => Attachment::None,
            NetworkMode::Container(next) => {
                holder = Some(look_at_holder(engine, next).await?);
                continue;
            }
        };
        let endpoints = Endpoints {
            attachment,
            networks: &attached.networks,
            published: &attached.published,
            // What the application listens on is its own container's business.
            exposed: &container.exposed,
        };
        let Choice { address, published } = choose(&endpoints, policy, port, here)?;
        return Ok(Located { address, published });
    }
    Err(LocateError::EndlessChain { holder: holder.map_or_else(String::new, |holder| holder.name) })
}

async fn look_at_holder(engine: &dyn ContainerEngine, name: &str) -> Result<Container, LocateError> {
    let holder = engine
        .inspect(name)
        .await
        .map_err(|source| LocateError::Holder { holder: name.to_owned(), source })?;
    match holder.state {
        ContainerState::Running | ContainerState::Paused => Ok(holder),
        ContainerState::Created
        | ContainerState::Restarting
        | ContainerState::Removing
        | ContainerState::Exited
        | ContainerState::Dead => Err(LocateError::HolderOff { holder: holder.name }),
    }
}
