// Markdown, maths, colours of code: what comes out, that nothing of a text is lost or becomes more than text, and that hostile texts take no more work than their length.
import assert from "node:assert/strict";
import { Session } from "node:inspector";
import test from "node:test";
import { highlight } from "./highlight.ts";
import { inline, parse, safeHref, type Block, type Inline } from "./markdown.ts";
import { maths, type Maths } from "./tex.ts";

/** The tree in brackets, for reading. */
const say = (list: (Block | Inline)[]): string => list.map((n) => {
  switch (n.t) {
    case "text": return n.v;
    case "code": return "lang" in n ? `{code ${n.lang}: ${n.v}}` : `{code ${n.v}}`;
    case "math": return `{math ${n.v}}`;
    case "link": return `{link ${n.href} ${say(n.c)}}`;
    case "em": case "strong": case "del": case "p": return `{${n.t} ${say(n.c)}}`;
    case "h": return `{h${n.level} ${say(n.c)}}`;
    case "quote": return `{quote ${say(n.b)}}`;
    case "list": return `{list${n.start ?? ""} ${n.items.map((i) => `[${say(i)}]`).join("")}}`;
    case "table": return `{table ${[n.head, ...n.rows].map((r) => r.map(say).join(",")).join(";")}}`;
    default: return `{${n.t}}`;
  }
}).join("");

const texts: [string, string][] = [
  ["**a** *b* ***c*** ~~d~~ `e`", "{p {strong a} {em b} {em {strong c}} {del d} {code e}}"],
  ["2 * 3 * 4, snake_case_name, a*b", "{p 2 * 3 * 4, snake_case_name, a*b}"],
  ["**open", "{p **open}"],
  ["*a **b* c**", "{p {em a {em {em b} c}}}"],
  ["[x](https://a.example/b_(c)) <https://b.example>", "{p {link https://a.example/b_(c) x} {link https://b.example https://b.example}}"],
  ["see https://a.example/x. ok", "{p see {link https://a.example/x https://a.example/x}. ok}"],
  ["[x](javascript:alert(1)) ![i](data:text/html,x)", "{p [x](javascript:alert(1)) ![i](data:text/html,x)}"],
  ["<script>alert(1)</script><img src=x onerror=alert(1)>", "{p <script>alert(1)</script><img src=x onerror=alert(1)>}"],
  ["# A #\n\nb", "{h1 A}{p b}"],
  ["```go\nx := `1`\n```\nafter", "{code go: x := `1`}{p after}"],
  ["```\nnot closed\n", "{code : not closed\n}"],
  ["- a\n- b\n  - c\n\n1. x\n2. y", "{list [{p a}][{p b}{list [{p c}]}]}{list1 [{p x}][{p y}]}"],
  ["> a\n> - b", "{quote {p a}{list [{p b}]}}"],
  ["| a | b |\n|---|:-:|\n| `c` | d |", "{table a,b;{code c},d}"],
  ["---", "{hr}"],
  ["a $x_1^2$ b, costs $5 and $6", "{p a {math x_1^2} b, costs $5 and $6}"],
  ["$$\nx\n$$\n\\[ y \\] \\(z\\)", "{math \nx\n}{p {math  y } {math z}}"],
  ["a\\*b \\`c", "{p a*b `c}"],
  ["`` a`b ``", "{p {code a`b}}"],
];

test("markdown", () => {
  for (const [text, want] of texts) assert.equal(say(parse(text)), want, text);
});

test("links lead to the web and to mail only", () => {
  for (const href of ["https://a.example", "HTTP://a.example", "mailto:a@b.example"]) assert.equal(safeHref(href), href);
  for (const href of ["javascript:alert(1)", " javascript:alert(1)", "java\nscript:alert(1)", "data:text/html,x", "vbscript:x", "//a.example", "file:///etc/passwd", "https:evil", "blob:x", "", "https://a\u0000b"]) assert.equal(safeHref(href), undefined, href);
});

/** The work of a run: how often each block of this file's code ran, by V8's coverage, and the characters that the methods of strings and expressions
 * went through. Within an expression it cannot count: one counts as its text, a sticky one as what it matched. */
