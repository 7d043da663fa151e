//! The way of one request: read what it asks for, find the service, get a lease, forward, count.

use std::rc::Rc;
use std::time::Duration;

use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HOST, TE, TRAILER, UPGRADE};
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;

use crate::clock;
use crate::domain::service::UpstreamProtocol;
use crate::domain::time::Moment;
use crate::domain::words::{Reason, Refusal};
use crate::metrics::{AnsweredBy, ServiceMetrics};
use crate::proxy::downstream::guard;
use crate::proxy::downstream::state::Active;
use crate::proxy::exchange::ask;
use crate::proxy::exchange::body::ResponseBody;
use crate::proxy::exchange::cold::{self, Admitted};
use crate::proxy::exchange::connection::Connection;
use crate::proxy::exchange::dashboard;
use crate::proxy::exchange::events;
use crate::proxy::exchange::extended::{self, Handshake};
use crate::proxy::exchange::pages::{self, Reader};
use crate::proxy::exchange::respond::{Blame, PROXY_STATUS, Page, respond, verdict};
use crate::proxy::exchange::tunnel;
use crate::proxy::fields::{self, X_REQUEST_ID, X_WAKEDOCK};
use crate::proxy::host::Host;
use crate::proxy::settings::{Dashboard, ProxySettings};
use crate::proxy::trouble::{Fault, Trouble};
use crate::proxy::upstream::forward::{self, Answered, Forward};
use crate::proxy::upstream::upload::{RequestBody, Upload};
use crate::supervisor::handle::{Asker, ServiceHandle};
use crate::supervisor::lease::Lease;

/// The one prefix on services' hosts that is ours (trap 21).
const RESERVED: &str = "/.wakedock/";
const EVENTS: &str = "/.wakedock/events";

static GRPC_TRAILERS: HeaderValue =
    HeaderValue::from_static("grpc-status, grpc-message, grpc-status-details-bin");

/// What is known of a request from its head to its answer.
struct Exchange<'a> {
    connection: &'a Rc<Connection>,
    settings: Rc<ProxySettings>,
    began: Moment,
    method: Method,
    /// Only for the access log.
    path: Option<Box<str>>,
    request_id: HeaderValue,
}

