/**
 * A device that keeps to no rule: it has a genuine account and genuine sessions, and puts into its lists, bundles, contents, slots and
 * envelopes whatever an attack wants there. Everything below the change is done as an honest client does it.
 */
import type { Directory } from "miyu";
import { copy, fromBase64url, utf8, type Bytes } from "../../src/bytes.ts";
import { decodeDirectoryRecord, decodeStockedPreKey, encodeDirectoryRecord, signBundle, verifyBundle } from "../../src/envelope/bundle.ts";
import { encodeContent, type Content } from "../../src/envelope/content.ts";
import { decodeDeviceList, proveDevice, signDeviceList, SUITES, type DeviceEntry, type DeviceList } from "../../src/envelope/deviceList.ts";
import { decodeEnvelope, encodeEnvelope, findSlot, sealBody, slotTag, type Slot } from "../../src/envelope/envelope.ts";
import { padContent } from "../../src/envelope/padding.ts";
import {
  decryptPreKeySignalMessage,
  decryptSignalMessage,
  EMPTY_SESSION_RECORD,
  encryptMessage,
  generateKeyPair,
  generateSignedPreKey,
  initiateSession,
  verifyPreKeyBundle,
  type EncryptedMessage,
  type KeyPair,
  type LocalIdentity,
  type SessionRecord,
  type SessionState,
} from "../../src/protocol/index.ts";
import type { SeededRandom } from "../support/random.ts";
import { crypto, NOW, type Person } from "./people.ts";

/** One of a villain's devices. */
export interface VillainDevice {
  /** 16 bytes. */
  readonly id: Bytes;
  readonly local: LocalIdentity;
}

/** What differs from an honest message. */
export interface Deviation {
  /** Fields of the content. */
  readonly content?: Partial<Content>;
  /** The content's bytes as they are padded, from the honest ones. */
  readonly bytes?: (content: Bytes) => Uint8Array;
  /** The padded content, from the honest one. */
  readonly padded?: (padded: Bytes) => Uint8Array;
  /** What the slot says, from the honest content key ‖ bind. */
  readonly slot?: (plaintext: Bytes) => Uint8Array;
  /** The Signal message in the slot, from the honest one. */
  readonly message?: (message: EncryptedMessage) => EncryptedMessage;
  /** Envelope id, 16 bytes. */
  readonly id?: Uint8Array;
  /** Sender device in the header. */
  readonly senderDevice?: Uint8Array;
}

/** A user under an attacker's control. */
export class Villain {
  readonly random: SeededRandom;
  readonly user: string;
  readonly account: KeyPair;
  readonly devices: readonly VillainDevice[];
  /** Session record of the first device with the victim. */
  record: SessionRecord = EMPTY_SESSION_RECORD;
  #ownList: DeviceList | undefined;
  readonly #signedPreKeys = new Map<VillainDevice, ReturnType<typeof generateSignedPreKey>>();

  /** @param ids - device ids, which an attacker chooses as he likes */
  constructor(random: SeededRandom, user = "mallory", ids: readonly Uint8Array[] = [random.bytes(16)]) {
    this.random = random;
    this.user = user;
    this.account = generateKeyPair(crypto, random.bytes);
    this.devices = ids.map((id) => ({ id: copy(id), local: { identityKeyPair: generateKeyPair(crypto, random.bytes), registrationId: 7 } }));
  }

  /** The first device. */
  get device(): VillainDevice {
    const [first] = this.devices;
    if (first === undefined) throw new Error("no device");
    return first;
  }

  entry({ id, local }: VillainDevice, suites: number = SUITES.x3dh): DeviceEntry {
    const { user, account, random } = this;
    const { publicKey, privateKey } = local.identityKeyPair;
    const proof = proveDevice(crypto, random.bytes, { user, accountKey: account.publicKey, device: id, identityPrivateKey: privateKey });
    return { device: id, identityKey: publicKey, suites, since: 1, proof };
  }

