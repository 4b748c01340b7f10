// The TeX that models write in their answers, as a tree of MathML elements. What is not known is shown as its source.

export interface Maths {
  tag: string;
  attrs?: Record<string, string>;
  c: (Maths | string)[];
}

const el = (tag: string, c: (Maths | string)[] = [], attrs?: Record<string, string>): Maths => (attrs ? { tag, attrs, c } : { tag, c });
const row = (c: Maths[]): Maths => (c.length === 1 ? c[0]! : el("mrow", c));
const table = (text: string): Record<string, string> => Object.fromEntries(text.trim().split(/\s+/).map((pair) => pair.split("=") as [string, string]));

const letters = table(
  "alpha=α beta=β gamma=γ delta=δ epsilon=ϵ varepsilon=ε zeta=ζ eta=η theta=θ vartheta=ϑ iota=ι kappa=κ lambda=λ mu=μ nu=ν xi=ξ omicron=ο pi=π varpi=ϖ rho=ρ varrho=ϱ sigma=σ varsigma=ς tau=τ upsilon=υ phi=ϕ varphi=φ chi=χ psi=ψ omega=ω " +
    "Gamma=Γ Delta=Δ Theta=Θ Lambda=Λ Xi=Ξ Pi=Π Sigma=Σ Upsilon=Υ Phi=Φ Psi=Ψ Omega=Ω ell=ℓ hbar=ℏ imath=ı jmath=ȷ Re=ℜ Im=ℑ aleph=ℵ infty=∞ partial=∂ nabla=∇ emptyset=∅ varnothing=∅ wp=℘ top=⊤ bot=⊥ angle=∠ degree=°",
);
const operators = table(
  "times=× div=÷ cdot=⋅ pm=± mp=∓ ast=∗ star=⋆ circ=∘ bullet=∙ oplus=⊕ otimes=⊗ odot=⊙ cap=∩ cup=∪ wedge=∧ land=∧ vee=∨ lor=∨ neg=¬ lnot=¬ setminus=∖ " +
    "le=≤ leq=≤ ge=≥ geq=≥ ne=≠ neq=≠ equiv=≡ approx=≈ sim=∼ simeq=≃ cong=≅ propto=∝ ll=≪ gg=≫ prec=≺ succ=≻ in=∈ notin=∉ ni=∋ subset=⊂ supset=⊃ subseteq=⊆ supseteq=⊇ mid=∣ parallel=∥ perp=⊥ models=⊨ vdash=⊢ coloneqq=≔ " +
    "to=→ rightarrow=→ leftarrow=← gets=← leftrightarrow=↔ Rightarrow=⇒ implies=⟹ Leftarrow=⇐ Leftrightarrow=⇔ iff=⟺ mapsto=↦ uparrow=↑ downarrow=↓ longrightarrow=⟶ hookrightarrow=↪ " +
    "forall=∀ exists=∃ nexists=∄ therefore=∴ because=∵ ldots=… dots=… cdots=⋯ vdots=⋮ ddots=⋱ colon=: prime=′ backslash=\\ lbrace={ rbrace=} lbrack=[ rbrack=] langle=⟨ rangle=⟩ lceil=⌈ rceil=⌉ lfloor=⌊ rfloor=⌋ vert=| lvert=| rvert=| Vert=‖ lVert=‖ rVert=‖ | =‖",
);
operators["|"] = "‖";
const large = table("sum=∑ prod=∏ coprod=∐ int=∫ iint=∬ iiint=∭ oint=∮ bigcup=⋃ bigcap=⋂ bigoplus=⨁ bigotimes=⨂ bigwedge=⋀ bigvee=⋁");
const functions = new Set("sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh log ln lg exp det dim ker deg arg gcd hom Pr".split(" "));
const limits = new Set("lim max min sup inf limsup liminf argmax argmin".split(" "));
const accents = table("hat=^ widehat=^ bar=¯ overline=¯ tilde=~ widetilde=~ vec=→ overrightarrow=→ dot=˙ ddot=¨ check=ˇ breve=˘ overbrace=⏞");
const under = table("underline=_ underbrace=⏟");
const spaces = table(", =0.17em :=0.22em ;=0.28em !=-0.17em quad=1em qquad=2em enspace=0.5em thinspace=0.17em");
spaces[","] = "0.17em";
spaces[" "] = spaces["~"] = "0.33em";
const escaped = "{}$%&#_";
const sizes = /^(?:big|Big|bigg|Bigg)[lrm]?$/;
const ignored = new Set("displaystyle textstyle scriptstyle limits nolimits nonumber notag hline bm middle".split(" "));

