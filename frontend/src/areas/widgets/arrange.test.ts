// Orders, sizes and neighbours in the grid.
import { expect, test } from 'vitest';
import { moved, placeFor, placeUnder, sizeFor, sizePulled } from './arrange';

const box = (left: number, top: number, width = 90) => ({ left, top, width, height: 90 });
// Two rows of two, and one wide card below.
const boxes = [box(0, 0), box(100, 0), box(0, 100), box(100, 100), box(0, 200, 190)];
const key = (name: string, shiftKey = false) => ({ key: name, shiftKey });

test('moving keeps everything and stays inside', () => {
  expect(moved(['a', 'b', 'c'], 0, 2)).toEqual(['b', 'c', 'a']);
  expect(moved(['a', 'b', 'c'], 2, -5)).toEqual(['c', 'a', 'b']);
  expect(moved(['a', 'b'], 7, 0)).toEqual(['a', 'b']);
});
test('arrows lead along the line and to the nearest in the next row', () => {
  expect(['ArrowRight', 'ArrowLeft', 'ArrowDown', 'ArrowUp', 'Home', 'End'].map((name) => placeFor(name, boxes, 1))).toEqual([2, 0, 3, 0, 0, 4]);
  expect(placeFor('ArrowDown', boxes, 2)).toBe(4);
  expect(placeFor('ArrowDown', boxes, 4)).toBe(4);
});
test('sizes change by one and end at 1 and 4', () => {
  expect(sizeFor(key('ArrowRight', true), { width: 1, height: 2 })).toEqual({ width: 2, height: 2 });
  expect(sizeFor(key('-'), { width: 1, height: 2 })).toEqual({ width: 1, height: 1 });
  expect(sizeFor(key('+'), { width: 4, height: 4 })).toEqual({ width: 4, height: 4 });
  expect(sizeFor(key('ArrowRight'), { width: 1, height: 1 })).toBeUndefined();
});
test('the pointer chooses the card under it, between cards nothing changes', () => {
  expect(placeUnder(150, 50, boxes, 0)).toBe(1);
  expect(placeUnder(95, 50, boxes, 3)).toBe(3);
});
test('pulling the corner counts whole cells', () => {
  expect(sizePulled({ width: 1, height: 1 }, 140, 40, { width: 100, height: 100 })).toEqual({ width: 2, height: 1 });
});
