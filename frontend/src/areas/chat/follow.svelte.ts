// Keeps the end of growing text in sight, but only for a reader who is at the end.
const AT_END_PX = 48;

export class Follow {
  /** The reader is at the end and stays there. */
  atEnd = $state(true);
  /** Something was added below what the reader sees. */
  hasNew = $state(false);
  #scroller: HTMLElement | null = null;
  #top = 0;

  /** Attach to the scrolling element; its first child is what grows. */
  attach = (scroller: HTMLElement): (() => void) => {
    this.#scroller = scroller;
    const grown = new ResizeObserver(() => this.#grew());
    grown.observe(scroller);
    if (scroller.firstElementChild) grown.observe(scroller.firstElementChild);
    const moved = (): void => this.#moved();
    scroller.addEventListener('scroll', moved, { passive: true });
    return () => {
      grown.disconnect();
      scroller.removeEventListener('scroll', moved);
      this.#scroller = null;
    };
  };

  /** Goes to the end and stays there. */
  toEnd(): void {
    this.atEnd = true;
    this.hasNew = false;
    if (this.#scroller) this.#scroller.scrollTop = this.#scroller.scrollHeight;
  }

  /** Something was added at the end. */
  added(): void {
    if (!this.atEnd) this.hasNew = true;
  }

  /** Runs `change`, which adds something above, and leaves what is in sight where it is. */
  async keepInSight(change: () => Promise<void>): Promise<void> {
    this.atEnd = false;
    const below = this.#fromEnd();
    await change();
    if (this.#scroller) this.#scroller.scrollTop = this.#scroller.scrollHeight - below;
  }

  #fromEnd(): number {
    return this.#scroller ? this.#scroller.scrollHeight - this.#scroller.scrollTop : 0;
  }

  #grew(): void {
    if (this.atEnd) this.toEnd();
  }

  #moved(): void {
    const scroller = this.#scroller;
    if (!scroller) return;
    const left = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight;
    const up = scroller.scrollTop < this.#top - 1;
    this.#top = scroller.scrollTop;
    if (left < AT_END_PX) {
      this.atEnd = true;
      this.hasNew = false;
    } else if (up) this.atEnd = false;
  }
}
