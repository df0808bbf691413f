// What jsdom lacks of a browser: dialogs, popovers and observers, as far as the dashboard uses them.

function toggle(element: HTMLElement, open: boolean): void {
  const [oldState, newState] = open ? ['closed', 'open'] : ['open', 'closed'];
  for (const type of ['beforetoggle', 'toggle']) {
    element.dispatchEvent(Object.assign(new Event(type), { oldState, newState }));
    element.toggleAttribute('data-open', open);
    if (open && type === 'beforetoggle') element.querySelector<HTMLElement>('[autofocus]')?.focus();
  }
}

class Observer {
  observe(): void {}
  unobserve(): void {}
  disconnect(): void {}
}

/** Call once in a test file whose components need these. */
export function completeBrowser(): void {
  const element = HTMLElement.prototype as HTMLElement;
  element.showPopover = function () {
    toggle(this, true);
  };
  element.hidePopover = function () {
    toggle(this, false);
  };
  HTMLDialogElement.prototype.showModal = function () {
    this.open = true;
    this.querySelector<HTMLElement>('[autofocus], button, input')?.focus();
  };
  HTMLDialogElement.prototype.close = function () {
    this.open = false;
    this.dispatchEvent(new Event('close'));
  };
  document.addEventListener('click', (event) => {
    const target = (event.target as Element).closest('[popovertarget]')?.getAttribute('popovertarget');
    const panel = target ? document.getElementById(target) : null;
    if (panel) toggle(panel, !panel.hasAttribute('data-open'));
  });
  Object.assign(globalThis, {
    ResizeObserver: Observer,
    IntersectionObserver: Observer,
    matchMedia: () => ({ matches: true, addEventListener() {}, removeEventListener() {} }),
    CSS: { escape: (text: string) => text.replace(/[^\w-]/g, '\\$&'), supports: () => true },
  });
}
