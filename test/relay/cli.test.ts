import { readFile, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseCommand } from "../../src/cli/flags.ts";
import { parseTokens } from "../../src/relay/index.ts";
import { buildProgram, startProgram, type Program } from "./relayProgram.ts";

describe("miyu", () => {
  let program: Program;
  beforeAll(async () => {
    program = await buildProgram();
  });
  afterAll(async () => {
    await program.remove();
  });

  test("flags become options", () => {
    expect(parseCommand(["relay", "--demo", "--memory"])).toEqual({ kind: "relay", flags: { port: 8787, memory: true, demo: true } });
    const all = ["--port", "0", "--host", "::1", "--data", "d", "--tokens", "t", "--origin", "https://a.example", "--origin", "http://b.example:81", "--assets", "a"];
    expect(parseCommand(["relay", ...all])).toEqual({
      kind: "relay",
      flags: { port: 0, host: "::1", dataDir: "d", tokensFile: "t", origins: ["https://a.example", "http://b.example:81"], assets: "a" },
    });
    expect(parseCommand(["--help"])).toEqual({ kind: "help" });
    expect(parseCommand(["relay", "--version"])).toEqual({ kind: "version" });
  });

  test("a wrong command line is one line and exit code 2", async () => {
    const wrong = [
      [],
      ["serve"],
      ["relay"],
      ["relay", "--demo", "--nonsense"],
      ["relay", "--demo", "--port", "seven"],
      ["relay", "--demo", "--port", "65536"],
      ["relay", "--demo", "--memory", "--data", "d"],
      ["relay", "--demo", "--origin", "https://a.example/path"],
      ["relay", "--demo", "extra"],
    ];
    for (const args of wrong) expect(() => parseCommand(args), args.join(" ")).toThrow(/ERR_USAGE/);
    const tokens = program.scratch("bad.tokens");
    await writeFile(tokens, "good alice\nlonely-secret\n");
    for (const args of [...wrong.slice(0, 4), ["relay", "--demo", "--memory", "--host", "0.0.0.0"], ["relay", "--memory", "--tokens", "missing"], ["relay", "--memory", "--tokens", tokens]]) {
      const { ended, output } = startProgram(program, ...args);
      expect(await ended, args.join(" ")).toBe(2);
      expect(output.stdout).toBe("");
      expect(output.stderr).toMatch(/^miyu: .+\n$/);
      expect(output.stderr).not.toContain("secret");
    }
  });

  test("help and version", async () => {
    const help = startProgram(program, "--help");
    expect(await help.ended).toBe(0);
    expect(help.output.stdout).toContain("miyu relay");
    const version = startProgram(program, "--version");
    expect(await version.ended).toBe(0);
    const manifest = JSON.parse(await readFile(new URL("../../package.json", import.meta.url), "utf8")) as { version: string };
    expect(version.output.stdout).toBe(`${manifest.version}\n`);
  });

  test.each(["SIGTERM", "SIGINT"] as const)("%s ends it gracefully, after one line with a URL that answers", async (signal) => {
    const running = startProgram(program, "relay", "--demo", "--memory", "--port", "0");
    const url = await running.firstLine;
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect((await fetch(`${url ?? ""}/v1/directory/alice`, { headers: { authorization: "Bearer demo:bob" } })).status).toBe(404);
    await running.kill(signal);
    expect(await running.ended).toBe(0);
    expect(running.output).toEqual({ stdout: `${url ?? ""}\n`, stderr: "" });
  });

  test("a port that is taken is one line and exit code 1", async () => {
    const first = startProgram(program, "relay", "--demo", "--memory", "--port", "0");
    const port = new URL((await first.firstLine) ?? "").port;
    const second = startProgram(program, "relay", "--demo", "--memory", "--port", port);
    expect(await second.ended).toBe(1);
    expect(second.output.stderr).toMatch(/^miyu: .*cannot listen.*\n$/);
    await first.kill("SIGTERM");
  });

  test("a token file", () => {
    expect(parseTokens("# people\n\n t1 alice \r\nt2\tbob of accounting\n")).toEqual(
      new Map([
        ["t1", "alice"],
        ["t2", "bob of accounting"],
      ]),
    );
    expect(() => parseTokens("t1 alice\nt1 bob")).toThrow(/line 2/);
    expect(() => parseTokens("secret-token")).toThrow(/^((?!secret).)*$/);
  });
});
