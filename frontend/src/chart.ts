// Numbers of a stacked bar chart: which days, how high, which marks; drawing is left to the page.
import type { UsageDay } from '$/api/types';

export interface Day {
  readonly day: string;
  readonly read: number;
  readonly written: number;
  readonly runs: number;
}

const DAY_MS = 86_400_000;
const WIDEST_BAR_PX = 22;

/** The last `length` days up to `today` (YYYY-MM-DD), oldest first; days without use are there with zeros. */
export function byDay(rows: readonly UsageDay[], today: string, length: number): Day[] {
  const end = Date.parse(`${today}T00:00:00Z`);
  return Array.from({ length }, (_, i) => {
    const day = new Date(end - (length - 1 - i) * DAY_MS).toISOString().slice(0, 10);
    const own = rows.filter((row) => row.day === day);
    const sum = (pick: (row: UsageDay) => number): number => own.reduce((total, row) => total + pick(row), 0);
    return { day, read: sum((r) => r.prompt_tokens), written: sum((r) => r.completion_tokens), runs: sum((r) => r.runs) };
  });
}

/** The end of the scale: the next 1, 2 or 5 times a power of ten at or above `highest`, at least 10. */
export function scaleEnd(highest: number): number {
  if (highest <= 10) return 10;
  const power = 10 ** Math.floor(Math.log10(highest));
  return ([1, 2, 5, 10].find((step) => step * power >= highest) ?? 10) * power;
}

/** `950`, `12 k`, `3.4 M`: for the marks of an axis, where room is short. */
export function short(n: number): string {
  if (n < 1_000) return String(n);
  const [value, unit] = n < 1_000_000 ? [n / 1_000, 'k'] : [n / 1_000_000, 'M'];
  return `${value < 10 ? Number(value.toFixed(1)) : Math.round(value)} ${unit}`;
}

export interface Bar extends Day {
  readonly x: number;
  readonly width: number;
  readonly readTop: number;
  readonly readHeight: number;
  readonly writtenTop: number;
  readonly writtenHeight: number;
}

/** Bars in a box of `width` x `height` px: what was read below, what was written on top of it. */
export function bars(days: readonly Day[], width: number, height: number): Bar[] {
  const end = scaleEnd(Math.max(0, ...days.map((d) => d.read + d.written)));
  const step = days.length ? width / days.length : 0;
  const gap = Math.max(step * 0.3, step - WIDEST_BAR_PX);
  return days.map((d, i) => {
    const readHeight = (d.read / end) * height;
    const writtenHeight = (d.written / end) * height;
    return {
      ...d,
      x: i * step + gap / 2,
      width: step - gap,
      readTop: height - readHeight,
      readHeight,
      writtenTop: height - readHeight - writtenHeight,
      writtenHeight,
    };
  });
}
