// What the menu of a widget offers.
import type { Widget } from '$/api/types';
import type { MenuItem } from '$/ui/Menu.svelte';
import { widgets as words } from '$/words/widgets';
import type { Board } from './board.svelte';

export type CardDialog = 'size' | 'zone';

interface Actions {
  readonly rename: () => void;
  readonly dialog: (which: CardDialog) => void;
  readonly remove: () => void;
}

/** The items for one widget; moving is among them, so that no dragging is needed. */
export function cardItems(widget: Widget, board: Board, { rename, dialog, remove }: Actions): MenuItem[] {
  const at = board.widgets.indexOf(widget);
  const isLast = at === board.widgets.length - 1;
  const zone: MenuItem = { label: words.zone, icon: 'clock', action: () => dialog('zone') };
  return [
    { label: words.rename, icon: 'edit', action: rename },
    ...(widget.kind === 'clock' ? [zone] : []),
    { label: words.size, icon: 'resize', action: () => dialog('size') },
    { label: words.earlier, icon: 'up', reason: at === 0 ? words.isFirst : undefined, action: () => void board.place(widget.id, at - 1) },
    { label: words.later, icon: 'down', reason: isLast ? words.isLast : undefined, action: () => void board.place(widget.id, at + 1) },
    { label: words.remove, icon: 'trash', danger: true, action: remove },
  ];
}
