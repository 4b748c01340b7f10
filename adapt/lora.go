package adapt

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/internal/random"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// LoRA says which linear layers get adapters of low rank, and which (Hu et al. 2021). The fields have the meaning that they have in PEFT's files, where
// layers go by the names of Hugging Face's modules: "model.layers.0.self_attn.q_proj".
type LoRA struct {
	Rank    int     // r; 8
	Alpha   float64 // the change is scaled by Alpha/Rank; 8
	Dropout float64 // of the adapters' input, in training

	Targets Names    // layers; required
	Exclude Names    // layers that stay as they are even if Targets names them
	Layers  []int    // numbers of blocks that Targets.List is about; nil: all
	Blocks  []string // names that stand before such a number, such as "h"; nil: any

	RankPattern  map[string]int     // rank of layers whose names end so: regular expressions
	AlphaPattern map[string]float64 // alpha of such

	RankStabilised bool // the scale is Alpha/sqrt(Rank) (Kalajdzievski 2023)
	DoRA           bool // the rows' lengths are trained by themselves (Liu et al. 2024)

	Save []string // modules that are trained as a whole and stored with the adapter, such as the head of a task
}

// Names choose modules: those that have one of List as their name or as its last parts, or whose whole name the regular expression Pattern matches.
// AllLinear is every linear layer but the head.
type Names struct {
	List      []string
	Pattern   string
	AllLinear bool
}

// allLinear is PEFT's word for it.
const allLinear = "all-linear"

// ParseNames reads names as an option writes them: "all-linear", a list "q_proj,v_proj", or a regular expression, which has another character in it
// than names have.
func ParseNames(s string) Names {
	switch {
	case s == allLinear:
		return Names{AllLinear: true}
	case s == "":
		return Names{}
	case strings.ContainsAny(s, `*+?()[]{}|\^$`):
		return Names{Pattern: s}
	}
	return Names{List: strings.Split(s, ",")}
}

func (n Names) empty() bool { return len(n.List) == 0 && n.Pattern == "" && !n.AllLinear }

// matcher returns whether a module's name is among the names.
func (n Names) matcher(field string) (func(module string) bool, error) {
	if n.Pattern == "" {
		return func(module string) bool {
			return n.AllLinear || slices.ContainsFunc(n.List, func(name string) bool { return module == name || strings.HasSuffix(module, "."+name) })
		}, nil
	}
	r, err := regexp.Compile(`^(?:` + n.Pattern + `)$`)
	if err != nil {
		return nil, fmt.Errorf("adapt: %s: %w", field, err)
	}
	return r.MatchString, nil
}

func (o LoRA) resolve() (LoRA, error) {
	set(&o.Rank, 8)
	set(&o.Alpha, 8)
	switch {
	case o.Rank < 1:
		return o, fmt.Errorf("adapt: r is %d, it must be at least 1", o.Rank)
	case !(o.Alpha > 0) || math.IsInf(o.Alpha, 0):
		return o, fmt.Errorf("adapt: lora_alpha is %v, it must be above 0", o.Alpha)
	case !(o.Dropout >= 0 && o.Dropout < 0.999):
		return o, fmt.Errorf("adapt: lora_dropout is %v, it must be within 0 and 1", o.Dropout)
	case o.Targets.empty():
		return o, errors.New("adapt: target_modules names no module")
	}
	for name, r := range o.RankPattern {
		if r < 1 {
			return o, fmt.Errorf("adapt: rank_pattern %q is %d, it must be at least 1", name, r)
		}
	}
	for name, a := range o.AlphaPattern {
		if !(a > 0) {
			return o, fmt.Errorf("adapt: alpha_pattern %q is %v, it must be above 0", name, a)
		}
	}
	return o, nil
}

