// Something loaded from the API, with what a section needs to show about it.
import { ApiError, call } from '$/api/client';
import type { Settings } from '$/api/types';

/** What went wrong, as a sentence; anything but an answer of the API is a mistake of ours and goes on. */
export function sentence(error: unknown): string {
  if (error instanceof ApiError) return error.message;
  throw error;
}

/** The sentence about one field of an INVALID answer. */
export function fieldProblem(error: unknown, path: string): string | undefined {
  if (!(error instanceof ApiError)) return undefined;
  return error.problem.fields?.find((field) => field.path === path || field.path.endsWith(`.${path}`))?.message;
}

export class Resource<T> {
  value = $state<T | null>(null);
  problem = $state<string | null>(null);

  private changes = 0;

  constructor(private readonly ask: () => Promise<T>) {}

  /** Shows what was changed here; an answer to what was asked before knows nothing of it and is not shown. */
  put(value: T): void {
    this.changes += 1;
    this.value = value;
  }

  async load(): Promise<void> {
    const before = this.changes;
    try {
      const answer = await this.ask();
      if (this.changes === before) this.value = answer;
      this.problem = null;
    } catch (error) {
      this.problem = sentence(error);
    }
  }
}

/** Sends one setting until Kira has what is shown: what is chosen meanwhile goes too. */
export async function send<Name extends keyof Settings>(settings: Resource<Settings>, name: Name): Promise<void> {
  for (;;) {
    const sent = settings.value?.[name];
    if (sent === undefined) return;
    const answer = await call('PATCH /api/settings', { body: { [name]: sent } });
    if (!settings.value || settings.value[name] !== sent) continue;
    settings.put({ ...settings.value, [name]: answer[name] });
    return;
  }
}

/** One thing being saved: busy, done or failed, for the line beside its button. */
export class Saving {
  busy = $state(false);
  done = $state(false);
  problem = $state<string | null>(null);
  error = $state.raw<unknown>(null);

  /** Runs `action` unless one is running; true when it went well. */
  async run(action: () => Promise<void>): Promise<boolean> {
    if (this.busy) return false;
    this.reset();
    this.busy = true;
    try {
      await action();
      this.done = true;
    } catch (error) {
      this.problem = sentence(error);
      this.error = error;
    } finally {
      this.busy = false;
    }
    return this.done;
  }

  reset(): void {
    this.done = false;
    this.problem = null;
    this.error = null;
  }
}
