/**
 * Opening one message. Everything from the slot to the content is checked and stored in one transaction, or nothing is; what
 * is missing for it (the sender's list, a long way along a chain) is fetched or walked outside, and the transaction run again.
 */
import { compare, equal, toBase64url, u64be, wipe, type Bytes } from "../bytes.ts";
import { decodeContent, type Content } from "../envelope/content.ts";
import { bindHash, findSlot, openBody, type Envelope, type Slot } from "../envelope/envelope.ts";
import { unpadContent } from "../envelope/padding.ts";
import { MiyuError } from "../errors.ts";
import { ChainGapError, walkChain, wipeChainAhead } from "../protocol/chainWalk.ts";
import { decodePreKeySignalMessage, type PreKeySignalMessage } from "../protocol/messages.ts";
import { decodeOneTimePreKey, decodeSignedPreKey } from "../protocol/preKeys.ts";
import { decryptPreKeySignalMessage, decryptSignalMessage, EMPTY_SESSION_RECORD } from "../protocol/session.ts";
import type { ChainAhead, KeyPair, PreKeySource } from "../protocol/types.ts";
import type { RecordKey, StoreView } from "../store/types.ts";
import type { DeviceId, InFrame, UserId } from "../transport/types.ts";
import { getOwnList } from "./account.ts";
import { addRow, getRow, messageOf, nextSequence, type ArchiveRow } from "./archive.ts";
import type { Context } from "./context.ts";
import { checkOpen } from "./stopping.ts";
import { findDevice, requireClassic, type KnownDevice } from "./deviceLists.ts";
import type { KeyExchange } from "./keyExchange.ts";
import { RECORDS, sessionName, type SessionName } from "./naming.ts";
import { findPeerDevice, getPeer, putPeer } from "./peers.ts";
import { commitSessions, loadSessions } from "./sessions.ts";
import type { Duplicate, Message, Trust } from "./types.ts";
import { countUnanswered, settleUnanswered } from "./unanswered.ts";

/** Chain steps done inside a transaction; a longer way is walked before. */
const STEPS_INSIDE = 2_000;
/** Steps walked at a time before others get their turn. */
const STEPS_PER_SLICE = 500;
/** Times a message may ask for something before it is given up: a record with 40 archived sessions may ask for 41 walks. */
const MAX_ROUNDS = 50;

/** The sender's device is on no list that is known. Control flow. */
class UnknownDevice extends Error {}

/** What a message turned out to be. */
export interface Opening {
  readonly result: Message | Duplicate;
  /** Whether the message is in the inbox: opened and not yet taken by the app. */
  readonly inInbox: boolean;
  /** A first message came without a one-time prekey, or used one up. */
  readonly preKey: "none-used" | "one-used" | undefined;
  /** The sender wrote under a newer list of ours than we hold. */
  readonly ownListBehind: boolean;
}

/** How to open. */
export interface OpenOptions {
  /** Where the transport says the message belongs, if it came through one: then an inbox row is written, to be delivered again until it is taken. */
  readonly arrivedIn?: InFrame["conversation"];
  readonly signal?: AbortSignal | undefined;
}

/** Opens envelopes. */
export interface Opener {
  /**
   * Frames of a transport do not wait for a peer that has to be asked for its keys: the answer may stand behind them.
   * @throws {MiyuError} ERR_DECRYPT, ERR_DUPLICATE (never opened, and its key is gone), ERR_NO_SESSION, ERR_NO_PREKEY, ERR_DECODE, ERR_VERSION, ERR_DOWNGRADE, ERR_IDENTITY_CHANGED (another
   * identity key than the list names), ERR_DEVICE_LIST (device not listed), ERR_TRANSPORT_UNAVAILABLE (list not to be read now), ERR_CLOSED, ERR_ABORTED, and the store's
   */
  open(from: UserId, envelope: Envelope, options: OpenOptions): Promise<Opening>;
}