// patterned is the value of the first pattern, in the order of their text, that the end of a module's name matches.
func patterned[T any](field string, patterns map[string]T, module string, otherwise T) (T, error) {
	var keys []string
	for k := range patterns {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		r, err := regexp.Compile(`^(?:.*\.)?(?:` + k + `)$`)
		if err != nil {
			return otherwise, fmt.Errorf("adapt: %s: %w", field, err)
		}
		if r.MatchString(module) {
			return patterns[k], nil
		}
	}
	return otherwise, nil
}

// numbered finds the number of the block that a module stands in: the first number after two names, or after one of Blocks.
func (o LoRA) numbered(module string) (int, bool) {
	parts := strings.Split(module, ".")
	for i := 1; i < len(parts)-1; i++ {
		n, err := strconv.Atoi(parts[i])
		if err == nil && (len(o.Blocks) == 0 && i > 1 || slices.Contains(o.Blocks, parts[i-1])) {
			return n, true
		}
	}
	return 0, false
}

// Adapted is a model that adapters can be attached to.
type Adapted interface {
	Params() []nn.Named
	Places(s checkpoint.Scheme, param string) []checkpoint.Place
}

// Adapter is what was attached to a model: the parts of low rank, and the modules that are trained as a whole.
type Adapter struct {
	Options LoRA
	modules []*module
	saved        // of Options.Save
	conv1D  bool // a layer is stored [in, out] in files
}

// module is one of Hugging Face's modules with its adapter. Here it may be several layers, or some columns of one.
type module struct{ layers []layerPart }

// name is the module's in files.
func (m *module) name() string { return strings.TrimSuffix(m.layers[0].places[0].Name, ".weight") }

// layerPart is an adapter of a layer here with the layer's place in the module.
type layerPart struct {
	*nn.Linear
	*nn.LoRA
	places []checkpoint.Place // of the weight
}

// AttachLoRA freezes m and gives the layers that o names fresh adapters: A as PyTorch starts a linear layer, uniform within 1/sqrt(in) (He et al. 2015 with
// a = sqrt(5)), B zero, so that m computes what it did. head are parameters beside those of m, of a task's head, that o.Save may name. m's
// weights have values; they may be in any type that products take (QLoRA: Dettmers et al. 2023), but for the
// head of a decoder without head parameters, which becomes float32.
func AttachLoRA(k *tensor.Kernels, m Adapted, head []nn.Named, o LoRA, seed uint64) (*Adapter, error) {
	a, err := attach(k, m, head, o, false)
	if err != nil {
		return nil, err
	}
	t := tensor.Evaluation(k)
	for _, mod := range a.modules {
		first := mod.layers[0]
		_, in := first.A.T().Dims2()
		key, bound := random.NewKey(seed).Named(mod.name()), 1/math.Sqrt(float64(in))
		for i := range first.A.T().F32() {
			first.A.T().F32()[i] = float32(bound * (2*key.Float64(uint64(i)) - 1))
		}
		first.A.T().Changed()
		for _, l := range mod.layers {
			if l.Magnitude != nil {
				l.ResetMagnitude(t, l.Linear)
				t.Reset()
			}
		}
	}
	return a, nil
}

// attach is AttachLoRA with A and B zero. Options read from a file may name modules to save that the model has not.
func attach(k *tensor.Kernels, m Adapted, head []nn.Named, o LoRA, read bool) (*Adapter, error) {
	o, err := o.resolve()
	if err != nil {
		return nil, err
	}
	a := &Adapter{Options: o, saved: saved{m: m, head: head}}
	if err := a.find(m); err != nil {
		return nil, err
	}
	if err := a.freeze(o.Save, read); err != nil {
		return nil, err
	}
	t := tensor.Evaluation(k)
	if h, ok := textHead(m); ok && len(head) == 0 {
		t.Widen(h.Weight) // losses read it as float32 only
	}
	for _, mod := range a.modules {
		for _, l := range mod.layers {
			for _, p := range []*nn.Param{l.A, l.B, l.Magnitude} {
				if p != nil {
					p.T().Alloc(tensor.F32, true)
				}
			}
			l.Attach(t, l.LoRA)
			t.Reset()
		}
	}
	return a, nil
}

