// How numbers, times and counts are written in every catalogue; each area keeps its strings in its own file here.
/** The kind of English the reader prefers: it decides how dates are written, 24 Nov or Nov 24, and the clock. */
export const localeOf = (languages: readonly string[]): string => languages.find((each) => /^en-/i.test(each)) ?? 'en-GB';
export const LOCALE = localeOf(navigator.languages);
const MINUTE_S = 60;
const HOUR_S = 60 * MINUTE_S;
const DAY_S = 24 * HOUR_S;

const numbers = new Intl.NumberFormat(LOCALE);
const relative = new Intl.RelativeTimeFormat(LOCALE, { numeric: 'auto' });
const exact = new Intl.DateTimeFormat(LOCALE, { dateStyle: 'medium', timeStyle: 'short' });
const day = new Intl.DateTimeFormat(LOCALE, { day: 'numeric', month: 'long' });
const plurals = new Intl.PluralRules(LOCALE);
const ordinals = new Intl.PluralRules(LOCALE, { type: 'ordinal' });
const ORDINAL_ENDINGS: Record<string, string> = { one: 'st', two: 'nd', few: 'rd', other: 'th' };

/** 4812 -> "4,812". */
export const number = (value: number): string => numbers.format(value);

/** (1, "message") -> "1 message"; (2, "message") -> "2 messages". */
export const count = (value: number, one: string, many = `${one}s`): string =>
  `${number(value)} ${plurals.select(value) === 'one' ? one : many}`;

/** 3 -> "3rd". */
export const ordinal = (value: number): string => `${number(value)}${ORDINAL_ENDINGS[ordinals.select(value)] ?? 'th'}`;

/** Seconds -> "8 s", "2 min", "1 h 5 min". */
export function duration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < MINUTE_S) return `${whole} s`;
  if (whole < HOUR_S) return `${Math.round(whole / MINUTE_S)} min`;
  const minutes = Math.round((whole % HOUR_S) / MINUTE_S);
  return minutes ? `${Math.floor(whole / HOUR_S)} h ${minutes} min` : `${Math.floor(whole / HOUR_S)} h`;
}

/** A moment (RFC 3339) -> "3 minutes ago", "yesterday", "4 March". */
export function ago(moment: string, now = Date.now()): string {
  const seconds = Math.round((Date.parse(moment) - now) / 1000);
  const far = Math.abs(seconds);
  if (far < 45) return 'just now';
  if (far < HOUR_S) return relative.format(Math.round(seconds / MINUTE_S), 'minute');
  if (far < DAY_S) return relative.format(Math.round(seconds / HOUR_S), 'hour');
  if (far < 7 * DAY_S) return relative.format(Math.round(seconds / DAY_S), 'day');
  return day.format(new Date(moment));
}

/** A moment (RFC 3339) -> "24 Nov 2026, 14:05" in the reader's time zone. */
export const exactly = (moment: string): string => exact.format(new Date(moment));
