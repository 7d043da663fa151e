//! What the requests of one connection share.

use std::rc::Rc;
use std::sync::Arc;

use crate::proxy::downstream::peer::Peer;
use crate::proxy::downstream::state::ConnState;
use crate::proxy::worker::{Permit, Worker};

/// What every request of a connection knows about it.
pub(in crate::proxy) struct Connection {
    pub(in crate::proxy) worker: Rc<Worker>,
    pub(in crate::proxy) peer: Peer,
    pub(in crate::proxy) state: Arc<ConnState>,
    /// Held until the connection, and the stream it may be upgraded to, has ended. `None`: it is over
    /// a limit, and only told so.
    pub(in crate::proxy) permit: Option<Permit>,
}
