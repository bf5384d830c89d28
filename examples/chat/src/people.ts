// How people are shown: a name, a monogram and a colour that is the same on every screen.
import { h } from "./dom.ts";

const HUES = ["jade", "indigo", "plum", "ochre"] as const;

/** A user's colour; Alice is always jade, Bob always indigo. */
export function hueOf(user: string): (typeof HUES)[number] {
  if (user === "alice") return "jade";
  if (user === "bob") return "indigo";
  let sum = 0;
  for (const letter of user) sum = (sum * 31 + (letter.codePointAt(0) ?? 0)) % 65_521;
  return HUES[sum % HUES.length] ?? "plum";
}

/** A user's id with its first letter in upper case. */
export function nameOf(user: string): string {
  const [first = "", ...rest] = user;
  return first.toLocaleUpperCase() + rest.join("");
}

/** The coloured disc with the first letter. */
export function avatar(user: string): HTMLElement {
  const [first = "?"] = nameOf(user);
  return h("span", { class: "avatar", "data-hue": hueOf(user), "aria-hidden": "true" }, first);
}
