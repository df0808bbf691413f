import { expect, test } from 'vitest';
import type { Message } from '$/api/types';
import { childrenOf, rowsOf, subtree, tipBelow, wayTo } from './tree';

function message(id: string, parent_id: string | null): Message {
  return {
    id, parent_id, conversation_id: 'c', role: id.startsWith('q') ? 'user' : 'assistant', content: id, model: null,
    run_id: null, created_at: '2026-01-01T00:00:00Z', usage: null, cancelled: false,
  };
}
// q1 has two answers; below the first, a question was edited once.
const tree = new Map(
  [message('q1', null), message('r2', 'q1'), message('r3', 'q1'), message('t4', 'r2'), message('t5', 'r2')].map((one) => [one.id, one]),
);

test('the way leads from the first message to the leaf', () => {
  expect(wayTo(tree, 't4').map(({ id }) => id)).toEqual(['q1', 'r2', 't4']);
  expect(wayTo(tree, null)).toEqual([]);
  expect(wayTo(tree, 'gone')).toEqual([]);
});

test('the tip is the end of the newest branch', () => {
  expect(tipBelow(tree, null)).toBe('r3');
  expect(tipBelow(tree, 'r2')).toBe('t5');
  expect(tipBelow(new Map(), null)).toBeNull();
});

test('each row knows its versions', () => {
  expect(rowsOf(tree, 't4').map(({ versions }) => versions)).toEqual([['q1'], ['r2', 'r3'], ['t4', 't5']]);
});

test('a message goes with everything below it', () => {
  expect([...subtree(tree, 'r2')].sort()).toEqual(['r2', 't4', 't5']);
});

test('messages whose parent is not loaded stand at the top', () => {
  const part = new Map([...tree].filter(([id]) => id !== 'q1'));
  expect(childrenOf(part, null).map(({ id }) => id)).toEqual(['r2', 'r3']);
  expect(wayTo(part, 't5').map(({ id }) => id)).toEqual(['r2', 't5']);
});
