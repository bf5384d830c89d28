/**
 * Sealing one message for all devices of the recipient and the sender's own others, inside one transaction. What is missing for it
 * (keys of a device, a fresh list) is said by a signal, fetched outside, and the transaction run again.
 */
import { compare, concat, copy, equal, lp, lp32, toBase64url, utf8, wipe, type Bytes } from "../bytes.ts";
import type { Crypto } from "../crypto/types.ts";
import { encodeContent } from "../envelope/content.ts";
import { encodeEnvelope, sealBody, slotTag, type Slot } from "../envelope/envelope.ts";
import { padContent } from "../envelope/padding.ts";
import { MiyuError } from "../errors.ts";
import type { VerifiedPreKeyBundle } from "../protocol/preKeys.ts";
import { encryptMessage, hasUsableSession, initiateSession } from "../protocol/session.ts";
import type { SessionRecord } from "../protocol/types.ts";
import type { RecordKey, StoreView } from "../store/types.ts";
import type { DeviceId, UserId } from "../transport/types.ts";
import { getOwnList } from "./account.ts";
import type { Plaintext } from "./archive.ts";
import type { Context } from "./context.ts";
import { findDevice, requireClassic, type KnownDevice } from "./deviceLists.ts";
import type { FoundKeys } from "./inBand.ts";
import type { KeyExchange } from "./keyExchange.ts";
import { RECORDS, sessionName, type SessionName } from "./naming.ts";
import { getPeer, isBehind } from "./peers.ts";
import { commitSessions, loadSessions } from "./sessions.ts";
import type { Outgoing } from "./types.ts";
import { settleUnanswered } from "./unanswered.ts";

/** How old a list may be before it is read again, if that is possible. */
const LIST_AGE = 24 * 60 * 60 * 1000;
/** Times a message may find something missing before it gives up. */
const MAX_ROUNDS = 4;
/** Most bytes of a media type (docs/protocol.md §4). */
const MAX_MEDIA_TYPE_LENGTH = 255;

/** A message to seal. */
export interface Draft {
  readonly to: UserId;
  /** 16 bytes. */
  readonly id: Bytes;
  readonly sentAt: number;
  readonly plaintext: Plaintext;
}

/** A device that gets a slot. */
interface Target {
  readonly user: UserId;
  readonly device: DeviceId;
  readonly session: SessionName;
  readonly entry: KnownDevice;
}

/** Keys fetched for devices without a session. */
type Bundles = ReadonlyMap<DeviceId, VerifiedPreKeyBundle>;

/** Says what must be fetched before the message can be sealed. Control flow, not a failure. */
class MissingKeys extends Error {
  constructor(
    /** Users whose lists must be read. */
    readonly users: readonly UserId[],
    /** Devices without a session. */
    readonly targets: readonly Target[],
  ) {
    super("keys are missing");
  }
}

/** What `encrypt` and `send` accept, as bytes. @throws {MiyuError} ERR_USAGE */
export function plaintextOf(content: Outgoing): Plaintext {
  const given: unknown = content;
  if (typeof content === "string") return { mediaType: "text/plain;charset=utf-8", body: utf8(content) };
  if (typeof given !== "object" || given === null) throw new MiyuError("ERR_USAGE", { reason: "content is text or { mediaType, body }" });
  const { mediaType, body } = content;
  // Checked here and not where it is encoded: what is in the outbox can be sealed.
  const length = typeof mediaType === "string" ? utf8(mediaType).length : 0;
  if (length === 0 || length > MAX_MEDIA_TYPE_LENGTH) throw new MiyuError("ERR_USAGE", { reason: "mediaType has 1 to 255 bytes" });
  if (typeof body !== "string" && !(body instanceof Uint8Array)) throw new MiyuError("ERR_USAGE", { reason: "body must be bytes or text" });
  return { mediaType, body: typeof body === "string" ? utf8(body) : copy(body) };
}

