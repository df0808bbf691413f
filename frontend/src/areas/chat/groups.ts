// The list of conversations under the days people think in.
import type { Conversation } from '$/api/types';
import { LOCALE } from '$/words';
import { chat } from '$/words/chat';

export interface Group {
  label: string;
  items: Conversation[];
}

const DAY_MS = 86_400_000;
const month = new Intl.DateTimeFormat(LOCALE, { month: 'long', year: 'numeric' });

function labelOf(moment: string, today: number): string {
  const at = Date.parse(moment);
  if (at >= today) return chat.today;
  if (at >= today - DAY_MS) return chat.yesterday;
  if (at >= today - 7 * DAY_MS) return chat.week;
  if (at >= today - 30 * DAY_MS) return chat.month;
  return month.format(at);
}

/** `items` (newest first) in groups, in the reader's own days; `now` in milliseconds. */
export function groupByDay(items: readonly Conversation[], now: number): Group[] {
  const today = new Date(now).setHours(0, 0, 0, 0);
  const groups: Group[] = [];
  for (const item of items) {
    const label = labelOf(item.updated_at, today);
    const last = groups.at(-1);
    if (last?.label === label) last.items.push(item);
    else groups.push({ label, items: [item] });
  }
  return groups;
}
