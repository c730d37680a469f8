/** Keys that act wherever the focus is, except while something is typed or a dialog asks. */

/** Call `actions[key]()` for a key pressed alone. */
export function listen(actions) {
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.closest("input, textarea, select, dialog");
    if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
    const act = actions[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
}
