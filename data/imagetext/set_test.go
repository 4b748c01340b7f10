package imagetext

import (
	"errors"
	"fmt"
	"image/color"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/media"
)

// items are n items of two rows with two captions each, the second rows half transparent; those of the broken ones have no picture that can be read.
func items(t testing.TB, n int, broken ...int) []Item {
	t.Helper()
	content := map[string]string{}
	var table strings.Builder
	for i := range n {
		for r := range 2 {
			name := fmt.Sprintf("%d%d.png", i, r)
			content[name] = string(picture(t, color.NRGBA{uint8(20 * i), uint8(100 * r), 7, uint8(255 - 130*r)}))
			if slices.Contains(broken, i) {
				content[name] = content[name][:30]
			}
			fmt.Fprintf(&table, `{"image": %q, "text": ["%[2]d %[3]d a", "%[2]d %[3]d b"], "of": "%[2]d"}`+"\n", name, i, r)
		}
	}
	content["t.jsonl"] = table.String()
	list, err := Read(t.Context(), []string{filepath.Join(files(t, content), "t.jsonl")}, ReadOptions{Group: "of"})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func encode(text string) ([]int32, error) {
	var ids []int32
	for _, b := range []byte(text) {
		ids = append(ids, int32(b))
	}
	return ids, nil
}

func set(t testing.TB, list []Item, o Options) *Set {
	t.Helper()
	o.Prepare, o.Encode = media.CLIP(8), encode
	s, err := New(list, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func fill(t testing.TB, s *Set, step, from, to int) Batch {
	t.Helper()
	var b Batch
	if err := s.Fill(&b, step, from, to); err != nil {
		t.Fatal(err)
	}
	return b
}

// A batch is a function of the step, whatever its parts, the memory for pictures and the threads; an epoch has every item once.
func TestFill(t *testing.T) {
	list := items(t, 9)
	augment := &media.Augment{Crop: media.RandomResizedCrop{Size: 8, Scale: [2]float64{0.3, 1}}, Flip: 0.5, Jitters: 1, Jitter: media.ColorJitter{Brightness: 0.3}}
	o := Options{Batch: 4, Augment: augment, Grounds: [][3]uint8{{255, 255, 255}, {0, 0, 0}}, Seed: 5, Threads: 2}
	s := set(t, list, o)
	few := o
	few.Keep, few.Threads = -1, 1
	cold := set(t, list, few)
	captions := map[string]int{}
	for step := range 8 {
		b := fill(t, s, step, 0, 4)
		seen := map[string]bool{}
		ids := b.IDs
		for i, c := range b.Captions {
			item := strings.Fields(c)[0]
			if seen[item] {
				t.Errorf("step %d has item %s twice", step, item)
			}
			seen[item] = true
			captions[c]++
			if want, _ := encode(c); !slices.Equal(ids[:b.Lengths[i]], want) {
				t.Errorf("caption %q has ids %v", c, ids[:b.Lengths[i]])
			}
			ids = ids[b.Lengths[i]:]
		}
		part := fill(t, cold, step, 1, 3)
		if !slices.Equal(part.Captions, b.Captions[1:3]) || !slices.Equal(part.Pixels, b.Pixels[3*64:3*3*64]) {
			t.Errorf("step %d: a part differs from the whole", step)
		}
	}
	of := func(step int) (items []string) {
		for _, c := range fill(t, s, step, 0, 4).Captions {
			items = append(items, strings.Fields(c)[0])
		}
		return items
	}
	if slices.Equal(of(0), of(2)) { // an epoch has two batches
		t.Error("two epochs have the same order")
	}
	if len(captions) < 12 {
		t.Errorf("in eight steps only %d captions were drawn", len(captions))
	}
	other := o
	other.Seed = 6
	if slices.Equal(fill(t, s, 0, 0, 4).Captions, fill(t, set(t, list, other), 0, 0, 4).Captions) {
		t.Error("another seed gives the same batch")
	}
	prints := map[string]bool{s.Fingerprint(): true, set(t, list, other).Fingerprint(): true, set(t, list[:8], o).Fingerprint(): true}
	other = o
	other.Augment = nil
	prints[set(t, list, other).Fingerprint()] = true
	other.Augment = &media.Augment{Crop: augment.Crop}
	prints[set(t, list, other).Fingerprint()] = true
	if len(prints) != 5 || cold.Fingerprint() != s.Fingerprint() {
		t.Error("fingerprints do not tell what batches depend on, or more than that")
	}
	if err := s.Fill(new(Batch), 0, 2, 5); err == nil {
		t.Error("items beyond the batch are filled")
	}
}

func TestPlain(t *testing.T) {
	list := items(t, 3)
	s := set(t, list, Options{Batch: 2, Augment: &media.Augment{Crop: media.RandomResizedCrop{Size: 8, Scale: [2]float64{0.1, 0.2}}}, Grounds: [][3]uint8{{255, 255, 255}, {0, 0, 0}}})
	var b, all Batch
	if err := s.Plain(&b, 1, 3); err != nil {
		t.Fatal(err)
	}
	if want := []string{"1 0 a", "2 0 a"}; !slices.Equal(b.Captions, want) {
		t.Errorf("captions %v, want %v", b.Captions, want)
	}
	m, err := list[1].Rows[0].Decode(media.Limits{}, &[3]uint8{255, 255, 255})
	if err != nil {
		t.Fatal(err)
	}
	want := make([]float32, 3*64)
	media.CLIP(8).Apply(want, m)
	if !slices.Equal(b.Pixels[:3*64], want) {
		t.Error("a picture in use is changed")
	}
	s.AllCaptions(&all, 1, 3)
	if want := []string{"1 0 a", "1 0 b", "2 0 a", "2 0 b"}; !slices.Equal(all.Captions, want) || len(s.Captions(2)) != 2 {
		t.Errorf("captions %v, want %v", all.Captions, want)
	}
}

func TestBrokenPicture(t *testing.T) {
	list := items(t, 6, 2, 3)
	var b Batch
	err := set(t, list, Options{Batch: 6}).Fill(&b, 0, 0, 6)
	if err == nil || !strings.Contains(err.Error(), "t.jsonl:") || !strings.Contains(err.Error(), ".png") || !errors.Is(err, media.ErrFormat) {
		t.Errorf("%v: want the row and the file", err)
	}
	s := set(t, list, Options{Batch: 6, Skip: true})
	b = fill(t, s, 0, 0, 6)
	for _, c := range b.Captions {
		if c[0] == '2' || c[0] == '3' {
			t.Errorf("caption %q of a picture that cannot be read", c)
		}
	}
	if n := s.Skipped(); n < 2 || n > 4 { // of four rows at least one of each of the two items was drawn
		t.Errorf("%d pictures skipped, want 2 to 4", n)
	}
	if again := fill(t, set(t, list, Options{Batch: 6, Skip: true}), 0, 0, 6); !slices.Equal(again.Captions, b.Captions) {
		t.Error("what replaces a picture is not a function of the step")
	}
	if err := set(t, items(t, 2, 0, 1), Options{Batch: 2, Skip: true}).Fill(&b, 0, 0, 2); err == nil || !strings.Contains(err.Error(), "one after the other") {
		t.Errorf("no picture at all can be read: %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	list := items(t, 2)
	for want, o := range map[string]Options{
		"a batch of 3 out of 2": {Batch: 3},
		"augmented to 9":        {Batch: 1, Augment: &media.Augment{Crop: media.RandomResizedCrop{Size: 9}}},
		"t.jsonl:2":             {Batch: 1, Encode: func(text string) ([]int32, error) { return nil, errIf(text == "0 1 a") }},
	} {
		o.Prepare = media.CLIP(8)
		if o.Encode == nil {
			o.Encode = encode
		}
		if _, err := New(list, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func errIf(wrong bool) error {
	if wrong {
		return errors.New("too long")
	}
	return nil
}

// A file that is not there, or no file, is told of by its row before anything is drawn; with Skip it is counted.
func TestMissingPicture(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"missing":  os.Remove,
		"a folder": func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o755)) },
	} {
		list := items(t, 4)
		if err := errors.Join(change(list[2].Rows[1].path), change(list[3].Rows[0].path)); err != nil {
			t.Fatal(err)
		}
		o := Options{Batch: 4, Prepare: media.CLIP(8), Encode: encode}
		if _, err := New(list, o); err == nil || !strings.Contains(err.Error(), "t.jsonl:6") || !strings.Contains(err.Error(), "21.png") || !strings.Contains(err.Error(), "2 of 8 pictures") {
			t.Errorf("%s: %v, want row 6, its file and how many", name, err)
		}
		o.Skip = true
		if s, err := New(list, o); err != nil || s.Skipped() != 2 {
			t.Errorf("%s: %d skipped, %v", name, s.Skipped(), err)
		}
	}
}

func TestMeanTokens(t *testing.T) {
	list := items(t, 2)
	list[0].Rows = list[0].Rows[:1]
	list[0].Rows[0].Captions = []string{"a", "abc"} // 2 on average
	list[1].Rows[0].Captions, list[1].Rows[1].Captions = []string{"abcd"}, []string{"ab"}
	if got := set(t, list, Options{Batch: 2}).Tokens(); got != 2.5 {
		t.Errorf("%v tokens a caption, want 2.5", got)
	}
}
