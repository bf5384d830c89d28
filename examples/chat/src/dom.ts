// Building elements without a framework. Text always goes in as text, so nothing a peer writes can become markup.

/** Attributes of an element: `true` sets an empty one, `false` and undefined leave it out. */
type Attributes = Readonly<Record<string, string | number | boolean | undefined>>;
/** What goes inside an element. */
type Child = Node | string | undefined;

const SVG = "http://www.w3.org/2000/svg";

function fill<E extends Element>(element: E, attributes: Attributes, children: readonly Child[]): E {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== undefined));
  return element;
}

/** An HTML element. */
export function h<K extends keyof HTMLElementTagNameMap>(tag: K, attributes: Attributes = {}, ...children: Child[]): HTMLElementTagNameMap[K] {
  return fill(document.createElement(tag), attributes, children);
}

/** An SVG element. */
export function svg<K extends keyof SVGElementTagNameMap>(tag: K, attributes: Attributes = {}, ...children: Child[]): SVGElementTagNameMap[K] {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/** A push button; a click while its action runs does nothing. */
export function button(attributes: Attributes, action: () => void | Promise<void>, ...children: Child[]): HTMLButtonElement {
  const element = h("button", { type: "button", ...attributes }, ...children);
  element.addEventListener("click", () => {
    if (element.getAttribute("aria-disabled") === "true") return;
    const running = action();
    if (running === undefined) return;
    element.setAttribute("aria-disabled", "true");
    void running.finally(() => {
      element.removeAttribute("aria-disabled");
    });
  });
  return element;
}

/** A bidirectionally isolated piece of text, such as a name. */
export const isolated = (text: string, attributes: Attributes = {}): HTMLElement => h("bdi", attributes, text);

const still = matchMedia("(prefers-reduced-motion: reduce)");

/** Lets an element that was just added slide in, from `offset` pixels above its place. */
export function slideIn(element: Element, offset: number): void {
  if (still.matches) return;
  element.animate([{ opacity: 0, transform: `translateY(${String(-offset)}px)` }, {}], { duration: 260, easing: "ease-out" });
}
