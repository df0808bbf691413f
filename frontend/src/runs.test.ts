import { expect, test } from 'vitest';
import type { Run } from './api/types';
import { RunView, activeRuns, replyTo, runs, track } from './runs.svelte';

const run = (id: string, more: Partial<Run> = {}): Run => ({
  id, kind: 'reply', state: 'queued', conversation_id: 'c', message_id: 'q', answer_id: null, model: null, position: 1,
  wait_s: 0, reason: null, error: null, usage: null, created_at: '2026-01-01T00:00:00Z', started_at: null, ended_at: null,
  ...more,
});
const tell = (view: RunView, kind: string, data: Record<string, unknown> = {}): void => view.apply({ id: '', kind, data });

test('the text of a run is all its deltas, joined', () => {
  const view = new RunView(run('a'));
  tell(view, 'started', { model: 'm' });
  for (const text of ['Hel', 'lo', ' you']) tell(view, 'delta', { text });
  tell(view, 'done', { message_id: 'm1', usage: { prompt_tokens: 1, completion_tokens: 2 } });
  expect(view).toMatchObject({ text: 'Hello you', state: 'done', answerId: 'm1', model: 'm' });
});

test('a run that begins again drops what it wrote', () => {
  const view = new RunView(run('b'));
  tell(view, 'delta', { text: 'half' });
  tell(view, 'restart');
  tell(view, 'delta', { text: 'whole' });
  tell(view, 'done', { message_id: 'm' });
  expect(view.text).toBe('whole');
});

test('a run that goes back to the line waits again, and says why', () => {
  const view = new RunView(run('b2'));
  tell(view, 'started', { model: 'm' });
  tell(view, 'reason', { text: 'loading m' });
  tell(view, 'queued', { position: 1, wait_s: 0 });
  expect(view).toMatchObject({ state: 'queued', position: 1, reason: null });
  tell(view, 'reason', { text: 'Ollama does not answer.' });
  expect(view).toMatchObject({ reason: 'Ollama does not answer.', note: null });
  tell(view, 'restart');
  tell(view, 'started', { model: 'm' });
  expect(view).toMatchObject({ state: 'running', position: null, reason: null });
});

test('what is told again after the end changes nothing', () => {
  const view = new RunView(run('c'));
  tell(view, 'delta', { text: 'x' });
  tell(view, 'done', { message_id: 'm' });
  tell(view, 'delta', { text: 'x' });
  expect(view).toMatchObject({ state: 'done', text: 'x' });
});

test('an answer that was on its way does not take a run back behind its events', () => {
  const view = track(run('d'));
  tell(view, 'started', { model: 'm' });
  track(run('d', { state: 'queued', position: 2 }));
  expect(view).toMatchObject({ state: 'running', position: null });
});

test('another tab can show a run as this one does', () => {
  const here = new RunView(run('e'));
  tell(here, 'started', { model: 'm' });
  tell(here, 'delta', { text: 'so far' });
  const there = new RunView(run('e'));
  there.restore(structuredClone(here.snapshot()));
  tell(there, 'delta', { text: ', so good' });
  tell(there, 'done', { message_id: 'm' });
  expect(there).toMatchObject({ text: 'so far, so good', model: 'm', isWhole: true });
});

test('the newest reply to a question is the one that counts', () => {
  runs.clear();
  tell(track(run('f')), 'failed', { code: 'X', message: 'x' });
  track(run('g'));
  track(run('h', { kind: 'title', message_id: null }));
  expect(replyTo('q')?.id).toBe('g');
  expect(activeRuns().map(({ id }) => id)).toEqual(['g', 'h']);
});

test('a sentence about what was left out stays with the answer, a step does not', () => {
  const view = new RunView(run('i'));
  tell(view, 'started', { model: 'm' });
  tell(view, 'reason', { text: 'loading m' });
  expect(view).toMatchObject({ reason: 'loading m', note: null });
  tell(view, 'reason', { text: '12 messages left out: the conversation is longer than this model can read.' });
  tell(view, 'done', { message_id: 'm' });
  expect(view.note).toContain('12 messages left out');
});
