import { expect, test } from 'vitest';
import { match, navigate, path, query } from './router';

test('a pattern gives the parameters of the addresses that fit', () => {
  expect(match('/c/:id', '/c/42')).toEqual({ id: '42' });
  expect(match('/c/:id', '/c/42/')).toEqual({ id: '42' });
  expect(match('/', '/')).toEqual({});
  expect(match('/c/:id', '/c')).toBeNull();
  expect(match('/c/:id', '/w/42')).toBeNull();
});

test('a broken escape names nothing and breaks nothing', () => {
  expect(match('/c/:id', '/c/%E0%A4%A')).toEqual({ id: '%E0%A4%A' });
});

test('going somewhere changes path and query', () => {
  navigate('/c/1?m=2');
  expect(path()).toBe('/c/1');
  expect(query().get('m')).toBe('2');
});
