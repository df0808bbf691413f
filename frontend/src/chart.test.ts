// The numbers behind the chart of usage.
import { expect, test } from 'vitest';
import { bars, byDay, scaleEnd, short } from './chart';

const row = (day: string, prompt_tokens: number, completion_tokens: number, model = 'm') => ({ day, model, runs: 1, prompt_tokens, completion_tokens });

test('days without use are there, models of a day are one bar', () => {
  const days = byDay([row('2026-11-23', 10, 5), row('2026-11-23', 1, 1, 'other'), row('2026-10-01', 9, 9)], '2026-11-24', 3);
  expect(days).toEqual([
    { day: '2026-11-22', read: 0, written: 0, runs: 0 },
    { day: '2026-11-23', read: 11, written: 6, runs: 2 },
    { day: '2026-11-24', read: 0, written: 0, runs: 0 },
  ]);
});
test('the scale ends at a round number', () => {
  expect([0, 11, 45, 50, 51, 480_000].map(scaleEnd)).toEqual([10, 20, 50, 50, 100, 500_000]);
});
test('marks are short', () => {
  expect([0, 950, 2_500, 25_000, 3_400_000].map(short)).toEqual(['0', '950', '2.5 k', '25 k', '3.4 M']);
});
test('what was written stands on what was read', () => {
  const [bar] = bars([{ day: '2026-11-24', read: 30, written: 20, runs: 1 }], 10, 100);
  expect(bar).toMatchObject({ readTop: 40, readHeight: 60, writtenTop: 0, writtenHeight: 40 });
});
