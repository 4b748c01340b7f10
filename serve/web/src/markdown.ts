// The Markdown that models write, as a tree of plain objects: no markup comes out of it, and what is not understood stays the text that it is.
// The time is linear in the length of the text, nesting is bounded.

export type Inline =
  | { t: "text" | "code"; v: string }
  | { t: "math"; v: string; display: boolean }
  | { t: "em" | "strong" | "del"; c: Inline[] }
  | { t: "link"; href: string; c: Inline[] }
  | { t: "br" };

export type Align = "left" | "center" | "right" | undefined;

export type Block =
  | { t: "p"; c: Inline[] }
  | { t: "h"; level: number; c: Inline[] }
  | { t: "code"; lang: string; v: string }
  | { t: "math"; v: string }
  | { t: "quote"; b: Block[] }
  | { t: "list"; start: number | undefined; items: Block[][] } // start: of a numbered one
  | { t: "table"; align: Align[]; head: Inline[][]; rows: Inline[][][] }
  | { t: "hr" };

const deepest = 8; // levels of quotes and lists; beyond them their marks are text
const longestLink = 2000;

/** The address of a link that may be followed, or undefined: only the web and mail, never a script or data. */
export function safeHref(href: string): string | undefined {
  return /^(https?:\/\/|mailto:)[^\s\u0000-\u001f]+$/i.test(href) ? href : undefined;
}

