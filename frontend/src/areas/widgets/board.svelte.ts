// The user's widgets: loading, refreshing once at a time, changing, removing with a way back.
import { SvelteMap, SvelteSet } from 'svelte/reactivity';
import { ApiError, call } from '$/api/client';
import type { Id, Widget, WidgetKind } from '$/api/types';
import { widgets as words } from '$/words/widgets';
import { moved, type Size } from './arrange';
import { keepBoard, keptBoard } from './kept';

/** Why a widget was not refreshed; `until` (ms since 1970) when a limit says when it may be again. */
export interface Trouble {
  readonly text: string;
  readonly until?: number;
}

/** A change that did not reach the server, and how to try it again. */
export interface Failure {
  readonly title: string;
  readonly text: string;
  readonly retry: () => Promise<void>;
}

type Change = Partial<Pick<Widget, 'title' | 'settings' | 'position' | 'width' | 'height'>>;

const SIZES: Record<WidgetKind, Size> = {
  clock: { width: 1, height: 1 },
  note: { width: 1, height: 2 },
  usage: { width: 2, height: 2 },
  queue: { width: 1, height: 2 },
  recent: { width: 1, height: 2 },
};
const STALE_MS: Partial<Record<WidgetKind, number>> = { usage: 300_000, queue: 10_000, recent: 30_000 };

const sentence = (error: unknown): string => {
  if (error instanceof ApiError) return error.message;
  throw error;
};

export class Board {
  widgets = $state<Widget[]>([]);
  state = $state<'loading' | 'ready' | 'failed'>('loading');
  /** Why the last load failed; what is shown is then what was loaded before. */
  problem = $state<{ text: string; offline: boolean } | null>(null);
  failure = $state<Failure | null>(null);
  readonly busy = new SvelteSet<Id>();
  readonly troubles = new SvelteMap<Id, Trouble>();
  private saving = 0;
  /** How many changes were begun: what was asked for before one of them is older than it. */
  private changes = 0;
  private readonly flights = new Map<Id, Promise<void>>();

  constructor(private readonly user: string) {
    const kept = keptBoard(user);
    if (!kept) return;
    this.widgets = kept;
    this.state = 'ready';
  }

  /** Loads all widgets and refreshes those whose content is old. */
  async load(): Promise<void> {
    const { changes } = this;
    try {
      const { items } = await call('GET /api/widgets');
      if (this.saving || this.changes !== changes) return; // What was just changed here is newer than this answer.
      this.widgets = items;
      this.state = 'ready';
      this.problem = null;
      this.keep();
      await Promise.all(items.filter(isStale).map((widget) => this.refresh(widget.id)));
    } catch (error) {
      this.problem = { text: sentence(error), offline: error instanceof ApiError && error.status === 0 };
      if (this.state === 'loading') this.state = 'failed';
    }
  }

  /** Refreshes one widget; a call while one is under way waits for that one. */
  refresh(id: Id): Promise<void> {
    const flight = this.flights.get(id) ?? this.fly(id).finally(() => this.flights.delete(id));
    this.flights.set(id, flight);
    return flight;
  }

  private async fly(id: Id): Promise<void> {
    const wait = this.troubles.get(id)?.until;
    if (wait && wait > Date.now()) return;
    this.busy.add(id);
    try {
      this.put(await call('POST /api/widgets/{id}/refresh', { path: { id } }));
      this.troubles.delete(id);
    } catch (error) {
      this.troubles.set(id, trouble(error));
    } finally {
      this.busy.delete(id);
    }
  }

  async add(kind: WidgetKind): Promise<Id | undefined> {
    return this.create({ kind, title: words.kinds[kind].name, settings: {}, ...SIZES[kind] });
  }

  private async create(from: Pick<Widget, 'kind' | 'title' | 'settings' | 'width' | 'height'>, at?: number): Promise<Id | undefined> {
    const { kind, title, settings, width, height } = from;
    let made: Widget | undefined;
    await this.attempt(words.notAdded, async () => {
      made = await call('POST /api/widgets', { body: { kind, title, settings, width, height } });
      this.widgets = [...this.widgets, made];
      if (isStale(made)) void this.refresh(made.id);
    });
    if (made && at !== undefined) await this.place(made.id, at);
    this.keep();
    return made?.id;
  }

  /** Removes a widget at once; the returned function brings it back to its place. */
  async remove(id: Id): Promise<(() => void) | undefined> {
    const at = this.widgets.findIndex((widget) => widget.id === id);
    const gone = this.widgets[at];
    if (!gone) return undefined;
    this.widgets = this.widgets.filter((widget) => widget.id !== id);
    try {
      await call('DELETE /api/widgets/{id}', { path: { id } });
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 404)) {
        this.widgets = this.widgets.toSpliced(at, 0, gone);
        this.failure = { title: words.notRemoved, text: sentence(error), retry: async () => void (await this.remove(id)) };
        return undefined;
      }
    }
    this.keep();
    return () => void this.create($state.snapshot(gone) as Widget, at);
  }

  /** Moves a widget to a place in the order, and gives it a size where there is one; both are kept in one request. */
  async place(id: Id, to: number, size: Partial<Size> = {}): Promise<void> {
    const from = this.widgets.findIndex((widget) => widget.id === id);
    if (from < 0) return;
    const change: Change = from === to ? size : { ...size, position: to };
    if (!Object.keys(change).length) return;
    this.widgets = moved(this.widgets, from, to);
    await this.change(id, change);
  }

  /** Changes what is shown at once and then on the server; rejects only where `quiet` leaves the telling to the caller. */
  async change(id: Id, change: Change, quiet = false): Promise<void> {
    const widget = this.find(id);
    if (!widget) return;
    const { position, ...shown } = change;
    Object.assign(widget, shown);
    const save = async (): Promise<void> => {
      this.saving += 1;
      this.changes += 1;
      try {
        const saved = await call('PATCH /api/widgets/{id}', { path: { id }, body: change });
        if (position === undefined) this.put(saved);
        this.keep();
      } finally {
        this.saving -= 1;
      }
    };
    if (quiet) await save();
    else await this.attempt(words.notSaved, save);
  }

  private async attempt(title: string, action: () => Promise<void>): Promise<void> {
    try {
      await action();
      this.failure = null;
    } catch (error) {
      this.failure = { title, text: sentence(error), retry: () => this.attempt(title, action) };
    }
  }

  find(id: Id): Widget | undefined {
    return this.widgets.find((widget) => widget.id === id);
  }

  private put(fresh: Widget): void {
    const widget = this.find(fresh.id);
    if (!widget) return;
    // Size and title stay as they are here: a change of theirs may be under way.
    Object.assign(widget, { content: fresh.content, settings: fresh.settings, refreshed_at: fresh.refreshed_at });
    this.keep();
  }

  private keep(): void {
    keepBoard(this.user, $state.snapshot(this.widgets) as Widget[]);
  }
}

function isStale(widget: Widget): boolean {
  const after = STALE_MS[widget.kind];
  if (after === undefined) return false;
  return !widget.content || !widget.refreshed_at || Date.now() - Date.parse(widget.refreshed_at) > after;
}

function trouble(error: unknown): Trouble {
  const text = error instanceof ApiError && error.status === 0 ? words.unreachable : sentence(error);
  if (!(error instanceof ApiError) || error.code !== 'RATE_LIMITED') return { text };
  return { text, until: Date.now() + (error.problem.retry_after_s ?? 1) * 1000 };
}
