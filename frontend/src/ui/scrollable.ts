// Makes what scrolls reachable by keyboard, only while it scrolls.
import type { Attachment } from 'svelte/attachments';

const FOCUSABLE = 'a[href], button, input, textarea, select, [tabindex="0"]';

/** Lets the element take the focus while its content is longer than it is and holds nothing else to focus. */
export function scrollable(label: string): Attachment<HTMLElement> {
  return (node) => {
    const measure = (): void => {
      const needed = node.scrollHeight > node.clientHeight + 1 && !node.querySelector(FOCUSABLE);
      if (needed === (node.tabIndex === 0)) return;
      if (needed) Object.entries({ tabindex: '0', role: 'group', 'aria-label': label }).forEach(([name, value]) => node.setAttribute(name, value));
      else ['tabindex', 'role', 'aria-label'].forEach((name) => node.removeAttribute(name));
    };
    const sizes = new ResizeObserver(measure);
    const content = new MutationObserver(measure);
    sizes.observe(node);
    content.observe(node, { childList: true, subtree: true, characterData: true });
    return () => {
      sizes.disconnect();
      content.disconnect();
    };
  };
}
