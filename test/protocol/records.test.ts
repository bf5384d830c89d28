import { describe, expect, test } from "vitest";
import { concat, toHex, type Bytes } from "../../src/bytes.ts";
import {
  archiveCurrentSession,
  decodeSessionRecord,
  decodeSessionRecordWhole,
  EMPTY_SESSION_RECORD,
  encodeSessionRecord,
  encodeSessionRecordWhole,
  type SessionParts,
  type SessionRecord,
} from "../../src/protocol/index.ts";
import { seededRandom, testSeed } from "../support/random.ts";
import { acquainted, codeOf, Device, numbered, pair, type Received } from "./parties.ts";

const random = seededRandom(testSeed("records"));

/** Thrown by {@link StoredDevice} when a part is asked for that was not loaded yet. */
class NotLoaded extends Error {
  readonly names: readonly string[];
  constructor(names: readonly string[]) {
    super("load first");
    this.names = names;
  }
}

/** Keeps one record in parts, as a client does: a step sees only what was loaded, and is run again when it asks for more. */
class Shelf {
  readonly parts = new Map<string, Bytes>();
  main: Bytes | undefined;
  /** Calls for parts in the last step, and what it wrote. */
  asked: (readonly string[])[] = [];
  written: string[] = [];
  removed: readonly string[] = [];

  /** Runs `step` on `device`, whose record is read from here before and written here after. */
  run<T>(device: Device, step: () => T): T {
    const loaded = new Set<string>();
    this.asked = [];
    const source: SessionParts = {
      parts: (names) => {
        if (names.some((name) => !loaded.has(name))) throw new NotLoaded(names);
        return names.map((name) => this.parts.get(name)?.slice());
      },
    };
    for (let run = 0; run <= 3; run++) {
      const before = decodeSessionRecord(this.main?.slice(), source);
      device.record = before;
      try {
        const output = step();
        const { main, write, remove } = encodeSessionRecord(device.record, before);
        this.main = main;
        for (const [name, bytes] of write) this.parts.set(name, bytes.slice());
        for (const name of remove) expect(this.parts.delete(name)).toBe(true);
        this.written = [...write.keys()];
        this.removed = remove;
        return output;
      } catch (error) {
        if (!(error instanceof NotLoaded)) throw error;
        this.asked.push(error.names);
        for (const name of error.names) loaded.add(name);
      }
    }
    throw new Error("a step asked for parts more than three times");
  }
}

const whole = (record: SessionRecord): string => toHex(encodeSessionRecordWhole(record));
const kinds = (names: Iterable<string>): string => [...names].map((name) => name[0]).join("");
const nothing: SessionParts = { parts: () => { throw new Error("asked for a part"); } };

