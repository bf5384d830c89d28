// A small sealed parcel that travels with each message: from its sender's pane to the relay, and from there to the recipient's.

const LEG_MS = 620;

const still = matchMedia("(prefers-reduced-motion: reduce)");

interface Spot {
  readonly x: number;
  readonly y: number;
}

/** Where an element is met: in the middle, `height` of the way down. */
function spot(element: Element, height: number): Spot {
  const box = element.getBoundingClientRect();
  return { x: box.left + box.width / 2, y: box.top + box.height * height };
}

/** Flies one leg, between a pane and the relay. Does nothing where motion is unwanted or an end is not on screen. */
export function flyParcel(pane: Element, relay: Element, direction: "in" | "out", hue: string): void {
  if (still.matches || pane.getClientRects().length === 0 || relay.getClientRects().length === 0) return;
  const parcel = document.createElement("span");
  parcel.className = "parcel";
  parcel.dataset["hue"] = hue;
  parcel.setAttribute("aria-hidden", "true");
  document.body.append(parcel);
  const at = ({ x, y }: Spot, scale: number): Keyframe => ({
    transform: `translate(${String(x)}px, ${String(y)}px) translate(-50%, -50%) scale(${String(scale)})`,
    easing: "cubic-bezier(.45, 0, .25, 1)",
  });
  const away = spot(pane, 0.8);
  const here = spot(relay, 0.42);
  const leg: readonly Keyframe[] = [
    { ...at(away, 0.4), opacity: 0 },
    { ...at(away, 1), opacity: 1, offset: 0.18 },
    { ...at(here, 1.1), opacity: 1, offset: 0.88 },
    { ...at(here, 0.6), opacity: 0 },
  ];
  const animation = parcel.animate([...leg], { duration: LEG_MS, direction: direction === "in" ? "normal" : "reverse", delay: direction === "in" ? 0 : LEG_MS * 0.75, fill: "backwards" });
  const land = (): void => {
    parcel.remove();
  };
  animation.finished.then(land, land);
}
