// One person's window: an application of the public API and nothing else.
import "./person.css";
import { createClient } from "miyu";
import type { Client, ClientEvent } from "miyu";
import { webSocketAdapter } from "miyu/transport/websocket";
import { banners } from "./banners.ts";
import { chatWith, type Chat } from "./chat.ts";
import { showDetails, showSafetyNumber } from "./dialogs.ts";
import { button, h, isolated } from "./dom.ts";
import { icon } from "./icons.ts";
import { avatar, hueOf, nameOf } from "./people.ts";
import { takePlace } from "./place.ts";
import { rail } from "./rail.ts";
import { errorInWords, keysChanged } from "./words.ts";

/** Who the window is for. */
export interface PersonOptions {
  readonly user: string;
  /** Who to chat with first. */
  readonly peer: string | undefined;
  /** Whether the window is a pane of the split page. */
  readonly embedded: boolean;
}

const usualPeer: Readonly<Partial<Record<string, string>>> = { alice: "bob", bob: "alice" };

/** Fills the page with the window of one person and runs it. */
export async function showPerson({ user, peer, embedded }: PersonOptions): Promise<void> {
  const offlineKey = `offline:${user}`; // the switch outlives a reload of this tab
  // The relay this page came from, which knows the demonstration's tokens.
  const adapter = webSocketAdapter({ url: location.origin, user, token: `demo:${encodeURIComponent(user)}`, backoff: { maxMs: 5_000 } });
  const bars = banners();
  const state = h("p", { class: "state", role: "status" }, "opening …");
  const place = takePlace(user);
  const main = h("main", { class: "talk" });
  const chats = new Map<string, Chat>();
  let client: Client | undefined;
  let current: string | undefined;
  let wanted = peer;

  const offline = h("input", { type: "checkbox", role: "switch", id: "offline" });
  offline.checked = sessionStorage.getItem(offlineKey) !== null;
  offline.addEventListener("change", () => {
    if (offline.checked) sessionStorage.setItem(offlineKey, "1");
    else sessionStorage.removeItem(offlineKey);
    turn();
  });
  turn();

  function turn(): void {
    if (offline.checked) adapter.transport.pause();
    else adapter.transport.resume();
    setState("offline");
  }

  function setState(connection: "online" | "offline"): void {
    const words = connection === "online" ? "connected" : offline.checked ? "offline" : "connecting …";
    if (state.textContent !== words) state.textContent = words;
    state.dataset["state"] = connection === "online" ? "online" : offline.checked ? "offline" : "connecting";
  }

  const people = rail(user, open);
  const withWhom = h("h2", {});
  const safety = button({ title: "Safety number" }, () => openSafety(), icon("shield"), h("span", { class: "label" }, "Safety number"));
  const details = button({ class: "quiet", title: "Encryption" }, () => (client ? showDetails(client) : undefined), icon("lock"), h("span", { class: "label" }, "Encryption"));
  const head = h("div", { class: "talk-head", hidden: true }, withWhom, h("div", { class: "talk-tools" }, safety, details));
  const stage = h("div", { class: "stage" }, h("p", { class: "nobody" }, "Opening …"));
  main.append(head, bars.element, stage);

  document.title = `${nameOf(user)} · Miyu 密语`;
  document.body.classList.add("person");
  document.body.classList.toggle("embedded", embedded);
  document.body.dataset["hue"] = hueOf(user);
  document.body.append(
    h(
      "header",
      { class: "self" },
      avatar(user),
      h("div", { class: "self-name" }, h("h1", {}, isolated(nameOf(user))), state),
      h(
        "div",
        { class: "self-tools" },
        h("label", { class: "switch" }, offline, h("span", { class: "track", "aria-hidden": "true" }), "Offline"),
        button({ class: "quiet", title: "Reload: history and sessions stay" }, () => { location.reload(); }, icon("reload"), h("span", { class: "label" }, "Reload")),
      ),
    ),
    main,
  );
  if (!embedded) document.body.querySelector("header")?.after(people.element);

  async function openSafety(): Promise<void> {
    const whom = current;
    if (client && whom !== undefined) await showSafetyNumber(client, whom, () => { bars.hide(`keys ${whom}`); });
  }

  function open(whom: string): void {
    wanted = whom;
    if (!client || whom === current) return; // before the client runs, it is opened as soon as it does
    current = whom;
    people.select(whom);
    head.hidden = false;
    withWhom.replaceChildren("with ", isolated(nameOf(whom)));
    const known = chats.get(whom);
    const chat = known ?? chatWith(client, whom);
    chats.set(whom, chat);
    stage.replaceChildren(chat.element);
    if (!known) {
      chat.load().catch((error: unknown) => {
        bars.show("history", errorInWords(error));
      });
    }
    if (!embedded) chat.focus();
  }

  function take(event: ClientEvent): void {
    switch (event.kind) {
      case "connection":
        setState(event.state);
        break;
      case "identity-changed":
        bars.show(`keys ${event.user}`, keysChanged(event.user), { name: "Compare", run: () => { open(event.user); return openSafety(); } });
        break;
      case "fence-refused":
        bars.show("fence", "Another copy of this device is in use, so nothing is sent from here.");
        break;
      case "device-removed":
        bars.show("device", "This device was taken off the account's list. It can no longer send.");
        break;
      default: {
        const whom = event.kind === "undecryptable" ? event.from : event.kind === "prekeys" ? event.user : event.conversation;
        if (current === undefined) open(whom);
        if (event.kind === "message" && whom !== current) people.count(whom);
        chats.get(whom)?.take(event);
      }
    }
  }

  try {
    const running = await createClient({ user, adapter });
    client = running;
    void place.lost.then(async () => {
      await running.close();
      stepBack(user);
    });
    setState("offline");
    const earlier = await running.conversations();
    for (const { id } of earlier) people.list(id);
    const first = wanted ?? earlier[0]?.id ?? usualPeer[user];
    if (first === undefined) stage.replaceChildren(h("p", { class: "nobody" }, "Enter a name above to start a chat."));
    else open(first);
    for await (const event of running.events()) take(event);
  } catch (error) {
    state.textContent = "not running";
    state.dataset["state"] = "failed";
    bars.show("start", errorInWords(error), { name: "Try again", run: () => { location.reload(); } });
  }
}

/** What an older window shows once a newer one of the same person took over. */
function stepBack(user: string): void {
  document.body.replaceChildren(
    h(
      "main",
      { class: "elsewhere" },
      avatar(user),
      h("h1", {}, isolated(nameOf(user)), " is open in another window"),
      h("p", {}, "Both would be the same device, so this one rests. Nothing is lost."),
      button({ class: "primary" }, () => { location.reload(); }, "Go on here"),
    ),
  );
}