describe("in parts", () => {
  test("a steady message reads and writes the main part alone, of less than 1 KiB", () => {
    const [alice, bob] = acquainted(random);
    const shelf = new Shelf();
    const record = bob.record;
    shelf.run(bob, () => { bob.record = record; });
    for (let i = 0; i < 20; i++) {
      const message = alice.encrypt(numbered(i));
      expect(shelf.run(bob, () => bob.decrypt(message))).toEqual(numbered(i));
      const reply = shelf.run(bob, () => bob.encrypt(numbered(i)));
      if (i % 5 === 0) alice.decrypt(reply);
      expect([shelf.asked, shelf.written, shelf.removed]).toEqual([[], [], []]);
      expect(shelf.main?.length).toBeLessThan(1024);
    }
    expect(shelf.parts.size).toBe(0);
  });

  test("skipped keys: an addition writes the pages it touches, a take one page, the last take removes it", () => {
    const [alice, bob] = acquainted(random);
    const shelf = new Shelf();
    const record = bob.record;
    shelf.run(bob, () => { bob.record = record; });
    const sent = Array.from({ length: 400 }, (_, i) => alice.encrypt(numbered(i)));
    const open = (i: number): void => {
      const message = sent[i];
      expect(message && shelf.run(bob, () => bob.decrypt(message))).toEqual(numbered(i));
    };
    open(299);
    expect([shelf.asked, kinds(shelf.written), shelf.removed]).toEqual([[], "kkk", []]);
    open(399);
    expect([kinds(shelf.asked.flat()), kinds(shelf.written)]).toEqual(["k", "kk"]);
    open(150);
    expect([kinds(shelf.asked.flat()), kinds(shelf.written), kinds(shelf.removed)]).toEqual(["k", "k", ""]);
    for (const i of random.shuffle(Array.from({ length: 399 }, (_, n) => n).filter((n) => n !== 299 && n !== 150))) open(i);
    expect(shelf.parts.size).toBe(0);
  });

  test("archived sessions are asked for once and all together, written when archived, removed when promoted", () => {
    const bob = new Device(random, 2);
    const alice = new Device(random, 1);
    const shelf = new Shelf();
    const late: Received[] = [];
    for (let i = 0; i < 6; i++) {
      alice.initiate(bob);
      const first = alice.encrypt(numbered(i));
      shelf.run(bob, () => bob.decrypt(first));
      expect([shelf.asked, kinds(shelf.written)]).toEqual([[], i === 0 ? "" : "s"]);
      alice.decrypt(shelf.run(bob, () => bob.encrypt(numbered(i))));
      // One message that stays behind with a skipped key, one that is only late.
      late.push(alice.encrypt(numbered(100 + i)));
      const skipping = alice.encrypt(numbered(200 + i));
      shelf.run(bob, () => bob.decrypt(skipping));
      late.push(alice.encrypt(numbered(300 + i)));
    }
    expect(kinds([...shelf.parts.keys()].sort())).toBe("kkkkkksssss");
    const message = late[5]; // the third session's
    expect(message && shelf.run(bob, () => bob.decrypt(message))).toEqual(numbered(302));
    expect(shelf.asked.map(kinds)).toEqual(["sssss"]);
    expect([kinds(shelf.written), kinds(shelf.removed)]).toEqual(["s", "s"]);
    const skipped = late[0]; // the first session's, behind its page
    expect(skipped && shelf.run(bob, () => bob.decrypt(skipped))).toEqual(numbered(100));
    expect(shelf.asked.map(kinds)).toEqual(["sssss", "k"]);
    for (const each of late) if (each !== message && each !== skipped) shelf.run(bob, () => bob.decrypt(each));
    expect(kinds([...shelf.parts.keys()].sort())).toBe("sssss");
  });

  test("the 41st archived session takes its pages with it", () => {
    const [alice, bob] = acquainted(random);
    const shelf = new Shelf();
    const record = bob.record;
    shelf.run(bob, () => { bob.record = record; });
    const last = [alice.encrypt(numbered(1)), alice.encrypt(numbered(2))][1];
    if (last) shelf.run(bob, () => bob.decrypt(last));
    expect(kinds(shelf.parts.keys())).toBe("k");
    for (let i = 0; i < 41; i++) {
      expect(kinds([...shelf.parts.keys()].sort())).toBe(`k${"s".repeat(i)}`);
      shelf.run(bob, () => { bob.initiate(alice); });
    }
    expect(kinds(shelf.parts.keys())).toBe("s".repeat(40));
    expect(kinds(shelf.removed)).toBe("sk");
  }, 30_000);

  test("a chain that is dropped takes its pages with it", () => {
    const [alice, bob] = acquainted(random);
    const shelf = new Shelf();
    const record = bob.record;
    shelf.run(bob, () => { bob.record = record; });
    for (let i = 0; i < 7; i++) {
      alice.encrypt(numbered(0));
      const second = alice.encrypt(numbered(1));
      shelf.run(bob, () => bob.decrypt(second));
      expect(shelf.parts.size).toBe(Math.min(5, i + 1));
      alice.decrypt(shelf.run(bob, () => bob.encrypt(numbered(2))));
    }
  });

  test("a step that throws writes nothing; a part that is missing or damaged is found out when it is used", () => {
    const [alice, bob] = acquainted(random);
    const late = alice.encrypt(numbered(1));
    bob.decrypt(alice.encrypt(numbered(2)));
    const archived = archiveCurrentSession(bob.record).state;
    const { main, write } = encodeSessionRecord(archived, EMPTY_SESSION_RECORD);
    expect(kinds([...write.keys()].sort())).toBe("ks");
    for (const [name, code] of [["s", "ERR_DECRYPT"], ["k", "ERR_STORE_CORRUPT"]] as const) {
      for (const damage of [(): undefined => undefined, (bytes: Bytes): Bytes => bytes.subarray(0, -1)]) {
        const parts: SessionParts = {
          parts: (names) => names.map((each) => { const bytes = write.get(each); return bytes && each.startsWith(name) ? damage(bytes) : bytes; }),
        };
        bob.record = decodeSessionRecord(main, parts);
        // A damaged archived session is passed over, a damaged page inside a readable one is not.
        expect(codeOf(() => bob.decrypt(late))).toBe(code);
      }
    }
    bob.record = decodeSessionRecord(main, { parts: (names) => names.map((each) => write.get(each)) });
    expect(bob.decrypt(late)).toEqual(numbered(1));
  });

  test("an archived session under another's name is not taken for it", () => {
    const [, bob] = acquainted(random);
    bob.initiate(new Device(random, 5));
    bob.initiate(new Device(random, 6));
    const { main, write } = encodeSessionRecord(bob.record, EMPTY_SESSION_RECORD);
    const [first, second] = [...write.values()];
    const swapped = decodeSessionRecord(main, { parts: (names) => names.map((_, i) => (i === 0 ? second : first)) });
    for (const entry of swapped.previous) expect(codeOf(() => entry.load())).toBe("ERR_STORE_CORRUPT");
  });
});

