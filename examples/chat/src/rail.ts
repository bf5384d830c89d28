// Who this person chats with: the conversations there are, and a field to start another.
import { button, h, isolated } from "./dom.ts";
import { avatar, nameOf } from "./people.ts";

/** The list and the field. */
export interface Rail {
  readonly element: HTMLElement;
  /** Makes sure `peer` is listed. */
  list(peer: string): void;
  /** Marks the conversation on screen. */
  select(peer: string): void;
  /** Counts a message in a conversation that is not on screen. */
  count(peer: string): void;
}

/** Builds the rail; `choose` is called when someone picks or enters a user. */
export function rail(self: string, choose: (peer: string) => void): Rail {
  const rows = new Map<string, { readonly row: HTMLElement; readonly badge: HTMLElement; unread: number }>();
  const list = h("ul", {});
  const field = h("input", { type: "text", name: "peer", "aria-label": "Chat with", placeholder: "Name of a user", autocomplete: "off", autocapitalize: "none", spellcheck: "false", maxlength: 64 });
  const form = h("form", {}, field, h("button", { type: "submit" }, "Chat"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const peer = field.value.trim();
    if (peer === "" || peer === self) return;
    field.value = "";
    choose(peer);
  });

  const known = (peer: string): { readonly row: HTMLElement; readonly badge: HTMLElement; unread: number } => {
    const found = rows.get(peer);
    if (found) return found;
    const badge = h("span", { class: "badge" });
    const row = button({}, () => { choose(peer); }, avatar(peer), isolated(nameOf(peer), { class: "rail-name" }), badge);
    const made = { row, badge, unread: 0 };
    rows.set(peer, made);
    list.append(h("li", {}, row));
    return made;
  };

  return {
    element: h("nav", { class: "rail", "aria-label": "Conversations" }, h("h2", {}, "Chats"), list, form),
    list(peer) {
      known(peer);
    },
    select(peer) {
      const chosen = known(peer);
      for (const { row } of rows.values()) row.removeAttribute("aria-current");
      chosen.row.setAttribute("aria-current", "true");
      chosen.unread = 0;
      chosen.badge.textContent = "";
    },
    count(peer) {
      const entry = known(peer);
      entry.unread++;
      entry.badge.replaceChildren(String(entry.unread), h("span", { class: "unseen" }, " new"));
    },
  };
}
