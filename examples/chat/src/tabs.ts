// Panels side by side where there is room, tabs where there is not. Hidden panels stay alive: only their display changes.
import { h, isolated } from "./dom.ts";

/** One panel and what its tab is called. */
export interface Panel {
  readonly id: string;
  readonly name: string;
  readonly element: HTMLElement;
}

/** The row of tabs. */
export interface Tabs {
  readonly element: HTMLElement;
  /** Marks the tab of a panel that is not on screen: something happened there. */
  mark(id: string): void;
}

/** Makes tabs for `panels`, used while `narrow` matches; `first` is shown at the start. */
export function tabsFor(panels: readonly Panel[], narrow: MediaQueryList, first: string): Tabs {
  let shown = first;
  const tabs = panels.map(({ id, name }) => {
    const tab = h("button", { type: "button", role: "tab", id: `tab-${id}`, "aria-controls": id }, isolated(name), h("span", { class: "unseen" }));
    tab.addEventListener("click", () => {
      show(id, false);
    });
    return tab;
  });
  const element = h("div", { class: "tabs", role: "tablist", "aria-label": "Who to look at" }, ...tabs);

  function show(id: string, focus: boolean): void {
    shown = id;
    panels.forEach((panel, index) => {
      const on = panel.id === id;
      const tab = tabs[index];
      panel.element.classList.toggle("shown", on);
      tab?.setAttribute("aria-selected", String(on));
      if (tab) tab.tabIndex = on ? 0 : -1;
      if (on && tab) unmark(tab);
      if (on && focus) tab?.focus();
    });
  }

  function unmark(tab: HTMLElement): void {
    tab.classList.remove("news");
    if (tab.lastElementChild) tab.lastElementChild.textContent = "";
  }

  function arrange(): void {
    for (const { id, name, element: panel } of panels) {
      if (narrow.matches) {
        panel.setAttribute("role", "tabpanel");
        panel.setAttribute("aria-labelledby", `tab-${id}`);
        panel.removeAttribute("aria-label");
      } else {
        panel.setAttribute("role", "region");
        panel.setAttribute("aria-label", name);
        panel.removeAttribute("aria-labelledby");
      }
    }
  }

  element.addEventListener("keydown", (event) => {
    const index = panels.findIndex(({ id }) => id === shown);
    const steps: Partial<Record<string, number>> = { ArrowRight: index + 1, ArrowLeft: index - 1, Home: 0, End: panels.length - 1 };
    const next = steps[event.key];
    if (next === undefined) return;
    event.preventDefault();
    const panel = panels[(next + panels.length) % panels.length];
    if (panel) show(panel.id, true);
  });
  narrow.addEventListener("change", arrange);
  for (const { id, element: panel } of panels) {
    panel.id = id;
    panel.classList.add("panel");
  }
  arrange();
  show(first, false);

  return {
    element,
    mark(id) {
      const tab = tabs[panels.findIndex((panel) => panel.id === id)];
      if (id === shown || tab === undefined) return;
      tab.classList.add("news");
      if (tab.lastElementChild) tab.lastElementChild.textContent = " (new)";
    },
  };
}
