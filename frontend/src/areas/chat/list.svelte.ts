// The user's conversations, newest first, kept current from this tab, other tabs and other devices.
import { ApiError, call, callIfChanged } from '$/api/client';
import type { Conversation } from '$/api/types';
import { follow, tellChanged } from '$/live';
import { runs } from '$/runs.svelte';

const PAGE = 50;

class ConversationList {
  items = $state.raw<Conversation[]>([]);
  phase = $state<'loading' | 'ready' | 'failed'>('loading');
  problem = $state('');
  /** Where the next page begins, or null at the end. */
  next = $state<string | null>(null);
  loadingMore = $state(false);
  /** How much was changed here. */
  #done = 0;
  /** Conversations that were given a title here: one that a model made may be told late. */
  #named = new Set<string>();

  byId(id: string | null): Conversation | undefined {
    return id ? this.items.find((item) => item.id === id) : undefined;
  }

  /** Asks for the newest page; cheap when nothing changed. */
  async refresh(): Promise<void> {
    try {
      let [isNew, done] = [this.phase !== 'ready', -1];
      while (done !== this.#done) {
        done = this.#done; // An answer may be older than what was done here while it came.
        const { changed, reply } = await callIfChanged('GET /api/conversations', { query: { limit: PAGE } });
        isNew ||= changed;
        if (isNew && done === this.#done) this.#merge(reply.items, reply.next);
      }
      this.phase = 'ready';
    } catch (error) {
      this.#fail(error);
    }
  }

  async more(): Promise<void> {
    if (!this.next || this.loadingMore) return;
    this.loadingMore = true;
    try {
      const page = await call('GET /api/conversations', { query: { limit: PAGE, before: this.next } });
      const known = new Set(this.items.map((item) => item.id));
      this.items = [...this.items, ...page.items.filter((item) => !known.has(item.id))];
      this.next = page.next;
    } catch (error) {
      this.#fail(error);
    } finally {
      this.loadingMore = false;
    }
  }

  #fail(error: unknown): void {
    if (!(error instanceof ApiError)) throw error;
    this.problem = error.message;
    if (this.phase === 'loading') this.phase = 'failed';
  }

  // The first page replaces what it covers; older pages stay as they were loaded.
  #merge(fresh: Conversation[], next: string | null): void {
    const oldest = fresh.at(-1)?.updated_at ?? '';
    const ids = new Set(fresh.map((item) => item.id));
    const older = next ? this.items.filter((item) => !ids.has(item.id) && item.updated_at < oldest) : [];
    this.items = [...fresh, ...older];
    if (!older.length) this.next = next;
    for (const item of fresh) this.#followRun(item);
  }

  #followRun(item: Conversation): void {
    if (!item.run_id || runs.get(item.run_id)) return;
    follow({
      id: item.run_id, kind: 'reply', state: 'queued', conversation_id: item.id, message_id: null, answer_id: null,
      model: null, position: null, wait_s: null, reason: null, error: null, usage: null,
      created_at: item.updated_at, started_at: null, ended_at: null,
    });
  }

  /** Puts in a conversation that is new here, or changes one that is known; `moved` brings it to the top. */
  change(id: string, changes: Partial<Conversation>, moved = false): void {
    const known = this.byId(id);
    if (!known) return;
    this.#done += 1;
    const item = { ...known, ...changes };
    const others = this.items.filter((one) => one.id !== id);
    this.items = moved ? [item, ...others] : this.items.map((one) => (one.id === id ? item : one));
  }

  add(item: Conversation): void {
    this.#done += 1;
    this.items = [item, ...this.items.filter((one) => one.id !== item.id)];
  }

  /** Shows a title that a model made, unless the user was quicker. */
  titled(id: string, title: string): void {
    if (!this.#named.has(id)) this.change(id, { title });
  }

  async rename(id: string, title: string): Promise<void> {
    const before = this.byId(id)?.title ?? '';
    this.#named.add(id);
    this.change(id, { title });
    try {
      this.change(id, await call('PATCH /api/conversations/{id}', { path: { id }, body: { title } }));
      tellChanged(null);
    } catch (error) {
      this.#named.delete(id);
      this.change(id, { title: before });
      throw error;
    }
  }

  async remove(id: string): Promise<void> {
    try {
      await call('DELETE /api/conversations/{id}', { path: { id } });
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 404)) throw error;
    }
    this.#done += 1;
    this.items = this.items.filter((item) => item.id !== id);
    tellChanged(id);
  }
}

export const list = new ConversationList();
