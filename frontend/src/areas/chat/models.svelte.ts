// The models one can choose, and the user's settings that name one.
import { ApiError, call } from '$/api/client';
import type { Models, Settings } from '$/api/types';
import { setTheme } from '$/theme';

class Choices {
  models = $state.raw<Models | null>(null);
  settings = $state.raw<Settings | null>(null);
  problem = $state('');
  /** Chosen here by hand, by conversation id (`new` before there is one). */
  chosen = $state<Record<string, string>>({});

  async refresh(): Promise<void> {
    try {
      const [models, settings] = await Promise.all([call('GET /api/models'), call('GET /api/settings')]);
      this.models = models;
      this.settings = settings;
      this.problem = '';
      setTheme(settings.theme);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.problem = error.message;
    }
  }

  /** The model for the next message: chosen by hand, else the one that answered last, else the default. */
  modelFor(key: string, last: string | null): string | null {
    // The demo answered because there was nothing else: once there is, it is chosen by hand or not at all.
    const demo = this.models?.items.some((model) => model.demo && model.name === last);
    const wanted = [this.chosen[key], demo ? null : last, this.settings?.model, this.models?.default];
    const known = (name: string | null | undefined): boolean => !!this.models?.items.some((model) => model.name === name);
    return wanted.find(known) ?? this.models?.items[0]?.name ?? null;
  }

  get isEmpty(): boolean {
    return this.models !== null && this.models.items.length === 0;
  }
}

const LOOK_MS = 5_000;

/** Look for a model while there is none, as Kira itself does, so that it appears here without a reload. */
export function lookForModels(): () => void {
  const timer = setInterval(() => {
    if (choices.models?.advice && document.visibilityState === 'visible') void choices.refresh();
  }, LOOK_MS);
  return () => clearInterval(timer);
}

export const choices = new Choices();
