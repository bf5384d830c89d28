// Vitest's browser mode in WebKitGTK: a provider over our own WebDriver client, since the official ones expect Safari or a patched build.
import { defineBrowserProvider } from "@vitest/browser";
import type { BrowserProvider, BrowserProviderOption } from "vitest/node";
import { WebKitSession, type WebKitBinaries } from "./webdriver.ts";

class WebKitProvider implements BrowserProvider {
  readonly name = "webkitgtk";
  readonly supportsParallelism = false;
  readonly initScripts: string[] = [];
  readonly #binaries: WebKitBinaries;
  #session: WebKitSession | undefined;

  constructor(binaries: WebKitBinaries) {
    this.#binaries = binaries;
  }

  getCommandsContext(): Record<string, unknown> {
    return { webkit: this.#session };
  }

  async openPage(_sessionId: string, url: string): Promise<void> {
    this.#session ??= await WebKitSession.open(this.#binaries);
    await this.#session.post("/url", { url });
  }

  async close(): Promise<void> {
    await this.#session?.close();
    this.#session = undefined;
  }
}

/** The provider for `browser.provider` of a vitest project whose instance is `webkit`. */
export const webkitgtk = (binaries: WebKitBinaries): BrowserProviderOption =>
  defineBrowserProvider({
    name: "webkitgtk",
    supportedBrowser: ["webkit"],
    options: { ...binaries },
    providerFactory: () => new WebKitProvider(binaries),
  });
