// Where a message is written. Enter sends, Shift+Enter makes a new line; while an input method composes, Enter belongs to it.
import { h } from "./dom.ts";
import { icon } from "./icons.ts";

/** Characters from which on the length is shown. */
const COUNTED = 1_000;

/** Whether this key ended a composition: WebKit ends it before the keydown, and leaves the key code 229 as the only trace. */
const endsComposition = ({ keyCode }: { readonly keyCode: number }): boolean => keyCode === 229;

const number = new Intl.NumberFormat("en");

/** The form. */
export interface Composer {
  readonly element: HTMLElement;
  /** Puts `text` in the field and the cursor behind it. */
  fill(text: string): void;
  focus(): void;
}

/** Builds the form; `submit` gets what was written, never blank. */
export function composer(peerName: string, submit: (text: string) => void): Composer {
  const field = h("textarea", { rows: 1, dir: "auto", "aria-label": `Message to ${peerName}`, placeholder: `Message to ${peerName}`, enterkeyhint: "send", autocomplete: "off" });
  const count = h("span", { class: "count" });
  const send = h("button", { type: "submit", class: "send", "aria-label": "Send" }, icon("send"));
  const form = h("form", { class: "composer" }, h("div", { class: "field" }, field, count), send);

  const fit = (): void => {
    field.style.height = "auto";
    field.style.height = `${String(field.scrollHeight)}px`;
    const { length } = field.value;
    count.textContent = length < COUNTED ? "" : `${number.format(length)} characters`;
    form.classList.toggle("blank", field.value.trim() === "");
  };
  const go = (): void => {
    if (field.value.trim() === "") return;
    submit(field.value);
    field.value = "";
    fit();
    field.focus();
  };
  field.addEventListener("input", fit);
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || endsComposition(event)) return;
    event.preventDefault();
    go();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    go();
  });
  form.classList.add("blank");

  return {
    element: form,
    fill(text) {
      field.value = text;
      fit();
      field.focus();
    },
    focus() {
      field.focus({ preventScroll: true });
    },
  };
}