// textHead is the head for the next token, of a decoder or of an encoder-decoder.
func textHead(m any) (nn.Head, bool) {
	switch m := m.(type) {
	case interface{ Head() nn.Head }:
		return m.Head(), true
	case interface{ Decoder() model.Decoder }:
		return m.Decoder().Head(), true
	}
	return nn.Head{}, false
}

// saved are the parameters of a model that are trained and stored as they are, beside what is attached to it.
type saved struct {
	m      Adapted
	head   []nn.Named // beside those of m
	params []nn.Named
}

// places are where a parameter stands in files, but for what stands before all names there.
func (s *saved) places(param string) []checkpoint.Place {
	if slices.ContainsFunc(s.head, func(p nn.Named) bool { return p.Name == param }) {
		return []checkpoint.Place{{Name: param}}
	}
	return s.m.Places(checkpoint.HuggingFace, param)
}

// freeze leaves only the parameters of the named modules to be trained. Of names read from a file those that the model has not are passed over: PEFT writes
// both classifier and score, whichever there is, and a tensor without a module is an error anyway.
func (s *saved) freeze(modules []string, read bool) error {
	params := append(s.m.Params(), s.head...)
	for _, p := range params {
		p.T().SetTrain(false)
	}
	for _, name := range modules {
		found := false
		for _, p := range params {
			if !within(s.places(p.Name)[0].Name, name) {
				continue
			}
			if found = true; !slices.ContainsFunc(s.params, func(q nn.Named) bool { return q.Param == p.Param }) {
				p.T().SetTrain(true)
				s.params = append(s.params, p)
			}
		}
		if !found && !read {
			return fmt.Errorf("adapt: modules_to_save: the model has no module %s", name)
		}
	}
	return nil
}

// bindings connects the parameters to their places in files, whose names begin with prefix.
func (s *saved) bindings(prefix string) []checkpoint.Binding {
	var list []checkpoint.Binding
	for _, p := range s.params {
		b := checkpoint.Binding{Name: p.Name, Tensor: p.T(), Places: slices.Clone(s.places(p.Name))}
		for i := range b.Places {
			b.Places[i].Name = prefix + b.Places[i].Name
		}
		list = append(list, b)
	}
	return list
}

// within says whether a tensor belongs to a module whose name ends so, as PEFT counts: classifier is pre_classifier too.
func within(tensor, module string) bool {
	return strings.Contains(tensor, module+".")
}

// find lists the modules that the options name, with layers that have no memory yet.
func (a *Adapter) find(m Adapted) error {
	o := &a.Options
	target, err := o.Targets.matcher("target_modules")
	if err != nil {
		return err
	}
	exclude, err := o.Exclude.matcher("exclude_modules")
	if err != nil {
		return err
	}
	heads := heads(m)
	byName := map[string]*module{}
	paths := map[*nn.Param]string{} // of parameters, which a family may call otherwise than the fields that lead to them
	for _, p := range m.Params() {
		paths[p.Param] = p.Name
	}
	var all []string
	for _, l := range nn.Linears(m) {
		if slices.Contains(heads, l.Weight.T()) {
			continue
		}
		if len(l.Adapters) > 0 {
			return fmt.Errorf("adapt: %s has an adapter already", l.Name)
		}
		path, ok := paths[l.Weight]
		if !ok {
			path = l.Name + ".weight"
		}
		places := a.places(path)
		name := strings.TrimSuffix(places[0].Name, ".weight")
		all = append(all, name)
		saved := slices.ContainsFunc(o.Save, func(s string) bool { return within(name+".", s) })
		if !target(name) || exclude(name) || saved {
			continue
		}
		if n, ok := o.numbered(name); len(o.Layers) > 0 && !o.Targets.AllLinear && o.Targets.Pattern == "" && !(ok && slices.Contains(o.Layers, n)) {
			continue
		}
		mod := byName[name]
		if mod == nil {
			mod = new(module)
			byName[name], a.modules = mod, append(a.modules, mod)
		}
		if err := a.add(mod, name, l.Linear, places); err != nil {
			return err
		}
	}
	if len(a.modules) == 0 {
		return fmt.Errorf("adapt: target_modules fits no linear layer of the model; it has %s", kindsOf(all))
	}
	return nil
}

