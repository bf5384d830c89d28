// Bars above a conversation for what a person has to decide or know. One bar per subject; a new one of the same subject replaces it.
import { button, h } from "./dom.ts";
import { icon } from "./icons.ts";

/** Something a bar offers to do. */
export interface BannerAction {
  readonly name: string;
  readonly run: () => void | Promise<void>;
}

/** The place for bars. */
export interface Banners {
  readonly element: HTMLElement;
  show(subject: string, text: string, action?: BannerAction): void;
  hide(subject: string): void;
}

/** Builds the place, empty. */
export function banners(): Banners {
  const bars = new Map<string, HTMLElement>();
  const element = h("div", { class: "banners" });
  return {
    element,
    show(subject, text, action) {
      bars.get(subject)?.remove();
      const bar = h("div", { class: "banner", role: "alert" }, icon("warning"), h("p", {}, text), action ? button({}, action.run, action.name) : undefined);
      bars.set(subject, bar);
      element.append(bar);
    },
    hide(subject) {
      bars.get(subject)?.remove();
      bars.delete(subject);
    },
  };
}