/** Makes an opener. */
export function opener(context: Context, keys: KeyExchange): Opener {
  const { account, crypto, store } = context;
  /** One long walk at a time for each device. */
  const walks = new Map<DeviceId, Promise<unknown>>();

  async function open(from: UserId, envelope: Envelope, { arrivedIn, signal }: OpenOptions): Promise<Opening> {
    const device = toBase64url(envelope.header.senderDevice);
    const id = toBase64url(envelope.header.id);
    if (device === account.device) return openEcho(from, envelope, id);
    const bind = bindHash(crypto, envelope);
    const slot = findSlot(crypto, envelope, account.deviceBytes);
    const first = slot?.kind === "preKey" ? decodePreKeySignalMessage(slot.message) : undefined;
    const arrival: Arrival = { from, device, id, bind, envelope, slot, first, arrivedIn };
    const ahead: ChainAhead[] = [];
    let listRead = false;
    try {
      for (let round = 0; round < MAX_ROUNDS; round++) {
        checkOpen(context, signal);
        try {
          const named = [...recordsOf(context, arrival), ...(context.hints.get(`open/${from}`) ?? [])];
          return await store.transact(named, (view) => openInside(context, view, arrival, ahead));
        } catch (error) {
          if (error instanceof UnknownDevice) {
            if (listRead || from === account.user) throw new MiyuError("ERR_DEVICE_LIST", { user: from, rule: "not listed" });
            await keys.find(from, { signal, patient: arrivedIn === undefined });
            listRead = true;
          } else if (error instanceof ChainGapError) {
            ahead.push(await walk(device, error, signal));
          } else {
            throw error;
          }
        }
      }
      throw new MiyuError("ERR_DECRYPT");
    } finally {
      ahead.forEach(wipeChainAhead);
    }
  }

  /** An own message that came back: answered from the archive, never by the ratchet. */
  function openEcho(from: UserId, envelope: Envelope, id: string): Promise<Opening> {
    return store.transact([RECORDS.archive(account.device, id)], (view) => {
      const row = getRow(view, account.device, id);
      if (row === undefined || from !== account.user || !equal(row.bind, bindHash(crypto, envelope))) throw new MiyuError("ERR_DECRYPT");
      return known(row, from, false);
    });
  }

  async function walk(device: DeviceId, { gap }: ChainGapError, signal: AbortSignal | undefined): Promise<ChainAhead> {
    const before = walks.get(device);
    const task = (async () => {
      await before?.catch(() => undefined);
      let ahead: ChainAhead | undefined;
      try {
        while (ahead === undefined || ahead.index < gap.target) {
          checkOpen(context, signal);
          ahead = walkChain(crypto, gap, ahead, STEPS_PER_SLICE);
          await new Promise((resolve) => setTimeout(resolve, 0));
        }
        return ahead;
      } catch (error) {
        wipe(gap.chainKey);
        if (ahead !== undefined) wipeChainAhead(ahead);
        throw error;
      }
    })();
    walks.set(device, task);
    try {
      return await task;
    } finally {
      if (walks.get(device) === task) walks.delete(device);
    }
  }

  return { open };
}

/** A message on its way in. */
interface Arrival {
  readonly from: UserId;
  readonly device: DeviceId;
  readonly id: string;
  readonly bind: Bytes;
  readonly envelope: Envelope;
  readonly slot: Slot | undefined;
  /** The slot's message, if it is a first one. */
  readonly first: PreKeySignalMessage | undefined;
  readonly arrivedIn: OpenOptions["arrivedIn"];
}

function recordsOf({ account, crypto }: Context, { from, device, id, first, arrivedIn }: Arrival): RecordKey[] {
  const keys = [RECORDS.archive(device, id), RECORDS.ownList, RECORDS.session(sessionName(crypto, from, device)), RECORDS.sequence, RECORDS.unanswered];
  if (from !== account.user) keys.push(RECORDS.peer(from), RECORDS.conversation(from));
  if (arrivedIn !== undefined) keys.push(RECORDS.inbox(device, id));
  if (first !== undefined) {
    keys.push(RECORDS.signedPreKey(first.signedPreKeyId), RECORDS.baseKey(crypto, first.signedPreKeyId, first.baseKey));
    if (first.oneTimePreKeyId !== undefined) keys.push(RECORDS.preKey(first.oneTimePreKeyId));
  }
  return keys;
}