// heads are the weights over the vocabulary, which are no layers: losses read them.
func heads(m any) (list []*tensor.Tensor) {
	if h, ok := textHead(m); ok {
		list = append(list, h.Weight)
	}
	if d, ok := m.(interface{ Scorer() nn.Head }); ok {
		list = append(list, d.Scorer().Weight)
	}
	return list
}

// kindsOf lists the last parts of names, each once.
func kindsOf(names []string) string {
	var kinds []string
	for _, n := range names {
		if k := n[strings.LastIndexByte(n, '.')+1:]; !slices.Contains(kinds, k) {
			kinds = append(kinds, k)
		}
	}
	return strings.Join(kinds, ", ")
}

// add makes a layer part of a module.
func (a *Adapter) add(mod *module, name string, l *nn.Linear, places []checkpoint.Place) error {
	rank, err := patterned("rank_pattern", a.Options.RankPattern, name, a.Options.Rank)
	if err != nil {
		return err
	}
	alpha, err := patterned("alpha_pattern", a.Options.AlphaPattern, name, a.Options.Alpha)
	if err != nil {
		return err
	}
	out, in := l.Weight.T().Dims2()
	if l.InOut {
		out, in = in, out
	}
	a.conv1D = a.conv1D || l.InOut != places[0].Transpose
	p := &nn.LoRA{B: nn.NewConstant(0, out, rank), Scale: alpha / float64(rank), Dropout: a.Options.Dropout}
	if a.Options.RankStabilised {
		p.Scale = alpha / math.Sqrt(float64(rank))
	}
	if len(mod.layers) > 0 {
		p.A = mod.layers[0].A
	} else {
		p.A = nn.NewConstant(0, rank, in)
	}
	if a.Options.DoRA {
		p.Magnitude = nn.NewConstant(0, out)
	}
	mod.layers = append(mod.layers, layerPart{l, p, places})
	return nil
}

// Params lists what is trained: the adapters under the names of PEFT's files, and the modules that are trained as a whole.
func (a *Adapter) Params() []nn.Named {
	var list []nn.Named
	for _, mod := range a.modules {
		for i, l := range mod.layers {
			suffix := ""
			if i > 0 {
				suffix = fmt.Sprintf(".%d", i) // several layers here are one module in files
			} else {
				list = append(list, nn.Named{Name: mod.file("lora_A.weight"), Param: l.A})
			}
			list = append(list, nn.Named{Name: mod.file("lora_B.weight") + suffix, Param: l.B})
			if l.Magnitude != nil {
				list = append(list, nn.Named{Name: mod.file("lora_magnitude_vector") + suffix, Param: l.Magnitude})
			}
		}
	}
	return append(list, a.saved.params...)
}

// Merge puts the adapters into the model's weights, which must be float32, and Unmerge takes them out.
func (a *Adapter) Merge(k *tensor.Kernels) error {
	t := tensor.Evaluation(k)
	for _, mod := range a.modules {
		for _, l := range mod.layers {
			if err := l.Merge(t); err != nil {
				return fmt.Errorf("adapt: %s: %w", mod.name(), err)
			}
			t.Reset()
		}
	}
	return nil
}

// Unmerge undoes Merge, but for roundings.
func (a *Adapter) Unmerge(k *tensor.Kernels) {
	t := tensor.Evaluation(k)
	for _, mod := range a.modules {
		for _, l := range mod.layers {
			l.Unmerge(t)
			t.Reset()
		}
	}
}

// Detach takes the adapters off their layers. What was merged stays in the weights.
func (a *Adapter) Detach() {
	for _, mod := range a.modules {
		for _, l := range mod.layers {
			l.Detach()
		}
	}
}
