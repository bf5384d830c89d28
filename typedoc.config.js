// API documentation of every public subpath, into docs/api (generated, not committed). An undocumented export is an error.
import { PUBLIC_ENTRIES } from "./scripts/entries.mjs";

/** @type {Partial<import("typedoc").TypeDocOptions>} */
const options = {
  entryPoints: PUBLIC_ENTRIES.map(([, source]) => source),
  out: "docs/api",
  readme: "none",
  // The whole project is type-checked by `npm run types`.
  skipErrorChecking: true,
  // Links to a line of a commit would need the address of the repository.
  disableSources: true,
  excludeExternals: true,
  excludePrivate: true,
  // Exports and what can be called on them. A property whose name and type say it all needs no sentence.
  requiredToBeDocumented: ["Variable", "Function", "Class", "Interface", "TypeAlias", "Constructor", "Method", "Accessor"],
  validation: { notExported: true, invalidLink: true, notDocumented: true },
  treatWarningsAsErrors: true,
};

export default options;
