// Two dialogs: the safety number, for people to compare, and what this window runs on.
import type { Client } from "miyu";
import { button, h, isolated } from "./dom.ts";
import { icon } from "./icons.ts";
import { nameOf } from "./people.ts";
import { errorInWords, PROTECTIONS, PROVIDERS, SUITES } from "./words.ts";

function openDialog(title: string, ...content: (Node | string)[]): HTMLDialogElement {
  const close = button({ class: "quiet icon-only", "aria-label": "Close" }, () => { dialog.close(); }, icon("close"));
  const dialog: HTMLDialogElement = h("dialog", { "aria-label": title }, h("div", { class: "dialog-top" }, h("h2", {}, title), close), ...content);
  dialog.addEventListener("close", () => {
    dialog.remove();
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close(); // on the backdrop
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** Twelve groups of five digits. */
const groups = (digits: string): string[] => digits.match(/\d{5}/gu) ?? [];

/** Shows the safety number with `peer`; `verified` is called once a person has confirmed it. */
export async function showSafetyNumber(client: Client, peer: string, verified: () => void): Promise<void> {
  const name = nameOf(peer);
  const body = h("div", { class: "safety", "aria-live": "polite" }, h("p", {}, "Working it out …"));
  openDialog(`Safety number with ${name}`, body);
  try {
    const { digits, trust } = await client.safetyNumber(peer);
    const state = h("p", { class: "trust", "data-trust": trust }, trust === "verified" ? "You have verified this number." : trust === "changed" ? `${name}'s keys have changed since you last chatted.` : "Not compared yet.");
    const match = button({ class: "primary" }, async () => {
      try {
        await client.trust(peer, digits);
        state.textContent = "You have verified this number.";
        state.dataset["trust"] = "verified";
        match.hidden = true;
        verified();
      } catch (error) {
        state.textContent = errorInWords(error);
      }
    }, icon("check"), "They match");
    match.hidden = trust === "verified";
    body.replaceChildren(
      h("p", {}, "Open this on ", isolated(name), "'s screen too. The same sixty digits on both mean that nobody sits in between, not even the relay."),
      h("p", { class: "digits", translate: "no" }, ...groups(digits).flatMap((group) => [h("span", {}, group), " "])),
      state,
      match,
    );
  } catch (error) {
    body.replaceChildren(h("p", { class: "trust", "data-trust": "changed" }, errorInWords(error)));
  }
}

/** Shows what the client runs on and what is weaker than it could be. */
export async function showDetails(client: Client): Promise<void> {
  const body = h("div", { class: "details" }, h("p", {}, "Looking …"));
  openDialog("Encryption", body);
  try {
    const about = await client.describe();
    const fact = (term: string, value: string, code = false): HTMLElement => h("div", {}, h("dt", {}, term), h("dd", {}, code ? h("code", {}, value) : value));
    body.replaceChildren(
      h(
        "dl",
        {},
        fact("Messages", about.suites.map((suite) => SUITES[suite]).join(", ")),
        fact("Computed by", PROVIDERS[about.crypto] ?? about.crypto),
        fact("Chats at rest", PROTECTIONS[about.protection]),
        fact("This device", about.device, true),
      ),
      h("h3", {}, "Weaker than it could be"),
      about.weaker.length === 0 ? h("p", {}, "Nothing.") : h("ul", {}, ...about.weaker.map(({ why }) => h("li", {}, why))),
    );
  } catch (error) {
    body.replaceChildren(h("p", {}, errorInWords(error)));
  }
}
