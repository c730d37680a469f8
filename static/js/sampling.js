/** The mark of a sampled publication: whether this client is asked, and what it answers. */

const TAG = "lanecast";
const DIGITS = 8;

/** What to send for a publication with these tags, or null if client `id` is not asked. */
export function answerTo(tags, id) {
  const mark = tags?.[TAG];
  if (!mark || !id) return null;
  const salt = mark.slice(0, DIGITS);
  const rank = (parseInt(id.slice(0, DIGITS), 16) ^ parseInt(salt, 16)) >>> 0;
  return rank <= parseInt(mark.slice(DIGITS), 16) ? { latency: salt } : null;
}