function known(row: ArchiveRow, from: UserId, inInbox: boolean): Opening {
  const result = messageOf(row) ?? ({ kind: "duplicate", id: row.id, from } as const);
  return { result, inInbox, preKey: undefined, ownListBehind: false };
}

function openInside(context: Context, view: StoreView, arrival: Arrival, ahead: readonly ChainAhead[]): Opening {
  const { account } = context;
  const { from, device, id, bind, slot, arrivedIn } = arrival;
  const row = getRow(view, device, id);
  if (row !== undefined) {
    // Another body under a known id is not that message, whoever sends it.
    if (row.user !== from || !equal(row.bind, bind)) throw new MiyuError("ERR_DECRYPT");
    return known(row, from, arrivedIn !== undefined && view.get(RECORDS.inbox(device, id)) !== undefined);
  }
  const sender = senderOf(context, view, arrival);
  requireClassic(sender.entry);
  if (slot === undefined) throw new MiyuError("ERR_NO_SESSION");
  const opened = openSlot(context, view, arrival, slot, sender.entry, ahead);
  const content = openContent(context, arrival, opened.plaintext);
  const ownListBehind = noteLists(context, view, arrival, content);
  const conversation = content.conversation.kind === "direct" && from === account.user ? content.conversation.peer : from;
  const sequence = nextSequence(view);
  const keep = context.keepPlaintext || arrivedIn !== undefined;
  const fresh: ArchiveRow = {
    id,
    user: from,
    device,
    conversation,
    own: from === account.user,
    sequence,
    sentAt: content.sentAt,
    receivedAt: context.now(),
    trust: sender.trust,
    delivery: undefined,
    bind,
    contentHash: new Uint8Array(32),
    plaintext: { mediaType: content.mediaType, body: content.body },
    sealed: new Uint8Array(0),
  };
  const page = addRow(view, keep ? fresh : { ...fresh, plaintext: undefined });
  if (arrivedIn !== undefined) view.put(RECORDS.inbox(device, id), u64be(sequence));
  view.afterCommit(() => context.hints.set(`open/${from}`, [page]));
  const message = messageOf(fresh);
  if (message === undefined) throw new MiyuError("ERR_INTERNAL", { what: "a fresh row has no plaintext" });
  return { result: message, inInbox: arrivedIn !== undefined, preKey: opened.preKey, ownListBehind };
}

interface KnownSender {
  readonly entry: KnownDevice;
  readonly trust: Trust;
}

/** The device on the lists of the user the transport names: a session proves a device, the list says whose it is. */
function senderOf({ account }: Context, view: StoreView, { from, envelope, first }: Arrival): KnownSender {
  const { senderDevice } = envelope.header;
  const ownEntry = from === account.user ? findDevice(getOwnList(view).known, senderDevice) : undefined;
  const sender: KnownSender | undefined =
    from === account.user ? ownEntry && { entry: ownEntry, trust: "verified" } : findPeerDevice(getPeer(view, from), senderDevice);
  if (sender === undefined) throw new UnknownDevice("device on no known list");
  if (first !== undefined && !equal(first.identityKey, sender.entry.identityKey)) throw new MiyuError("ERR_IDENTITY_CHANGED", { user: from });
  return sender;
}

