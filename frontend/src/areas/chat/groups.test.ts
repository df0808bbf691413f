import { expect, test } from 'vitest';
import type { Conversation } from '$/api/types';
import { groupByDay } from './groups';

const now = new Date(2026, 10, 24, 0, 30).getTime();
const at = (...parts: [number, number, number, number]): Conversation => {
  const moment = new Date(...parts).toISOString();
  return { id: moment, title: '', created_at: moment, updated_at: moment, leaf_id: null, run_id: null };
};

test('conversations stand under the days of the reader, not of the clock', () => {
  const items = [at(2026, 10, 24, 0), at(2026, 10, 23, 23), at(2026, 10, 20, 9), at(2026, 10, 2, 9), at(2026, 4, 3, 9), at(2026, 4, 1, 9)];
  expect(groupByDay(items, now).map((group) => [group.label, group.items.length])).toEqual([
    ['Today', 1],
    ['Yesterday', 1],
    ['Last 7 days', 1],
    ['Last 30 days', 1],
    ['May 2026', 2],
  ]);
});
