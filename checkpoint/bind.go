package checkpoint

import (
	"fmt"
	"slices"
	"strings"
	"unsafe"

	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/tensor"
)

// Binding connects one parameter to its place in a file, the first of Places that is there; without Places it is the tensor Name.
// Data has the product of Shape elements. A Tensor stands for both: one with memory, which must be F32, is filled; one that is only a
// shape is bound to the file's memory in the file's own type, and to memory of its own, F32, where its rows do not
// stand together there, its values are changed on reading, or it is a vector of another type. An Optional parameter may be missing; it
// is then left alone.
type Binding struct {
	Name     string
	Shape    []int
	Data     []float32
	Tensor   *tensor.Tensor
	Optional bool
	Places   []Place
}

// places returns where the parameter may stand, best first.
func (b *Binding) places() []Place {
	if len(b.Places) == 0 {
		return []Place{{Name: b.Name}}
	}
	return b.Places
}

func (b *Binding) shape() []int {
	if b.Tensor != nil {
		return b.Tensor.Shape()
	}
	return b.Shape
}

// memory returns where the values go as float32: nil where the tensor has none.
func (b *Binding) memory() []float32 {
	if b.Tensor != nil {
		return b.Tensor.F32()
	}
	return b.Data
}

// choice is the place that a parameter has in a file.
type choice struct {
	Place
	binding *Binding
	tensor  int // in Infos
}

// LoadStrict fills every binding from src. Each must be found in its shape, no two in one place, and each tensor be used whole or ignored;
// otherwise nothing is filled and one error lists what is missing, unexpected, mis-shaped and taken twice, eight of each. A nil ignore
// ignores nothing. Only a file that is cut short or closed while it is read leaves some bindings filled, and the error says so:
// the parameters are then not to be used. Where a Tensor was bound to memory of src, src must stay open as long as the tensor is used.
func LoadStrict(src Source, b []Binding, ignore func(name string) bool) error {
	choices, err := resolve(src, b, ignore)
	if err != nil {
		return err
	}
	for i, c := range choices {
		if err := c.load(src, src.Infos()[c.tensor]); err != nil {
			return fmt.Errorf("reading stopped at parameter %d of %d, those before it are overwritten: %w", i+1, len(choices), err)
		}
	}
	return nil
}

// resolve finds the bindings' places in src, in their order, under the rules of LoadStrict.
func resolve(src Source, b []Binding, ignore func(name string) bool) ([]choice, error) {
	infos := src.Infos()
	byName := make(map[string]int, len(infos))
	for i, t := range infos {
		byName[t.Name] = i
	}
	var choices []choice
	var problems problems
	users := make([][]*choice, len(infos))
	for i := range b {
		v := &b[i]
		places := v.places()
		at := slices.IndexFunc(places, func(p Place) bool { _, ok := byName[p.Name]; return ok })
		switch {
		case at >= 0:
			choices = append(choices, choice{places[at], v, byName[places[at].Name]})
		case !v.Optional:
			problems.add(&problems.missing, "%s %v", v.Name, v.shape())
		}
	}
	for i := range choices {
		users[choices[i].tensor] = append(users[choices[i].tensor], &choices[i])
	}
	for i, t := range infos {
		if len(users[i]) > 0 {
			problems.check(t, users[i])
		} else if ignore == nil || !ignore(t.Name) {
			problems.scaled = problems.scaled || strings.HasSuffix(t.Name, "_scale_inv") || strings.HasSuffix(t.Name, ".weight_scale")
			problems.add(&problems.unexpected, "%s %v", t.Name, t.Shape)
		}
	}
	return choices, problems.err(src.Path())
}

// problems are the ways in which a file and a model do not fit.
type problems struct {
	missing, unexpected, wrong, twice []string
	scaled                            bool // a tensor holds the scales of another
}

func (p *problems) add(list *[]string, format string, args ...any) {
	*list = append(*list, fmt.Sprintf(format, args...))
}

func (p *problems) err(path string) error {
	if len(p.missing)+len(p.unexpected)+len(p.wrong)+len(p.twice) == 0 {
		return nil
	}
	scaled := ""
	if p.scaled {
		scaled = "\nweights with scales of their own in the file (block-scaled FP8) are not implemented: take the model in BF16"
	}
	return fmt.Errorf("checkpoint: %s does not fit the model:%s%s%s%s%s", path, first("missing in the file", p.missing),
		first("unexpected in the file", p.unexpected), first("mis-shaped", p.wrong), first("taken twice", p.twice), scaled)
}

// first lists up to eight of list under title.
func first(title string, list []string) string {
	if len(list) == 0 {
		return ""
	}
	return fmt.Sprintf("\n%d %s: %s", len(list), title, strings.Join(list[:min(8, len(list))], "; "))
}

