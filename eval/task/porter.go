package task

import "strings"

// Porter's stemmer (1980) with the extensions of nltk's PorterStemmer, which rouge_score uses.

// irregular are words with a stem of their own.
var irregular = map[string]string{
	"sky": "sky", "skies": "sky", "dying": "die", "lying": "lie", "tying": "tie", "news": "news", "innings": "inning", "inning": "inning",
	"outings": "outing", "outing": "outing", "cannings": "canning", "canning": "canning", "howe": "howe", "proceed": "proceed", "exceed": "exceed", "succeed": "succeed",
}

// shape classifies the letters of a word: c consonants and v vowels; y is a vowel behind a consonant.
func shape(word string) string {
	s := []byte(word)
	for i := range s {
		if c := s[i]; c == 'y' && i > 0 && s[i-1] == 'c' || strings.IndexByte("aeiou", c) >= 0 {
			s[i] = 'v'
		} else {
			s[i] = 'c'
		}
	}
	return string(s)
}

// measure is m of [C](VC)^m[V].
func measure(stem string) int { return strings.Count(shape(stem), "vc") }

// double says whether a word ends with a doubled consonant.
func double(w string) bool {
	n := len(w)
	return n >= 2 && w[n-1] == w[n-2] && strings.HasSuffix(shape(w), "c")
}

// short says whether a word ends consonant, vowel, consonant other than w, x, y; or is vowel, consonant.
func short(w string) bool {
	s := shape(w)
	return strings.HasSuffix(s, "cvc") && strings.IndexByte("wxy", w[len(w)-1]) < 0 || s == "vc"
}

// rule replaces a suffix.
type rule struct{ suffix, by string }

// replace applies the rule of the first suffix that fits, if its stem has a measure above the given one.
func replace(w string, above int, rules []rule) string {
	for _, r := range rules {
		if stem, ok := strings.CutSuffix(w, r.suffix); ok {
			if measure(stem) > above {
				return stem + r.by
			}
			return w
		}
	}
	return w
}

var step2 = []rule{
	{"ational", "ate"}, {"tional", "tion"}, {"enci", "ence"}, {"anci", "ance"}, {"izer", "ize"}, {"bli", "ble"}, {"alli", "al"}, {"entli", "ent"}, {"eli", "e"}, {"ousli", "ous"},
	{"ization", "ize"}, {"ation", "ate"}, {"ator", "ate"}, {"alism", "al"}, {"iveness", "ive"}, {"fulness", "ful"}, {"ousness", "ous"}, {"aliti", "al"}, {"iviti", "ive"}, {"biliti", "ble"}, {"fulli", "ful"},
}

var step3 = []rule{{"icate", "ic"}, {"ative", ""}, {"alize", "al"}, {"iciti", "ic"}, {"ical", "ic"}, {"ful", ""}, {"ness", ""}}

var step4 = []rule{{"al", ""}, {"ance", ""}, {"ence", ""}, {"er", ""}, {"ic", ""}, {"able", ""}, {"ible", ""}, {"ant", ""}, {"ement", ""}, {"ment", ""}, {"ent", ""},
	{"ou", ""}, {"ism", ""}, {"ate", ""}, {"iti", ""}, {"ous", ""}, {"ive", ""}, {"ize", ""}}

// Stem returns the stem of a word in lower-case ASCII.
func Stem(w string) string {
	if s, ok := irregular[w]; ok {
		return s
	}
	if len(w) <= 2 {
		return w
	}
	w = inflection(w)
	if n := len(w); n > 2 && w[n-1] == 'y' && shape(w)[n-2] == 'c' {
		w = w[:n-1] + "i"
	}
	for {
		stem, ok := strings.CutSuffix(w, "alli")
		if !ok || measure(stem) == 0 {
			break
		}
		w = stem + "al"
	}
	if stem, ok := strings.CutSuffix(w, "logi"); ok {
		if measure(stem+"l") > 0 {
			w = stem + "log"
		}
	} else {
		w = replace(w, 0, step2)
	}
	w = replace(w, 0, step3)
	w = suffix4(w)
	if stem, ok := strings.CutSuffix(w, "e"); ok {
		if m := measure(stem); m > 1 || m == 1 && !short(stem) {
			w = stem
		}
	}
	if strings.HasSuffix(w, "ll") && measure(w[:len(w)-1]) > 1 {
		w = w[:len(w)-1]
	}
	return w
}

// suffix4 is step 4: suffixes go where m > 1, -ion only behind s or t, which count for the stem.
func suffix4(w string) string {
	for _, end := range []string{"sion", "tion"} {
		if stem, ok := strings.CutSuffix(w, end); ok {
			if measure(stem+end[:1]) > 1 {
				return stem + end[:1]
			}
			return w
		}
	}
	return replace(w, 1, step4)
}

// inflection is steps 1a and 1b: plurals, -ed and -ing.
func inflection(w string) string {
	switch {
	case len(w) == 4 && strings.HasSuffix(w, "ies"):
		w = w[:3]
	case strings.HasSuffix(w, "sses"), strings.HasSuffix(w, "ies"):
		w = w[:len(w)-2]
	case strings.HasSuffix(w, "s") && !strings.HasSuffix(w, "ss"):
		w = w[:len(w)-1]
	}
	if strings.HasSuffix(w, "ied") {
		if len(w) == 4 {
			return w[:3]
		}
		return w[:len(w)-2]
	}
	if stem, ok := strings.CutSuffix(w, "eed"); ok {
		if measure(stem) > 0 {
			return stem + "ee"
		}
		return w
	}
	stem, ok := strings.CutSuffix(w, "ed")
	if !ok {
		stem, ok = strings.CutSuffix(w, "ing")
	}
	if !ok || !strings.Contains(shape(stem), "v") {
		return w
	}
	switch {
	case strings.HasSuffix(stem, "at"), strings.HasSuffix(stem, "bl"), strings.HasSuffix(stem, "iz"):
		return stem + "e"
	case double(stem):
		if strings.IndexByte("lsz", stem[len(stem)-1]) >= 0 {
			return stem
		}
		return stem[:len(stem)-1]
	case measure(stem) == 1 && short(stem):
		return stem + "e"
	}
	return stem
}
