// The commands that are there on every page.
import { call } from '$/api/client';
import { navigate } from '$/router';
import { setTheme, type Theme } from '$/theme';
import type { Command } from '$/ui/commands.svelte';
import { palette as words } from '$/words/palette';

const PHONE = '(max-width: 719px)';
const TRIES = 60;

/** Focuses the field once its page is there; gives up after about a second. */
function focusWhenThere(selector: string, tries = TRIES): void {
  const field = document.querySelector<HTMLElement>(selector);
  if (field?.checkVisibility?.() ?? field) field?.focus();
  else if (tries > 0) requestAnimationFrame(() => focusWhenThere(selector, tries - 1));
}

function theme(choice: Theme): void {
  setTheme(choice);
  // Kept on this device in any case; the settings page tells when the server did not take it.
  call('PATCH /api/settings', { body: { theme: choice } }).catch(() => undefined);
}

function search(): void {
  const selector = 'input[type=search]';
  if (!document.querySelector(selector)) navigate(matchMedia(PHONE).matches ? '/chats' : '/');
  focusWhenThere(selector);
}

function newConversation(): void {
  navigate('/');
  focusWhenThere('[data-composer], main textarea');
}

/** Commands of every page; `show` opens the palette or the list of shortcuts. */
export function globalCommands(show: (what: 'palette' | 'shortcuts') => void): Command[] {
  return [
    { id: 'palette', label: words.commands, group: words.look, icon: 'search', keys: 'mod+k', run: () => show('palette') },
    { id: 'new', label: words.newConversation, group: words.do, icon: 'plus', keys: 'n', run: newConversation },
    { id: 'search', label: words.search, group: words.do, icon: 'search', keys: '/', run: search },
    { id: 'chat', label: words.chat, group: words.go, icon: 'chat', keys: 'g c', run: () => navigate('/') },
    { id: 'widgets', label: words.widgets, group: words.go, icon: 'widgets', keys: 'g w', run: () => navigate('/widgets') },
    { id: 'settings', label: words.settings, group: words.go, icon: 'settings', keys: 'g s', run: () => navigate('/settings') },
    { id: 'theme-system', label: words.theme.system, group: words.look, icon: 'screen', run: () => theme('system') },
    { id: 'theme-light', label: words.theme.light, group: words.look, icon: 'sun', run: () => theme('light') },
    { id: 'theme-dark', label: words.theme.dark, group: words.look, icon: 'moon', run: () => theme('dark') },
    { id: 'shortcuts', label: words.shortcuts, group: words.look, icon: 'keyboard', keys: '?', run: () => show('shortcuts') },
  ];
}
