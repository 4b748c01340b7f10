package checkpoint

import (
	"errors"
	"fmt"
)

// Deferred is a tensor to be written. Data is asked for once, when its turn comes, so that a file may be larger than memory.
type Deferred struct {
	Info
	Data func() ([]byte, error)
}

// Rearranged is a tensor of one scheme whose float32 values are read from a file of another when they are asked for.
type Rearranged struct {
	Info
	Values func() ([]float32, error)
}

// Rearrange finds the parameters of from in src, under the rules of LoadStrict, and lays them out by the first of each one's Places in to, which has the same
// parameters in the same order. Nothing is read yet: Values holds one tensor and one of its parameters at a time. src must stay open for it.
func Rearrange(src Source, from, to []Binding, ignore func(name string) bool) ([]Rearranged, error) {
	if len(from) != len(to) {
		return nil, fmt.Errorf("checkpoint: %d parameters become %d", len(from), len(to))
	}
	choices, err := resolve(src, from, ignore)
	if err != nil {
		return nil, err
	}
	found := map[*Binding]*choice{} // by to's
	at := 0
	var there []*Binding
	for i := range from {
		if at < len(choices) && choices[at].binding == &from[i] {
			found[&to[i]] = &choices[at]
			there = append(there, &to[i])
			at++
		}
	}
	read := func(b *Binding) ([]float32, error) {
		c := found[b]
		rows, width := rowsOf(b.shape())
		values := make([]float32, rows*width)
		return values, c.decode(src, src.Infos()[c.tensor], values)
	}
	var list []Rearranged
	for _, g := range groups(there) {
		info, plain, err := g.info()
		if err != nil {
			return nil, err
		}
		list = append(list, Rearranged{info, func() ([]float32, error) {
			if plain {
				return read(g.users[0].binding)
			}
			return g.fill(info, read)
		}})
	}
	return list, nil
}

// Tensors lays the parameters out as a file holds them by the first of each one's Places. A parameter that is a tensor of its own shares
// its memory, and keeps its type; others are F32.
func Tensors(b []Binding) ([]Tensor, error) {
	var all []*Binding
	for i := range b {
		all = append(all, &b[i])
	}
	var list []Tensor
	for _, g := range groups(all) {
		info, plain, err := g.info()
		if err != nil {
			return nil, err
		}
		if plain {
			list = append(list, g.users[0].binding.whole(g.name, info.Shape))
			continue
		}
		values, err := g.fill(info, func(b *Binding) ([]float32, error) { return b.memory(), nil })
		if err != nil {
			return nil, err
		}
		list = append(list, FromFloat32(g.name, info.Shape, values))
	}
	return list, nil
}

// group is a tensor to be made and the parameters that share it.
type group struct {
	name  string
	users []*choice
}

// groups are the tensors that the first of each one's Places make, in their order.
func groups(b []*Binding) []*group {
	var list []*group
	at := map[string]*group{}
	for _, v := range b {
		p := v.places()[0]
		if at[p.Name] == nil {
			at[p.Name] = &group{name: p.Name}
			list = append(list, at[p.Name])
		}
		at[p.Name].users = append(at[p.Name].users, &choice{p, v, 0})
	}
	return list
}

// info describes the tensor, as F32; plain says that it is its one parameter as it is.
func (g *group) info() (info Info, plain bool, err error) {
	c := g.users[0]
	shape := c.binding.shape()
	if len(g.users) == 1 && c.From == 0 && c.Row == nil && !c.Transpose && c.Add == 0 {
		return Info{g.name, F32, shape}, true, nil
	}
	info = Info{g.name, F32, c.transposed(shape)}
	if len(g.users) > 1 {
		rows, width := 0, shape[len(shape)-1]
		for _, u := range g.users {
			n, _ := rowsOf(u.binding.shape())
			rows += n
		}
		switch {
		case len(shape) == 1:
			info.Shape = []int{rows}
		case c.Stack > 0:
			info.Shape = []int{c.Stack, rows / c.Stack, width}
		default:
			info.Shape = c.transposed([]int{rows, width})
		}
	}
	var p problems
	if p.check(info, g.users); len(p.wrong)+len(p.twice) > 0 {
		return info, false, errors.New("checkpoint: parameters that do not fit their places:" + first("mis-shaped", p.wrong) + first("taken twice", p.twice))
	}
	return info, false, nil
}

// fill makes the tensor's values of its parameters'.
func (g *group) fill(info Info, values func(b *Binding) ([]float32, error)) ([]float32, error) {
	out := make([]float32, info.Elements())
	for _, u := range g.users {
		rows, width := rowsOf(u.binding.shape())
		all, err := values(u.binding)
		if err != nil {
			return nil, err
		}
		for i := range rows {
			row, r := all[i*width:(i+1)*width], u.row(i)
			for k, v := range row {
				if u.Transpose {
					out[k*info.Shape[1]+r] = v - u.Add
				} else {
					out[r*width+k] = v - u.Add
				}
			}
		}
	}
	return out, nil
}

// whole returns the parameter as a tensor that shares its memory.
func (b *Binding) whole(name string, shape []int) Tensor {
	if b.Tensor == nil {
		return FromFloat32(name, shape, b.Data)
	}
	d := b.Tensor.Data
	for t, k := range kernelTypes {
		if k == d.DType() {
			return Tensor{name, t, shape, d.Bytes()}
		}
	}
	return FromFloat32(name, shape, d.F32())
}
