// The page the other tests of this folder run in: what they build on is there, in whichever engine this is.
import "../support/newTab.ts";
import { expect, test } from "vitest";
import { commands } from "vitest/browser";

const openDatabase = (name: string): Promise<IDBDatabase> =>
  new Promise((resolve, reject) => {
    const request = indexedDB.open(name, 1);
    request.onupgradeneeded = () => request.result.createObjectStore("rows");
    request.onsuccess = () => {
      resolve(request.result);
    };
    request.onerror = () => {
      reject(new Error("IndexedDB did not open", { cause: request.error }));
    };
  });

test("the page is a secure context with randomness and WebAssembly", () => {
  expect(isSecureContext).toBe(true);
  expect(crypto.getRandomValues(new Uint8Array(32))).not.toEqual(new Uint8Array(32));
  expect(typeof WebAssembly.instantiate).toBe("function");
});

test("a second tab reads what this one put into IndexedDB", async () => {
  const name = `page-${crypto.randomUUID()}`;
  const database = await openDatabase(name);
  await new Promise((resolve, reject) => {
    const transaction = database.transaction("rows", "readwrite", { durability: "strict" });
    transaction.objectStore("rows").put(new Uint8Array([1, 2, 3]), "key");
    transaction.oncomplete = resolve;
    transaction.onerror = reject;
  });
  database.close();
  const seen = await commands.inNewTab<number[]>(
    "/test/browser/blank.html",
    `const database = await new Promise((resolve, reject) => {
       const request = indexedDB.open(${JSON.stringify(name)});
       request.onsuccess = () => resolve(request.result);
       request.onerror = () => reject(request.error);
     });
     return await new Promise((resolve, reject) => {
       const request = database.transaction("rows").objectStore("rows").get("key");
       request.onsuccess = () => resolve([...request.result]);
       request.onerror = () => reject(request.error);
     });`,
  );
  expect(seen).toEqual([1, 2, 3]);
  indexedDB.deleteDatabase(name);
});
