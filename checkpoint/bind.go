package checkpoint

import (
	"fmt"
	"slices"
	"strings"
)

// Binding connects one parameter to its name in the file. Aliases are tried in order where Name is absent. Data has the
// product of Shape elements. An Optional parameter may be missing; its Data is then left alone.
type Binding struct {
	Name     string
	Shape    []int
	Data     []float32
	Optional bool
	Aliases  []string
}

// LoadStrict fills every binding from f. Each must be found in its shape and each tensor be used or ignored; otherwise nothing is
// filled and one error lists what is missing, unexpected and mis-shaped, eight of each. A nil ignore ignores nothing.
func LoadStrict(f *File, b []Binding, ignore func(name string) bool) error {
	byName := make(map[string]span, len(f.spans))
	for _, p := range f.spans {
		byName[p.name] = p
	}
	used := map[string]bool{}
	source := make([]string, len(b))
	var missing, unexpected, wrong []string
	for i, v := range b {
		for _, name := range append([]string{v.Name}, v.Aliases...) {
			if _, ok := byName[name]; ok {
				source[i] = name
				break
			}
		}
		p, ok := byName[source[i]], source[i] != ""
		switch {
		case !ok && v.Optional:
			continue
		case !ok:
			missing = append(missing, fmt.Sprintf("%s %v", v.Name, v.Shape))
			continue
		}
		used[p.name] = true
		if !slices.Equal(p.shape, v.Shape) {
			wrong = append(wrong, fmt.Sprintf("%s: file %v, model %v", p.name, p.shape, v.Shape))
		} else if n := (p.end - p.start) / p.dtype.Size(); n != len(v.Data) {
			wrong = append(wrong, fmt.Sprintf("%s: file has %d values, model %d", p.name, n, len(v.Data)))
		} else if !slices.Contains([]DType{F64, F32, F16, BF16}, p.dtype) {
			wrong = append(wrong, fmt.Sprintf("%s: file has %s, model wants floats", p.name, p.dtype))
		}
	}
	for _, p := range f.spans {
		if !used[p.name] && (ignore == nil || !ignore(p.name)) {
			unexpected = append(unexpected, fmt.Sprintf("%s %v", p.name, p.shape))
		}
	}
	if len(missing)+len(unexpected)+len(wrong) > 0 {
		return fmt.Errorf("checkpoint: %s does not fit the model:%s%s%s", f.path,
			first("missing in the file", missing), first("unexpected in the file", unexpected), first("mis-shaped", wrong))
	}
	for i, v := range b {
		if source[i] == "" {
			continue
		}
		t, err := f.Tensor(source[i])
		if err != nil {
			return err
		}
		if err := t.Float32(v.Data); err != nil {
			return err
		}
	}
	return nil
}

// first lists up to eight of list under title.
func first(title string, list []string) string {
	if len(list) == 0 {
		return ""
	}
	return fmt.Sprintf("\n%d %s: %s", len(list), title, strings.Join(list[:min(8, len(list))], "; "))
}
