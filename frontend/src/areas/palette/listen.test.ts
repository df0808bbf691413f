// Which keys start which command.
import { expect, test } from 'vitest';
import type { Command } from '$/ui/commands.svelte';
import { Listener } from './listen';

const command = (id: string, keys: string): Command => ({ id, label: id, group: '', keys, run: () => undefined });
const commands = [command('palette', 'mod+k'), command('new', 'n'), command('widgets', 'g w'), command('help', '?')];
const press = (key: string, more: object = {}) => {
  const plain = { ctrlKey: false, metaKey: false, altKey: false, isComposing: false, target: document.body, timeStamp: 0, defaultPrevented: false };
  return { key, ...plain, ...more };
};
const run = (keys: ReturnType<typeof press>[], single = true) => {
  const listener = new Listener();
  return keys.map((one) => listener.press(one, commands, single)?.id);
};

test('one key, two keys, and keys with Ctrl or Command', () => {
  expect(run([press('n')])).toEqual(['new']);
  expect(run([press('g'), press('w')])).toEqual([undefined, 'widgets']);
  expect(run([press('k', { ctrlKey: true }), press('K', { metaKey: true })])).toEqual(['palette', 'palette']);
  expect(run([press('?', { shiftKey: true })])).toEqual(['help']);
});
test('two keys too far apart are two keys', () => {
  expect(run([press('g'), press('w', { timeStamp: 5_000 })])).toEqual([undefined, undefined]);
});
test('while typing, only keys with Ctrl count; turned off, the same everywhere', () => {
  const target = document.createElement('textarea');
  expect(run([press('n', { target }), press('k', { target, ctrlKey: true })])).toEqual([undefined, 'palette']);
  expect(run([press('n'), press('k', { ctrlKey: true })], false)).toEqual([undefined, 'palette']);
});
test('keys that a part of the page has used are not used again', () => {
  expect(run([press('n', { defaultPrevented: true })])).toEqual([undefined]);
});
