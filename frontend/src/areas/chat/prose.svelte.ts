// Markdown is loaded when the first answer is near; until then, or without a network, text is shown as it is.
class Prose {
  markdown = $state.raw<typeof import('$/markdown') | null>(null);
}
export const prose = new Prose();

let loading: Promise<void> | null = null;

/** Loads what renders answers; never fails. */
export function needProse(): Promise<void> {
  loading ??= import('$/markdown').then(
    (module) => void (prose.markdown = module),
    () => void (loading = null),
  );
  return loading;
}
