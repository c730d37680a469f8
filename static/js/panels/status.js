/** This page's own connection as the server sees it: what the way costs, what waits, and when it was cut. */
import { makeRow, write } from "../dom.js";
import { Panel } from "../panel.js";
import { Rows } from "../rows.js";
import { NONE, ageText, bytesText, clockText, delayText, errorText, gapText, wholeText } from "../text.js";
import { drawSparkline } from "../views/sparkline.js";
import { ladderText } from "./connection.js";

const LANES = ["immediate", "high", "normal", "low"];

export class StatusPanel extends Panel {
  #channels = new Rows(
    this.element.querySelector(".channels tbody"),
    () => makeRow("channel-row", ["name", "state"]),
    fillChannel,
  );
  #cuts = new Rows(
    this.element.querySelector(".cuts tbody"),
    () => makeRow("cut-row", ["time", "lasted", "reason"]),
    fillCut,
  );

  follow() {
    super.follow();
    this.page.link.study(this.isShown);
  }

  draw() {
    const { link } = this.page;
    for (const [name, text] of Object.entries(readings(link)))
      write(this.element.querySelector(`[data-status-part=${name}]`), text);
    drawSparkline(this.element.querySelector(".sparkline"), link.deliveries);
    this.#channels.draw(link.watched, (channel) => channel.name);
    this.#cuts.draw(link.cuts, (cut) => String(cut.sinceMs));
    this.notice("");
    write(this.element.querySelector(".cuts .none"), link.cuts.length ? "" : "none since this page was opened");
  }
}

function readings(link) {
  const { row, ladder } = link;
  return {
    connection: row && link.state === "connected" ? `connected since ${clockText(row.connected)}` : link.state,
    "round-trip": delayText(link.roundTripMs),
    delivery: errorText(link.delivery),
    "event-age": delayText(link.eventAgeMs),
    rate: row ? `${bytesText(link.bytesPerSecond)}/s` : NONE,
    received: row ? `${wholeText(row.sent)} messages, ${bytesText(row.sent_bytes)}` : NONE,
    encoding: row?.encoding,
    lanes: row ? LANES.map((lane, at) => `${lane} ${row.lanes[at]}`).join(" · ") : NONE,
    ladder: ladder ? `step ${ladder.step}: ${ladderText(ladder)}` : "step 0: everything",
    lost: row ? `${wholeText(row.merged)} merged, ${wholeText(row.dropped)} dropped, ${wholeText(row.resent)} offered again` : NONE,
  };
}

function fillChannel(row, channel) {
  write(row.name, channel.name);
  write(row.state, channel.refusal?.reason ?? (channel.gap ? gapText(channel.gap) : channel.isLive ? "live" : "waiting"));
}

function fillCut(row, { sinceMs, untilMs, reason }) {
  write(row.time, clockText(sinceMs));
  write(row.lasted, untilMs === null ? "not back yet" : `back after ${ageText(untilMs - sinceMs)}`);
  write(row.reason, reason);
}
