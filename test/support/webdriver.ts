// A WebDriver client (W3C) for WebKitGTK's WebKitWebDriver, over plain `fetch`.
//
// One `WebKitSession` is one automated browser with its own, empty profile; windows of it share that profile.
// It starts the driver on a free loopback port, under xvfb-run where there is no display, and ends both on close.
import { spawn, type ChildProcess } from "node:child_process";
import { createServer } from "node:net";

/** Where the browser and its driver are. */
export interface WebKitBinaries {
  readonly binary: string;
  readonly driver: string;
}

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => {
        if (address !== null && typeof address === "object") resolve(address.port);
        else reject(new Error("no free port"));
      });
    });
  });

const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** One running WebKit browser under automation. */
export class WebKitSession {
  readonly #child: ChildProcess;
  readonly #base: string;
  #path = "";

  private constructor(child: ChildProcess, base: string) {
    this.#child = child;
    this.#base = base;
  }

  /** Starts driver and browser; waits at most 30 s for the driver. */
  static async open({ binary, driver }: WebKitBinaries): Promise<WebKitSession> {
    const port = await freePort();
    const argument = `--port=${String(port)}`;
    const [command, args] = process.env["DISPLAY"] ? [driver, [argument]] : ["xvfb-run", ["-a", "-s", "-screen 0 1400x1000x24", driver, argument]];
    const child = spawn(command, args, { stdio: "ignore", detached: true, env: { ...process.env, LIBGL_ALWAYS_SOFTWARE: "1" } });
    const session = new WebKitSession(child, `http://127.0.0.1:${String(port)}`);
    // A run that is cut short leaves no browser behind.
    process.once("exit", () => session.#endGroup());
    try {
      await session.#start(binary);
    } catch (error) {
      await session.close();
      throw error;
    }
    return session;
  }

  async #start(binary: string): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      try {
        await fetch(`${this.#base}/status`);
        break;
      } catch (error) {
        if (attempt === 150) throw new Error("WebKitWebDriver did not answer within 30 s", { cause: error });
        await pause(200);
      }
    }
    const alwaysMatch = { browserName: "MiniBrowser", "webkitgtk:browserOptions": { binary, args: ["--automation"] } };
    const { sessionId } = await this.#request<{ sessionId: string }>("POST", "/session", { capabilities: { alwaysMatch } });
    this.#path = `/session/${sessionId}`;
    await this.post("/timeouts", { script: 60_000, pageLoad: 60_000 });
  }

  async #request<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await fetch(this.#base + path, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
    const { value } = (await response.json()) as { value: T };
    if (!response.ok) {
      const { error, message } = value as { error?: string; message?: string };
      throw new Error(`WebDriver ${method} ${path.replace(this.#path, "")}: ${error ?? response.statusText} ${message ?? ""}`);
    }
    return value;
  }

  /** GET of a session command, such as `/url`. */
  get<T>(command: string): Promise<T> {
    return this.#request("GET", this.#path + command);
  }

  /** POST of a session command. */
  post<T>(command: string, body: unknown = {}): Promise<T> {
    return this.#request("POST", this.#path + command, body);
  }

  /** DELETE of a session command. */
  delete<T>(command: string): Promise<T> {
    return this.#request("DELETE", this.#path + command);
  }

  /** Runs the body of an async function in the current window; its result must be JSON. `args` are its arguments, as `args`. */
  async evaluate<T>(body: string, ...args: readonly unknown[]): Promise<T> {
    const script = `const done = arguments[arguments.length - 1], args = [...arguments].slice(0, -1);
      (async () => { ${body} })().then((value) => done({ value }), (error) => done({ error: String(error) }));`;
    const result = await this.post<{ value?: T; error?: string }>("/execute/async", { script, args });
    if (result.error !== undefined) throw new Error(result.error);
    return result.value as T;
  }

  /** Opens a second tab or window on the same profile, runs `use` there, closes it and returns to the first. */
  async inNewWindow<T>(url: string, use: () => Promise<T>, type: "tab" | "window" = "tab"): Promise<T> {
    const main = await this.get<string>("/window");
    const { handle } = await this.post<{ handle: string }>("/window/new", { type });
    try {
      await this.post("/window", { handle });
      await this.post("/url", { url });
      return await use();
    } finally {
      await this.delete("/window");
      await this.post("/window", { handle: main });
    }
  }

  /** Ends browser and driver; may be called again. */
  async close(): Promise<void> {
    try {
      if (this.#path !== "") await this.#request("DELETE", this.#path);
    } catch {
      // The browser is gone already; what is left to do is ending the driver.
    }
    this.#path = "";
    if (this.#child.pid === undefined || this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = new Promise((resolve) => this.#child.once("exit", resolve));
    this.#endGroup();
    await Promise.race([exited, pause(5_000)]);
  }

  /** Ends driver, browser and virtual display: they are a process group of their own. */
  #endGroup(): void {
    if (this.#child.pid === undefined || this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    try {
      process.kill(-this.#child.pid, "SIGTERM");
    } catch {
      // The group ended by itself meanwhile.
    }
  }
}
