/** The state of a channel that sends a whole and then changes by key: analytics, sparklines. */
import { applyPatch } from "../patch.js";

export class Keyed {
  sections = {};

  whole(data) {
    this.sections = {};
    applyPatch(this.sections, data);
  }

  change(data) {
    applyPatch(this.sections, data);
  }
}
