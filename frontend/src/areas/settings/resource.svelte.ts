// Something loaded from the API, with what a section needs to show about it.
import { ApiError } from '$/api/client';

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

  constructor(private readonly ask: () => Promise<T>) {}

  async load(): Promise<void> {
    try {
      this.value = await this.ask();
      this.problem = null;
    } catch (error) {
      this.problem = sentence(error);
    }
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
