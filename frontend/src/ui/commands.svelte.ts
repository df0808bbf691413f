// Everything that can be done by name or by key: pages add their commands while they are shown.
import { SvelteMap } from 'svelte/reactivity';
import type { IconName } from './icons';

/** Something the palette lists and a key may start. */
export interface Command {
  readonly id: string;
  readonly label: string;
  readonly group: string;
  readonly icon?: IconName;
  /** One key, or two pressed one after the other, such as `n` or `g w`; `mod+k` is Ctrl or Command. */
  readonly keys?: string;
  /** Further words that find it. */
  readonly also?: string;
  readonly run: () => void;
}

const KEY = 'kira.single_keys';
const known = new SvelteMap<string, Command>();

/** Adds commands until the returned function is called; use inside `$effect`. */
export function addCommands(commands: readonly Command[]): () => void {
  for (const command of commands) known.set(command.id, command);
  return () => {
    for (const command of commands) if (known.get(command.id) === command) known.delete(command.id);
  };
}

/** All commands there are now; reactive. */
export const allCommands = (): Command[] => [...known.values()];

/** Runs a command by its id; nothing happens when no page offers it. */
export function runCommand(id: string): void {
  known.get(id)?.run();
}

let then: (() => void) | null = null;

/** Opens the list of commands; `chosen` is called when one is chosen there, and not when it is left. */
export function askForCommand(chosen: () => void): void {
  then = chosen;
  runCommand('palette');
}

/** Says that a command was chosen from the list. */
export function commandChosen(): void {
  then?.();
  then = null;
}

function remembered(): boolean {
  try {
    return localStorage.getItem(KEY) !== 'off';
  } catch {
    return true; // Storage may be forbidden.
  }
}

class Shortcuts {
  /** Whether keys without Ctrl or Command start something: some people type by voice, where they get in the way. */
  single = $state(remembered());

  allowSingle(allowed: boolean): void {
    this.single = allowed;
    try {
      localStorage.setItem(KEY, allowed ? 'on' : 'off');
    } catch {
      // Storage may be forbidden; the choice then lasts as long as the page.
    }
  }
}
export const shortcuts = new Shortcuts();
