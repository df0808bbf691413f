import { expect, test } from 'vitest';
import { chat } from './chat';
import { ago, count, duration, localeOf, number, ordinal } from './index';

test('numbers, counts and places are written as people write them', () => {
  expect(number(4812)).toBe('4,812');
  expect([0, 1, 2].map((n) => count(n, 'message'))).toEqual(['0 messages', '1 message', '2 messages']);
  expect([1, 2, 3, 4, 11, 12, 13, 21, 112].map(ordinal)).toEqual(['1st', '2nd', '3rd', '4th', '11th', '12th', '13th', '21st', '112th']);
});

test('dates are written in the English of the reader', () => {
  expect(localeOf(['de', 'en', 'en-US'])).toBe('en-US');
  expect(localeOf(['de-DE'])).toBe('en-GB');
});

test('lengths of time have a unit', () => {
  expect([0.4, 8, 59.7, 90, 3600, 3900].map(duration)).toEqual(['0 s', '8 s', '1 min', '2 min', '1 h', '1 h 5 min']);
});

test('moments are told from now', () => {
  const now = Date.parse('2026-11-24T12:00:00Z');
  expect(ago('2026-11-24T11:59:50Z', now)).toBe('just now');
  expect(ago('2026-11-24T11:57:00Z', now)).toBe('3 minutes ago');
  expect(ago('2026-11-23T12:00:00Z', now)).toBe('yesterday');
});

test('the first words of a message stand for a title', () => {
  expect(chat.firstWords('  How do\n queues work? ')).toBe('How do queues work?');
  const long = chat.firstWords('word '.repeat(40));
  expect(long.length).toBeLessThanOrEqual(62);
  expect(long.endsWith('word …')).toBe(true);
});
