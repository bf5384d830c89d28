/**
 * `miyu`: end-to-end encryption under any instant messenger. Importing it touches no global and compiles no WebAssembly.
 */
import { platform } from "#defaults";
import { createClientOn } from "./client/createClient.ts";
import type { Client, ClientOptions } from "./client/types.ts";

/**
 * Opens this user's device, or makes it on first use, and starts it.
 * @throws {MiyuError} ERR_USAGE for options that do not fit; ERR_STORE_UNAVAILABLE, ERR_STORE_LOST, ERR_STORE_CORRUPT, ERR_SCHEMA, ERR_QUOTA
 * of the store; ERR_PASSPHRASE, ERR_DECODE, ERR_VERSION of a file to restore
 */
export function createClient(options: ClientOptions): Promise<Client> {
  return createClientOn(platform, options);
}

export type { Bytes } from "./bytes.ts";
export type {
  Cause,
  Client,
  ClientEvent,
  ClientOptions,
  Control,
  Conversation,
  Delivery,
  Description,
  Duplicate,
  Message,
  Opened,
  Outgoing,
  Policy,
  Remedy,
  SafetyNumber,
  Sealed,
  Sender,
  Sending,
  Suite,
  Trust,
  Undecryptable,
  Weakness,
} from "./client/types.ts";
export type { Crypto, Random } from "./crypto/types.ts";
export { MiyuError, type ErrorCode, type ErrorDetail, type PlainCode } from "./errors.ts";
export type { KeySlot, Protection, RawStore, RawView } from "./store/types.ts";
export type {
  Adapter,
  BlobStore,
  Dest,
  DeviceId,
  Directory,
  DirectoryCaps,
  DirectoryRecord,
  Fence,
  FrameClass,
  GroupId,
  InFrame,
  Membership,
  OutFrame,
  Sent,
  Transport,
  TransportCaps,
  UserId,
} from "./transport/types.ts";
