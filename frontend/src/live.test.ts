import { expect, test, vi } from 'vitest';
import type { Run } from './api/types';
import { follow, onLive, startLive } from './live';
import { runs } from './runs.svelte';

const run = (id: string): Run => ({
  id, kind: 'reply', state: 'queued', conversation_id: 'c', message_id: 'q', answer_id: null, model: null, position: 1,
  wait_s: 0, reason: null, error: null, usage: null, created_at: '2026-01-01T00:00:00Z', started_at: null, ended_at: null,
});
const frame = (id: number, event: string, data: object): string => `id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
const idle = 'event: idle\ndata: {}\n\n';

interface Asked {
  path: string;
  after: string | undefined;
}
/** Answers each request for the stream with the next of `streams`, and any other from `rest`. */
function serve(streams: string[], rest: Record<string, unknown> = {}): Asked[] {
  const asked: Asked[] = [];
  vi.stubGlobal('fetch', async (path: string, init: RequestInit) => {
    asked.push({ path, after: (init.headers as Record<string, string>)['last-event-id'] });
    if (path !== '/api/events') return new Response(JSON.stringify(rest[path]), { status: rest[path] ? 200 : 404 });
    return new Response(streams.shift() ?? idle, { headers: { 'content-type': 'text/event-stream' } });
  });
  return asked;
}

startLive();

test('a run is followed to its end, and a stream that was cut goes on where it was', async () => {
  const ends: string[] = [];
  const stop = onLive({ event: (event) => void (event.kind === 'done' && ends.push(String(event.data.run_id))) });
  const mine = { run_id: 'r1', conversation_id: 'c' };
  const asked = serve([
    frame(1, 'started', { ...mine, model: 'm' }) + frame(2, 'delta', { ...mine, text: 'Hel' }),
    frame(3, 'delta', { ...mine, text: 'lo' }) + frame(4, 'done', { ...mine, message_id: 'a' }) + idle,
  ]);
  follow(run('r1'));
  await expect.poll(() => runs.get('r1')?.state).toBe('done');
  expect(runs.get('r1')).toMatchObject({ text: 'Hello', answerId: 'a' });
  expect(asked.map(({ after }) => after)).toEqual([undefined, '2']);
  expect(ends).toEqual(['r1']);
  stop();
});

test('a run that ended unheard is asked for when the stream has nothing more', async () => {
  const ended = { ...run('r2'), state: 'failed', error: { code: 'MODEL_SLOW', message: 'Slow.' } };
  serve([idle], { '/api/runs/r2': ended });
  follow(run('r2'));
  await expect.poll(() => runs.get('r2')?.state).toBe('failed');
  expect(runs.get('r2')?.error?.message).toBe('Slow.');
});

test('a run nobody knows any more is forgotten', async () => {
  serve([idle]);
  follow(run('r3'));
  await expect.poll(() => runs.has('r3')).toBe(false);
});
