/** The state of a channel whose every publication is whole: a ticker. */
export class Latest {
  value = null;

  whole(data) {
    this.value = data;
  }

  change(data) {
    this.value = data;
  }
}