describe("whole", () => {
  const records: [string, () => SessionRecord][] = [
    ["empty", () => EMPTY_SESSION_RECORD],
    ["initiated with a one-time prekey", () => pair(random, true)[0].record],
    ["initiated without one", () => pair(random, false)[0].record],
    ["running", () => acquainted(random)[1].record],
    ["archived", () => archiveCurrentSession(acquainted(random)[1].record).state],
    ["with skipped keys and archived sessions", () => {
      const [alice, bob] = acquainted(random);
      for (let i = 0; i < 3; i++) {
        for (let n = 0; n < 200; n++) alice.encrypt(numbered(n));
        bob.decrypt(alice.encrypt(numbered(0)));
        alice.initiate(bob, i === 1);
        bob.decrypt(alice.encrypt(numbered(1)));
      }
      return bob.record;
    }],
  ];

  test.each(records)("%s: comes back", (_name, make) => {
    const record = make();
    const bytes = encodeSessionRecordWhole(record);
    const back = decodeSessionRecordWhole(bytes);
    expect(whole(back)).toBe(toHex(bytes));
    expect([back.current?.pendingPreKey, back.current?.remoteRegistrationId]).toEqual([record.current?.pendingPreKey, record.current?.remoteRegistrationId]);
    // It owns its bytes.
    bytes.fill(0);
    expect(whole(back)).toBe(whole(record));
  });

  test("an absent record is the empty one, and an empty record is three bytes", () => {
    expect(decodeSessionRecord(undefined, nothing)).toBe(EMPTY_SESSION_RECORD);
    const { main } = encodeSessionRecord(EMPTY_SESSION_RECORD, EMPTY_SESSION_RECORD);
    expect([...main]).toEqual([1, 0, 0]);
    expect(decodeSessionRecord(main, nothing)).toEqual(EMPTY_SESSION_RECORD);
  });

  test("versions, lengths and impossible values are refused", () => {
    const [alice] = pair(random);
    const { main } = encodeSessionRecord(alice.record, EMPTY_SESSION_RECORD);
    const decode = (bytes: Uint8Array): string | undefined => codeOf(() => decodeSessionRecord(bytes, nothing));
    expect(decode(main)).toBeUndefined();
    for (const version of [0, 2, 255]) expect(decode(main.with(0, version))).toBe("ERR_VERSION");
    for (const version of [2, 4]) expect(decode(main.with(2, version))).toBe("ERR_VERSION");
    for (let length = 0; length < main.length; length++) expect(decode(main.subarray(0, length))).toBe("ERR_STORE_CORRUPT");
    expect(decode(concat(main, new Uint8Array(1)))).toBe("ERR_STORE_CORRUPT");
    // Whether there is a session, a key's type, number of archived sessions.
    for (const [at, value] of [[1, 2], [3, 6], [main.length - 1, 41]] as const) expect(decode(main.with(at, value))).toBe("ERR_STORE_CORRUPT");
    const wholeBytes = encodeSessionRecordWhole(alice.record);
    expect(codeOf(() => decodeSessionRecordWhole(wholeBytes.with(0, 2)))).toBe("ERR_VERSION");
    for (let length = 0; length < wholeBytes.length; length += 7) {
      expect(codeOf(() => decodeSessionRecordWhole(wholeBytes.subarray(0, length)))).toBe("ERR_STORE_CORRUPT");
    }
  });
});
