// No public object, event or error shows a private key, a content key or, where it does not belong, a plaintext: everything the API gives out is
// printed in every way there is and searched for every secret the client drew.
import { inspect } from "node:util";
import { createClient, type Client } from "miyu";
import { memoryMedium, memoryStore } from "miyu/store/memory";
import { memoryNetwork } from "miyu/transport/memory";
import { describe, expect, test } from "vitest";
import { listen, pause, until } from "./client/world.ts";
import { seededRandom, testSeed } from "./support/random.ts";

/** Every way somebody could print a value, its causes included; without white space and the keys of array-like JSON, so that bytes stand side by side. */
function printed(value: unknown): string {
  const forms: (string | undefined)[] = [];
  const all = new Set<unknown>();
  const show = { showHidden: true, depth: Infinity, maxArrayLength: null, maxStringLength: null, getters: true };
  for (let next = value; next !== undefined && !all.has(next); next = next instanceof Error ? next.cause : undefined) {
    all.add(next);
    forms.push(inspect(next, show), JSON.stringify(next));
    if (next instanceof Error) forms.push(String(next), next.stack ?? "", JSON.stringify(Object.getOwnPropertyDescriptors(next)));
    try {
      const clone: unknown = structuredClone(next);
      forms.push(inspect(clone, show), JSON.stringify(clone));
    } catch {
      // Objects with functions cannot be cloned.
    }
  }
  return forms.join("\n").toLowerCase().replaceAll(/"\d+":|\s/g, "");
}

/** The forms bytes take in print. Without the first and last byte, which clamping changes. */
function formsOf(secret: Uint8Array): string[] {
  const core = secret.slice(1, -1);
  // Base64 of bytes in the middle of others depends on where they begin: all three alignments, without the characters at the seams.
  const base64 = [0, 1, 2].map((skip) => Buffer.from(core.subarray(skip, skip + 27)).toString("base64"));
  const urls = base64.map((text) => text.replaceAll("+", "-").replaceAll("/", "_"));
  return [Buffer.from(core).toString("hex"), core.join(), ...new Set([...base64, ...urls])].map((form) => form.toLowerCase());
}

describe("leaks", () => {
  test("the search finds a secret in every form", () => {
    const secret = seededRandom(testSeed("leaks, search")).bytes(32);
    const nested = { deep: { list: [new Uint8Array([9, ...secret, 9])] } };
    const shapes: unknown[] = [
      nested,
      Buffer.from(secret),
      new Error("outer", { cause: new Error(`key ${Buffer.from(secret).toString("hex")}`) }),
      Object.assign(new Error("x"), { detail: { key: secret } }),
      { text: Buffer.concat([Buffer.of(1), secret]).toString("base64url") },
      { text: Buffer.concat([Buffer.of(1, 2), secret]).toString("base64") },
      [...secret],
      new Map([["a", new Set([secret])]]),
    ];
    for (const shape of shapes) expect(formsOf(secret).some((form) => printed(shape).includes(form)), inspect(shape)).toBe(true);
    expect(formsOf(secret).some((form) => printed({ secret: [...secret].reverse() }).includes(form))).toBe(false);
  });

  test("nothing the API gives out shows a key, and no plaintext where none belongs", async () => {
    const random = seededRandom(testSeed("leaks"));
    const secrets: Uint8Array[] = [];
    const draw = (length: number): Uint8Array<ArrayBuffer> => {
      const bytes = random.bytes(length);
      // 32 bytes: private keys, content keys, the vault's keys.
      if (length === 32) secrets.push(bytes.slice());
      return bytes;
    };
    const network = memoryNetwork({ random: () => random.u32() / 2 ** 32 });
    const medium = memoryMedium();
    const clients: Client[] = [];
    const join = async (user: string, options = {}): Promise<Client> => {
      const client = await createClient({ user, adapter: network.adapter(user), store: memoryStore(), random: draw, ...options });
      clients.push(client);
      return client;
    };
    const [alice, bob] = [await join("alice"), await join("bob", { store: memoryStore({ medium }) })];
    const ears = [listen(alice), listen(bob)] as const;
    const plaintext = "planted-plaintext-0123456789";
    const wrong = async (promise: Promise<unknown>): Promise<unknown> => promise.then((value) => { throw new Error(`it did not reject: ${inspect(value)}`); }, (error: unknown) => error);

    const sending = await alice.send("bob", plaintext);
    await sending.accepted();
    await until("heard", () => ears[1].messages.length === 1);
    await bob.send("alice", plaintext);
    await until("answered", () => ears[0].messages.length === 1);
    const sealed = await alice.encrypt("bob", plaintext);
    const damaged = sealed.body.slice();
    damaged[damaged.length - 1] = (damaged.at(-1) ?? 0) ^ 1;
    const file = await bob.exportAccount("planted-passphrase");
    const errors = [
      await wrong(alice.encrypt("nobody", plaintext)),
      await wrong(alice.encrypt("bob", `${plaintext} other`, { id: sealed.id })),
      await wrong(alice.encrypt("bob", plaintext.repeat(50_000))),
      await wrong(alice.send("", plaintext)),
      await wrong(alice.trust("bob", "1".repeat(60))),
      await wrong(join("bob", { restore: { file, passphrase: "planted-passphrase no" } })),
      await wrong(join("carol", { restore: { file, passphrase: "planted-passphrase" } })),
      await wrong(join("alice", { store: memoryStore({ medium }) })),
    ];
    network.setFaults({ corrupt: 1 });
    await alice.send("bob", plaintext);
    await until("reported", () => ears[1].undecryptable.length > 0);
    network.setFaults({ corrupt: 0 });
    await bob.close();
    const stranger = await join("bob");
    await pause(20);
    await stranger.send("alice", plaintext);
    await until("told", () => ears[0].kinds("identity-changed").length > 0);
    errors.push(await wrong(alice.encrypt("bob", plaintext)), await wrong(bob.encrypt("alice", plaintext)));

    const withPlaintext: unknown[] = [...ears[0].messages, ...ears[1].messages, await alice.history({ conversation: "bob" })];
    const without: unknown[] = [
      ...errors,
      ...ears.flatMap((each) => each.events.filter((event) => event.kind !== "message")),
      ...clients,
      alice.policy,
      sending,
      sealed,
      file,
      await alice.describe(),
      await alice.safetyNumber("bob"),
      await alice.conversations(),
      await stranger.decrypt({ from: "alice", body: damaged }),
      alice.events(),
      network,
    ];
    const shown = without.map(printed);
    const everything = [...shown, ...withPlaintext.map(printed)].join("\n");
    expect(secrets.length).toBeGreaterThan(100);
    const found = secrets.filter((secret) => formsOf(secret).some((form) => everything.includes(form)));
    expect(found).toHaveLength(0);
    // What lies on the disk is sealed.
    const disk = Buffer.concat([...medium.records.values()]);
    for (const secret of [...secrets, Buffer.from(plaintext)]) expect(disk.includes(Buffer.from(secret.subarray(1, -1)))).toBe(false);
    const texts = [plaintext, "planted-passphrase"].flatMap((text) => [text, ...formsOf(Buffer.from(` ${text} `))]);
    for (const [i, text] of shown.entries()) expect(texts.filter((form) => text.includes(form)), inspect(without[i]).slice(0, 300)).toEqual([]);
    await Promise.all(clients.map((client) => client.close()));
  }, 120_000);
});
