// The kit by keyboard: combobox, menu, dialog, toasts.
import { fireEvent, render, screen, waitFor } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { tick } from 'svelte';
import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { completeBrowser } from '$/testing/browser';
import Button from './Button.svelte';
import Combobox, { type Choice } from './Combobox.svelte';
import Dialog from './Dialog.svelte';
import { fits, isTyping, startsWith, step } from './keys';
import Menu from './Menu.svelte';
import Notice from './Notice.svelte';
import { place } from './place';
import { dismiss, toast, toasts } from './toast.svelte';
import Toaster from './Toaster.svelte';
import { createRawSnippet } from 'svelte';

beforeAll(completeBrowser);

const items: Choice[] = [
  { id: 'a', label: 'alpha', hint: '8 GB' },
  { id: 'b', label: 'beta' },
  { id: 'g', label: 'gamma', also: 'greek' },
];
const combobox = (props = {}) => {
  const onselect = vi.fn();
  render(Combobox<Choice>, { label: 'Model', items, onselect, ...props });
  return { field: screen.getByRole('combobox', { name: 'Model' }), onselect };
};

describe('keys', () => {
  test('steps go round and know first and last', () => {
    expect([step('ArrowDown', 2, 3), step('ArrowUp', 0, 3), step('ArrowUp', -1, 3), step('Home', 1, 3), step('End', 1, 3)]).toEqual([0, 2, 2, 0, 2]);
    expect(step('ArrowDown', 0, 0)).toBeUndefined();
  });
  test('a letter leads to the next entry that starts with it', () => {
    expect(startsWith('r', ['Rename', 'Size', 'Remove'], 0)).toBe(2);
    expect(startsWith('r', ['Rename', 'Size', 'Remove'], 2)).toBe(0);
    expect(startsWith('x', ['Rename'], 0)).toBeUndefined();
  });
  test('every typed word must occur', () => {
    expect(fits('Go to Widgets', 'wid go')).toBe(true);
    expect(fits('Go to Widgets', 'wid stay')).toBe(false);
  });
  test('letters are text in fields and not in buttons', () => {
    expect(isTyping(document.createElement('textarea'))).toBe(true);
    expect(isTyping(document.createElement('button'))).toBe(false);
  });
});

describe('combobox', () => {
  test('typing filters and Enter chooses', async () => {
    const { field, onselect } = combobox();
    await userEvent.type(field, 'greek');
    expect(screen.getAllByRole('option')).toHaveLength(1);
    await userEvent.keyboard('{Enter}');
    expect(onselect).toHaveBeenCalledWith(items[2]);
    expect(field).toHaveAttribute('aria-expanded', 'false');
  });
  test('arrows move the active choice, which the field names', async () => {
    const { field } = combobox({ value: 'b' });
    field.focus();
    await userEvent.keyboard('{ArrowDown}');
    const active = (): string | null | undefined => document.getElementById(field.getAttribute('aria-activedescendant') ?? '')?.textContent;
    expect(active()).toContain('beta');
    await userEvent.keyboard('{ArrowDown}{ArrowDown}');
    expect(active()).toContain('alpha');
  });
  test('Escape closes and brings the chosen label back', async () => {
    const { field, onselect } = combobox({ value: 'a' });
    await userEvent.clear(field);
    await userEvent.type(field, 'nothing like it');
    expect(screen.getByText(/Nothing matches/)).toBeVisible();
    await userEvent.keyboard('{Escape}');
    await waitFor(() => expect(field).toHaveValue('alpha'));
    expect(onselect).not.toHaveBeenCalled();
  });
});

