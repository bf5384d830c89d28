// The page of the Vite app: the same first program, on the defaults of a browser (IndexedDB, and libsodium where it may).
import { roundTrip } from "./roundTrip.js";

roundTrip(() => ({})).then(
  (result) => (document.title = result),
  (error) => (document.title = `failed: ${error?.stack ?? error}`),
);
