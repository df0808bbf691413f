import { afterEach, beforeEach, expect, test } from 'vitest';
import { ApiError, address, call, callIfChanged, forgetAnswers, useGate } from './client';

interface Sent {
  path: string;
  init: RequestInit & { headers: Record<string, string> };
}
const sent: Sent[] = [];
let answers: (Response | 'offline')[] = [];
const realFetch = globalThis.fetch;

const json = (status: number, body: unknown, headers: Record<string, string> = {}): Response =>
  new Response(status === 304 ? null : JSON.stringify(body), { status, headers });

beforeEach(() => {
  sent.length = 0;
  answers = [];
  forgetAnswers();
  useGate({ token: async () => 'first', renew: async () => 'second' });
  globalThis.fetch = async (path, init) => {
    sent.push({ path: String(path), init: init as Sent['init'] });
    const next = answers.shift();
    if (!next || next === 'offline') throw new TypeError('no network');
    return next;
  };
});
afterEach(() => {
  globalThis.fetch = realFetch;
});

test('parameters are put into the address, and escaped', () => {
  expect(address('GET /api/conversations/{id}', { path: { id: 'a/b' } })).toBe('/api/conversations/a%2Fb');
  expect(address('GET /api/search', { query: { q: 'a b', limit: undefined } })).toBe('/api/search?q=a+b');
});

test('a call carries the access token and a JSON body', async () => {
  answers = [json(201, { id: 'c1' })];
  await expect(call('POST /api/conversations', { body: { title: 'x' } })).resolves.toEqual({ id: 'c1' });
  expect(sent[0]?.init.headers).toMatchObject({ authorization: 'Bearer first', 'content-type': 'application/json' });
});

test('signing in carries no token', async () => {
  answers = [json(200, {})];
  await call('POST /api/auth/sign-in', { body: { email: 'e', password: 'p' } });
  expect(sent[0]?.init.headers).not.toHaveProperty('authorization');
});

test('a refused token is renewed once, and the call repeated with the fresh one', async () => {
  answers = [json(401, { error: { code: 'TOKEN_EXPIRED', message: 'x' } }), json(200, { items: [], next: null })];
  await call('GET /api/conversations');
  expect(sent.map(({ init }) => init.headers.authorization)).toEqual(['Bearer first', 'Bearer second']);
});

test('what the server says about a failure reaches the page', async () => {
  answers = [json(429, { error: { code: 'RATE_LIMITED', message: 'Too many.', retry_after_s: 9 } })];
  const failure = await call('GET /api/models').catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(ApiError);
  expect(failure).toMatchObject({ status: 429, code: 'RATE_LIMITED', message: 'Too many.', problem: { retry_after_s: 9 } });
});

test('an answer that is no JSON is still an error with a sentence', async () => {
  answers = [new Response('<h1>Bad gateway</h1>', { status: 502 })];
  await expect(call('GET /api/models')).rejects.toMatchObject({ status: 502, code: 'INTERNAL' });
});

test('without a network a call with a key is repeated as the same request', async () => {
  answers = ['offline', json(202, { message: {}, run: {} })];
  const body = { content: 'hello' };
  await call('POST /api/conversations/{id}/messages', { path: { id: 'c' }, body, idempotencyKey: 'k' });
  expect(sent).toHaveLength(2);
  expect(sent.map(({ init }) => init.headers['idempotency-key'])).toEqual(['k', 'k']);
});

test('so is one whose Kira went away behind a proxy', async () => {
  answers = [new Response('', { status: 502 }), json(202, { message: {}, run: {} })];
  await call('POST /api/conversations/{id}/messages', { path: { id: 'c' }, body: { content: 'hello' }, idempotencyKey: 'k' });
  expect(sent.map(({ init }) => init.headers['idempotency-key'])).toEqual(['k', 'k']);
});

test('without a network a call without a key fails at once', async () => {
  answers = ['offline'];
  await expect(call('POST /api/conversations', { body: {} })).rejects.toMatchObject({ status: 0, code: 'OFFLINE' });
  expect(sent).toHaveLength(1);
});

test('a list that did not change is not sent again', async () => {
  answers = [json(200, { items: [1], next: null }, { etag: 'W/"1"' }), json(304, null)];
  expect((await callIfChanged('GET /api/conversations')).changed).toBe(true);
  const second = await callIfChanged('GET /api/conversations');
  expect(second).toEqual({ changed: false, reply: { items: [1], next: null } });
  expect(sent[1]?.init.headers['if-none-match']).toBe('W/"1"');
});
