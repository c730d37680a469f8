/**
 * What a state channel's payload does to the state it is about; the whole, a patch and two merged
 * patches are the same. Keys live in Maps, because an object would reorder keys that look like integers.
 */

/**
 * Apply `patch` to `state`, in place. A section that is an object sets keys of a Map (or of what has
 * its `set` and `delete`), null removes a key; any other section replaces. Anyone with the API's key
 * publishes here, so a section that has keys keeps them whatever comes.
 */
export function applyPatch(state, patch) {
  for (const [section, value] of Object.entries(patch ?? {})) {
    const isKept = isKeyed(state[section]);
    if (isKeyed(value)) applyKeys(isKept ? state[section] : (state[section] = new Map()), value);
    else if (!isKept) state[section] = value;
  }
}

function isKeyed(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function applyKeys(section, changes) {
  for (const [key, value] of Object.entries(changes)) {
    if (value === null) section.delete(key);
    else section.set(key, value);
  }
}
