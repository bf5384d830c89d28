// One conversation on screen: the messages, the field to write in, and what ties both to the client.
import { MiyuError } from "miyu";
import type { Client, ClientEvent, Message } from "miyu";
import { composer } from "./composer.ts";
import { button, h, isolated } from "./dom.ts";
import { messageLog, type Shown } from "./log.ts";
import { nameOf } from "./people.ts";
import { errorInWords, gapInWords } from "./words.ts";

/** Messages read from the archive at a time. */
const PAGE = 60;

/** Something to say for the first time, in three scripts; choosing one only fills the field. */
const STARTERS = ["Meet me by the old mill 🌙", "今晚老地方见，别告诉别人。", "السر بيننا فقط 🤫"] as const;

/** A conversation on screen. */
export interface Chat {
  readonly element: HTMLElement;
  /** Shows an event of this conversation. */
  take(event: ClientEvent): void;
  /** Fills the list from the archive. */
  load(): Promise<void>;
  focus(): void;
}

const shown = (message: Message): Shown => ({ ...message, from: message.from.user });

/** A fresh envelope id: 16 random bytes, base64url. */
function freshId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** Builds the conversation of `client` with `peer`. */
export function chatWith(client: Client, peer: string): Chat {
  const name = nameOf(peer);
  const starters = STARTERS.map((text) => button({ class: "starter", dir: "auto" }, () => { writing.fill(text); }, text));
  const empty = h(
    "div",
    { class: "empty" },
    h("p", {}, "What you write here is sealed in this page and opened in ", isolated(`${name}'s`), ". Nowhere else."),
    h("p", { class: "starters" }, ...starters),
  );
  const log = messageLog(`Messages with ${name}`, empty, earlier);
  const writing = composer(name, (text) => {
    void send(text);
  });
  let oldest: string | undefined;

  async function earlier(): Promise<void> {
    const page = await client.history({ conversation: peer, limit: PAGE, ...(oldest === undefined ? {} : { before: oldest }) });
    oldest = page[0]?.id ?? oldest;
    log.addEarlier(page.map(shown), page.length === PAGE);
  }

  async function send(text: string): Promise<void> {
    const id = freshId();
    log.add({ id, own: true, from: client.user, sentAt: Date.now(), text, mediaType: "text/plain", trust: "first-use", delivery: "waiting" });
    try {
      const sending = await client.send(peer, text, { id });
      await sending.accepted();
      log.setDelivery(id, "accepted");
    } catch (error) {
      if (MiyuError.is(error, "ERR_CLOSED")) return; // the window goes away; the message is safe in the outbox or was never taken
      log.setDelivery(id, "failed", errorInWords(error));
    }
  }

  return {
    element: h("div", { class: "chat" }, log.element, writing.element),
    take(event) {
      switch (event.kind) {
        case "message":
          log.add(shown(event));
          break;
        case "accepted":
          log.setDelivery(event.id, "accepted");
          break;
        case "blocked":
          log.setDelivery(event.id, "failed", errorInWords(event.error));
          break;
        case "undecryptable":
          log.remark(gapInWords(event.cause, event.remedy), "gap");
          break;
        case "prekeys":
          if (event.reason === "no-one-time-key") log.remark("The first message used no one-time key. Every later one is as safe as usual.", "note");
          break;
        default:
          break;
      }
    },
    load: earlier,
    focus() {
      writing.focus();
    },
  };
}
