import { expect, test } from 'vitest';
import { marks } from './marks';

test('an excerpt is split at whole words, as they are written', () => {
  expect(marks('Café, cafe and cafeteria', ['Café', 'cafe'])).toEqual(['', 'Café', ', ', 'cafe', ' and cafeteria']);
  expect(marks('nothing', [])).toEqual(['nothing']);
});
