// Where a floating panel goes beside its button, for browsers that cannot anchor in CSS.

const GAP_PX = 4;
const EDGE_PX = 8;

export interface Box {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** Left and top (px) of a panel: under the button, above it when there is no room, always inside the window. */
export function place(button: Box, panel: Pick<Box, 'width' | 'height'>, view: Pick<Box, 'width' | 'height'>): { left: number; top: number } {
  const below = button.top + button.height + GAP_PX;
  const above = button.top - panel.height - GAP_PX;
  const top = below + panel.height <= view.height - EDGE_PX || above < EDGE_PX ? below : above;
  const right = view.width - panel.width - EDGE_PX;
  const start = button.left + panel.width <= view.width - EDGE_PX ? button.left : button.left + button.width - panel.width;
  return { left: Math.max(EDGE_PX, Math.min(start, right)), top: Math.max(EDGE_PX, top) };
}

/** Puts an open popover beside its button. */
export function placeBeside(button: HTMLElement, panel: HTMLElement): void {
  const view = { width: document.documentElement.clientWidth, height: document.documentElement.clientHeight };
  const { left, top } = place(button.getBoundingClientRect(), panel.getBoundingClientRect(), view);
  panel.style.left = `${left}px`;
  panel.style.top = `${top}px`;
}