/** Letters of a style, by the first code point of its capitals, small letters and digits; 0: as they are. */
const alphabets: Record<string, [number, number, number]> = {
  mathbf: [0x1d400, 0x1d41a, 0x1d7ce], boldsymbol: [0x1d468, 0x1d482, 0x1d7ce], mathbb: [0x1d538, 0x1d552, 0x1d7d8], mathcal: [0x1d49c, 0x1d4b6, 0], mathscr: [0x1d49c, 0x1d4b6, 0],
  mathfrak: [0x1d504, 0x1d51e, 0], mathsf: [0x1d5a0, 0x1d5ba, 0x1d7e2], mathtt: [0x1d670, 0x1d68a, 0x1d7f6], mathit: [0, 0, 0],
};
/** Those that Unicode had before it had the others. */
const early: Record<string, string> = table(
  "mathbbC=ℂ mathbbH=ℍ mathbbN=ℕ mathbbP=ℙ mathbbQ=ℚ mathbbR=ℝ mathbbZ=ℤ mathcalB=ℬ mathcalE=ℰ mathcalF=ℱ mathcalH=ℋ mathcalI=ℐ mathcalL=ℒ mathcalM=ℳ mathcalR=ℛ mathcale=ℯ mathcalg=ℊ mathcalo=ℴ mathfrakC=ℭ mathfrakH=ℌ mathfrakI=ℑ mathfrakR=ℜ mathfrakZ=ℨ",
);

function styled(style: string, text: string): string {
  const first = alphabets[style];
  if (!first) return text;
  return [...text].map((ch) => {
    const known = early[(style === "mathscr" ? "mathcal" : style) + ch];
    if (known) return known;
    const base = ch >= "A" && ch <= "Z" ? [first[0], "A"] : ch >= "a" && ch <= "z" ? [first[1], "a"] : ch >= "0" && ch <= "9" ? [first[2], "0"] : [0, ""];
    return base[0] ? String.fromCodePoint((base[0] as number) + ch.charCodeAt(0) - (base[1] as string).charCodeAt(0)) : ch;
  }).join("");
}

class Parser {
  private at = 0;
  private depth = 0;
  private readonly tokens: string[];

  constructor(source: string, private readonly display: boolean) {
    this.tokens = source.replace(/(?<!\\)%[^\n]*/g, "").match(/\\(?:[a-zA-Z]+\*?|[^])|\s+|\d+(?:\.\d+)?|[^]/gu) ?? [];
  }

  private peek(): string | undefined {
    while (this.tokens[this.at]?.trim() === "") this.at++;
    return this.tokens[this.at];
  }

  private next(): string {
    const t = this.peek();
    if (t === undefined) throw new Error("the formula ends too early");
    this.at++;
    return t;
  }

  private expect(want: string): void {
    if (this.next() !== want) throw new Error("expected " + want);
  }

  whole(): Maths {
    const all = this.cells(undefined);
    if (this.peek() !== undefined) throw new Error("something is closed that was not opened");
    return all.length === 1 && all[0]!.length === 1 ? row(all[0]![0]!) : this.grid(all, "right left");
  }

  /** Rows of cells up to the token `end`, which is consumed. */
  private cells(end: string | undefined): Maths[][][] {
    const rows: Maths[][][] = [[[]]];
    const last = () => rows[rows.length - 1]!;
    for (let t = this.peek(); t !== end; t = this.peek()) {
      if (t === undefined || t === "}" || t === "\\right" || t === "\\end") throw new Error("unbalanced");
      if (t === "&" || t === "\\\\") {
        this.at++;
        if (t === "&") last().push([]);
        else rows.push([[]]);
        if (t === "\\\\" && this.peek() === "[") this.raw("[", "]");
      } else {
        last()[last().length - 1]!.push(this.scripted());
      }
    }
    if (end !== undefined) this.at++;
    if (rows.length > 1 && last().length === 1 && last()[0]!.length === 0) rows.pop();
    return rows;
  }

  private grid(rows: Maths[][][], align: string): Maths {
    const sides = align.split(" ");
    const cell = (c: Maths[], i: number) => el("mtd", c, { class: sides[i % sides.length] ?? "center" });
    return el("mtable", rows.map((r) => el("mtr", r.map(cell))), this.display && sides.length > 1 ? { displaystyle: "true" } : undefined);
  }

