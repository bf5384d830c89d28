// The split page: Alice and Bob, each in a frame of their own with storage of their own, and between them what the relay sees.
// The frames are whole pages: reloading one is a real reload, and nothing but the relay connects them.
import "./split.css";
import { h } from "./dom.ts";
import { icon } from "./icons.ts";
import markUrl from "./mark.svg?url";
import { flyParcel } from "./parcel.ts";
import { hueOf } from "./people.ts";
import { FRESH_MS, relayPanel } from "./relayPanel.ts";
import { tabsFor } from "./tabs.ts";
import { openTap } from "./tap.ts";

const NARROW = "(max-width: 47.99rem)";

function pane(user: string, name: string, peer: string): HTMLElement {
  const frame = h("iframe", { src: `?user=${user}&with=${peer}&embed`, title: `${name}'s chat`, name: user });
  return h("section", { class: "pane", "data-hue": hueOf(user) }, frame);
}

function ownWindow(user: string, name: string): HTMLElement {
  return h("a", { href: `?user=${user}`, target: `miyu-${user}`, rel: "opener", title: `${name} alone, in another window` }, name, icon("window"));
}

/** Fills the page. */
export function showSplit(): void {
  document.body.classList.add("split");
  const relay = relayPanel();
  const alice = pane("alice", "Alice", "bob");
  const bob = pane("bob", "Bob", "alice");
  const middle = h("section", { class: "pane relay-pane" }, relay.element);
  const panels = [
    { id: "alice", name: "Alice", element: alice },
    { id: "relay", name: "Relay", element: middle },
    { id: "bob", name: "Bob", element: bob },
  ];
  const tabs = tabsFor(panels, matchMedia(NARROW), "alice");

  document.body.append(
    h(
      "header",
      { class: "brand" },
      h("img", { src: markUrl, alt: "", width: 44, height: 44, class: "mark" }),
      h("h1", {}, "Miyu ", h("span", { lang: "zh-Hans" }, "密语")),
      h("p", { class: "tagline" }, "Alice and Bob share secret words. The relay between them carries every one and can read none."),
      h("p", { class: "windows" }, h("span", {}, "Own windows: "), ownWindow("alice", "Alice"), ownWindow("bob", "Bob")),
    ),
    tabs.element,
    h("main", { class: "stage" }, alice, middle, bob),
  );

  const panes: Readonly<Partial<Record<string, Element>>> = { alice, bob };
  openTap({
    ...relay,
    see(sighting) {
      relay.see(sighting);
      const { kind, from = "", to = "", at } = sighting;
      if (Date.now() - at > FRESH_MS) return;
      const pane = panes[kind === "send" ? from : to];
      if (kind === "send") tabs.mark("relay");
      if (kind === "deliver") tabs.mark(to);
      if (pane && (kind === "send" || kind === "deliver")) flyParcel(pane, middle, kind === "send" ? "in" : "out", hueOf(kind === "send" ? from : to));
    },
  });
}