/** Hash that tells whether two calls with one id carry the same content to the same user, 32 bytes. */
export function contentHash(context: Context, to: UserId, plaintext: Plaintext): Bytes {
  return context.crypto.sha256(concat(utf8("miyu/content/v1\0"), lp(utf8(to)), lp(utf8(plaintext.mediaType)), lp32(plaintext.body)));
}

/** Records `sealInside` touches whatever happens. */
const sealingRecords = (to: UserId): readonly RecordKey[] => [RECORDS.ownList, RECORDS.peer(to), RECORDS.unanswered];

/**
 * Runs `body` in a transaction with a function that seals; fetches what is missing and runs it again.
 * @param body - may be run several times; its writes count once
 */
export async function sealDurably<T>(
  context: Context,
  keys: KeyExchange,
  draft: Draft,
  named: readonly RecordKey[],
  body: (view: StoreView, seal: () => { readonly bytes: Bytes; readonly bind: Bytes }) => T,
  signal?: AbortSignal,
): Promise<T> {
  const found = new Map<UserId, FoundKeys>();
  const bundles = new Map<DeviceId, VerifiedPreKeyBundle>();
  await freshenList(context, keys, draft.to, signal);
  for (let round = 0; ; round++) {
    try {
      const hints = context.hints.get(`seal/${draft.to}`) ?? [];
      return await context.store.transact([...named, ...sealingRecords(draft.to), ...hints], (view) => body(view, () => sealInside(context, view, draft, bundles)));
    } catch (error) {
      if (!(error instanceof MissingKeys)) throw error;
      if (round >= MAX_ROUNDS) throw new MiyuError("ERR_NO_SESSION");
      await fetchMissing(keys, error, found, bundles, signal);
    }
  }
}

async function fetchMissing(
  keys: KeyExchange,
  missing: MissingKeys,
  found: Map<UserId, FoundKeys>,
  bundles: Map<DeviceId, VerifiedPreKeyBundle>,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (const user of missing.users) {
    // Read for this very message, and the peer's own messages name a newer one: somebody keeps it from us.
    if (found.has(user)) throw new MiyuError("ERR_DEVICE_LIST", { user, rule: "withheld" });
    found.set(user, await keys.find(user, { signal }));
  }
  for (const { user, device, entry } of missing.targets) {
    let known = found.get(user);
    if (known?.bundles.has(device) !== true) {
      known = await keys.find(user, { signal });
      found.set(user, known);
    }
    const bundle = known.bundles.get(device);
    // Without a bundle, but the list was newer than what we had: the next round works with its devices.
    if (bundle !== undefined) bundles.set(device, await keys.claim(user, entry, bundle, signal));
    else if (findDevice(known.peer.pinned, entry.device) !== undefined) throw new MiyuError("ERR_NO_SESSION", { device });
  }
}

/** Reads a list again that is a day old, if it can be read; an old one serves meanwhile. */
async function freshenList(context: Context, keys: KeyExchange, to: UserId, signal?: AbortSignal): Promise<void> {
  if (to === context.account.user || context.directory === undefined) return;
  const peer = await context.store.transact([RECORDS.peer(to)], (view) => getPeer(view, to));
  if (peer === undefined || isBehind(peer) || Math.abs(context.now() - peer.checkedAt) < LIST_AGE) return;
  try {
    await keys.find(to, { signal });
  } catch (error) {
    if (!MiyuError.is(error, "ERR_TRANSPORT_UNAVAILABLE")) throw error;
  }
}