  /** The text between two marks, as it is. */
  private raw(open: string, close: string): string {
    this.expect(open);
    let text = "";
    for (let depth = 0; ; this.at++) {
      const t = this.tokens[this.at];
      if (t === undefined) throw new Error("the formula ends too early");
      if (t === close && depth-- === 0) break;
      if (t === open) depth++;
      text += /^\\[{}$%&#_]$/.test(t) ? t.slice(1) : t;
    }
    this.at++;
    return text;
  }

  /** What stands in braces, or one item. */
  private argument(): Maths {
    const t = this.peek();
    if (t !== undefined && /^\d{2}/.test(t)) { // \frac12: one digit each
      this.tokens.splice(this.at, 1, t[0]!, t.slice(1));
    }
    return this.item();
  }

  private group(): Maths {
    this.expect("{");
    const c: Maths[] = [];
    while (this.peek() !== "}") c.push(this.scripted());
    this.at++;
    return row(c);
  }

  /** An item with what stands above and below it. */
  private scripted(): Maths {
    const t = this.peek();
    const base = t === "^" || t === "_" ? el("mrow") : this.item();
    const name = t?.slice(1) ?? "";
    let sub: Maths | undefined;
    let sup: Maths | undefined;
    const primes: string[] = [];
    for (let next = this.peek(); ; next = this.peek()) {
      if (next === "'") {
        this.at++;
        primes.push("′");
      } else if (next === "\\limits" || next === "\\nolimits") {
        this.at++;
      } else if (next === "^" && !sup) {
        this.at++;
        sup = this.argument();
      } else if (next === "_" && !sub) {
        this.at++;
        sub = this.argument();
      } else {
        break;
      }
    }
    if (primes.length) sup = row([el("mo", [primes.join("")]), ...(sup ? [sup] : [])]);
    const above = (this.display && name in large && !name.endsWith("int")) || limits.has(name) || name === "underbrace" || name === "overbrace" || name === "operatorname*";
    if (sub && sup) return el(above ? "munderover" : "msubsup", [base, sub, sup]);
    if (sub) return el(above ? "munder" : "msub", [base, sub]);
    if (sup) return el(above ? "mover" : "msup", [base, sup]);
    return base;
  }

  private item(): Maths {
    if (++this.depth > 60) throw new Error("too deep");
    try {
      const t = this.peek();
      if (t === "{") return this.group();
      this.next();
      if (t!.length > 1 && t!.startsWith("\\")) return this.command(t!.slice(1));
      if (/^\d/.test(t!)) return el("mn", [t!]);
      if (/^\p{L}$/u.test(t!)) return el("mi", [t!]);
      if (t === "}" || t === "&" || t === "^" || t === "_") throw new Error("unbalanced");
      if (t === "~") return el("mspace", [], { width: "0.33em" });
      return el("mo", [t === "-" ? "−" : t!], "()[]|".includes(t!) ? { stretchy: "false" } : undefined);
    } finally {
      this.depth--;
    }
  }

  private command(name: string): Maths {
    if (Object.hasOwn(letters, name)) return el("mi", [letters[name]!]);
    if (Object.hasOwn(operators, name)) return el("mo", [operators[name]!], /[{}[\]⟨⟩⌈⌉⌊⌋|‖]/u.test(operators[name]!) ? { stretchy: "false" } : undefined);
    if (Object.hasOwn(large, name)) return el("mo", [large[name]!], this.display ? { largeop: "true", movablelimits: "false" } : undefined);
    if (functions.has(name) || limits.has(name)) return el("mi", [name.replace(/^(lim|arg)(?=sup|inf|max|min)/, "$1\u2009")]);
    if (Object.hasOwn(spaces, name)) return el("mspace", [], { width: spaces[name]! });
    if (name.length === 1 && escaped.includes(name)) return el("mo", [name], { stretchy: "false" });
    if (Object.hasOwn(accents, name)) return el("mover", [this.argument(), el("mo", [accents[name]!])], /^(over|wide)/.test(name) ? {} : { accent: "true" });
    if (Object.hasOwn(under, name)) return el("munder", [this.argument(), el("mo", [under[name]!])]);
    if (Object.hasOwn(alphabets, name)) return this.letters(name);
    if (sizes.test(name)) return el("mo", [this.fence()], { stretchy: "true", minsize: name.startsWith("bigg") || name.startsWith("Bigg") ? "2em" : "1.3em" });
    if (ignored.has(name)) return el("mrow");
    switch (name) {
      case "frac": case "dfrac": case "tfrac": case "cfrac": {
        const f = el("mfrac", [this.argument(), this.argument()]);
        return name === "dfrac" || name === "cfrac" ? el("mstyle", [f], { displaystyle: "true" }) : f;
      }
      case "binom":
        return row([el("mo", ["("]), el("mfrac", [this.argument(), this.argument()], { linethickness: "0" }), el("mo", [")"])]);
      case "sqrt": {
        if (this.peek() !== "[") return el("msqrt", [this.argument()]);
        const degree = new Parser(this.raw("[", "]"), false).whole();
        return el("mroot", [this.argument(), degree]);
      }
      case "text": case "textrm": case "mbox": case "textbf": case "textit": case "texttt":
        return el("mtext", [this.raw("{", "}").replace(/^ | $/g, "\u00a0")]);
      case "mathrm": case "operatorname": case "operatorname*": case "mathop":
        return this.peek() === "{" ? el("mi", [this.raw("{", "}").replace(/\\[,;! ]/g, "\u2009")], { mathvariant: "normal" }) : this.item();
      case "overset": case "stackrel": {
        const above = this.argument();
        return el("mover", [this.argument(), above]);
      }
      case "underset": {
        const below = this.argument();
        return el("munder", [this.argument(), below]);
      }
      case "boxed":
        return el("mrow", [this.argument()], { class: "boxed" });
      case "not": {
        const what = this.item();
        return typeof what.c[0] === "string" ? el(what.tag, [what.c[0] + "\u0338"]) : what;
      }
      case "pmod":
        return row([el("mspace", [], { width: "0.5em" }), el("mo", ["("], { stretchy: "false" }), el("mi", ["mod"]), el("mspace", [], { width: "0.3em" }), this.argument(), el("mo", [")"], { stretchy: "false" })]);
      case "bmod": case "mod":
        return el("mo", ["mod"]);
      case "color": case "label": case "tag":
        this.raw("{", "}");
        return el("mrow");
      case "left":
        return this.fenced();
      case "begin":
        return this.environment(this.raw("{", "}"));
    }
    return el("mtext", ["\\" + name], { class: "unknown" });
  }

  private letters(style: string): Maths {
    const inside = this.argument();
    const restyle = (m: Maths): Maths => ({ ...m, c: m.c.map((x) => (typeof x === "string" ? (m.tag === "mi" || m.tag === "mn" ? styled(style, x) : x) : restyle(x))) });
    return restyle(inside);
  }

  private fence(): string {
    const t = this.next();
    if (t === ".") return "";
    if (t === "<") return "⟨";
    if (t === ">") return "⟩";
    const name = t.slice(1);
    return t.startsWith("\\") ? (operators[name] ?? name) : t;
  }

  private fenced(): Maths {
    const open = this.fence();
    const c: Maths[] = [];
    while (this.peek() !== "\\right") {
      if (this.peek() === "\\middle") {
        this.at++;
        c.push(el("mo", [this.fence()], { stretchy: "true", fence: "true" }));
      } else {
        c.push(this.scripted());
      }
    }
    this.at++;
    const close = this.fence();
    const mark = (text: string) => (text ? [el("mo", [text], { stretchy: "true", fence: "true" })] : []);
    return el("mrow", [...mark(open), ...c, ...mark(close)]);
  }

  private environment(name: string): Maths {
    if (name === "array" && this.peek() === "{") this.raw("{", "}");
    const fences: Record<string, [string, string]> = { pmatrix: ["(", ")"], bmatrix: ["[", "]"], Bmatrix: ["{", "}"], vmatrix: ["|", "|"], Vmatrix: ["‖", "‖"], cases: ["{", ""] };
    const [open, close] = fences[name] ?? ["", ""];
    const align = /^(align|aligned|split|eqnarray|gather|equation)/.test(name) ? "right left" : name === "cases" ? "left left" : "center";
    if (++this.depth > 60) throw new Error("too deep");
    const rows = this.cells("\\end");
    this.depth--;
    if (this.raw("{", "}") !== name) throw new Error("unbalanced");
    const mark = (text: string) => (text ? [el("mo", [text], { stretchy: "true", fence: "true" })] : []);
    return el("mrow", [...mark(open), this.grid(rows, align), ...mark(close)]);
  }
}

/** The MathML of a formula; undefined where it cannot be read. */
export function maths(source: string, display: boolean): Maths | undefined {
  if (source.length > 20_000) return undefined;
  try {
    const body = new Parser(source, display).whole();
    return el("math", [body], display ? { display: "block" } : undefined);
  } catch {
    return undefined;
  }
}
