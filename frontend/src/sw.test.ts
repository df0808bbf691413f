// The service worker: what it answers itself, what it leaves alone, what it keeps of older versions.
import { expect, test } from 'vitest';
import source from './sw.js?raw';

type Listener = (event: Record<string, unknown>) => void;

/** Runs the worker in a world of its own with these caches (name -> address -> text) and this network. */
function start(stored: Record<string, Record<string, string>>, network: (url: string) => Promise<Response>) {
  const listeners: Record<string, Listener> = {};
  const addressOf = (request: string | { url: string }): string => new URL(typeof request === 'string' ? request : request.url, 'http://kira').pathname;
  const open = (name: string) => ({
    addAll: async (all: { url: string }[]) => void all.forEach((one) => ((stored[name] ??= {})[addressOf(one)] = 'kept')),
    put: async (request: { url: string }, answer: Response) => void ((stored[name] ??= {})[addressOf(request)] = await answer.text()),
    match: async (request: string) => answerOf(stored[name]?.[addressOf(request)]),
  });
  const answerOf = (text: string | undefined) => (text === undefined ? undefined : new Response(text));
  const caches = {
    open: async (name: string) => open(name),
    keys: async () => Object.keys(stored),
    delete: async (name: string) => delete stored[name],
    match: async (request: { url: string }) => answerOf(Object.values(stored).find((one) => addressOf(request) in one)?.[addressOf(request)]),
  };
  const self = {
    location: { origin: 'http://kira' },
    addEventListener: (name: string, listener: Listener) => (listeners[name] = listener),
    skipWaiting: async () => undefined,
    clients: { claim: async () => undefined },
  };
  const text = source.replace('__VERSION__', 'new').replace('__PRECACHE__', '["/", "/assets/a.js"]');
  const Request = class {
    constructor(readonly url: string) {}
  };
  const fetch = (request: { url: string }): Promise<Response> => network(addressOf(request));
  new Function('self', 'caches', 'fetch', 'Request', text)(self, caches, fetch, Request);

  const happen = async (name: string): Promise<void> => {
    let done: unknown;
    listeners[name]?.({ waitUntil: (work: unknown) => (done = work) });
    await done;
  };
  const ask = async (path: string, mode = 'cors', method = 'GET'): Promise<string | undefined> => {
    let answer: Promise<Response> | undefined;
    const request = { url: new URL(path, 'http://kira').href, mode, method };
    listeners.fetch?.({ request, respondWith: (given: Promise<Response>) => (answer = given) });
    return (await answer)?.text();
  };
  return { happen, ask };
}
const away = (): Promise<Response> => Promise.reject(new TypeError('no network'));

test('the API, other addresses and anything but GET are left alone', async () => {
  const { ask } = start({}, away);
  expect([await ask('/api/widgets'), await ask('/api/docs', 'navigate'), await ask('http://elsewhere/x.js'), await ask('/', 'navigate', 'POST')]).toEqual([undefined, undefined, undefined, undefined]);
});
test('without a network every page is the shell and every file the kept one', async () => {
  const { happen, ask } = start({}, away);
  await happen('install');
  expect([await ask('/c/123', 'navigate'), await ask('/assets/a.js')]).toEqual(['kept', 'kept']);
});
test('a page comes fresh from the network, and the shell stands in for a broken server', async () => {
  const stored = { 'kira-new': { '/': 'shell' } };
  expect(await start(stored, async () => new Response('fresh')).ask('/', 'navigate')).toBe('fresh');
  expect(await start(stored, async () => new Response('broken', { status: 502 })).ask('/', 'navigate')).toBe('shell');
});
test('a file that is not kept is fetched once', async () => {
  let asked = 0;
  const { ask } = start({}, async () => new Response(`file ${++asked}`));
  expect([await ask('/assets/late.js'), await ask('/assets/late.js')]).toEqual(['file 1', 'file 1']);
});
test('of older versions only the last stays, for tabs that still run it', async () => {
  const stored = { 'kira-1': {}, 'kira-2': {}, 'kira-new': {}, other: {} };
  await start(stored, away).happen('activate');
  expect(Object.keys(stored)).toEqual(['kira-2', 'kira-new', 'other']);
});
