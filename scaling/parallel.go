package scaling

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/plinth-ml/plinth/model"
)

// Layout spreads a training step over devices: Data replicas, each of Pipeline stages, each of Tensor devices.
type Layout struct {
	Data       int             `json:"data"`
	Tensor     int             `json:"tensor"`
	Pipeline   int             `json:"pipeline"`
	Micro      int             `json:"micro"`      // sequences in a micro-batch
	Interleave int             `json:"interleave"` // stages of the model on one device (Narayanan et al. 2021, section 2.2); 0 means 1
	ZeRO       int             `json:"zero"`       // Rajbhandari et al. 2020: 1 shards the optimiser's state over replicas, 2 gradients too, 3 weights too
	Shards     int             `json:"shards"`     // replicas that ZeRO shards over; 0 means all
	Sequence   bool            `json:"sequence"`   // norms and dropout split along the sequence (Korthikanti et al. 2022, section 4.2.2)
	Recompute  model.Recompute `json:"recompute"`  // none, fused, selective or full
	Precision  string          `json:"precision"`  // name in Precisions; "" means mixed18
}

// Precision is the bytes that a number takes.
type Precision struct {
	Weight, Gradient, Optimizer float64 // of each parameter
	Activation                  float64
}

// Precisions are ways of storing a training run. The number in a name is the sum for each parameter.
var Precisions = map[string]Precision{
	"fp32":      {4, 4, 8, 4},  // Adam's two moments
	"mixed16":   {2, 2, 12, 2}, // with float32 master weights (Rajbhandari et al. 2020, section 3.1)
	"mixed18":   {2, 4, 12, 2}, // with gradients summed in float32 (Megatron-LM)
	"mixed20":   {2, 6, 12, 2}, // with gradients in both (Smith et al. 2022, section 2.1)
	"adafactor": {4, 4, 0, 2},  // float32 weights; the factored second moments are below a thousandth
}

// Devices is the number of devices.
func (l Layout) Devices() int { return l.Data * l.Tensor * l.Pipeline }

// precision of a layout that Check accepts.
func (l Layout) precision() Precision { return Precisions[cmp.Or(l.Precision, "mixed18")] }

func (l Layout) chunks() int { return max(l.Interleave, 1) }

func (l Layout) shards() int { return cmp.Or(l.Shards, l.Data) }

// Filled puts 1 for what is missing, and for Data what is left of the devices.
func (l Layout) Filled(devices int) Layout {
	for _, n := range []*int{&l.Tensor, &l.Pipeline, &l.Micro} {
		if *n == 0 {
			*n = 1
		}
	}
	if per := l.Tensor * l.Pipeline; l.Data == 0 && per > 0 {
		l.Data = max(1, devices/per)
	}
	return l
}

// MicroBatches is the number of micro-batches that a replica makes of a step of batch sequences.
func (l Layout) MicroBatches(batch int) int { return batch / (l.Data * l.Micro) }

// Bubble is the idle time of a pipeline as a share of the time of its work: (p-1)/(v·m) (Narayanan et al. 2021, section 2.2).
func (l Layout) Bubble(batch int) float64 {
	return float64(l.Pipeline-1) / float64(l.chunks()*l.MicroBatches(batch))
}

// Check says what is wrong with a layout of a shape, a batch of sequences and a number of devices (0 for any), beginning with the name
// of the field.
func (l Layout) Check(s model.Shape, batch, devices int) error {
	for _, f := range []struct {
		name string
		n    int
	}{{"data", l.Data}, {"tensor", l.Tensor}, {"pipeline", l.Pipeline}, {"micro", l.Micro}, {"batch", batch}} {
		if f.n < 1 {
			return fmt.Errorf("scaling: %s is %d, not positive", f.name, f.n)
		}
	}
	_, known := Precisions[cmp.Or(l.Precision, "mixed18")]
	switch {
	case s.Heads%l.Tensor != 0:
		return fmt.Errorf("scaling: tensor %d does not divide the %d heads", l.Tensor, s.Heads)
	case l.Interleave < 0 || l.Interleave > 1 && l.Pipeline == 1:
		return fmt.Errorf("scaling: interleave %d needs a pipeline", l.Interleave)
	case s.Layers%(l.Pipeline*l.chunks()) != 0:
		return fmt.Errorf("scaling: pipeline %d x interleave %d does not divide the %d layers", l.Pipeline, l.chunks(), s.Layers)
	case devices > 0 && l.Devices() != devices:
		return fmt.Errorf("scaling: devices is %d, but data %d x tensor %d x pipeline %d is %d", devices, l.Data, l.Tensor, l.Pipeline, l.Devices())
	case batch%(l.Data*l.Micro) != 0:
		return fmt.Errorf("scaling: batch %d is not a multiple of data %d x micro %d", batch, l.Data, l.Micro)
	case l.ZeRO < 0 || l.ZeRO > 3:
		return fmt.Errorf("scaling: zero is %d, not within 0 to 3", l.ZeRO)
	case l.ZeRO > 1 && l.Pipeline > 1:
		return fmt.Errorf("scaling: zero %d shards gradients, which a pipeline of %d stages needs whole for every micro-batch; 0 and 1 work", l.ZeRO, l.Pipeline)
	case l.Shards < 0 || l.Data%l.shards() != 0:
		return fmt.Errorf("scaling: shards %d does not divide data %d", l.Shards, l.Data)
	case l.Recompute > model.RecomputeFused:
		return fmt.Errorf("scaling: recompute is neither none, fused, selective nor full")
	case !known:
		return fmt.Errorf("scaling: precision %q is unknown; known: %s", l.Precision, strings.Join(slices.Sorted(maps.Keys(Precisions)), ", "))
	}
	return nil
}

