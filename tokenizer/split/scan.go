package split

// blank returns the end of a run of white space under \s+(?!\S)|\s+: all of it at the end of the text, else all but its last
// character, which goes with what follows; a single one stays alone.
func blank(text []byte, at int) int {
	last, i := at, at // last character's start, end of the run
	for i < len(text) {
		c, n := classAt(text, i)
		if spaces&c == 0 {
			break
		}
		last = i
		i += n
	}
	if i == len(text) || last == at {
		return i
	}
	return last
}

// blankLines is blank after \s*[\r\n]+: a run with line breaks ends behind the last of them.
func blankLines(text []byte, at int) int {
	last, i, behind := at, at, -1
	for i < len(text) {
		c, n := classAt(text, i)
		if spaces&c == 0 {
			break
		}
		last = i
		i += n
		if c == newline {
			behind = i
		}
	}
	switch {
	case behind >= 0:
		return behind
	case i == len(text) || last == at:
		return i
	}
	return last
}

// contraction returns the end of 's 't 're 've 'm 'll 'd at text[at], or at where there is none.
func contraction(text []byte, at int) int {
	if at+1 >= len(text) || text[at] != '\'' {
		return at
	}
	switch text[at+1] {
	case 's', 't', 'm', 'd':
		return at + 2
	case 'r', 'v':
		if at+2 < len(text) && text[at+2] == 'e' {
			return at + 3
		}
	case 'l':
		if at+2 < len(text) && text[at+2] == 'l' {
			return at + 3
		}
	}
	return at
}

// contractionFold is contraction in any case. The long s, U+017F, counts as an s.
func contractionFold(text []byte, at int) int {
	if at+1 >= len(text) || text[at] != '\'' {
		return at
	}
	switch text[at+1] | 0x20 {
	case 's', 't', 'm', 'd':
		return at + 2
	case 'r', 'v':
		if at+2 < len(text) && text[at+2]|0x20 == 'e' {
			return at + 3
		}
	case 'l':
		if at+2 < len(text) && text[at+2]|0x20 == 'l' {
			return at + 3
		}
	}
	if text[at+1] == 0xC5 && at+2 < len(text) && text[at+2] == 0xBF {
		return at + 3
	}
	return at
}

// gpt2 scans 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
func gpt2(text []byte, at int) int {
	i := at
	if b := text[at]; b == ' ' {
		i++
	} else if b == '\'' {
		if end := contraction(text, at); end > at {
			return end
		}
	}
	if end := shortWord(text, i); end > i {
		return end
	}
	c, n := classOr(text, i)
	switch {
	case letters&c != 0:
		return letterRun(text, i+n)
	case number&c != 0:
		return run(text, i+n, number)
	case symbols&c != 0:
		return run(text, i+n, symbols)
	}
	return blank(text, at)
}

// cl100k scans (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
func cl100k(text []byte, at int) int { return wordsAndDigits(text, at, 3) }

// qwen2 is cl100k with single digits.
func qwen2(text []byte, at int) int { return wordsAndDigits(text, at, 1) }

// cl100kEnd is cl100k with \s++$ before \s*[\r\n]: white space at the end of the text is one piece.
func cl100kEnd(text []byte, at int) int {
	if c, _ := classAt(text, at); spaces&c != 0 && run(text, at, spaces) == len(text) {
		return len(text)
	}
	return cl100k(text, at)
}

func wordsAndDigits(text []byte, at, digits int) int {
	c, n := classAt(text, at)
	i := at
	if c&prefixes != 0 && text[at] != '\'' {
		i += n
	}
	if end := shortWord(text, i); end > i {
		return end
	}
	i = at + n
	switch {
	case letters&c != 0:
		return letterRun(text, i)
	case c == number:
		return upTo(text, i, digits-1)
	case c == newline:
		return blankLines(text, at)
	}
	if text[at] == '\'' {
		if end := contractionFold(text, at); end > at {
			return end
		}
	}
	next, m := classOr(text, i)
	switch {
	case letters&next != 0:
		return letterRun(text, i+m)
	case c != space:
		return run(text, run(text, i, symbols), newline)
	case text[at] == ' ' && symbols&next != 0:
		return run(text, run(text, i+m, symbols), newline)
	}
	return blankLines(text, at)
}

// upTo returns the end of at most n more numbers.
func upTo(text []byte, i, n int) int {
	for ; n > 0; n-- {
		c, m := classOr(text, i)
		if c != number {
			break
		}
		i += m
	}
	return i
}

// o200k scans
//
//	[^\r\n\p{L}\p{N}]?[U]*[W]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[U]+[W]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?
//	|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+
//
// with U = \p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M} and W = \p{Ll}\p{Lm}\p{Lo}\p{M}.
func o200k(text []byte, at int) int {
	c, n := classAt(text, at)
	i := at
	if c&prefixes != 0 {
		i += n
	}
	if c&(letters|prefixes) != 0 {
		end, capitals := casedWord(text, i)
		if c == mark && capitals {
			// As a prefix it needs the first alternative, which capitals alone do not match; so it is a word of its own.
			end = i
		}
		if end > i || c == mark {
			if end < len(text) && text[end] == '\'' {
				return contractionFold(text, end)
			}
			return end
		}
	}
	switch c {
	case number:
		return upTo(text, at+n, 2)
	case newline:
		return blankLines(text, at)
	case space:
		next, m := classOr(text, i)
		if text[at] != ' ' || symbols&next == 0 {
			return blankLines(text, at)
		}
		i += m
	}
	i = run(text, i, symbols)
	for i < len(text) && (text[i] == '\r' || text[i] == '\n' || text[i] == '/') {
		i++
	}
	return i
}

// casedWord returns the end of [U]*[W]+|[U]+[W]* at text[at], at where neither matches, and whether the first one does not.
func casedWord(text []byte, at int) (end int, capitals bool) {
	if at+8 <= len(text) {
		w := load(text, at)
		isLetter := asciiLetters(w)
		isLower := isLetter & (w << 2) // 0x20 to 0x80
		u := firstNot(isLetter &^ isLower)
		n := firstNot(isLower | (1<<(8*u)-1)&highs)
		switch {
		case n < 8 && text[at+n] < 0x80:
			return at + n, n == u
		case n == 8 && u < 8:
			return run(text, at+8, lowerWord), false
		}
	}
	i, behind := at, at // behind: the last character of the run that is in both U and W
	for i < len(text) {
		c, n := classAt(text, i)
		if upperWord&c == 0 {
			if c == lower {
				return run(text, i+n, lowerWord), false
			}
			break
		}
		i += n
		if eitherWord&c != 0 {
			behind = i
		}
	}
	if behind > at {
		return behind, false
	}
	return i, true
}
