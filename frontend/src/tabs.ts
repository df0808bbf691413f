// What the tabs of one browser share: a channel to talk, and locks to take turns.
import type { User } from './api/types';
import { recall, remember } from './memory';

export interface SharedAccess {
  user: User;
  token: string;
  until: number;
}
export type TabMessage =
  | { kind: 'ask_token' }
  | { kind: 'token'; access: SharedAccess }
  | { kind: 'signed_out' };
type Listener = (message: TabMessage, reply: (message: TabMessage) => void) => void;

const PATIENCE_MS = 250;
const PRESENCE = 'kira.tab';

const channel = typeof BroadcastChannel === 'undefined' ? null : new BroadcastChannel('kira.session');

/** Tells every other tab. */
export function tellTabs(message: TabMessage): void {
  channel?.postMessage(message);
}

/** Hears what other tabs tell. */
export function onTabs(listener: Listener): void {
  channel?.addEventListener('message', (event: MessageEvent<TabMessage>) => listener(event.data, tellTabs));
}

/** Runs `work` while no other tab of this browser runs anything under the same name. */
export async function takeTurn<T>(name: string, work: () => Promise<T>): Promise<T> {
  if (!navigator.locks) return work();
  return (await navigator.locks.request(name, work)) as T;
}

/** Lets other tabs see that this one exists, for as long as it does. */
export function announceTab(): void {
  void navigator.locks?.request(PRESENCE, { mode: 'shared' }, () => new Promise(() => undefined));
}

async function isAlone(): Promise<boolean> {
  const held = (await navigator.locks?.query())?.held ?? [];
  return held.filter((lock) => lock.name === PRESENCE).length < 2;
}

/** The access another tab holds, or null when there is no other tab or none of them answers in time. */
export async function askOtherTabs(): Promise<SharedAccess | null> {
  if (!channel || (await isAlone())) return null;
  return new Promise((resolve) => {
    const finish = (found: SharedAccess | null): void => {
      clearTimeout(timer);
      channel.removeEventListener('message', heard);
      resolve(found);
    };
    const heard = (event: MessageEvent<TabMessage>): void => {
      if (event.data.kind === 'token') finish(event.data.access);
    };
    const timer = setTimeout(() => finish(null), PATIENCE_MS);
    channel.addEventListener('message', heard);
    tellTabs({ kind: 'ask_token' });
  });
}

const REFRESHING = 'kira.refreshing';
const ARRIVED = 'kira_refreshed=';
const REFRESH_TAKES_MS = 800;
/** While a database wakes up, a refresh may take that long. */
const REFRESH_TAKES_MS_MAX = 20_000;
const LOOK_MS = 50;

/** What changes with every refresh token that arrives; empty before the first. */
const arrived = (): string => document.cookie.split('; ').find((one) => one.startsWith(ARRIVED)) ?? '';

/** Notes in this browser that a refresh begins, or that it ended. */
export function markRefresh(begins: boolean): void {
  remember(REFRESHING, begins ? `${Date.now()} ${arrived()}` : null);
}

/** Waits for a refresh whose page was left: it goes on, and its cookie must be there before the next one starts. */
export async function afterAbandonedRefresh(): Promise<void> {
  const [began, before = ''] = (recall(REFRESHING) ?? '0').split(' ');
  const takes = before ? REFRESH_TAKES_MS_MAX : REFRESH_TAKES_MS;
  const rest = (): number => Number(began) + takes - Date.now();
  while (rest() > 0 && rest() <= takes && arrived() === before) await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  markRefresh(true);
}
