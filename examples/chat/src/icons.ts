// Line icons, drawn on a 24-pixel grid. All are decoration: the words beside them carry the meaning.
import { svg } from "./dom.ts";

const PATHS = {
  send: "M5 12h13M12.5 6l6 6-6 6",
  reload: "M19 12a7 7 0 1 1-2.2-5.1M19 4v4h-4",
  shield: "M12 3.5l7 2.6v5.4c0 4.3-2.9 7.4-7 9-4.1-1.6-7-4.7-7-9V6.1zM9 12l2.2 2.2L15.2 10",
  lock: "M7 11h10a1 1 0 0 1 1 1v6.5a1 1 0 0 1-1 1H7a1 1 0 0 1-1-1V12a1 1 0 0 1 1-1zM8.5 11V8a3.5 3.5 0 0 1 7 0v3",
  check: "M5.5 12.5l4.2 4.2L18.5 8",
  clock: "M12 4.5a7.5 7.5 0 1 1 0 15 7.5 7.5 0 0 1 0-15zM12 8v4.2l2.8 1.8",
  warning: "M12 4.5l8.5 14.5h-17zM12 10v4M12 16.7v.1",
  window: "M9 5H5.5v13.5H19V15M13 5h6v6M19 5l-8 8",
  down: "M12 5v13M6.5 12.5L12 18l5.5-5.5",
  close: "M6.5 6.5l11 11M17.5 6.5l-11 11",
  arrow: "M5 12h14M14 7l5 5-5 5",
} as const;

/** Name of an icon. */
export type IconName = keyof typeof PATHS;

/** An icon the size of the text around it. */
export function icon(name: IconName): SVGSVGElement {
  return svg("svg", { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true", focusable: "false" }, svg("path", { d: PATHS[name] }));
}

/** Byte values as a woven ribbon: one thread per byte, the higher the brighter. */
export function ribbon(bytes: readonly number[]): SVGSVGElement {
  const threads = bytes.map((byte, index) => svg("rect", { x: index * 4, y: 0, width: 3, height: 10, rx: 0.8, opacity: (0.14 + (byte / 255) * 0.86).toFixed(2) }));
  return svg("svg", { class: "ribbon", viewBox: `0 0 ${String(Math.max(1, bytes.length) * 4 - 1)} 10`, preserveAspectRatio: "none", "aria-hidden": "true" }, ...threads);
}
