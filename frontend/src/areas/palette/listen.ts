// Which command a key press means, given what was pressed just before.
import { isTyping } from '$/ui/keys';
import type { Command } from '$/ui/commands.svelte';

const PAUSE_MS = 1_200;

type Press = Pick<KeyboardEvent, 'key' | 'ctrlKey' | 'metaKey' | 'altKey' | 'isComposing' | 'target' | 'timeStamp' | 'defaultPrevented'>;

export class Listener {
  private before: { key: string; at: number } | null = null;

  /** The command that this key completes, or undefined; `single` allows keys without Ctrl or Command. */
  press(event: Press, commands: readonly Command[], single: boolean): Command | undefined {
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (event.defaultPrevented || event.isComposing || event.altKey) return undefined;
    if (event.ctrlKey || event.metaKey) return commands.find((command) => command.keys === `mod+${key}`);
    if (!single || isTyping(event.target) || key.length !== 1 || document.querySelector('dialog[open], [popover]:popover-open')) {
      this.before = null;
      return undefined;
    }
    const late = !this.before || event.timeStamp - this.before.at > PAUSE_MS;
    const both = late ? undefined : commands.find((command) => command.keys === `${this.before?.key} ${key}`);
    this.before = both ? null : { key, at: event.timeStamp };
    return both ?? commands.find((command) => command.keys === key);
  }
}
