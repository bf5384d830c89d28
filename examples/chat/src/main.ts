// One page, two faces: `/` shows Alice, the relay and Bob side by side; `/?user=NAME` is one person's own window.
// `&with=NAME` picks who to chat with, `&embed` leaves out what the split page shows around it.
import "./base.css";

const query = new URLSearchParams(location.search);
const user = query.get("user")?.trim();

if (user) {
  const { showPerson } = await import("./person.ts");
  await showPerson({ user, peer: query.get("with")?.trim() || undefined, embedded: query.has("embed") });
} else {
  const { showSplit } = await import("./split.ts");
  showSplit();
}

// A module with imports on demand only would not be one.
export {};
