// The user's widgets against an API that answers, refuses or is away.
import { beforeEach, expect, test } from 'vitest';
import type { Widget } from '$/api/types';
import { answerWith } from '$/testing/answers';
import { Board } from './board.svelte';

const widget = (id: string, more: Partial<Widget> = {}): Widget => ({
  id,
  kind: 'note',
  title: id,
  settings: { text: `text of ${id}` },
  position: 0,
  width: 1,
  height: 1,
  content: {},
  refreshed_at: null,
  created_at: '2026-11-24T00:00:00Z',
  ...more,
});
let board: Board;
const list = (...items: Widget[]) => ({ 'GET /api/widgets': () => ({ body: { items, next: null } }) });
const titles = (): string[] => board.widgets.map((one) => one.title);

beforeEach(() => {
  board = new Board('u1');
});

test('asked twice at once, a refresh is one request', async () => {
  const asked = answerWith({ ...list(widget('w1')), 'POST /api/widgets/{id}/refresh': () => ({ body: widget('w1', { content: { n: 1 } }) }) });
  await board.load();
  await Promise.all([board.refresh('w1'), board.refresh('w1')]);
  expect(asked.filter((one) => one.route.endsWith('/refresh'))).toHaveLength(1);
  expect(board.find('w1')?.content).toEqual({ n: 1 });
});

test('after a limit nothing is asked until the wait is over', async () => {
  const error = { code: 'RATE_LIMITED', message: 'Too often.', limit: 'widget', retry_after_s: 60 };
  const asked = answerWith({ ...list(widget('w1')), 'POST /api/widgets/{id}/refresh': () => ({ status: 429, body: { error } }) });
  await board.load();
  await board.refresh('w1');
  await board.refresh('w1');
  expect(asked.filter((one) => one.route.endsWith('/refresh'))).toHaveLength(1);
  expect(board.troubles.get('w1')?.until).toBeGreaterThan(Date.now());
});

test('what was removed comes back with its text and its place', async () => {
  const asked = answerWith({
    ...list(widget('w1'), widget('w2'), widget('w3')),
    'DELETE /api/widgets/{id}': () => ({ status: 204 }),
    'POST /api/widgets': ({ body }) => ({ status: 201, body: widget('w4', body as Partial<Widget>) }),
    'PATCH /api/widgets/{id}': () => ({ body: widget('w4') }),
  });
  await board.load();
  const undo = await board.remove('w2');
  expect(titles()).toEqual(['w1', 'w3']);
  undo?.();
  await expect.poll(() => asked.at(-1)).toEqual({ route: 'PATCH /api/widgets/{id}', body: { position: 1 } });
  expect(titles()).toEqual(['w1', 'w2', 'w3']);
  expect(board.widgets[1]?.settings).toEqual({ text: 'text of w2' });
});

test('a place and a size are kept in one request, so that nobody leaves between the two', async () => {
  const asked = answerWith({ ...list(widget('w1'), widget('w2')), 'PATCH /api/widgets/{id}': () => ({ body: widget('w2') }) });
  await board.load();
  await board.place('w2', 0, { width: 2, height: 1 });
  expect(asked.slice(1)).toEqual([{ route: 'PATCH /api/widgets/{id}', body: { width: 2, height: 1, position: 0 } }]);
  await board.place('w2', 0);
  expect(asked).toHaveLength(2);
  expect(titles()).toEqual(['w2', 'w1']);
});

test('an answer from before a change does not undo it', async () => {
  answerWith({ ...list(widget('w1'), widget('w2')), 'PATCH /api/widgets/{id}': () => ({ body: widget('w2') }) });
  await board.load();
  const late = board.load();
  await board.place('w2', 0);
  await late;
  expect(titles()).toEqual(['w2', 'w1']);
});

test('a removal that failed shows the widget again and says so', async () => {
  answerWith({ ...list(widget('w1')), 'DELETE /api/widgets/{id}': () => 'offline' });
  await board.load();
  expect(await board.remove('w1')).toBeUndefined();
  expect(titles()).toEqual(['w1']);
  expect(board.failure?.title).toBe('The widget was not removed.');
});

test('a change that failed stays on the page and can be tried again', async () => {
  let away = true;
  answerWith({ ...list(widget('w1')), 'PATCH /api/widgets/{id}': () => (away ? 'offline' : { body: widget('w1') }) });
  await board.load();
  await board.change('w1', { width: 3 });
  expect(board.find('w1')?.width).toBe(3);
  expect(board.failure).not.toBeNull();
  away = false;
  await board.failure?.retry();
  expect(board.failure).toBeNull();
});

test('without a network the last widgets are shown', async () => {
  answerWith(list(widget('w1')));
  await board.load();
  answerWith({ 'GET /api/widgets': () => 'offline' });
  board = new Board('u1');
  await board.load();
  expect(board.state).toBe('ready');
  expect(titles()).toEqual(['w1']);
  expect(board.problem?.offline).toBe(true);
  expect(new Board('somebody else').widgets).toEqual([]);
});