/// Answers one request. Its duration, in metrics and log, is counted to the head of the answer:
/// how long a body takes is up to the client.
pub(in crate::proxy) async fn serve(
    connection: &Rc<Connection>,
    request: Request<Incoming>,
) -> Response<ResponseBody> {
    let active = Active::new(&connection.state);
    let worker = &connection.worker;
    let settings = worker.settings();
    let trusted = settings.trusts(connection.peer.address);
    let exchange = Exchange {
        connection,
        began: clock::now(),
        method: request.method().clone(),
        path: settings.access_log.then(|| request.uri().path().into()),
        request_id: fields::request_id(request.headers(), trusted, || worker.request_id()),
        settings,
    };
    let checked = match guard::refused(&connection.state, &request) {
        Some(trouble) => Err(trouble),
        None if connection.permit.is_none() => Err(Trouble::Crowded),
        None => ask::check(&request, &exchange.settings.limits),
    };
    let host = match checked {
        Ok(host) => host,
        Err(trouble) => {
            let page = Page::Text.for_call(ask::is_grpc(request.headers()));
            return exchange.refuse(None, None, &trouble, page, active);
        }
    };
    if let Some(dashboard) = &exchange.settings.dashboard
        && dashboard.host.as_str() == host.as_str()
    {
        return Box::pin(exchange.dashboard(dashboard, &host, trusted, request, active)).await;
    }
    let path = request.uri().path();
    if path.starts_with(RESERVED) {
        return exchange.reserved(&host, &request, active);
    }
    let reader = Reader::of(&request);
    let reader = reader.as_ref();
    let find = || worker.with_routes(|routes| routes.find(host.as_str(), path).cloned());
    let Some(mut service) = find() else {
        let trouble = Trouble::Refused(Refusal::UnknownHost);
        let page = pages::for_nobody(host.as_str(), reader, &trouble);
        let page = page.for_call(ask::is_grpc(request.headers()));
        return exchange.refuse(None, Some(&host), &trouble, page, active);
    };
    let (headers, peer, trust) = (request.headers(), connection.peer.address, &*exchange.settings);
    let client = || fields::client(headers, peer, trust);
    let asker = Asker {
        request_id: exchange.request_id.as_bytes(),
        host: host.as_str(),
        method: exchange.method.as_str(),
        path,
        client: Some(&client),
    };
    let Admitted { lease, mut waited } = loop {
        match cold::admit(&service, &request, reader.is_some(), &asker).await {
            Ok(admitted) => break admitted,
            // Let go while the request waited: an edit of the configuration may have given its host
            // to another service, or its service another container.
            Err(Trouble::Refused(Refusal::UnknownHost))
                if let Some(next) = find().filter(|next| !next.is_same(&service)) =>
            {
                service = next;
            }
            Err(trouble) => {
                let page = pages::for_service(&service, host.as_str(), reader, &trouble);
                let page = page.for_call(ask::is_grpc(request.headers()));
                return exchange.refuse(Some(&service), Some(&host), &trouble, page, active);
            }
        }
    };
    // The request itself goes on its way: what asks again knows it by its number.
    let request_id = exchange.request_id.as_bytes();
    let asker = Asker { request_id, host: host.as_str(), ..Asker::default() };
    let (request, going) = exchange.prepare(&service, &lease, trusted, request);
    let grpc = going.grpc;
    let forward = Forward {
        pool: &worker.pool,
        service: &service,
        asker: &asker,
        timeouts: &exchange.settings.timeouts,
        hold_timeout: going.hold_timeout,
        http2: going.http2,
        lease,
        waited: &mut waited,
        upload: going.upload,
    };
    let outcome = match forward.send(request).await {
        Ok(answered) => exchange.finish(&service, answered, going.back, waited, active),
        Err(fault) => Err((fault, active)),
    };
    match outcome {
        Ok(mut response) => {
            // An application that names its answers itself keeps its own name.
            response.headers_mut().entry(&X_REQUEST_ID).or_insert_with(|| exchange.request_id.clone());
            exchange.count(Some(&service), Some(&host), response.status(), AnsweredBy::Upstream);
            response
        }
        Err((fault, active)) => {
            let trouble = Trouble::Upstream(fault);
            let page = pages::for_service(&service, host.as_str(), reader, &trouble).for_call(grpc);
            exchange.refuse(Some(&service), Some(&host), &trouble, page, active)
        }
    }
}

/// What a request needs on its way, besides itself.
struct Going {
    grpc: bool,
    http2: bool,
    hold_timeout: Duration,
    upload: Option<Rc<Upload>>,
    back: Back,
}

/// What its answer will need.
struct Back {
    /// The client's side of an upgrade that it asked for.
    downstream: Option<OnUpgrade>,
    /// The client is on HTTP/2, and knows nothing of the handshake.
    handshake: Option<Handshake>,
    silent_stream: Option<Duration>,
    /// The trailers of gRPC are to be announced.
    grpc_trailers: bool,
}

