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

// LoadStrict fills every binding from f. Each must be found in its shape, no two in one tensor, and each tensor be used or ignored;
// otherwise nothing is filled and one error lists what is missing, unexpected, mis-shaped and taken twice, eight of each. A nil ignore
// ignores nothing. Only a file that is cut short or closed while it is read leaves some bindings filled, and the error says so:
// the parameters are then not to be used.
func LoadStrict(f *File, b []Binding, ignore func(name string) bool) error {
	byName := make(map[string]span, len(f.spans))
	for _, p := range f.spans {
		byName[p.name] = p
	}
	taken := map[string]string{} // binding by tensor
	source := make([]string, len(b))
	var missing, unexpected, wrong, twice []string
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
		if other, ok := taken[p.name]; ok {
			twice = append(twice, fmt.Sprintf("%s: by %s and %s", p.name, other, v.Name))
		}
		taken[p.name] = v.Name
		if !slices.Equal(p.shape, v.Shape) {
			wrong = append(wrong, fmt.Sprintf("%s: file %v, model %v", p.name, p.shape, v.Shape))
		} else if n := (p.end - p.start) / p.dtype.Size(); n != len(v.Data) {
			wrong = append(wrong, fmt.Sprintf("%s: file has %d values, model %d", p.name, n, len(v.Data)))
		} else if !slices.Contains([]DType{F64, F32, F16, BF16}, p.dtype) {
			wrong = append(wrong, fmt.Sprintf("%s: file has %s, model wants floats", p.name, p.dtype))
		}
	}
	for _, p := range f.spans {
		if _, used := taken[p.name]; !used && (ignore == nil || !ignore(p.name)) {
			unexpected = append(unexpected, fmt.Sprintf("%s %v", p.name, p.shape))
		}
	}
	if len(missing)+len(unexpected)+len(wrong)+len(twice) > 0 {
		return fmt.Errorf("checkpoint: %s does not fit the model:%s%s%s%s", f.path, first("missing in the file", missing),
			first("unexpected in the file", unexpected), first("mis-shaped", wrong), first("taken twice", twice))
	}
	for i, v := range b {
		if source[i] == "" {
			continue
		}
		if err := f.float32(byName[source[i]], v.Data); err != nil {
			return fmt.Errorf("reading stopped at parameter %d of %d, those before it are overwritten: %w", i+1, len(b), err)
		}
	}
	return nil
}

// float32 decodes the tensor p into dst, a block at a time.
func (f *File) float32(p span, dst []float32) error {
	if err := f.reach(p); err != nil {
		return err
	}
	const block = 1 << 18
	size := p.dtype.Size()
	buf := make([]byte, min(block, len(dst))*size)
	for at := 0; at < len(dst); at += block {
		n := min(block, len(dst)-at)
		if err := f.read(p, buf[:n*size], at*size); err != nil {
			return err
		}
		if err := (Tensor{p.name, p.dtype, nil, buf[:n*size]}).Float32(dst[at : at+n]); err != nil {
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
