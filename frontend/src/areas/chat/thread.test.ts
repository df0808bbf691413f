import { beforeEach, expect, test } from 'vitest';
import type { Conversation, Message, Run } from '$/api/types';
import { RunView, runs } from '$/runs.svelte';
import { answerWith } from '$/testing/answers';
import { list } from './list.svelte';
import { Thread } from './thread.svelte';

const moment = '2026-01-01T00:00:00Z';
const id = (n: number): string => `00000000-0000-7000-8000-${String(n).padStart(12, '0')}`;
const C = id(1);
const Q = id(2);
const A = id(3);
const conversation = (more: Partial<Conversation> = {}): Conversation => ({
  id: C, title: 'T', created_at: moment, updated_at: moment, leaf_id: null, run_id: null, ...more,
});
const message = (own: string, parent_id: string | null, more: Partial<Message> = {}): Message => ({
  id: own, conversation_id: C, parent_id, role: parent_id === null ? 'user' : 'assistant', content: own, model: null,
  run_id: null, created_at: moment, usage: null, cancelled: false, ...more,
});
const run = (own: string, more: Partial<Run> = {}): Run => ({
  id: own, kind: 'reply', state: 'failed', conversation_id: C, message_id: Q, answer_id: null, model: 'm', position: null,
  wait_s: null, reason: null, error: { code: 'MODEL_SLOW', message: 'Slow.' }, usage: null, created_at: moment,
  started_at: null, ended_at: null, ...more,
});
const page = (items: Message[], found: Run[] = []) => ({ body: { items, next: null, runs: found } });

beforeEach(() => {
  runs.clear();
  list.items = [conversation()];
});
async function opened(leaf_id: string | null, items: Message[], found: Run[] = []): Promise<Thread> {
  list.items = [conversation({ leaf_id })];
  answerWith({ 'GET /api/conversations/{id}/messages': () => page(items, found) });
  const thread = new Thread(C);
  await thread.load();
  return thread;
}
const shown = (thread: Thread): string[] => thread.rows.map((row) => row.message.id);

test('a conversation opens at the branch that was shown last', async () => {
  const thread = await opened(A, [message(Q, null), message(A, Q), message(id(4), Q)]);
  expect(shown(thread)).toEqual([Q, A]);
  expect(thread.rows[1]?.versions).toEqual([A, id(4)]);
});

test('a question whose newest answer failed shows the failure', async () => {
  const thread = await opened(Q, [message(Q, null), message(A, Q)], [run(id(9))]);
  expect(shown(thread)).toEqual([Q]);
  expect(thread.run?.error?.message).toBe('Slow.');
});

test('a question that was answered is followed by its answer', async () => {
  const thread = await opened(Q, [message(Q, null), message(A, Q)]);
  expect(shown(thread)).toEqual([Q, A]);
  expect(thread.run).toBeUndefined();
});

test('the end of a run turns its text into a message, without asking', async () => {
  const thread = await opened(Q, [message(Q, null)]);
  const asked = answerWith({});
  const view = new RunView(run(id(9), { state: 'queued', error: null }));
  runs.set(view.id, view);
  for (const [kind, data] of [['delta', { text: 'Hi.' }], ['done', { message_id: A, usage: null }]] as const) view.apply({ id: '', kind, data });
  await thread.settle(view);
  expect(shown(thread)).toEqual([Q, A]);
  expect(thread.tree.get(A)).toMatchObject({ content: 'Hi.', run_id: id(9) });
  expect(asked).toEqual([]);
});

test('a stopped run is asked for, since its answer has no id yet', async () => {
  const thread = await opened(Q, [message(Q, null)]);
  const view = new RunView(run(id(9), { state: 'cancelled', error: null }));
  runs.set(view.id, view);
  answerWith({ 'GET /api/conversations/{id}/messages': () => page([message(Q, null), message(A, Q, { run_id: id(9), cancelled: true })]) });
  await thread.settle(view);
  expect(shown(thread)).toEqual([Q, A]);
});

