import { expect, test } from 'vitest';
import type { Run } from '$/api/types';
import { RunView } from '$/runs.svelte';
import { statusOf } from './status';

const queued: Run = {
  id: 'r', kind: 'reply', state: 'queued', conversation_id: 'c', message_id: 'q', answer_id: null, model: null, position: 3,
  wait_s: 20, reason: null, error: null, usage: null, created_at: '2026-01-01T00:00:00Z', started_at: null, ended_at: null,
};
function told(...events: [kind: string, data: Record<string, unknown>][]): RunView {
  const run = new RunView(queued);
  for (const [kind, data] of events) run.apply({ id: '', kind, data });
  return run;
}
const textOf = (run: RunView, after = 0): string => statusOf(run, run.since + after).text;

test('a waiting run says its place and the wait', () => {
  expect(textOf(told())).toBe('3rd in line, about 20 s');
  expect(textOf(told(['queued', { position: 1, wait_s: 4 }]))).toBe('next in line, about 4 s');
  expect(textOf(told(['queued', { position: 2, wait_s: null }], ['reason', { text: 'the model server is down' }]))).toBe(
    '2nd in line, the model server is down',
  );
});

test('a running one says what it does, and for how long once that is long', () => {
  expect(textOf(told(['started', { model: 'm' }]))).toBe('reading your question');
  const run = told(['started', { model: 'm' }], ['reason', { text: 'loading m' }]);
  expect(textOf(run)).toBe('loading m');
  expect(textOf(run, 8_000)).toBe('loading m (8 s)');
  run.apply({ id: '', kind: 'tool', data: { id: '1', name: 'search files', state: 'running' } });
  expect(textOf(run)).toBe('calling search files');
});

test('the end says why', () => {
  expect(textOf(told(['failed', { code: 'MODEL_OUT_OF_MEMORY', message: 'The model server is out of memory.' }]))).toBe(
    'failed: The model server is out of memory.',
  );
  expect(textOf(told(['cancelled', {}]))).toBe('stopped by you');
});

test('asked to stop, it says so until it did', () => {
  const run = told(['started', {}]);
  expect(statusOf(run, run.since, true).text).toBe('stopping');
});