describe('menu', () => {
  const rename = vi.fn();
  const last = vi.fn();
  const open = async (): Promise<HTMLElement> => {
    render(Menu, {
      label: 'More',
      items: [
        { label: 'Rename', action: rename },
        { label: 'Move', reason: 'It is the last.', action: last },
        { label: 'Remove', action: () => undefined },
      ],
    });
    const button = screen.getByRole('button', { name: 'More' });
    button.focus();
    await userEvent.keyboard('{ArrowDown}');
    return button;
  };
  test('opens with an arrow on its first item; letters and arrows move', async () => {
    const button = await open();
    expect(button).toHaveAttribute('aria-expanded', 'true');
    expect(screen.getByRole('menuitem', { name: 'Rename' })).toHaveFocus();
    await userEvent.keyboard('r');
    expect(screen.getByRole('menuitem', { name: 'Remove' })).toHaveFocus();
    await userEvent.keyboard('{ArrowDown}');
    expect(screen.getByRole('menuitem', { name: 'Rename' })).toHaveFocus();
  });
  test('Enter acts and gives the focus back; an item with a reason does not act', async () => {
    const button = await open();
    await userEvent.keyboard('{ArrowDown}{Enter}');
    expect(last).not.toHaveBeenCalled();
    await userEvent.keyboard('{Home}{Enter}');
    expect(rename).toHaveBeenCalledOnce();
    expect(button).toHaveFocus();
  });
});

describe('dialog, button, toast', () => {
  test('a dialog is named by its title and its close button closes it', async () => {
    const onclose = vi.fn();
    render(Dialog, { open: true, title: 'Size', onclose, children: createRawSnippet(() => ({ render: () => '<p>Inside</p>' })) });
    expect(screen.getByRole('dialog', { name: 'Size' })).toBeVisible();
    await userEvent.click(screen.getByRole('button', { name: 'Close' }));
    expect(onclose).toHaveBeenCalledOnce();
    expect(screen.queryByText('Inside')).toBeNull();
  });
  test('a button with a reason does not act, says why and stays reachable', async () => {
    const onclick = vi.fn();
    render(Button, { label: 'Save', reason: 'Nothing has changed.', onclick });
    const button = screen.getByRole('button', { name: 'Save' });
    await userEvent.click(button);
    expect(onclick).not.toHaveBeenCalled();
    expect(button).toHaveAttribute('title', 'Nothing has changed.');
    expect(button).not.toBeDisabled();
  });

  afterEach(() => {
    toasts.forEach((one) => dismiss(one.id));
    vi.useRealTimers();
  });
  test('undo acts once and takes the notice away', async () => {
    const undo = vi.fn();
    render(Toaster);
    toast('Note was removed.', undo);
    await tick();
    await userEvent.click(screen.getByRole('button', { name: 'Undo' }));
    expect(undo).toHaveBeenCalledOnce();
    expect(screen.queryByText('Note was removed.')).toBeNull();
  });
  test('a notice waits while it is pointed at', async () => {
    vi.useFakeTimers();
    render(Toaster);
    toast('Copied.');
    await tick();
    await fireEvent.pointerEnter(screen.getByText('Copied.').parentElement as HTMLElement);
    vi.advanceTimersByTime(60_000);
    expect(toasts).toHaveLength(1);
    await fireEvent.pointerLeave(screen.getByText('Copied.').parentElement as HTMLElement);
    vi.advanceTimersByTime(60_000);
    expect(toasts).toHaveLength(0);
  });
});

test('a command in a notice stands as code, without the backticks', () => {
  render(Notice, { text: 'Start it with `ollama serve`; a lone ` stays.' });
  expect(screen.getByText('ollama serve').tagName).toBe('CODE');
  expect(screen.getByText(/^Start it with/)).toHaveTextContent('Start it with ollama serve; a lone ` stays.');
});

test('a panel goes under its button, above it where there is no room, and never outside', () => {
  const view = { width: 400, height: 600 };
  const panel = { width: 200, height: 100 };
  expect(place({ left: 10, top: 10, width: 40, height: 30 }, panel, view)).toEqual({ left: 10, top: 44 });
  expect(place({ left: 350, top: 560, width: 40, height: 30 }, panel, view)).toEqual({ left: 190, top: 456 });
});