impl Exchange<'_> {
    /// Makes the client's request the one that goes to the upstream.
    fn prepare(
        &self,
        service: &ServiceHandle,
        lease: &Lease,
        trusted: bool,
        mut request: Request<Incoming>,
    ) -> (Request<RequestBody>, Going) {
        let (protocol, hold_timeout, silent_stream) = {
            let spec = service.spec();
            (spec.protocol, spec.hold_timeout, spec.idle.silent_stream)
        };
        let handshake = extended::for_http1(&mut request);
        let wanted = (handshake.is_some() || ask::wants_upgrade(&request)).then(|| {
            let protocol = request.headers().get(UPGRADE).cloned();
            (protocol, hyper::upgrade::on(&mut request))
        });
        let grpc = ask::is_grpc(request.headers());
        let http2 = wanted.is_none()
            && match protocol {
                UpstreamProtocol::H2c => true,
                UpstreamProtocol::Http1 => false,
                UpstreamProtocol::Auto => grpc,
            };
        let is_http1 = request.version() != Version::HTTP_2;
        let grpc_trailers = is_http1 && grpc && fields::reads_trailers(request.headers());
        self.rewrite(&mut request, trusted);
        let (parts, body) = request.into_parts();
        // The two sides of a call speak when they have something to say, like those of a WebSocket.
        let patience = if grpc && http2 { None } else { self.settings.timeouts.body };
        let (body, upload) = RequestBody::new(body, lease, &self.connection.state, patience);
        let mut request = Request::from_parts(parts, body);
        forward::for_http1(&mut request);
        let downstream = wanted.map(|(protocol, downstream)| {
            if let Some(protocol) = protocol {
                let headers = request.headers_mut();
                let names = if headers.contains_key(TE) { "upgrade, TE" } else { "upgrade" };
                headers.insert(CONNECTION, HeaderValue::from_static(names));
                headers.insert(UPGRADE, protocol);
            }
            downstream
        });
        let back = Back { downstream, handshake, silent_stream, grpc_trailers };
        (request, Going { grpc, http2, hold_timeout, upload, back })
    }

    /// Makes the upstream's answer the one that goes to the client.
    fn finish(
        &self,
        service: &ServiceHandle,
        answered: Answered,
        back: Back,
        waited: Option<Duration>,
        active: Active,
    ) -> Result<Response<ResponseBody>, (Fault, Active)> {
        let Answered { mut response, returning, lease } = answered;
        *response.version_mut() = Version::HTTP_11;
        if let Some(handshake) = &back.handshake
            && !handshake.is_answered_by(&response)
        {
            return Err((Fault::Handshake, active));
        }
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            let Some(downstream) = back.downstream else { return Err((Fault::UnaskedUpgrade, active)) };
            let upstream = hyper::upgrade::on(&mut response);
            if back.handshake.is_some() {
                fields::rewrite_response(response.headers_mut(), waited);
                extended::for_http2(&mut response);
                let opened = extended::opened(downstream, active, self.settings.timeouts.write);
                let connection = Rc::clone(self.connection);
                let (service, silent_after) = (service.clone(), back.silent_stream);
                let joined = tunnel::join(connection, opened, upstream, service, lease, silent_after);
                tokio::task::spawn_local(joined);
                let nobody = Active::new(&self.connection.state);
                return Ok(response.map(|_| ResponseBody::full(bytes::Bytes::new(), nobody)));
            }
            let protocol = response.headers_mut().remove(UPGRADE);
            fields::rewrite_response(response.headers_mut(), waited);
            self.connection.state.upgrade();
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
            if let Some(protocol) = protocol {
                response.headers_mut().insert(UPGRADE, protocol);
            }
            tokio::task::spawn_local(tunnel::join(
                Rc::clone(self.connection),
                tunnel::opened(downstream),
                upstream,
                service.clone(),
                lease,
                back.silent_stream,
            ));
            return Ok(response.map(|_| ResponseBody::full(bytes::Bytes::new(), active)));
        }
        fields::rewrite_response(response.headers_mut(), waited);
        if back.grpc_trailers && !response.headers().contains_key(TRAILER) {
            // HTTP/1.1 announces its trailers; hyper sends no others.
            response.headers_mut().insert(TRAILER, GRPC_TRAILERS.clone());
        }
        Ok(response.map(|body| ResponseBody::upstream(body, returning, lease, active)))
    }

    /// Hands a request over to the control plane.
    async fn dashboard(
        &self,
        dashboard: &Dashboard,
        host: &Host,
        trusted: bool,
        mut request: Request<Incoming>,
        active: Active,
    ) -> Response<ResponseBody> {
        self.rewrite(&mut request, trusted);
        forward::for_http1(&mut request);
        match dashboard::forward(dashboard, request, active).await {
            Ok(mut response) => {
                response.headers_mut().entry(&X_REQUEST_ID).or_insert_with(|| self.request_id.clone());
                response
            }
            Err((error, active)) => {
                tracing::warn!(%error, "a request for the dashboard was not handed over");
                let trouble = Trouble::Refused(Refusal::Overloaded);
                self.refuse(None, Some(host), &trouble, Page::Text, active)
            }
        }
    }

    fn rewrite(&self, request: &mut Request<Incoming>, trusted: bool) {
        let authority = request.uri().authority().and_then(|authority| authority.as_str().parse().ok());
        let host = authority.or_else(|| request.headers().get(HOST).cloned());
        let host = host.unwrap_or_else(|| HeaderValue::from_static(""));
        let peer = &self.connection.peer;
        fields::rewrite_request(request.headers_mut(), host, peer, trusted, &self.request_id);
    }

    /// What lies below the reserved prefix: nothing here wakes anything.
    fn reserved(&self, host: &Host, request: &Request<Incoming>, active: Active) -> Response<ResponseBody> {
        let worker = &self.connection.worker;
        let uri = request.uri();
        // Where services share a host, the page says for which path it waits.
        let asked = uri.query().and_then(path_parameter).unwrap_or_else(|| "/".to_owned());
        let (known, service) = worker
            .with_routes(|routes| (routes.knows(host.as_str()), routes.find(host.as_str(), &asked).cloned()));
        match service {
            Some(service) if uri.path() == EVENTS && *request.method() == Method::GET => {
                let mut response = Response::new(ResponseBody::events(events::of(&service, worker), active));
                let headers = response.headers_mut();
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
                headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
                headers.insert(X_WAKEDOCK.clone(), HeaderValue::from_static(Reason::Waking.as_str()));
                headers.insert(PROXY_STATUS.clone(), HeaderValue::from_static("wakedock"));
                headers.insert(X_REQUEST_ID.clone(), self.request_id.clone());
                self.count(Some(&service), Some(host), StatusCode::OK, AnsweredBy::Wakedock);
                response
            }
            service if known => {
                self.refuse(service.as_ref(), Some(host), &Trouble::NotFound, Page::Text, active)
            }
            _ => {
                let trouble = Trouble::Refused(Refusal::UnknownHost);
                self.refuse(None, Some(host), &trouble, Page::Text, active)
            }
        }
    }

    fn refuse(
        &self,
        service: Option<&ServiceHandle>,
        host: Option<&Host>,
        trouble: &Trouble,
        page: Page,
        active: Active,
    ) -> Response<ResponseBody> {
        let verdict = verdict(trouble);
        self.metrics(service).refused(verdict.reason);
        self.count(service, host, verdict.status, AnsweredBy::Wakedock);
        if let (Trouble::Upstream(fault), Blame::Upstream) = (trouble, verdict.blame) {
            tracing::warn!(
                request_id = self.request_id.to_str().unwrap_or_default(),
                service = self.metrics(service).name().as_str(),
                reason = verdict.reason.as_str(),
                error = fault as &dyn std::error::Error,
                "no answer from the service"
            );
        }
        let state = std::sync::Arc::clone(active.state());
        let mut response = respond(&verdict, page, &self.method, &self.request_id, active);
        let is_lost = matches!(verdict.reason, Reason::BadRequest | Reason::TooLarge);
        let is_last = is_lost || state.is_uploading() || self.connection.permit.is_none();
        if is_last && state.refuse() {
            // Where its next request would begin nobody knows, or it lies behind a body that nobody
            // will read.
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    fn metrics<'a>(&'a self, service: Option<&'a ServiceHandle>) -> &'a ServiceMetrics {
        service.map_or(&self.connection.worker.unknown, |service| service.metrics())
    }

    fn count(
        &self,
        service: Option<&ServiceHandle>,
        host: Option<&Host>,
        status: StatusCode,
        by: AnsweredBy,
    ) {
        let took = clock::now().since(self.began);
        let metrics = self.metrics(service);
        metrics.request(self.connection.worker.index, status.as_u16(), by, took);
        if let Some(path) = &self.path {
            tracing::info!(
                target: "wakedock::access",
                request_id = self.request_id.to_str().unwrap_or_default(),
                service = metrics.name().as_str(),
                host = host.map_or("", Host::as_str),
                method = self.method.as_str(),
                path = &**path,
                status = status.as_u16(),
                duration_ms = took.as_secs_f64() * 1000.0,
                "request"
            );
        }
    }
}

/// The parameter `path` of a query, percent-decoded.
pub(in crate::proxy) fn path_parameter(query: &str) -> Option<String> {
    let raw = query.split('&').find_map(|pair| pair.strip_prefix("path="))?;
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = (*first == b'%')
            .then(|| std::str::from_utf8(tail.get(..2)?).ok())
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(code.unwrap_or(*first));
        rest = if code.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_parameters() {
        assert_eq!(path_parameter("path=%2Fapp%2Fa%20b").as_deref(), Some("/app/a b"));
        assert_eq!(path_parameter("x=1&path=/app").as_deref(), Some("/app"));
        assert_eq!(path_parameter("path=%").as_deref(), Some("%"));
        assert_eq!(path_parameter("path=%zz%4").as_deref(), Some("%zz%4"));
        assert_eq!(path_parameter("path=%ff"), None);
        assert_eq!(path_parameter("paths=1"), None);
    }
}
