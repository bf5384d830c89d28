// The relay's view: who, when, how much, and bytes that mean nothing without the keys.
import { h, isolated, slideIn } from "./dom.ts";
import { icon, ribbon } from "./icons.ts";
import { hueOf, nameOf } from "./people.ts";
import type { Sighting, TapViewer } from "./tap.ts";

/** A delivery may be seen up to this long before the sending it belongs to. */
const OVERTAKEN_MS = 500;
/** Sightings older than this are told again to a page that comes later, and shown without movement. */
export const FRESH_MS = 2_000;
/** Rows kept on screen. */
const ROWS = 80;
/** Bytes shown of each message. */
const WOVEN = 32;
/** Of them, bytes spelt out in hex. */
const SPELT = 24;

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const number = new Intl.NumberFormat("en");

/** The panel, which is fed by the tap. */
export interface RelayPanel extends TapViewer {
  readonly element: HTMLElement;
}

function who(user: string): HTMLElement {
  return isolated(nameOf(user), { class: "who", "data-hue": hueOf(user) });
}

const time = (at: number): HTMLElement => h("time", { datetime: new Date(at).toISOString() }, clock.format(at));

/** A message that passed, or waits. */
function messageRow({ at, from = "", to = "", size = 0, class: kind, prefix = "" }: Sighting): HTMLLIElement {
  const bytes = (prefix.match(/[0-9a-f]{2}/giu) ?? []).slice(0, WOVEN);
  return h(
    "li",
    { class: "frame held" },
    h(
      "div",
      { class: "frame-facts" },
      time(at),
      h("span", { class: "route" }, who(from), icon("arrow"), h("span", { class: "unseen" }, " to "), who(to)),
      kind === "chat" ? undefined : h("span", { class: "frame-class" }, kind),
      h("span", { class: "frame-held" }, "waiting"),
      h("span", { class: "frame-size" }, `${number.format(size)} bytes`),
    ),
    ribbon(bytes.map((byte) => Number.parseInt(byte, 16))),
    h("code", { class: "hex", translate: "no" }, `${bytes.slice(0, SPELT).join(" ")} …`),
  );
}

/** Something about public keys, in one line; undefined for what is not worth one. */
function keysRow({ kind, at, from = "", to = "", size = 0 }: Sighting): HTMLLIElement | undefined {
  const line = (...words: (Node | string)[]): HTMLLIElement => h("li", { class: "frame about-keys" }, time(at), h("span", {}, ...words));
  switch (kind) {
    case "publish":
      return line(who(from), " published public keys");
    case "stock":
      return size === 0 ? undefined : line(who(from), ` left ${number.format(size)} one-time public keys`);
    case "claim":
      return line(who(from), " took a one-time public key of ", who(to));
    case "read":
      return from === to ? undefined : line(who(from), " read the public keys of ", who(to));
    default:
      return undefined;
  }
}

/** Builds the panel, empty. */
export function relayPanel(): RelayPanel {
  const messages = h("dd", {}, "0");
  const bytes = h("dd", {}, "0");
  const empty = h("li", { class: "frames-empty" }, "Nothing has passed yet. Write something as Alice or Bob and watch it go by.");
  const list = h("ol", { class: "frames" }, empty);
  const state = h("p", { class: "relay-state" });
  // Messages not yet handed over, oldest first, by recipient. Each of a recipient's devices gets every message: the one that came last counts.
  const held = new Map<string, HTMLElement[]>();
  const devices = new Map<string, readonly string[]>();
  const overtaken = new Map<string, number>();
  let count = 0;
  let total = 0;

  function add(row: HTMLElement, at: number): void {
    empty.remove();
    list.prepend(row);
    if (Date.now() - at < FRESH_MS) slideIn(row, 10);
    while (list.children.length > ROWS) list.lastElementChild?.remove();
  }

  function tally(): void {
    messages.textContent = number.format(count);
    bytes.textContent = number.format(total);
  }

  return {
    element: h(
      "div",
      { class: "relay" },
      h("h2", {}, "What the relay sees"),
      h(
        "p",
        { class: "relay-says" },
        "Who writes to whom, when, and roughly how much. ",
        h("strong", {}, "It cannot read a word:"),
        " the keys never leave the pages of Alice and Bob.",
      ),
      h(
        "dl",
        { class: "counters" },
        h("div", {}, h("dt", {}, "messages"), messages),
        h("div", {}, h("dt", {}, "bytes"), bytes),
        h("div", { class: "nothing" }, h("dt", {}, "words it can read"), h("dd", {}, "0")),
      ),
      state,
      h("div", { class: "frames-scroll", tabindex: 0, role: "region", "aria-label": "What passed the relay, newest first" }, list),
      h("p", { class: "relay-note" }, icon("shield"), "Could it hand out false keys? That is what safety numbers are for: open them on both sides and compare."),
    ),
    open() {
      state.textContent = "";
      list.replaceChildren(empty);
      held.clear();
      overtaken.clear();
      count = 0;
      total = 0;
      tally();
    },
    see(sighting) {
      const { kind, at, to = "", device = "", size = 0 } = sighting;
      if (kind === "send") {
        const row = messageRow(sighting);
        if (at - (overtaken.get(to) ?? -Infinity) < OVERTAKEN_MS) row.classList.remove("held");
        else held.set(to, [...(held.get(to) ?? []), row]);
        overtaken.delete(to);
        add(row, at);
        count++;
        total += size;
        tally();
      } else if (kind === "deliver") {
        const known = devices.get(to) ?? [];
        if (!known.includes(device)) devices.set(to, [...known, device]);
        if (known.length > 0 && !known.includes(device)) held.set(to, (held.get(to) ?? []).slice(-1)); // older ones are not for it
        if (devices.get(to)?.at(-1) !== device) return;
        const row = held.get(to)?.shift();
        if (row) row.classList.remove("held");
        else overtaken.set(to, at);
      } else {
        const row = keysRow(sighting);
        if (row) add(row, at);
      }
    },
    lose() {
      state.textContent = "The relay cannot be reached. Trying again …";
    },
  };
}