// check compares the tensor t with those who use it.
func (p *problems) check(t Info, users []*choice) {
	total, fits, plain := 0, true, true
	for _, c := range users {
		shape := c.binding.shape()
		rows, width := rowsOf(shape)
		total += rows
		fileShape := c.transposed(t.Shape)
		_, fileWidth := rowsOf(fileShape)
		switch {
		case c.Transpose && len(t.Shape) != 2,
			len(users) == 1 && !slices.Equal(fileShape, shape),
			len(users) > 1 && (width != fileWidth || len(shape) == 1 != (len(t.Shape) == 1)):
			p.add(&p.wrong, "%s: file %v, model %v", t.Name, t.Shape, shape)
			fits = false
		case c.binding.Tensor == nil && len(c.binding.Data) != rows*width:
			p.add(&p.wrong, "%s: file has %d values, model %d", t.Name, t.Elements(), len(c.binding.Data))
			fits = false
		case t.DType.decoder() == nil:
			p.add(&p.wrong, "%s: file has %s, which does not convert to floats", t.Name, t.DType)
			fits = false
		}
		plain = plain && c.From == 0 && c.Row == nil
	}
	if !fits || plain && len(users) == 1 {
		return
	}
	fileRows, _ := rowsOf(users[0].transposed(t.Shape))
	if total > fileRows && plain {
		p.add(&p.twice, "%s: by %s and %s", t.Name, users[0].binding.Name, users[1].binding.Name)
		return
	}
	if total != fileRows {
		p.add(&p.wrong, "%s: file has %d rows, the model's %s to %s take %d", t.Name, fileRows, users[0].binding.Name, users[len(users)-1].binding.Name, total)
		return
	}
	owner := make([]*choice, fileRows)
	for _, c := range users {
		rows, _ := rowsOf(c.binding.shape())
		for i := range rows {
			switch at := c.row(i); {
			case at < 0 || at >= fileRows:
				p.add(&p.wrong, "%s: row %d of %s stands in row %d of %d", t.Name, i, c.binding.Name, at, fileRows)
				return
			case owner[at] != nil:
				p.add(&p.twice, "%s: row %d by %s and %s", t.Name, at, owner[at].binding.Name, c.binding.Name)
				return
			default:
				owner[at] = c
			}
		}
	}
}

// load reads one parameter.
func (c *choice) load(src Source, t Info) error {
	b := c.binding
	if b.Tensor == nil || !b.Tensor.Data.None() {
		err := c.decode(src, t, b.memory())
		if b.Tensor != nil {
			b.Tensor.Changed()
		}
		return err
	}
	shape := b.Tensor.Shape()
	rows, width := rowsOf(shape)
	d, known := kernelTypes[t.DType]
	elements, _ := d.Block()
	if !known || c.Transpose || c.Add != 0 || width%elements != 0 || len(shape) <= 1 && d != kernel.F32 {
		data := make([]float32, rows*width)
		b.Tensor.Bind(kernel.OfF32(data))
		return c.decode(src, t, data)
	}
	size := d.Bytes(width) // of a row
	if at, ok := c.contiguous(rows); ok {
		if memory := src.Mapped(c.tensor); memory != nil && aligned(memory, d) {
			b.Tensor.Bind(kernel.OfBytes(d, memory[at*size:(at+rows)*size]))
			return nil
		}
	}
	data := kernel.Alloc(d, rows*width)
	b.Tensor.Bind(data)
	return c.runs(rows, func(i, at, n int) error {
		return src.Read(c.tensor, data.Bytes()[i*size:(i+n)*size], at*size)
	})
}

// aligned says whether memory starts where elements of d may.
func aligned(memory []byte, d kernel.DType) bool {
	elements, size := d.Block()
	return elements > 1 || uintptr(unsafe.Pointer(unsafe.SliceData(memory)))%uintptr(size) == 0
}

// decode reads the parameter as float32 into dst, a block at a time.
func (c *choice) decode(src Source, t Info, dst []float32) error {
	rows, width := rowsOf(c.binding.shape())
	var err error
	if c.Transpose {
		err = c.decodeTransposed(src, t, dst, rows, width)
	} else {
		err = c.runs(rows, func(i, at, n int) error {
			return readFloats(src, c.tensor, t, at*width, dst[i*width:(i+n)*width])
		})
	}
	if c.Add != 0 {
		for i := range dst {
			dst[i] += c.Add
		}
	}
	return err
}

// decodeTransposed is decode of a tensor [width, all rows].
func (c *choice) decodeTransposed(src Source, t Info, dst []float32, rows, width int) error {
	line := make([]float32, t.Shape[1])
	for k := range width {
		if err := readFloats(src, c.tensor, t, k*len(line), line); err != nil {
			return err
		}
		for i := range rows {
			dst[i*width+k] = line[c.row(i)]
		}
	}
	return nil
}

// readFloats decodes the elements of tensor i, described by t, from element at on.
func readFloats(src Source, i int, t Info, at int, dst []float32) error {
	const block = 1 << 18
	elements, size := t.DType.Block()
	if at%elements != 0 || len(dst)%elements != 0 {
		return fmt.Errorf("checkpoint: %s: tensor %q: elements %d to %d are not whole blocks of %s", src.Path(), t.Name, at, at+len(dst), t.DType)
	}
	buf := make([]byte, min(block, len(dst))/elements*size)
	for len(dst) > 0 {
		n := min(block, len(dst))
		part := buf[:n/elements*size]
		if err := src.Read(i, part, at/elements*size); err != nil {
			return err
		}
		if err := (Tensor{t.Name, t.DType, nil, part}).Float32(dst[:n]); err != nil {
			return err
		}
		dst, at = dst[n:], at+n
	}
	return nil
}
