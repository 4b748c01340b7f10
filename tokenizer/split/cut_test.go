package split

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// checkCut compares Cut with Next, into buffers of several sizes.
func checkCut(t *testing.T, p *Pattern, text string) {
	t.Helper()
	b := []byte(text)
	var want []int
	for at := 0; at < len(b); {
		at = p.Next(b, at)
		want = append(want, at)
	}
	for _, room := range []int{1, window, window + 1, 1000} {
		buf := make([]int, room)
		var have []int
		for at := 0; at < len(b); {
			have = append(have, buf[:p.Cut(buf, b, at)]...)
			at = have[len(have)-1]
		}
		if !slices.Equal(have, want) {
			i := 0
			for i < min(len(have), len(want)) && have[i] == want[i] {
				i++
			}
			from := 0
			if i > 0 {
				from = want[i-1]
			}
			t.Fatalf("%s: %q\nhave %v\nwant %v\nfrom %q", p.Name, text, have, want, text[from:])
		}
	}
}

// asciiTexts returns texts of several windows: the tricky alphabets without most of what is not ASCII, which hides the windows from view.
func asciiTexts(n int, seed uint64) []string {
	alphabets := []string{" \t\n\r'aB1.", "'sStTrRvVeElLmMdD x", " \n\r\t\v\fa!", "0123456789 x,", "aAzZ 's/", "!/.,-_'\"#\r\n/ ", "\n\r/! ", "\x00\x1f\x7f\x1c\x0e`@[{/:"}
	rng := rand.New(rand.NewPCG(seed, 0))
	texts := make([]string, n)
	for i := range texts {
		var s strings.Builder
		for a := alphabets[rng.IntN(len(alphabets))]; s.Len() < 40+rng.IntN(300); {
			switch rng.IntN(12) {
			case 0:
				a = alphabets[rng.IntN(len(alphabets))]
			case 1:
				s.WriteByte(byte(rng.IntN(128)))
			case 2:
				if rng.IntN(8) == 0 {
					s.WriteString("\u00a0é“中\u017f\xff"[:1+rng.IntN(12)])
				}
			case 3:
				s.WriteString(strings.Repeat(a[:1], rng.IntN(80)))
			default:
				s.WriteByte(a[rng.IntN(len(a))])
			}
		}
		texts[i] = s.String()
	}
	return texts
}

func TestCut(t *testing.T) {
	texts := append(asciiTexts(peerTexts, 1), randomTexts(peerTexts/10, 200, anyRune)...)
	for _, p := range Known {
		for _, text := range texts {
			checkCut(t, p, text)
		}
	}
}

func FuzzCut(f *testing.F) {
	for _, text := range asciiTexts(20, 2) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, p := range Known {
			checkCut(t, p, text)
		}
	})
}

// TestClassify compares the masks with the classes of single characters, for each byte at each place.
func TestClassify(t *testing.T) {
	for name, classify := range map[string]func(*masks, *[window]byte){"portable": classifyGo, "machine": classify} {
		rng := rand.New(rand.NewPCG(3, 0))
		for round := range 4096 {
			buf := make([]byte, window+64)
			for i := range buf {
				buf[i] = byte(rng.UintN(256))
			}
			text := (*[window]byte)(buf[round%64:])
			text[round%window] = byte(round/window*4 + round%4)
			var have, want masks
			classify(&have, text)
			for i, b := range text {
				for _, x := range []struct {
					mask *uint64
					in   bool
				}{
					{&want.letter, asciiClass[b]&letters != 0}, {&want.lower, asciiClass[b] == lower}, {&want.digit, asciiClass[b] == number},
					{&want.white, asciiClass[b]&spaces != 0}, {&want.space, b == ' '}, {&want.newline, asciiClass[b] == newline},
					{&want.quote, b == '\''}, {&want.slash, b == '/'}, {&want.high, b >= 0x80},
				} {
					if x.in {
						*x.mask |= 1 << i
					}
				}
			}
			if have != want {
				t.Fatalf("%s: %q\nhave %x\nwant %x", name, text[:], have, want)
			}
		}
	}
}
