// An OpenID Connect provider as its makers built it, with its own log-in form: whoever gives any
// password is who they say. `node serve.mjs PORT ISSUER REDIRECT_URI CLIENT SECRET`
import { createServer } from 'node:http';
import { randomBytes } from 'node:crypto';
import { Provider } from 'oidc-provider';

const [port, issuer, redirectUri, client, secret] = process.argv.slice(2);
const groups = { ada: ['staff', 'admins'], bob: ['staff'], eve: [] };

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: client,
      client_secret: secret,
      redirect_uris: [redirectUri],
      post_logout_redirect_uris: [new URL('/login', redirectUri).href],
      grant_types: ['authorization_code'],
      response_types: ['code'],
    },
  ],
  pkce: { required: () => true },
  claims: { openid: ['sub'], profile: ['preferred_username'], groups: ['groups'] },
  cookies: { keys: [randomBytes(32).toString('hex')] },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, preferred_username: `${id}@home`, groups: groups[id] ?? [] }),
  }),
});
// TLS is of the proxy in front.
provider.proxy = true;

createServer(provider.callback()).listen(Number(port), '127.0.0.1', () => console.log('listening'));
