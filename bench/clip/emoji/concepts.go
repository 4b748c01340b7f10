package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"encoding/json"

	"github.com/plinth-ml/plinth/data"
	"github.com/plinth-ml/plinth/internal/file"
)

// styles are the sets of pictures; the last one is not trained on.
var styles = []style{
	{"noto", "noto-emoji/noto-emoji-72.tar"},
	{"openmoji", "openmoji/openmoji-128-png8.tar"},
	{"twemoji", "twemoji/twemoji-72.tar"},
}

type style struct{ name, tar string }

// unseen is the style that is not trained on.
const unseen = 2

// emoji is a row of emoji_captions.tsv with more words.
type emoji struct {
	files                       [3]string // in each style; "": it has none
	hex                         string
	group, subgroup, annotation string
	words                       []string // tags of all sources
}

// concept is what a picture shows whatever the tone of skin and the gender.
type concept struct {
	key             string
	group, subgroup string
	emojis          []*emoji // the neutral one first
}

// kind is a subgroup within its group.
func (c *concept) kind() string { return c.group + "/" + c.subgroup }

// shown is the first emoji of the concept that a style has; nil: none.
func (c *concept) shown(style int) *emoji {
	for _, e := range c.emojis {
		if e.files[style] != "" {
			return e
		}
	}
	return nil
}

// everywhere says whether all styles show the concept, so that it can be tested with.
func (c *concept) everywhere() bool {
	for s := range styles {
		if c.shown(s) == nil {
			return false
		}
	}
	return !strings.HasPrefix(c.group, "extras") && c.group != "component"
}

// readConcepts reads the table and joins it with the tags of gemoji and emojilib.
func readConcepts(dir string) ([]*concept, error) {
	more, err := readTags(filepath.Join(dir, "emoji-text"))
	if err != nil {
		return nil, err
	}
	t, err := data.OpenTable(filepath.Join(dir, "emoji-text/emoji_captions.tsv"), data.TableOptions{})
	if err != nil {
		return nil, err
	}
	defer t.Close()
	var columns []data.Column
	for _, name := range []string{"noto_file", "openmoji_file", "hexcode", "group", "subgroup", "annotation", "tags"} {
		columns = append(columns, data.Column{Name: name, Optional: true})
	}
	rows, err := t.Select(ctx, columns...)
	if err != nil {
		return nil, err
	}
	var list []*concept
	at := map[string]*concept{}
	for row, err := range rows {
		if err != nil {
			return nil, err
		}
		f := row.Fields
		e := &emoji{files: [3]string{f[0], f[1], twemoji(f[2])}, hex: f[2], group: f[3], subgroup: f[4], annotation: f[5]}
		for _, tag := range append(strings.Split(f[6], ","), more[bare(f[2])]...) {
			tag = strings.TrimSpace(strings.ReplaceAll(tag, "_", " "))
			if tag != "" && tag != e.annotation && !slices.Contains(e.words, tag) {
				e.words = append(e.words, tag)
			}
		}
		key := f[3] + " " + merged(f[2])
		c := at[key]
		if c == nil {
			c = &concept{key: key, group: e.group, subgroup: e.subgroup}
			at[key] = c
			list = append(list, c)
		}
		c.emojis = append(c.emojis, e)
	}
	for _, c := range list {
		slices.SortStableFunc(c.emojis, func(a, b *emoji) int { return plainness(a) - plainness(b) })
	}
	return list, nil
}

// plainness orders what a concept is shown by: without a tone of skin before one with, then short sequences before long ones.
func plainness(e *emoji) int {
	n := len(e.hex)
	if toned(e.hex) {
		n += 1000
	}
	return n
}

func toned(hex string) bool {
	return slices.ContainsFunc(strings.Split(hex, "-"), isTone)
}

func isTone(code string) bool { return code >= "1F3FB" && code <= "1F3FF" && len(code) == 5 }

// twemoji is the file of a sequence: without the variation selector where nothing is joined.
func twemoji(hex string) string {
	codes := strings.Split(strings.ToLower(hex), "-")
	if !slices.Contains(codes, "200d") {
		codes = slices.DeleteFunc(codes, func(c string) bool { return c == "fe0f" })
	}
	return strings.Join(codes, "-") + ".png"
}

// neutral are the codes of people that differ in gender alone.
var neutral = map[string]string{
	"1F468": "1F9D1", "1F469": "1F9D1", // man, woman: person
	"1F466": "1F9D2", "1F467": "1F9D2", // boy, girl: child
	"1F474": "1F9D3", "1F475": "1F9D3", // old man, old woman: older person
	"1F934": "1FAC5", "1F478": "1FAC5", // prince, princess: person with crown
	"1F385": "1F936",                   // Santa, Mrs. Claus
	"1F930": "1FAC4", "1FAC3": "1FAC4", // pregnant
	"1F57A": "1F483", // dancing
}

// merged is a sequence without tones of skin and genders; families and couples of all kinds are one each.
func merged(hex string) string {
	var codes []string
	for _, c := range strings.Split(hex, "-") {
		switch {
		case c == "FE0F" || isTone(c):
		case c == "2640" || c == "2642":
			if n := len(codes); n > 0 { // with what joins it; a sign by itself is a concept
				codes = codes[:n-1]
			} else {
				codes = append(codes, c)
			}
		case neutral[c] != "":
			codes = append(codes, neutral[c])
		default:
			codes = append(codes, c)
		}
	}
	people := !slices.ContainsFunc(codes, func(c string) bool { return !slices.Contains([]string{"1F9D1", "1F9D2", "200D"}, c) })
	switch s := strings.Join(codes, "-"); {
	case s == "1F9D1-200D-1F384":
		return "1F936"
	case slices.Contains([]string{"1F46B", "1F46C", "1F46D", "1F9D1-200D-1F91D-200D-1F9D1"}, s):
		return "1F46B" // holding hands
	case s == "1FAF1-200D-1FAF2":
		return "1F91D" // handshake
	case len(codes) > 1 && slices.Contains(codes, "1F48B"):
		return "1F48F" // kiss
	case len(codes) > 3 && slices.Contains(codes, "2764"):
		return "1F491" // couple with heart
	case len(codes) > 1 && people:
		return "1F46A" // family
	default:
		return s
	}
}

// bare is a sequence without variation selectors, by which the sources are joined.
func bare(hex string) string {
	return strings.Join(slices.DeleteFunc(strings.Split(hex, "-"), func(c string) bool { return c == "FE0F" }), "-")
}

// readTags returns the words of gemoji and emojilib for each sequence.
func readTags(dir string) (map[string][]string, error) {
	more := map[string][]string{}
	hex := func(s string) string {
		var codes []string
		for _, r := range s {
			codes = append(codes, fmt.Sprintf("%04X", r))
		}
		return bare(strings.Join(codes, "-"))
	}
	read := func(name string, into any) error {
		b, err := file.Read(filepath.Join(dir, name), 64<<20)
		if err != nil {
			return err
		}
		return json.Unmarshal(b, into)
	}
	var gemoji []struct {
		Emoji, Description string
		Aliases, Tags      []string
	}
	if err := read("gemoji.json", &gemoji); err != nil {
		return nil, err
	}
	for _, g := range gemoji {
		at := hex(g.Emoji)
		more[at] = append(append(append(more[at], g.Description), g.Aliases...), g.Tags...)
	}
	var lib map[string][]string
	if err := read("emojilib-keywords.json", &lib); err != nil {
		return nil, err
	}
	for e, words := range lib {
		more[hex(e)] = append(more[hex(e)], words...)
	}
	return more, nil
}
