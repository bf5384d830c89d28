// The two things of a Markdown file that are checked: its headings and its fenced code blocks.

/** @typedef {{ language: string, code: string, line: number, check: string | undefined }} CodeBlock `line`: of the first line of code, from 1 */

const FENCE = /^(?<indent> {0,3})(?<marks>`{3,}|~{3,})\s*(?<language>.*?)\s*$/u;
const CHECK = /^\s*<!--\s*check:(?<code>.*?)-->\s*$/u;

/**
 * Headings (`level` 1–6) and code blocks of a Markdown text, in order. A comment `<!-- check: … -->` on the line above a block belongs to it.
 * @param {string} text
 * @returns {{ headings: { level: number, title: string }[], blocks: CodeBlock[] }}
 */
export function readMarkdown(text) {
  const headings = [];
  /** @type {CodeBlock[]} */
  const blocks = [];
  /** @type {{ marks: string, language: string, line: number, check: string | undefined, code: string[] } | undefined} */
  let open;
  let check;
  for (const [index, line] of text.split("\n").entries()) {
    const fence = FENCE.exec(line)?.groups;
    if (open !== undefined) {
      if (fence?.language === "" && fence.marks.startsWith(open.marks)) {
        blocks.push({ language: open.language, code: open.code.join("\n"), line: open.line, check: open.check });
        open = undefined;
      } else open.code.push(line);
      continue;
    }
    if (fence) open = { marks: fence.marks, language: fence.language, line: index + 2, check, code: [] };
    const heading = /^(?<marks>#{1,6})\s+(?<title>.*?)\s*#*$/u.exec(line)?.groups;
    if (heading) headings.push({ level: heading.marks.length, title: heading.title });
    if (line.trim() !== "") check = CHECK.exec(line)?.groups?.code.trim();
  }
  if (open !== undefined) throw new Error(`the code block at line ${open.line - 1} is never closed`);
  return { headings, blocks };
}
