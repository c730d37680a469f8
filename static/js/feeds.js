/** What everybody may know of the feeds: those that bring nothing now, in words. */
import { clockText } from "./text.js";

export const FEEDS = "market:feeds";
const WORDS = { lost: "not connected", stale: "silent" };

/** `[name, text]` of each feed that is not live, as its channel has them. */
export function feedTroubles(state) {
  const troubled = (state?.sections?.feeds ?? []).filter((feed) => feed.state in WORDS);
  return troubled.map(({ name, state, since }) => [name, `${name}: ${WORDS[state]} since ${clockText(since)}`]);
}

/** Why there is nothing to see: what the feeds do not bring, or else `text`. */
export const emptyText = (state, text) => feedTroubles(state).map(([, words]) => words).join(", ") || text;
