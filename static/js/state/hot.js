/** The hot markets, kept by market as they arrive, ranked as they are shown. */
import { Keyed } from "./keyed.js";

export class HotMarkets extends Keyed {
  /** `{market, title, price, volume, trades, points}`, the busiest first; the points end in the price. */
  get ranked() {
    const { markets, titles, points } = this.sections;
    const known = [...(markets ?? [])].filter(([, figures]) => typeof figures.price === "string");
    const rows = known.map(([market, figures]) => ({
      ...figures,
      market,
      title: titles?.get(market),
      points: [...(points?.get(market) ?? []), figures.price],
    }));
    return rows.sort((one, other) => other.trades - one.trades || other.volume - one.volume);
  }
}