/** Decrypts the slot and stores the sessions. */
function openSlot(
  context: Context,
  view: StoreView,
  { from, device, first }: Arrival,
  slot: Slot,
  entry: KnownDevice,
  ahead: readonly ChainAhead[],
): { readonly plaintext: Bytes; readonly preKey: Opening["preKey"] } {
  const { account, crypto, random } = context;
  const session = sessionName(crypto, from, device);
  const before = loadSessions(view, session);
  const options = { maxSteps: STEPS_INSIDE, ahead };
  if (first === undefined) {
    const step = decryptSignalMessage(crypto, random, before, slot.message, options);
    const { plaintext, remoteIdentityKey } = step.output;
    if (!equal(remoteIdentityKey, entry.identityKey)) throw new MiyuError("ERR_DECRYPT");
    commitSessions(view, session, before, step.state, step.spent);
    settleUnanswered(view, session);
    return { plaintext, preKey: undefined };
  }
  const step = decryptPreKeySignalMessage(crypto, random, before, account.local, preKeysOf(context, view), slot.message, options);
  const { plaintext, established, oneTimePreKeyId, signedPreKeyId, baseKey } = step.output;
  commitSessions(view, session, before, step.state, step.spent);
  if (!established) return { plaintext, preKey: undefined };
  view.put(RECORDS.baseKey(crypto, signedPreKeyId, baseKey), Uint8Array.of(1));
  if (oneTimePreKeyId !== undefined) view.remove(RECORDS.preKey(oneTimePreKeyId));
  const givenUp = countUnanswered(view, session);
  if (givenUp !== undefined && givenUp !== session) giveUp(view, givenUp);
  return { plaintext, preKey: oneTimePreKeyId === undefined ? "none-used" : "one-used" };
}

/** Removes all sessions of a device. */
function giveUp(view: StoreView, session: SessionName): void {
  view.need(RECORDS.session(session));
  const before = loadSessions(view, session);
  commitSessions(view, session, before, EMPTY_SESSION_RECORD, []);
  view.remove(RECORDS.session(session));
}

/** The prekeys a first message names. Their private keys are wiped as soon as the transaction's function has ended. */
function preKeysOf({ crypto }: Context, view: StoreView): PreKeySource {
  const passing = (bytes: Bytes | undefined, decode: (bytes: Bytes) => { readonly keyPair: KeyPair }): KeyPair | undefined => {
    if (bytes === undefined) return undefined;
    const { keyPair } = decode(bytes);
    queueMicrotask(() => { wipe(bytes, keyPair.privateKey); });
    return keyPair;
  };
  return {
    signedPreKey: (id) => passing(view.get(RECORDS.signedPreKey(id)), decodeSignedPreKey),
    oneTimePreKey: (id) => passing(view.get(RECORDS.preKey(id)), decodeOneTimePreKey),
    seenBaseKey: (signedPreKeyId, baseKey) => view.get(RECORDS.baseKey(crypto, signedPreKeyId, baseKey)) !== undefined,
  };
}

/** Opens the body and checks who the content says it is from and where it belongs. */
function openContent({ account, crypto }: Context, { envelope, from, arrivedIn }: Arrival, slotPlaintext: Bytes): Content {
  // Where the transport names a place it must be the content's; copies of own messages it may not be able to place.
  const isPlace = (peer: UserId): boolean =>
    arrivedIn === undefined || (arrivedIn.kind === "direct" && (from === account.user ? [peer, account.user] : [from]).includes(arrivedIn.peer));
  try {
    const padded = openBody(crypto, envelope, slotPlaintext);
    const bytes = unpadContent(padded);
    const content = decodeContent(bytes);
    wipe(padded, bytes);
    const { senderUser, senderDevice, conversation } = content;
    const rightPlace = conversation.kind === "direct" && (from === account.user || conversation.peer === account.user) && isPlace(conversation.peer);
    if (senderUser !== from || compare(senderDevice, envelope.header.senderDevice) !== 0 || !rightPlace) throw new MiyuError("ERR_DECRYPT");
    return content;
  } finally {
    wipe(slotPlaintext);
  }
}

/** Remembers that the sender has a newer list than we know; says whether our own is behind. */
function noteLists({ account }: Context, view: StoreView, { from, envelope }: Arrival, content: Content): boolean {
  const own = getOwnList(view).known;
  if (from === account.user) return content.senderList.epoch > own.epoch;
  const peer = getPeer(view, from);
  const { epoch } = content.senderList;
  const underPinned = peer !== undefined && findDevice(peer.pinned, envelope.header.senderDevice) !== undefined;
  if (underPinned && epoch > Math.max(peer.namedEpoch, peer.pinned.epoch)) putPeer(view, from, { ...peer, namedEpoch: epoch });
  return content.recipientList !== undefined && content.recipientList.epoch > own.epoch;
}
