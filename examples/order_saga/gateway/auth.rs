//! Tokens: JWT, signed with HS256.
use crate::service::problem::Problem;
use anyhow::Context as _;
use axum::http::{HeaderMap, StatusCode, header::AUTHORIZATION};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, TokenData, Validation};
use serde::{Deserialize, Serialize};

/// Where the gateway finds the secret. Not on its command line, which everybody on the machine can read.
pub const SECRET: &str = "ORDER_SAGA_SECRET";

/// What a token says.
#[derive(Debug, Deserialize, Serialize)]
struct Claims {
    sub: String,
    /// Words, as in RFC 8693.
    #[serde(default)]
    scope: String,
    exp: u64,
}

/// Makes a token. The example's parent process does what a login service would.
pub fn sign(secret: &str, sub: &str, scope: &str, seconds: u64) -> anyhow::Result<String> {
    let claims = Claims {
        sub: sub.to_owned(),
        scope: scope.to_owned(),
        exp: jsonwebtoken::get_current_timestamp() + seconds,
    };
    let key = EncodingKey::from_secret(secret.as_bytes());
    Ok(jsonwebtoken::encode(
        &Header::new(Algorithm::HS256),
        &claims,
        &key,
    )?)
}

/// Checks tokens.
pub struct Door {
    key: DecodingKey,
    rules: Validation,
}

/// Who was let in.
#[derive(Debug)]
pub struct Client {
    pub id: String,
    scope: String,
}

impl Door {
    pub fn from_env() -> anyhow::Result<Door> {
        let secret = std::env::var(SECRET).with_context(|| format!("{SECRET} is not set"))?;
        // Only this algorithm: a token must not choose how it is checked.
        let mut rules = Validation::new(Algorithm::HS256);
        rules.leeway = 0;
        rules.validate_nbf = true;
        rules.set_required_spec_claims(&["exp", "sub"]);
        Ok(Door {
            key: DecodingKey::from_secret(secret.as_bytes()),
            rules,
        })
    }

    /// Who is asking; 401 if that cannot be told.
    pub fn check(&self, headers: &HeaderMap) -> Result<Client, Problem> {
        let refused = |why: &str| Problem::new(StatusCode::UNAUTHORIZED, why);
        let header = headers.get(AUTHORIZATION).and_then(|h| h.to_str().ok());
        let token = header
            .and_then(|h| h.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim())
            .ok_or_else(|| refused("a bearer token is needed"))?;
        let expired = jsonwebtoken::errors::ErrorKind::ExpiredSignature;
        match jsonwebtoken::decode::<Claims>(token, &self.key, &self.rules) {
            Ok(TokenData { claims, .. }) if is_plain(&claims.sub) => Ok(Client {
                id: claims.sub,
                scope: claims.scope,
            }),
            Ok(_) => Err(refused("the token names nobody")),
            Err(error) if *error.kind() == expired => Err(refused("the token has expired")),
            // Which part is wrong is of use only to whoever forges one.
            Err(_) => Err(refused("the token is not valid")),
        }
    }
}

/// Who is asking becomes part of paths and headers on the way in.
fn is_plain(sub: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.@".contains(c);
    (1..=64).contains(&sub.len()) && !sub.starts_with('.') && sub.chars().all(plain)
}

impl Client {
    /// 403 if the token does not allow this.
    pub fn needs(&self, scope: &str) -> Result<(), Problem> {
        if self.scope.split(' ').any(|has| has == scope) {
            return Ok(());
        }
        let why = format!("the token lacks the scope {scope}");
        Err(Problem::new(StatusCode::FORBIDDEN, why))
    }
}