test('a conversation that is gone says so', async () => {
  answerWith({});
  const thread = new Thread(C);
  await thread.load();
  expect(thread.phase).toBe('missing');
});

test('deleting a message takes what is below it, and shows what is left', async () => {
  const thread = await opened(A, [message(Q, null), message(A, Q), message(id(4), Q)]);
  answerWith({ 'DELETE /api/messages/{id}': () => ({ status: 204 }) });
  await thread.remove(A);
  expect(shown(thread)).toEqual([Q, id(4)]);
});

test('what was deleted elsewhere goes with the next load, and what came while it was asked for stays', async () => {
  const late = id(6);
  const thread = await opened(late, [message(Q, null), message(A, Q), message(id(5), A, { role: 'user' }), message(late, id(5))]);
  answerWith({ 'GET /api/conversations/{id}/messages': () => page([message(Q, null), message(A, Q)]) });
  const loaded = thread.load();
  thread.put(message(id(7), A, { role: 'user' }), false);
  await loaded;
  expect([...thread.tree.keys()]).toEqual([Q, A, id(7)]);
  expect(shown(thread)).toEqual([Q, A, id(7)]);
});

test('a deleted answer is not brought back by the run that wrote it, nor by an older list', async () => {
  const thread = await opened(Q, [message(Q, null)]);
  const view = new RunView(run(id(9), { state: 'queued', error: null }));
  runs.set(view.id, view);
  for (const [kind, data] of [['delta', { text: 'Hi.' }], ['done', { message_id: A, usage: null }]] as const) view.apply({ id: '', kind, data });
  await thread.settle(view);
  answerWith({
    'DELETE /api/messages/{id}': () => ({ status: 204 }),
    'GET /api/conversations/{id}/messages': () => page([message(Q, null), message(A, Q, { run_id: id(9) })]),
  });
  const older = thread.load();
  await thread.remove(A);
  await older;
  await thread.settle(view);
  expect(shown(thread)).toEqual([Q]);
  expect(thread.run).toBeUndefined();
});

test('earlier messages that were loaded are asked for again with the newest', async () => {
  list.items = [conversation({ leaf_id: id(5) })];
  const newest = { body: { items: [message(id(5), A)], next: id(5), runs: [] } };
  const answers = [newest, page([message(Q, null), message(A, Q)]), newest, page([])];
  answerWith({ 'GET /api/conversations/{id}/messages': () => answers.shift() ?? {} });
  const thread = new Thread(C);
  await thread.load();
  await thread.loadEarlier();
  expect([...thread.tree.keys()].sort()).toEqual([Q, A, id(5)]);
  await thread.load();
  expect([...thread.tree.keys()]).toEqual([id(5)]);
  expect(answers).toEqual([]);
});

test('an answer that is quicker than the reply to the question is shown', async () => {
  const thread = await opened(null, []);
  const view = new RunView(run(id(9), { state: 'done', error: null, answer_id: A }));
  runs.set(view.id, view);
  thread.put(message(A, Q, { run_id: id(9) }), false);
  thread.put(message(Q, null), true);
  thread.ask(Q, id(9));
  expect(shown(thread)).toEqual([Q, A]);
});

test('a question sent while the answer before it is being loaded follows that answer, and stays shown', async () => {
  const thread = await opened(Q, [message(Q, null)]);
  const view = new RunView(run(id(9), { state: 'done', error: null, answer_id: A }));
  view.isWhole = false;
  runs.set(view.id, view);
  answerWith({ 'GET /api/conversations/{id}/messages': () => page([message(Q, null), message(A, Q, { run_id: id(9) })]) });
  const settled = thread.settle(view);
  expect(thread.end).toBe(A);
  const next = id(4);
  thread.put(message(next, A, { role: 'user' }), true);
  await settled;
  expect(shown(thread)).toEqual([Q, A, next]);
});