  /** The honest list of all devices, made once. */
  get ownList(): DeviceList {
    return (this.#ownList ??= this.list(this.devices.map((device) => this.entry(device))));
  }

  list(entries: readonly DeviceEntry[], epoch = 1, previousHash: Uint8Array = new Uint8Array(32)): DeviceList {
    return signDeviceList(crypto, this.random.bytes, this.account.privateKey, { user: this.user, epoch, previousHash, devices: entries, removed: [] });
  }

  signedPreKey(device: VillainDevice): ReturnType<typeof generateSignedPreKey> {
    const made = this.#signedPreKeys.get(device) ?? generateSignedPreKey(crypto, this.random.bytes, device.local.identityKeyPair, 1, NOW);
    this.#signedPreKeys.set(device, made);
    return made;
  }

  bundle(device: VillainDevice = this.device): Bytes {
    const { id, keyPair, signature } = this.signedPreKey(device);
    const { identityKeyPair, registrationId } = device.local;
    const signedPreKey = { id, publicKey: keyPair.publicKey, signature };
    return signBundle(crypto, this.random.bytes, identityKeyPair.privateKey, { user: this.user, device: device.id, registrationId, signedPreKey, createdAt: NOW }).signed;
  }

  directoryRecord(list: Uint8Array = this.ownList.signed, bundles: readonly Uint8Array[] = this.devices.map((device) => this.bundle(device))): Bytes {
    return encodeDirectoryRecord({ deviceList: list, bundles });
  }

  /** Publishes a record, whatever is there. */
  async publish(directory: Directory, record: Uint8Array = this.directoryRecord()): Promise<void> {
    const present = await directory.read(this.user);
    if ((await directory.publish(record, present?.version ?? null)) === undefined) throw new Error("not published");
  }

  /** Begins a session of `device` with the victim's, as anybody may. Returns the record; the first device's is also kept. */
  async meet(directory: Directory, victim: Person, { device = this.device, oneTime = true } = {}): Promise<SessionRecord> {
    const published = await directory.read(victim.user);
    if (published === undefined) throw new Error("the victim has not published");
    const { deviceList, bundles } = decodeDirectoryRecord(published.record);
    const [entry] = decodeDeviceList(crypto, deviceList).devices;
    const [signed] = bundles;
    if (entry === undefined || signed === undefined) throw new Error("the victim has no device");
    const bundle = verifyBundle(crypto, victim.user, entry.identityKey, signed);
    const claimed = oneTime ? await directory.claim?.(victim.user, victim.client.device) : undefined;
    const verified = verifyPreKeyBundle(crypto, {
      registrationId: bundle.registrationId,
      identityKey: entry.identityKey,
      signedPreKey: bundle.signedPreKey,
      ...(claimed && { oneTimePreKey: decodeStockedPreKey(claimed) }),
    });
    const before = device === this.device ? this.record : EMPTY_SESSION_RECORD;
    const { state } = initiateSession(crypto, this.random.bytes, before, device.local, verified, NOW);
    if (device === this.device) this.record = state;
    return state;
  }

  /** An envelope for the victim's device, honest but for `how`. */
  envelope(victim: Person, how: Deviation = {}, { device = this.device, record = this.record } = {}): Bytes {
    const { random, user } = this;
    const same = <T>(value: T): T => value;
    const { bytes = same, padded = same, slot = same, message = same, id = random.bytes(16), senderDevice = device.id } = how;
    const content = encodeContent({
      senderUser: user,
      senderDevice: device.id,
      conversation: { kind: "direct", peer: victim.user },
      sentAt: NOW,
      senderList: { epoch: 1, hash: new Uint8Array(32) },
      recipientList: undefined,
      mediaType: "text/plain",
      body: utf8("evil"),
      control: undefined,
      ...how.content,
    });
    const sealed = sealBody(crypto, random.bytes, { id, senderDevice }, padded(padContent(bytes(content))));
    const { state, output } = encryptMessage(crypto, record, slot(sealed.slotPlaintext), NOW);
    if (record === this.record) this.record = state;
    const to = fromBase64url(victim.client.device);
    return encodeEnvelope({ header: sealed.header, slots: [{ tag: slotTag(crypto, id, to), ...message(output) }], body: sealed.body });
  }

  /** Uses up a message key without sending anything. */
  skip(): void {
    this.record = encryptMessage(crypto, this.record, new Uint8Array(), NOW).state;
  }

  /** Opens the slot of an envelope with the first device's session, as far as its keys; returns content key ‖ bind. */
  read(envelope: Uint8Array): Bytes {
    const { random, device } = this;
    const found = findSlot(crypto, decodeEnvelope(envelope), device.id);
    if (found === undefined) throw new Error("no slot for the villain");
    const keys = this.signedPreKey(device);
    const source = { signedPreKey: () => keys.keyPair, oneTimePreKey: () => undefined, seenBaseKey: () => false };
    const step =
      found.kind === "signal"
        ? decryptSignalMessage(crypto, random.bytes, this.record, found.message)
        : decryptPreKeySignalMessage(crypto, random.bytes, this.record, device.local, source, found.message);
    this.record = step.state;
    return step.output.plaintext;
  }
}

/** The same envelope with its slots changed; nothing else is touched. */
export function withSlots(envelope: Uint8Array, change: (slot: Slot) => Slot): Bytes {
  const { header, slots, body } = decodeEnvelope(envelope);
  return encodeEnvelope({ header, slots: slots.map(change), body });
}

/** The only slot of an envelope. */
export function onlySlot(envelope: Uint8Array): Slot {
  const [slot] = decodeEnvelope(envelope).slots;
  if (slot === undefined) throw new Error("no slot");
  return slot;
}

/** A copy with one bit of byte `at` turned. */
export function flip(bytes: Uint8Array, at: number, bit = 0): Bytes {
  const out = copy(bytes);
  out[at] = (out[at] ?? 0) ^ (1 << bit);
  return out;
}

/** The session a device sends with. */
export function currentOf({ record }: { readonly record: SessionRecord }): SessionState {
  if (record.current === undefined) throw new Error("no session");
  return record.current;
}
