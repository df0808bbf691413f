// What went wrong on the way in, as a sentence and as notes beside fields.
import { ApiError } from '$/api/client';
import { duration } from '$/words';
import { signIn as words } from '$/words/sign_in';

export interface Trouble {
  text: string;
  fields: Record<string, string>;
}
export const noTrouble: Trouble = { text: '', fields: {} };

/** What to show for a failed attempt to sign in or up. */
export function troubleOf(error: unknown): Trouble {
  if (!(error instanceof ApiError)) throw error;
  const { code, problem } = error;
  if (code === 'WRONG_CREDENTIALS') return { text: words.wrong, fields: {} };
  if (code === 'RATE_LIMITED' && problem.retry_after_s) {
    return { text: words.waitSeconds(duration(problem.retry_after_s)), fields: {} };
  }
  const fields = Object.fromEntries((problem.fields ?? []).map(({ path, message }) => [lastPart(path), message]));
  return { text: Object.keys(fields).length ? '' : error.message, fields };
}

const lastPart = (path: string): string => path.split('.').at(-1) ?? path;
