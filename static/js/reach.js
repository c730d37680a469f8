/**
 * How far into a list rows are drawn: those in view and a few more, and more as one scrolls. A row that nobody
 * sees still costs its layout and its paint, with every row that moves above it.
 */
const SPARE_BELOW = 8;

export class Reach {
  /** Rows in view while the list is not scrolled. */
  inView = 0;
  /** Rows to draw. */
  end = 0;

  /** The rows in `scroller` are `rowPx` high or higher; `onChange` asks for a drawing. */
  constructor(scroller, rowPx, onChange) {
    const look = () => {
      this.inView = Math.ceil(scroller.clientHeight / rowPx);
      // Where the newest stands at the bottom, scrolling counts downwards from zero.
      const end = this.inView + Math.ceil(Math.abs(scroller.scrollTop) / rowPx) + SPARE_BELOW;
      if (end === this.end) return;
      this.end = end;
      onChange();
    };
    scroller.addEventListener("scroll", look, { passive: true });
    new ResizeObserver(look).observe(scroller);
  }
}