function work(run: () => void): number {
  let n = 0;
  const restore: (() => void)[] = [];
  const count = (owner: object, name: string, cost: (on: unknown, args: unknown[], result: unknown) => number) => {
    const methods = owner as Record<string, (...args: unknown[]) => unknown>;
    const old = methods[name]!;
    methods[name] = function (this: unknown, ...args) {
      const result = old.apply(this, args);
      n += cost(this, args, result);
      return result;
    };
    restore.push(() => (methods[name] = old));
  };
  const length = (v: unknown) => (typeof v === "string" || Array.isArray(v) ? v.length : 1);
  const made = (_: unknown, __: unknown[], result: unknown) => length(result);
  for (const name of ["slice", "repeat", "trim", "trimStart", "trimEnd"]) count(String.prototype, name, made);
  for (const name of ["replace", "replaceAll", "split", "includes"]) count(String.prototype, name, length);
  count(String.prototype, "indexOf", (on, [, from], at) => (at === -1 ? length(on) : (at as number)) - ((from as number | undefined) ?? 0));
  for (const name of ["slice", "splice", "map"]) count(Array.prototype, name, made);
  count(RegExp.prototype, "exec", (on, [text], m) => ((on as RegExp).sticky ? length((m as string[] | null)?.[0]) : length(text)));
  const session = new Session();
  session.connect();
  session.post("Profiler.enable");
  session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
  try {
    run();
  } finally {
    session.post("Profiler.takePreciseCoverage", {}, (_, { result }) => {
      for (const script of result) if (script.url === import.meta.url) for (const f of script.functions) for (const block of f.ranges) n += block.count;
    });
    session.disconnect();
    for (const back of restore) back();
  }
  return n;
}

test("hostile texts take linear work", () => {
  const n = 4000; // many times the longest link, which bounds what is looked through for each mark
  assert(work(() => [..."x".repeat(n)].forEach((_, i, all) => all.slice(0, i))) > n * n / 4); // the count sees a square
  for (const piece of ["*", "_", "**a ", "*a_", "[", "](", "[](", "![", "`", "` `` ", "$", "$$\n", "\\[", "\\[\n", "\\(", "<", "<http://", "> ", ">", "- ", "  - ", "|", "|-", "~~", "http://", "#", "```\n", "&", "(", "a|b\n-|-\n", "1. "]) {
    const ratio = work(() => parse(piece.repeat(4 * n))) / work(() => parse(piece.repeat(n)));
    assert(ratio < 6, `${JSON.stringify(piece)}: four times the text take ${ratio} times the work`);
  }
});

test("runs of marks stay text", () => {
  assert.equal(say(inline("**** ____ ~~~~ [] ()")), "**** ____ ~~~~ [] ()");
});

const flat = (m: Maths): string => (m.c.length === 1 && typeof m.c[0] === "string" ? m.c[0] : `${m.tag}(${m.c.map((c) => (typeof c === "string" ? c : flat(c))).join(" ")})`);
const tex = (source: string, display = false): string | undefined => {
  const m = maths(source, display);
  return m && m.c.map((c) => (typeof c === "string" ? c : flat(c))).join(" ");
};

test("maths", () => {
  for (const [source, want] of [
    ["x^2", "msup(x 2)"], ["a_i^{n+1}", "msubsup(a i mrow(n + 1))"], ["\\frac{1}{2}", "mfrac(1 2)"], ["\\frac12", "mfrac(1 2)"], ["\\sqrt[3]{x}", "mroot(x 3)"], ["\\alpha \\le \\beta", "mrow(α ≤ β)"],
    ["\\left( x \\right.", "mrow(( x)"], ["\\mathbb{R}^n", "msup(ℝ n)"], ["\\text{if } x", "mrow(if\u00a0 x)"], ["f'(x)", "mrow(msup(f ′) ( x ))"], ["\\hat{x}", "mover(x ^)"], ["x-1", "mrow(x − 1)"], ["\\nosuch x", "mrow(\\nosuch x)"],
    ["\\begin{pmatrix} a & b \\\\ c & d \\end{pmatrix}", "mrow(( mtable(mtr(mtd(a) mtd(b)) mtr(mtd(c) mtd(d))) ))"],
  ] as const) assert.equal(tex(source), want, source);
  assert.equal(tex("\\sum_{i}^n", true), "munderover(∑ i n)");
  for (const bad of ["{", "}", "\\left(", "\\right)", "\\frac{1}", "\\begin{pmatrix}", "\\end{x}", "x^", "\\sqrt[", "{".repeat(9999), "\\frac".repeat(9999), "^".repeat(500)]) assert.equal(tex(bad), undefined, bad.slice(0, 40));
  assert(tex("\\constructor \\toString \\hasOwnProperty") !== undefined);
});

test("the colours of code leave the code as it is", () => {
  for (const lang of ["go", "python", "sql", "html", "", "nosuch", "constructor", "text"]) {
    for (const code of ["x := \"a\\\"b\" // c\n/* d", "def f(): # 'x\n  return 0x1f, 1.5e-3", "'", "`a\nb", "\"\"\"x", "select * from t -- c", "<!-- x", "λ→"]) {
      assert.equal(highlight(code, lang).map(([, text]) => text).join(""), code, lang);
    }
  }
  assert.deepEqual(highlight("return 1 // x", "go"), [["keyword", "return"], ["", " "], ["number", "1"], ["", " "], ["comment", "// x"]]);
});
