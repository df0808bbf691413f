// Who is signed in. The access token lives in memory; all tabs of a browser share one refresh.
import { ApiError, call, forgetAnswers, useGate } from './api/client';
import type { AuthOptions, SignedIn, User } from './api/types';
import { recallKeys, remember } from './memory';
import { afterAbandonedRefresh, askOtherTabs, markRefresh, onTabs, takeTurn, tellTabs } from './tabs';

/** `expired`: somebody was signed in here and the page stays as it is while they sign in again. */
export type Phase = 'starting' | 'unreachable' | 'signed_out' | 'expired' | 'signed_in';

const SPARE_MS = 20_000;
const RETRY_START_MS = 2_000;

class Session {
  phase = $state<Phase>('starting');
  user = $state<User | null>(null);
  options = $state<AuthOptions | null>(null);
  /** The address in the terminal was opened, and its token was refused. */
  tokenRefused = $state(false);
}
export const session = new Session();

interface Access {
  user: User;
  token: string;
  /** Milliseconds since 1970. */
  until: number;
}
let access: Access | null = null;
let renewing: Promise<string | null> | null = null;
const waiters = new Set<(token: string | null) => void>();

const isFresh = (held: Access | null): held is Access => held !== null && held.until - SPARE_MS > Date.now();

function accept(next: Access, tell: boolean): void {
  const other = session.user && session.user.id !== next.user.id;
  if (other) {
    location.reload(); // What is on the page belongs to somebody else.
    return;
  }
  access = next;
  session.user = next.user;
  session.phase = 'signed_in';
  session.tokenRefused = false;
  if (tell) tellTabs({ kind: 'token', access: next });
  for (const resolve of waiters) resolve(next.token);
  waiters.clear();
}

function signedIn(reply: SignedIn): void {
  accept({ user: reply.user, token: reply.access_token, until: Date.now() + reply.expires_in * 1000 }, true);
}

/** One refresh for all tabs: whoever has the turn asks the others first and only then the server. */
async function refresh(refused: string | null): Promise<string | null> {
  return takeTurn('kira.refresh', async () => {
    if (isFresh(access) && access.token !== refused) return access.token;
    const shared = await askOtherTabs();
    if (shared && shared.token !== refused && isFresh(shared)) {
      accept(shared, false);
      return shared.token;
    }
    await afterAbandonedRefresh();
    try {
      signedIn(await call('POST /api/auth/refresh', { keepalive: true }));
      return access?.token ?? null;
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) return null;
      throw error;
    } finally {
      markRefresh(false);
    }
  });
}

function renew(refused: string | null): Promise<string | null> {
  renewing ??= refresh(refused).finally(() => (renewing = null));
  return renewing;
}

/** A token that can be sent; while the session is expired, the one of the next sign-in. */
async function token(refused: string | null = null): Promise<string | null> {
  if (session.phase === 'signed_out') return null;
  if (isFresh(access) && access.token !== refused) return access.token;
  if (session.phase === 'expired') return new Promise((resolve) => waiters.add(resolve));
  const next = await renew(refused);
  if (next) return next;
  access = null;
  if (session.phase !== 'signed_in') return null;
  session.phase = 'expired';
  return new Promise((resolve) => waiters.add(resolve));
}

/** Learns who is signed in: by the token in the address, by another tab, or by the cookie. */
export async function startSession(): Promise<void> {
  useGate({ token: () => token(), renew: (refused) => token(refused) });
  listen();
  const given = takeTokenFromAddress();
  try {
    if (given && (await signInLocally(given))) return;
    if (await renew(null)) return;
    session.options = await call('GET /api/auth/options');
    session.phase = 'signed_out';
  } catch {
    session.phase = 'unreachable';
    setTimeout(() => void startSession(), RETRY_START_MS);
  }
}

async function signInLocally(given: string): Promise<boolean> {
  try {
    signedIn(await call('POST /api/auth/local', { body: { token: given } }));
    return true;
  } catch (error) {
    if (!(error instanceof ApiError) || error.status === 0) throw error;
    session.tokenRefused = true;
    return false;
  }
}

let kept: string | null = null;
function takeTokenFromAddress(): string | null {
  const here = new URL(location.href);
  kept = here.searchParams.get('token') ?? kept;
  if (here.searchParams.has('token')) {
    here.searchParams.delete('token');
    history.replaceState(null, '', here.pathname + here.search);
  }
  return kept;
}

export async function signIn(email: string, password: string): Promise<void> {
  signedIn(await call('POST /api/auth/sign-in', { body: { email, password } }));
}

export async function signUp(body: {
  email: string;
  password: string;
  name?: string;
  invitation?: string;
}): Promise<void> {
  signedIn(await call('POST /api/auth/sign-up', { body }));
}

/** Signs in with the token of the address that the terminal printed. */
export async function signInWithToken(given: string): Promise<void> {
  signedIn(await call('POST /api/auth/local', { body: { token: given } }));
}

/** Ends this session, here and in every tab of this browser. */
export async function signOut(): Promise<void> {
  await call('POST /api/auth/sign-out');
  tellTabs({ kind: 'signed_out' });
  leave();
}

/** The changed profile, shown everywhere at once. */
export function setUser(user: User): void {
  session.user = user;
  if (access) access = { ...access, user };
}

function leave(): void {
  access = null;
  forgetAnswers();
  for (const key of recallKeys('kira.draft.')) remember(key, null);
  location.assign('/'); // A new page holds nothing of the session that ended.
}

let listening = false;
function listen(): void {
  if (listening) return;
  listening = true;
  onTabs((message, reply) => {
    if (message.kind === 'ask_token' && isFresh(access)) reply({ kind: 'token', access });
    else if (message.kind === 'token' && session.phase !== 'starting') accept(message.access as Access, false);
    else if (message.kind === 'signed_out') leave();
  });
}
