// The messages of one conversation, oldest first. Rows are keyed by message id, so an event that comes twice shows once.
import type { Delivery, Message } from "miyu";
import { button, h, isolated, slideIn } from "./dom.ts";
import { icon } from "./icons.ts";
import { hueOf, nameOf } from "./people.ts";

/** What a row shows of a message. */
export type Shown = Pick<Message, "id" | "own" | "sentAt" | "text" | "mediaType" | "trust"> & { readonly from: string; readonly delivery?: Delivery | undefined };

/** Characters after which a message folds. */
const LONG = 900;
/** Pixels from the end within which the list follows new messages. */
const NEAR = 90;

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });
const number = new Intl.NumberFormat("en");

const DELIVERIES: Readonly<Record<Delivery, readonly ["clock" | "check" | "warning", string]>> = {
  waiting: ["clock", "waiting"],
  ready: ["clock", "waiting"],
  sealed: ["clock", "waiting"],
  accepted: ["check", "sent"],
  failed: ["warning", "not sent"],
};

/** The list and what can be done to it. */
export interface MessageLog {
  readonly element: HTMLElement;
  /** Adds a message at the end, unless it is there; then only its delivery is renewed. */
  add(message: Shown): void;
  /** Puts older messages in front, or fills the list at the start, without announcing them one by one. */
  addEarlier(messages: readonly Shown[], more: boolean): void;
  setDelivery(id: string, delivery: Delivery, why?: string): void;
  /** A row that is not a message: a gap, or a remark. */
  remark(text: string, kind: "gap" | "note"): void;
  readonly isEmpty: boolean;
}

function textOf(message: Shown): HTMLElement {
  if (message.text === undefined) return h("p", { class: "text" }, `(${message.mediaType}, which this demonstration does not show)`);
  const text = h("p", { class: "text", dir: "auto" }, message.text);
  if (message.text.length <= LONG && message.text.split("\n", 24).length < 24) return text;
  text.classList.add("folded");
  const length = number.format(message.text.length);
  const unfold: HTMLButtonElement = button({ class: "unfold", "aria-expanded": "false" }, () => {
    const folded = text.classList.toggle("folded");
    unfold.setAttribute("aria-expanded", String(!folded));
    unfold.textContent = folded ? `Show all ${length} characters` : "Show less";
  }, `Show all ${length} characters`);
  return h("div", {}, text, unfold);
}

function setTick(row: Element, delivery: Delivery, why?: string): void {
  const [name, words] = DELIVERIES[delivery];
  const tick = row.querySelector(".tick");
  tick?.replaceChildren(icon(name), words);
  tick?.setAttribute("data-delivery", delivery);
  row.querySelector(".why")?.remove();
  if (why !== undefined) row.append(h("p", { class: "why" }, why));
}

/** Builds an empty list; `earlier` is called when someone asks for older messages, `empty` shows while there are none. */
export function messageLog(label: string, empty: HTMLElement, earlier: () => Promise<void>): MessageLog {
  const rows = new Map<string, HTMLElement>();
  const early = new Map<string, readonly [Delivery, string | undefined]>();
  const list = h("ol", { class: "messages" });
  const more = button({ class: "earlier", hidden: true }, earlier, "Earlier messages");
  const scroller = h("div", { class: "log", role: "log", "aria-live": "polite", "aria-label": label, tabindex: 0 }, empty, more, list);
  const newer = button({ class: "newer", hidden: true }, () => { toEnd(); }, icon("down"), "New messages");
  let following = true;

  const toEnd = (): void => {
    scroller.scrollTop = scroller.scrollHeight;
    newer.hidden = true;
    following = true;
  };
  let size = "";
  const sizeNow = (): string => `${String(scroller.clientWidth)} ${String(scroller.clientHeight)}`;
  scroller.addEventListener("scroll", () => {
    if (sizeNow() !== size) return; // moved by a change of size, not by a person
    following = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < NEAR;
    if (following) newer.hidden = true;
  }, { passive: true });
  new ResizeObserver(() => {
    size = sizeNow();
    if (following) toEnd();
  }).observe(scroller);

  function rowOf(message: Shown): HTMLElement {
    const { id, own, from, sentAt } = message;
    const row = h(
      "li",
      { class: own ? "message own" : "message", "data-id": id, "data-hue": hueOf(from) },
      h("span", { class: "unseen" }, isolated(own ? "You" : nameOf(from)), ": "),
      h("div", { class: "bubble" }, textOf(message)),
      h(
        "p",
        { class: "about" },
        h("time", { datetime: new Date(sentAt).toISOString(), title: full.format(sentAt) }, clock.format(sentAt)),
        own ? h("span", { class: "tick" }) : undefined,
        message.trust === "changed" ? h("span", { class: "doubt" }, "keys not compared") : undefined,
      ),
    );
    const [delivery, why] = early.get(id) ?? [message.delivery, undefined];
    if (own && delivery !== undefined) setTick(row, delivery, why);
    rows.set(id, row);
    return row;
  }

  function append(row: HTMLElement, follow: boolean): void {
    empty.hidden = true;
    list.append(row);
    slideIn(row, -8);
    if (follow || following) toEnd();
    else newer.hidden = false;
  }

  return {
    element: h("div", { class: "log-frame" }, scroller, newer),
    get isEmpty() {
      return rows.size === 0;
    },
    add(message) {
      const known = rows.get(message.id);
      if (!known) append(rowOf(message), message.own);
      else if (message.own && message.delivery !== undefined) setTick(known, message.delivery);
    },
    addEarlier(messages, moreLeft) {
      const fresh = messages.filter(({ id }) => !rows.has(id));
      const height = scroller.scrollHeight - scroller.scrollTop;
      const first = rows.size === 0;
      scroller.setAttribute("aria-live", "off");
      list.prepend(...fresh.map(rowOf));
      empty.hidden = rows.size > 0;
      more.hidden = !moreLeft;
      if (first) toEnd();
      else scroller.scrollTop = scroller.scrollHeight - height;
      setTimeout(() => {
        scroller.setAttribute("aria-live", "polite");
      }, 500);
    },
    setDelivery(id, delivery, why) {
      early.set(id, [delivery, why]);
      const row = rows.get(id);
      if (row) setTick(row, delivery, why);
    },
    remark(text, kind) {
      append(h("li", { class: `remark ${kind}` }, icon(kind === "gap" ? "warning" : "lock"), h("span", {}, text)), false);
    },
  };
}
