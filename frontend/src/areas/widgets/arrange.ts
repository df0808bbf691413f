// How a grid of widgets is arranged: orders, sizes and neighbours, without a page.
import type { Box } from '$/ui/place';

export const SIZE_MIN = 1;
export const SIZE_MAX = 4;

export interface Size {
  readonly width: number;
  readonly height: number;
}

const clamp = (n: number): number => Math.max(SIZE_MIN, Math.min(SIZE_MAX, n));

/** `list` with the entry at `from` moved to `to`; both are kept inside the list. */
export function moved<T>(list: readonly T[], from: number, to: number): T[] {
  const out = [...list];
  const [one] = out.splice(from, 1);
  if (one !== undefined) out.splice(Math.max(0, Math.min(to, out.length)), 0, one);
  return out;
}

/** The size a key asks for, or undefined when the key says nothing about size. */
export function sizeFor(event: Pick<KeyboardEvent, 'key' | 'shiftKey'>, { width, height }: Size): Size | undefined {
  const by: Record<string, [number, number]> = event.shiftKey
    ? { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }
    : {};
  const both: Record<string, [number, number]> = { '+': [1, 1], '=': [1, 1], '-': [-1, -1], _: [-1, -1] };
  const step = by[event.key] ?? both[event.key];
  return step && { width: clamp(width + step[0]), height: clamp(height + step[1]) };
}

const middle = (box: Box): { x: number; y: number } => ({ x: box.left + box.width / 2, y: box.top + box.height / 2 });

/** The place an arrow key leads to from `at`: before and after along the line, the nearest one in the row above or below. */
export function placeFor(key: string, boxes: readonly Box[], at: number): number {
  if (key === 'Home') return 0;
  if (key === 'End') return boxes.length - 1;
  if (key === 'ArrowLeft') return Math.max(0, at - 1);
  if (key === 'ArrowRight') return Math.min(boxes.length - 1, at + 1);
  const own = boxes[at];
  if (!own || (key !== 'ArrowUp' && key !== 'ArrowDown')) return at;
  const beyond = (box: Box): boolean => (key === 'ArrowUp' ? box.top < own.top - 1 : box.top > own.top + 1);
  const far = (box: Box): number => Math.abs(middle(box).x - middle(own).x) + 4 * Math.abs(box.top - own.top);
  const there = boxes.flatMap((box, i) => (i !== at && beyond(box) ? [{ i, far: far(box) }] : []));
  if (!there.length) return key === 'ArrowUp' ? 0 : boxes.length - 1;
  return there.reduce((best, one) => (one.far < best.far ? one : best)).i;
}

/** The place under a pointer: the box that holds it, otherwise `at` (so nothing jumps between boxes). */
export function placeUnder(x: number, y: number, boxes: readonly Box[], at: number): number {
  const hit = boxes.findIndex((b) => x >= b.left && x < b.left + b.width && y >= b.top && y < b.top + b.height);
  return hit < 0 ? at : hit;
}

/** The size (cells) a card gets when its corner was pulled by `dx`, `dy` px and a cell with its gap is `cell` px. */
export function sizePulled(from: Size, dx: number, dy: number, cell: Size): Size {
  return { width: clamp(from.width + Math.round(dx / cell.width)), height: clamp(from.height + Math.round(dy / cell.height)) };
}
