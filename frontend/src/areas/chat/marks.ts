// Splits the excerpt of a search at the words that were looked for.

/** The parts of `text`; every second one, from the second on, is one of `words`. */
export function marks(text: string, words: string[]): string[] {
  if (!words.length) return [text];
  // Words are letters, digits and underscores only, so none of them means anything to a pattern.
  return text.split(new RegExp(`(?<![\\p{L}\\p{M}\\p{N}_])(${words.join('|')})(?![\\p{L}\\p{M}\\p{N}_])`, 'u'));
}
