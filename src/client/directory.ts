/** The directory as a client uses it: every call ends when the client closes, whatever the network does. */
import type { Directory } from "../transport/types.ts";
import { unlessStopped, type Closable } from "./stopping.ts";

/** `directory`, with calls that reject with ERR_CLOSED as soon as `closing` fires. What it does not offer, this does not either. */
export function closingDirectory(closing: AbortSignal, directory: Directory): Directory {
  const claim = directory.claim?.bind(directory);
  const stock = directory.stock?.bind(directory);
  const forget = directory.forget?.bind(directory);
  const fence = directory.fence?.bind(directory);
  const watch = directory.watch?.bind(directory);
  const context: Closable = { closing };
  const stop = async <T>(call: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> => unlessStopped(context, call(), signal);
  return {
    caps: directory.caps,
    read: (user, options) => stop(() => directory.read(user, options), options?.signal),
    publish: (record, expect, options) => stop(() => directory.publish(record, expect, options), options?.signal),
    ...(claim !== undefined && { claim: (user, device, options) => stop(() => claim(user, device, options), options?.signal) }),
    ...(stock !== undefined && { stock: (device, keys, options) => stop(() => stock(device, keys, options), options?.signal) }),
    ...(forget !== undefined && { forget: (device, options) => stop(() => forget(device, options), options?.signal) }),
    ...(fence !== undefined && { fence: (device, expect, next) => stop(() => fence(device, expect, next), undefined) }),
    ...(watch !== undefined && { watch }),
  };
}
