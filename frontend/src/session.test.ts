import { expect, test } from 'vitest';
import { call } from './api/client';
import type { SignedIn } from './api/types';
import { session, signIn, startSession } from './session.svelte';
import { answerWith } from './testing/answers';

const user = { id: 'u1', email: 'ada@example.org', name: 'Ada', role: 'admin' as const, created_at: '2026-01-01T00:00:00Z' };
const signedIn = (access_token: string): SignedIn => ({ user, access_token, expires_in: 900 });
const refused = { status: 401, body: { error: { code: 'TOKEN_EXPIRED', message: 'Expired.' } } };

// One session lives through these steps, as it does in a browser.
test('a page without a session offers to sign in', async () => {
  const options = { accounts: 'open', sign_up: true, version: '1' };
  answerWith({ 'POST /api/auth/refresh': () => refused, 'GET /api/auth/options': () => ({ body: options }) });
  await startSession();
  expect(session).toMatchObject({ phase: 'signed_out', options });
});

test('signing in brings the user', async () => {
  answerWith({ 'POST /api/auth/sign-in': () => ({ body: signedIn('first') }) });
  await signIn('ada@example.org', 'secret');
  expect(session).toMatchObject({ phase: 'signed_in', user });
});

test('many calls with an old token are one refresh', async () => {
  let good = false;
  const asked = answerWith({
    'GET /api/models': () => (good ? { body: { items: [] } } : refused),
    'POST /api/auth/refresh': () => {
      good = true;
      return { body: signedIn('second') };
    },
  });
  await Promise.all([call('GET /api/models'), call('GET /api/models'), call('GET /api/models')]);
  expect(asked.filter(({ route }) => route.endsWith('/refresh'))).toHaveLength(1);
});

test('when the session has ended, calls wait for the next sign-in and then go on', async () => {
  let good = false;
  const asked = answerWith({
    'POST /api/conversations': () => (good ? { status: 201, body: { id: 'c1' } } : refused),
    'POST /api/auth/refresh': () => refused,
    'POST /api/auth/sign-in': () => {
      good = true;
      return { body: signedIn('third') };
    },
  });
  const made = call('POST /api/conversations', { body: {} });
  await expect.poll(() => session.phase).toBe('expired');
  expect(session.user).toEqual(user);
  await signIn('ada@example.org', 'secret');
  await expect(made).resolves.toEqual({ id: 'c1' });
  expect(asked.filter(({ route }) => route === 'POST /api/conversations')).toHaveLength(2);
});