const fence = /^ {0,3}(`{3,}|~{3,})\s*([^\s`]*)[^`]*$/;
const heading = /^ {0,3}(#{1,6})(?:\s+(.*?))?(?:\s+#+)?\s*$/;
const rule = /^ {0,3}(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})$/;
const quote = /^ {0,3}> ?/;
const item = /^( *)([-*+]|\d{1,9}[.)])(?: +|$)/;
const delimiterRow = /^ {0,3}\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/;

/** Parses a text. */
export function parse(text: string): Block[] {
  return blocks(text.replaceAll("\r\n", "\n").replaceAll("\t", "    ").split("\n"), 0);
}

function begins(line: string): boolean {
  return fence.test(line) || heading.test(line) || quote.test(line) || item.test(line) || rule.test(line) || /^ {0,3}(\$\$|\\\[)/.test(line);
}

function blocks(lines: string[], depth: number): Block[] {
  const out: Block[] = [];
  let unclosed = false; // no displayed formula that begins from here on ends
  for (let i = 0; i < lines.length; ) {
    const line = lines[i]!;
    let m: RegExpExecArray | null;
    if (line.trim() === "") {
      i++;
    } else if ((m = fence.exec(line))) {
      const [, mark, lang] = m as unknown as [string, string, string];
      const closing = new RegExp(`^ {0,3}${mark[0]}{${mark.length},}\\s*$`);
      let end = i + 1;
      while (end < lines.length && !closing.test(lines[end]!)) end++;
      out.push({ t: "code", lang, v: lines.slice(i + 1, end).join("\n") });
      i = end + 1;
    } else if ((m = /^ {0,3}(\$\$|\\\[)/.exec(line)) && !unclosed) {
      const close = m[1] === "$$" ? "$$" : "\\]";
      let end = i;
      let at = line.indexOf(close, m[0].length);
      while (at < 0 && ++end < lines.length) at = lines[end]!.indexOf(close);
      if (at < 0) {
        unclosed = true;
      } else if (lines[end]!.slice(at + 2).trim() === "") {
        const body = lines.slice(i, end + 1);
        body[body.length - 1] = body[body.length - 1]!.slice(0, at);
        body[0] = body[0]!.slice(m[0].length);
        out.push({ t: "math", v: body.join("\n") });
        i = end + 1;
      } else {
        i = paragraph(lines, i, out);
      }
    } else if ((m = heading.exec(line))) {
      out.push({ t: "h", level: m[1]!.length, c: inline(m[2] ?? "") });
      i++;
    } else if (rule.test(line)) {
      out.push({ t: "hr" });
      i++;
    } else if (quote.test(line) && depth < deepest) {
      let end = i;
      while (end < lines.length && (quote.test(lines[end]!) || (lines[end]!.trim() !== "" && !begins(lines[end]!)))) end++;
      out.push({ t: "quote", b: blocks(lines.slice(i, end).map((l) => l.replace(quote, "")), depth + 1) });
      i = end;
    } else if (item.test(line) && depth < deepest) {
      i = list(lines, i, out, depth);
    } else if (line.includes("|") && i + 1 < lines.length && lines[i + 1]!.includes("-") && delimiterRow.test(lines[i + 1]!) && cells(line).length === cells(lines[i + 1]!).length) {
      i = table(lines, i, out);
    } else {
      i = paragraph(lines, i, out);
    }
  }
  return out;
}

function paragraph(lines: string[], from: number, out: Block[]): number {
  let end = from + 1;
  while (end < lines.length && lines[end]!.trim() !== "" && !begins(lines[end]!)) end++;
  out.push({ t: "p", c: inline(lines.slice(from, end).map((l) => l.trimStart()).join("\n").trimEnd()) });
  return end;
}

function list(lines: string[], from: number, out: Block[], depth: number): number {
  const mark = (m: RegExpExecArray) => m[2]!.slice(-1);
  const first = item.exec(lines[from]!)!;
  const items: Block[][] = [];
  let i = from;
  while (i < lines.length) {
    const m = item.exec(lines[i]!);
    if (!m || mark(m) !== mark(first) || m[1]!.length > first[1]!.length + 3 || rule.test(lines[i]!)) break;
    const indent = Math.min(m[0].length, m[1]!.length + m[2]!.length + 4);
    const body = [lines[i]!.slice(indent)];
    for (i++; i < lines.length; i++) {
      const line = lines[i]!;
      const deep = line.length - line.trimStart().length;
      if (line.trim() === "") {
        const next = lines[i + 1];
        if (next === undefined || next.trim() === "") break;
        if (next.length - next.trimStart().length < indent) break;
        body.push("");
      } else if (deep >= Math.min(indent, m[1]!.length + 2)) {
        body.push(line.slice(Math.min(deep, indent)));
      } else if (begins(line) || lines[i - 1]!.trim() === "") {
        break;
      } else {
        body.push(line.trimStart());
      }
    }
    items.push(blocks(body, depth + 1));
    if (i < lines.length && lines[i]!.trim() === "" && i + 1 < lines.length && item.test(lines[i + 1]!)) i++; // items with a line between them
  }
  out.push({ t: "list", start: /\d/.test(first[2]!) ? parseInt(first[2]!, 10) : undefined, items });
  return i;
}

function cells(line: string): string[] {
  const row = line.trim().replace(/^\|/, "").replace(/\|$/, "");
  return row.split(/(?<!\\)\|/).map((c) => c.trim().replaceAll("\\|", "|"));
}

function table(lines: string[], from: number, out: Block[]): number {
  const align = cells(lines[from + 1]!).map((c): Align => (c.endsWith(":") ? (c.startsWith(":") ? "center" : "right") : c.startsWith(":") ? "left" : undefined));
  const row = (line: string) => {
    const list = cells(line).slice(0, align.length).map(inline);
    while (list.length < align.length) list.push([]);
    return list;
  };
  let end = from + 2;
  while (end < lines.length && lines[end]!.includes("|") && lines[end]!.trim() !== "") end++;
  out.push({ t: "table", align, head: row(lines[from]!), rows: lines.slice(from + 2, end).map(row) });
  return end;
}

/** A run of *, _ or ~ that may still become emphasis. */
interface Run {
  run: string;
  n: number;
}

const punctuation = /[!-/:-@[-`{-~]/;
const space = /\s/;
const url = /https?:\/\/[^\s<>"'`\u0000-\u001f]{1,2000}/y;

/** Parses text within a block. */
export function inline(s: string): Inline[] {
  const out: (Inline | Run)[] = [];
  let text = "";
  const flush = () => {
    if (text) out.push({ t: "text", v: text });
    text = "";
  };
  const push = (node: Inline | Run) => {
    flush();
    out.push(node);
  };
  const openers: number[] = []; // places of runs in out
  const open: Record<string, number> = { "*": 0, _: 0, "~": 0 }; // how many of them are of each kind
  const drop = (from: number) => {
    while (openers.length && openers[openers.length - 1]! >= from) open[(out[openers.pop()!] as Run).run]!--;
  };
  const brackets: { at: number; from: number }[] = []; // places in out and s
  const missing = new Set<string>(); // what is known not to come any more
  const find = (mark: string, from: number): number => {
    if (missing.has(mark)) return -1;
    const at = s.indexOf(mark, from);
    if (at < 0) missing.add(mark);
    return at;
  };

  for (let i = 0; i < s.length; ) {
    const ch = s[i]!;
    if (ch === "\\") {
      const next = s[i + 1] ?? "";
      const close = next === "(" ? "\\)" : next === "[" ? "\\]" : "";
      const end = close ? find(close, i + 2) : -1;
      if (end > 0) {
        push({ t: "math", v: s.slice(i + 2, end), display: next === "[" });
        i = end + 2;
      } else if (next === "\n") {
        push({ t: "br" });
        i += 2;
      } else if (punctuation.test(next)) {
        text += next;
        i += 2;
      } else {
        text += ch;
        i++;
      }
    } else if (ch === "\n") {
      text = text.trimEnd();
      push({ t: "br" });
      i++;
    } else if (ch === "`") {
      let n = 1;
      while (s[i + n] === "`") n++;
      const mark = "`".repeat(n);
      let end = find(mark, i + n);
      while (end > 0 && s[end + n] === "`") {
        let past = end + n;
        while (s[past] === "`") past++;
        end = find(mark, past);
      }
      if (end > 0) {
        const code = s.slice(i + n, end);
        push({ t: "code", v: /^ .*[^ ].* $/s.test(code) ? code.slice(1, -1) : code });
        i = end + n;
      } else {
        text += mark;
        i += n;
      }
    } else if (ch === "$") {
      const display = s[i + 1] === "$";
      const n = display ? 2 : 1;
      const end = find(display ? "$$" : "$", i + n);
      const good = end > i + n && (display || (!space.test(s[i + 1]!) && !space.test(s[end - 1]!) && s[end - 1] !== "\\" && !/\d/.test(s[end + 1] ?? "")));
      if (good) {
        push({ t: "math", v: s.slice(i + n, end), display });
        i = end + n;
      } else {
        text += s.slice(i, i + n);
        i += n;
      }
    } else if (ch === "*" || ch === "_" || ch === "~") {
      let n = 1;
      while (s[i + n] === ch) n++;
      const before = s[i - 1] ?? " ";
      const after = s[i + n] ?? " ";
      const within = /[\p{L}\p{N}]/u.test(before) && /[\p{L}\p{N}]/u.test(after);
      const usable = !(ch === "_" && within) && !(ch === "~" && n !== 2);
      let left = n;
      if (usable && !space.test(before)) {
        while (left > 0 && open[ch]! > 0) {
          flush();
          while ((out[openers[openers.length - 1]!] as Run).run !== ch) drop(openers[openers.length - 1]!);
          const at = openers[openers.length - 1]!;
          const opener = out[at] as Run;
          const used = Math.min(2, left, opener.n);
          const c = settle(out.splice(at + 1));
          if (c.length === 0) break;
          out.push({ t: ch === "~" ? "del" : used === 2 ? "strong" : "em", c });
          opener.n -= used;
          left -= used;
          if (opener.n === 0) {
            openers.pop();
            open[ch]!--;
            out.splice(at, 1);
          }
        }
      }
      if (left > 0 && usable && !space.test(after)) {
        push({ run: ch, n: left });
        openers.push(out.length - 1);
        open[ch]!++;
      } else if (left > 0) {
        text += ch.repeat(left);
      }
      i += n;
    } else if (ch === "[" || (ch === "!" && s[i + 1] === "[")) {
      flush();
      brackets.push({ at: out.length, from: i });
      const mark = ch === "!" ? "![" : "[";
      push({ t: "text", v: mark });
      i += mark.length;
    } else if (ch === "]" && brackets.length) {
      const { at, from } = brackets.pop()!;
      const target = s[i + 1] === "(" ? destination(s, i + 2) : undefined;
      const href = target && safeHref(target.href);
      if (target && href) {
        flush();
        drop(at);
        const c = settle(out.splice(at).slice(1));
        out.push({ t: "link", href, c: c.length ? c : [{ t: "text", v: href }] });
        i = target.end;
      } else if (target) { // it leads nowhere that may be gone to: all of it is shown as it was written
        flush();
        drop(at);
        out.splice(at);
        text = s.slice(from, target.end);
        i = target.end;
      } else {
        text += ch;
        i++;
      }
    } else if (ch === "<") {
      const br = /^<br ?\/?>/i.exec(s.slice(i, i + 6));
      const end = /^<(?:https?:\/\/|mailto:)/i.test(s.slice(i, i + 9)) ? s.slice(i, i + longestLink).indexOf(">") : -1;
      const href = end > 0 ? safeHref(s.slice(i + 1, i + end)) : undefined;
      if (br) {
        push({ t: "br" });
        i += br[0].length;
      } else if (href) {
        push({ t: "link", href, c: [{ t: "text", v: href }] });
        i += href.length + 2;
      } else {
        text += ch;
        i++;
      }
    } else if (ch === "h" && s.startsWith("http", i) && !/\w/.test(s[i - 1] ?? " ")) {
      url.lastIndex = i;
      const href = url.exec(s)?.[0].replace(/[.,;:!?*_~)\]}]+$/, "");
      if (href) {
        push({ t: "link", href, c: [{ t: "text", v: href }] });
        i += href.length;
      } else {
        text += ch;
        i++;
      }
    } else {
      text += ch;
      i++;
    }
  }
  flush();
  return settle(out);
}

/** The runs that found no partner are text, and neighbouring texts one. */
function settle(nodes: (Inline | Run)[]): Inline[] {
  const out: Inline[] = [];
  for (const node of nodes) {
    const plain: Inline = "run" in node ? { t: "text", v: node.run.repeat(node.n) } : node;
    const last = out[out.length - 1];
    if (plain.t === "text" && last?.t === "text") out[out.length - 1] = { t: "text", v: last.v + plain.v };
    else out.push(plain);
  }
  return out;
}

/** Reads "address)" or "address 'title')" from s. */
function destination(s: string, from: number): { href: string; end: number } | undefined {
  let depth = 0;
  const most = Math.min(s.length, from + longestLink);
  for (let i = from; i < most; i++) {
    const ch = s[i]!;
    if (ch === "\n" || depth > 32) return undefined;
    if (ch === "(") depth++;
    if (ch === ")" && depth-- === 0) {
      const inside = /^\s*<?([^\s<>]*)>?(?:\s+["'(].*)?\s*$/.exec(s.slice(from, i));
      return { href: inside?.[1] ?? "", end: i + 1 };
    }
  }
  return undefined;
}