function sealInside(context: Context, view: StoreView, draft: Draft, bundles: Bundles): { readonly bytes: Bytes; readonly bind: Bytes } {
  const { account, crypto, random } = context;
  const own = getOwnList(view).known;
  // Nobody would believe it, and the list it would name is not ours any more.
  if (findDevice(own, account.deviceBytes) === undefined) throw new MiyuError("ERR_DEVICE_LIST", { user: account.user, rule: "removed" });
  const peer = draft.to === account.user ? undefined : getPeer(view, draft.to);
  if (draft.to !== account.user) {
    if (peer === undefined || isBehind(peer)) throw new MissingKeys([draft.to], []);
    if (peer.pending !== undefined) throw new MiyuError("ERR_IDENTITY_CHANGED", { user: draft.to });
    if (peer.pinned.devices.length === 0) throw new MiyuError("ERR_NO_SESSION");
  }
  const recipient = peer?.pinned ?? own;
  const targets = targetsOf(crypto, account.deviceBytes, [...(peer === undefined ? [] : [peer.pinned]), own]);
  for (const { entry } of targets) requireClassic(entry);
  const sessions = targets.map(({ session }) => RECORDS.session(session));
  view.need(...sessions);
  view.afterCommit(() => context.hints.set(`seal/${draft.to}`, sessions));
  const records = targets.map((target) => ({ target, before: loadSessions(view, target.session) }));
  const missing = records.filter(({ target, before }) => !canSend(before, target, context.now()) && bundleFor(bundles, target) === undefined);
  if (missing.length > 0) throw new MissingKeys([], missing.map(({ target }) => target));

  const content = encodeContent({
    senderUser: account.user,
    senderDevice: account.deviceBytes,
    conversation: { kind: "direct", peer: draft.to },
    sentAt: draft.sentAt,
    senderList: { epoch: own.epoch, hash: own.hash },
    recipientList: { epoch: recipient.epoch, hash: recipient.hash },
    mediaType: draft.plaintext.mediaType,
    body: draft.plaintext.body,
    control: undefined,
  });
  const padded = padContent(content);
  const sealed = sealBody(crypto, random, { id: draft.id, senderDevice: account.deviceBytes }, padded);
  wipe(content, padded);
  try {
    const slots = records.map(({ target, before }) => sealSlot(context, view, { target, before, id: draft.id, plaintext: sealed.slotPlaintext, bundles }));
    return { bytes: encodeEnvelope({ header: sealed.header, slots, body: sealed.body }), bind: sealed.bind };
  } finally {
    wipe(sealed.slotPlaintext);
  }
}

interface SlotDraft {
  readonly target: Target;
  readonly before: SessionRecord;
  readonly id: Bytes;
  readonly plaintext: Bytes;
  readonly bundles: Bundles;
}

function sealSlot(context: Context, view: StoreView, { target, before, id, plaintext, bundles }: SlotDraft): Slot {
  const { account, crypto, random } = context;
  const now = context.now();
  let record = before;
  const spent: Uint8Array[] = [];
  // A session that exists by now wins over a bundle fetched meanwhile.
  if (!canSend(record, target, now)) {
    const bundle = bundleFor(bundles, target);
    if (bundle === undefined) throw new MissingKeys([], [target]);
    const begun = initiateSession(crypto, random, record, account.local, bundle, now);
    record = begun.state;
    spent.push(...begun.spent);
  }
  const step = encryptMessage(crypto, record, plaintext, now);
  commitSessions(view, target.session, before, step.state, [...spent, ...step.spent]);
  settleUnanswered(view, target.session);
  return { tag: slotTag(crypto, id, target.entry.device), kind: step.output.kind, message: step.output.message };
}

/** What was fetched for the device, if it is for the key that the list names now: the list may have become another one meanwhile. */
function bundleFor(bundles: Bundles, { device, entry }: Target): VerifiedPreKeyBundle | undefined {
  const bundle = bundles.get(device);
  return bundle !== undefined && equal(bundle.identityKey, entry.identityKey) ? bundle : undefined;
}

/** Whether the record has a session for sending, and with the identity key that the list names. */
function canSend(record: SessionRecord, target: Target, now: number): boolean {
  return hasUsableSession(record, now) && record.current !== undefined && equal(record.current.remoteIdentityKey, target.entry.identityKey);
}

function targetsOf(crypto: Crypto, self: Uint8Array, lists: readonly { readonly user: UserId; readonly devices: readonly KnownDevice[] }[]): Target[] {
  return lists.flatMap(({ user, devices }) =>
    devices.filter((entry) => compare(entry.device, self) !== 0).map((entry) => {
      const device = toBase64url(entry.device);
      return { user, device, session: sessionName(crypto, user, device), entry };
    }),
  );
}
