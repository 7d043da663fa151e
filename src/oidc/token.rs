//! The code's redemption, and what makes an ID token valid.

use std::time::Duration;

use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreErrorResponseType, CoreGenderClaim, CoreJsonWebKey,
    CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm, CoreRevocableToken,
    CoreRevocationErrorResponse, CoreTokenIntrospectionResponse, CoreTokenType,
};
use openidconnect::{
    AccessTokenHash, AuthorizationCode, ClaimsVerificationError, ClientId, EmptyExtraTokenFields,
    EndpointMaybeSet, EndpointNotSet, EndpointSet, IdTokenClaims, IdTokenFields, IdTokenVerifier, Nonce,
    OAuth2TokenResponse, PkceCodeVerifier, RequestTokenError, SignatureVerificationError,
    StandardErrorResponse, StandardTokenResponse, TokenResponse, UserInfoClaims, UserInfoError,
};

use crate::clock;
use crate::config::OidcConfig;
use crate::oidc::claims::{Claims, Others};
use crate::oidc::error::{plain, whole};
use crate::oidc::http::Http;
use crate::oidc::provider::Metadata;
use crate::oidc::{Attempt, IdToken, OidcError, Person};

/// What a clock may be wrong by.
const SKEW: Duration = Duration::from_secs(60);
/// The token was made when the code was redeemed: just now.
const OLDEST: Duration = Duration::from_secs(10 * 60);

/// Signatures with a key that only the provider has. Never `none`, and never one that is made with
/// the client's secret: that would make everybody who knows it a provider.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

type Fields = IdTokenFields<
    Others,
    EmptyExtraTokenFields,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;
pub(super) type Tokens = StandardTokenResponse<Fields, CoreTokenType>;
type IdClaims = IdTokenClaims<Others, CoreGenderClaim>;

/// The library's client, with claims of any name.
pub(super) type Client = openidconnect::Client<
    Others,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    Tokens,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// Why an ID token is not believed.
#[derive(Debug)]
pub(super) enum NotValid {
    /// Perhaps the provider has made a new one.
    UnknownKey,
    Because(String),
}

impl From<NotValid> for OidcError {
    fn from(why: NotValid) -> Self {
        let reason = match why {
            NotValid::UnknownKey => "it names a key that the provider does not have".to_owned(),
            NotValid::Because(reason) => reason,
        };
        Self::Token { reason }
    }
}

pub(super) async fn exchange(
    client: &Client,
    http: &Http,
    code: AuthorizationCode,
    attempt: &Attempt,
) -> Result<Tokens, OidcError> {
    let request = client.exchange_code(code).map_err(|error| OidcError::Away { reason: whole(&error) })?;
    let answer =
        request.set_pkce_verifier(PkceCodeVerifier::new(attempt.verifier.clone())).request_async(http).await;
    answer.map_err(|error| match error {
        RequestTokenError::ServerResponse(said) => OidcError::Refused { reason: plain(&said.to_string()) },
        RequestTokenError::Parse(error, _) => OidcError::Token { reason: whole(&error) },
        other => OidcError::Away { reason: whole(&other) },
    })
}

/// Checks the ID token: who signed it and how, whose it is, for whom, when, and for which log-in.
pub(super) fn verify<'a>(
    tokens: &'a Tokens,
    metadata: &Metadata,
    config: &OidcConfig,
    attempt: &Attempt,
) -> Result<&'a IdClaims, NotValid> {
    let because = |reason: String| NotValid::Because(reason);
    let token = tokens.id_token().ok_or_else(|| because("there is none in the answer".to_owned()))?;
    let client_id = ClientId::new(config.client_id.clone().unwrap_or_default());
    let now = clock::wall().as_millis();
    let skew = i64::try_from(SKEW.as_millis()).unwrap_or_default();
    let oldest = i64::try_from(OLDEST.as_millis()).unwrap_or_default();
    let verifier = IdTokenVerifier::new_public_client(
        client_id.clone(),
        metadata.issuer().clone(),
        metadata.jwks().clone(),
    )
    .set_allowed_algs(ALGORITHMS)
    .set_time_fn(move || chrono::DateTime::from_timestamp_millis(now - skew).unwrap_or_default())
    .set_issue_time_verifier_fn(move |issued| {
        let age = now - issued.timestamp_millis();
        if (-skew..=oldest).contains(&age) {
            Ok(())
        } else {
            Err(format!("it was issued at {issued}, which is not now"))
        }
    })
    // Who is meant among several is in `azp`, below.
    .set_other_audience_verifier_fn(|_| true);
    let claims =
        token.claims(&verifier, &Nonce::new(attempt.nonce.clone())).map_err(|error| match error {
            ClaimsVerificationError::SignatureVerification(SignatureVerificationError::NoMatchingKey) => {
                NotValid::UnknownKey
            }
            other => because(whole(&other)),
        })?;
    match claims.authorized_party() {
        Some(party) if *party != client_id => {
            return Err(because(format!("it was made for the client `{}`", plain(party))));
        }
        None if claims.audiences().len() > 1 => {
            return Err(because("it is for several clients, and does not say who asked".to_owned()));
        }
        _ => {}
    }
    if let Some(expected) = claims.access_token_hash() {
        let hash = token
            .signing_alg()
            .and_then(|algorithm| Ok((algorithm, token.signing_key(&verifier)?)))
            .map_err(|error| because(whole(&error)))
            .and_then(|(algorithm, key)| {
                AccessTokenHash::from_token(tokens.access_token(), algorithm, key)
                    .map_err(|error| because(whole(&error)))
            })?;
        if hash != *expected {
            return Err(because("it came with another access token".to_owned()));
        }
    }
    Ok(claims)
}

/// Reads who it is. What the ID token leaves out is asked of the user-info endpoint, where many
/// providers say the groups.
pub(super) async fn person(
    client: &Client,
    http: &Http,
    config: &OidcConfig,
    tokens: &Tokens,
    id: &IdClaims,
) -> Result<Person, OidcError> {
    let said = Claims::of(id);
    let mut more = Claims::default();
    let complete = said.has(&config.username_claim) && said.has(&config.groups_claim);
    let access = tokens.access_token();
    // The library puts it into a header field, and panics where that cannot be.
    let fits = access.secret().bytes().all(|byte| byte.is_ascii_graphic());
    if !complete && fits && client.user_info_url().is_some() {
        let request = client
            .user_info(access.clone(), Some(id.subject().clone()))
            .map_err(|error| OidcError::Away { reason: whole(&error) })?;
        let info: UserInfoClaims<Others, CoreGenderClaim> =
            request.request_async(http).await.map_err(|error| match error {
                UserInfoError::ClaimsVerification(_) | UserInfoError::Parse(_) => {
                    OidcError::Token { reason: format!("and user info: {}", whole(&error)) }
                }
                other => OidcError::Away { reason: whole(&other) },
            })?;
        more = Claims::of(&info);
    }
    let name = said.text(&config.username_claim).or_else(|| more.text(&config.username_claim));
    let groups = said.texts(&config.groups_claim).or_else(|| more.texts(&config.groups_claim));
    Ok(Person {
        issuer: id.issuer().to_string(),
        subject: id.subject().to_string(),
        name,
        groups: groups.unwrap_or_default(),
        id_token: IdToken(tokens.id_token().map(ToString::to_string).unwrap_or_default()),
    })
}