// StepTime is an estimate of one training step, in seconds.
type StepTime struct {
	Compute  float64 `json:"compute"`  // products
	Memory   float64 `json:"memory"`   // norms, activation functions, dropout, softmax and the optimiser, which wait for memory
	Bubble   float64 `json:"bubble"`   // stages that wait
	Tensor   float64 `json:"tensor"`   // sums inside layers
	Pipeline float64 `json:"pipeline"` // activations between stages
	Data     float64 `json:"data"`     // gradients, and weights with ZeRO
	Total    float64 `json:"total"`

	Model    float64 `json:"model_flops"`    // of the whole step, attention as the full square
	Hardware float64 `json:"hardware_flops"` // with recomputation
	MFU      float64 `json:"mfu"`
	HFU      float64 `json:"hfu"`
}

// Step estimates a step of batch sequences of the shape's context, with every product at the given share of the device's peak. What else
// a layer does moves its activations through memory: written and read forward, and their gradients backward. Communication is
// not hidden behind arithmetic, except ZeRO 2's and 3's. All-reduces are rings: 2(n-1)/n of the data each way. Memory and links whose rate
// is unknown take no time. The layout must have passed Check.
func (l Layout) Step(s model.Shape, batch int, d Device, efficiency float64) StepTime {
	f := s.FLOPs(batch, s.Context, l.Recompute)
	t := StepTime{Model: f.Model(true), Hardware: f.Hardware(true)}
	all := float64(l.Devices()) * d.Peak
	t.Compute = t.Hardware / (all * efficiency)
	m, p := float64(l.MicroBatches(batch)), l.precision()
	activations := float64(l.Micro*s.Context*s.Width) * p.Activation // of one micro-batch between layers
	sums := 4.0                                                      // two forward, two backward
	if s.Parallel {
		sums = 2
	}
	if l.Recompute == model.RecomputeFull {
		sums *= 1.5
	}
	t.Tensor = over(sums*activations*float64(s.Layers/l.Pipeline)*m*ring(l.Tensor), d.within(l.Tensor))
	if l.Pipeline > 1 {
		t.Pipeline = over(2*m*float64(l.chunks())*activations/float64(l.Tensor), d.within(l.Tensor*l.Data*l.Pipeline))
	}
	kept, cheap := l.layerActivations(s, model.RecomputeNone), l.layerActivations(s, model.RecomputeSelective)
	moved := 4 * kept
	switch l.Recompute {
	case model.RecomputeFull:
		moved += 2 * kept
	case model.RecomputeSelective:
		moved += 2 * (kept - cheap)
	case model.RecomputeFused: // the inside of attention stays in registers
		moved = 4 * cheap
	}
	layers := moved * float64(s.Layers/l.Pipeline) * m
	state := l.Memory(s, batch)
	t.Memory = over(layers+2*(state.Weights+state.Gradients+state.Optimizer), d.Bandwidth)
	work := t.Compute + t.Tensor + over(layers, d.Bandwidth) // of the pipeline's stages
	t.Bubble = work * l.Bubble(batch)
	t.Data = l.dataTime(s, m, d, work)
	t.Total = t.Compute + t.Memory + t.Bubble + t.Tensor + t.Pipeline + t.Data
	t.MFU, t.HFU = t.Model/(all*t.Total), t.Hardware/(all*t.Total)
	return t
}

// dataTime is what the exchange between replicas adds to a step of m micro-batches whose arithmetic takes work seconds.
func (l Layout) dataTime(s model.Shape, m float64, d Device, work float64) float64 {
	params, p, n := l.stageParams(s, true), l.precision(), l.shards()
	gradients := params * min(p.Gradient, 4) // one copy travels
	rate := d.within(l.Tensor * n)
	half := ring(n) / 2 // a gather or a reduce-scatter
	var time float64
	switch l.ZeRO {
	case 0, 1: // an all-reduce, or a reduce-scatter of gradients and a gather of weights
		time = over(gradients*half, rate) + over(params*p.Weight*half, rate)
		if l.ZeRO == 0 {
			time = over(2*gradients*half, rate)
		}
	case 2:
		time = max(0, over(m*gradients*half, rate)-work) + over(params*p.Weight*half, rate)
	case 3: // weights are gathered in both passes of each micro-batch; in 16 bits, whatever they are stored in
		time = max(0, over(m*params*half*(2*min(p.Weight, 2)+gradients/params), rate)-work)
	}
	if l.ZeRO > 0 && n < l.Data { // groups of shards add up their gradients
		time += over(gradients/float64(n)*ring(l.Data/n), d.within(l.Devices()))
	}
	return time
}

// within is the rate between devices of a group of n.
func (d Device) within(n int) float64 {
	if n <= max(d.Node, 1) {
		return d.Link
	}
	return d.Network
}

// ring is the data that each of n devices sends in an all-reduce, as a share of the data.
func ring(n int) float64 { return 2 * float64(n-1) / float64(n) }

// over is the time of bytes at a rate; 0 where the rate is unknown.
func over(bytes, rate float64) float64 {
	if rate == 0 {
		return 0
	}
	return bytes / rate
}

// RecomputeDays is the training time with full recomputation, 8·T·P/(n·X) (Narayanan et al. 2021, equation 4): P parameters, T tokens,
// n devices that reach X FLOP/s each.
func RecomputeDays(params, tokens, devices, rate float64) float64 {
	return 8 * tokens * params / (devices * rate) / 86400
}
