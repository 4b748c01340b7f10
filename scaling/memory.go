package scaling

import "github.com/plinth-ml/plinth/model"

// Memory is what a device holds during a training step, in bytes, on the fullest stage of a pipeline.
type Memory struct {
	Params      float64 `json:"params"` // parameters of the stage on this device, before ZeRO
	Weights     float64 `json:"weights"`
	Gradients   float64 `json:"gradients"`
	Optimizer   float64 `json:"optimizer"`
	Activations float64 `json:"activations"` // kept for the backward pass, of all micro-batches in flight
	Ends        float64 `json:"ends"`        // dropout of the embeddings; final norm, head and logits
	Working     float64 `json:"working"`     // a layer while it is made again, and a layer's gathered weights under ZeRO 3
	Total       float64 `json:"total"`
}

// Memory counts what a device holds for micro-batches of the shape's context: parameters exactly, activations after Korthikanti et al.
// 2022, equations 1 to 6, with the terms of a gate, of fewer key heads and of a parallel block in place where a shape has them. Dropout
// masks count, used or not. The layout must have passed Check.
func (l Layout) Memory(s model.Shape, batch int) Memory {
	first, last := l.memory(s, batch, true), l.memory(s, batch, false)
	if last.Total > first.Total {
		return last
	}
	return first
}

func (l Layout) memory(s model.Shape, batch int, first bool) Memory {
	p, n := l.precision(), float64(l.shards())
	m := Memory{Params: l.stageParams(s, first)}
	m.Weights, m.Gradients, m.Optimizer = m.Params*p.Weight, m.Params*p.Gradient, m.Params*p.Optimizer
	if l.ZeRO >= 1 {
		m.Optimizer /= n
	}
	if l.ZeRO >= 2 {
		m.Gradients /= n
	}
	if l.ZeRO >= 3 {
		m.Weights /= n
		m.Working += l.layerParams(s) * min(p.Weight, 2)
	}
	layer := l.layerActivations(s, l.Recompute)
	m.Activations = layer * l.layersInFlight(s, batch, first)
	if l.Recompute == model.RecomputeFull {
		m.Working += l.layerActivations(s, model.RecomputeNone)
	}
	rows, split := float64(l.Micro*s.Context), 1.0
	if l.Sequence {
		split = float64(l.Tensor)
	}
	if first {
		m.Ends += rows * float64(s.Width) * float64(l.inFlight(batch)) / split
	}
	if !first || l.Pipeline == 1 { // inputs of final norm and head, and float32 logits
		m.Ends += rows*float64(s.Width)*2*p.Activation/split + rows*float64(s.Vocab)*4/float64(l.Tensor)
	}
	m.Total = m.Weights + m.Gradients + m.Optimizer + m.Activations + m.Ends + m.Working
	return m
}

// inFlight is the number of micro-batches whose activations the first stage keeps (one forward, one backward).
func (l Layout) inFlight(batch int) int { return min(l.Pipeline, l.MicroBatches(batch)) }

// layersInFlight is the number of layers' activations that a stage keeps, over all its micro-batches. Interleaving keeps
// (p-1)/(p·v) more (Korthikanti et al. 2022, section 4.2.3).
func (l Layout) layersInFlight(s model.Shape, batch int, first bool) float64 {
	stage := float64(s.Layers) / float64(l.Pipeline)
	if !first {
		return stage
	}
	held := float64(l.inFlight(batch))
	if v := float64(l.chunks()); v > 1 && l.MicroBatches(batch) >= l.Pipeline {
		held *= 1 + float64(l.Pipeline-1)/(float64(l.Pipeline)*v)
	}
	return stage * held
}

// layerActivations is what one layer keeps of one micro-batch, in bytes. For GPT's block in 16 bits it is sbh(10 + 24/t + 5as/ht), divided
// by t as a whole with sequence parallelism; selective recomputation and fused attention drop the term in as/h, full recomputation keeps 2sbh.
func (l Layout) layerActivations(s model.Shape, r model.Recompute) float64 {
	p, t := l.precision(), float64(l.Tensor)
	rows, C := float64(l.Micro*s.Context), float64(s.Width)
	q, kv := float64(s.Heads*s.Head()), float64(max(s.KV(), l.Tensor)*s.Head()) // a device has at least one key head
	split := 1.0
	if l.Sequence {
		split = t
	}
	if r == model.RecomputeFull {
		return rows * C * p.Activation / split
	}
	inputs := 4.0 // of two norms, of the product to queries, keys and values, of the MLP's
	mlp := 2.0    // before and after the activation function
	if s.Parallel {
		inputs = 2
	}
	if s.Gated {
		mlp = 3
	}
	whole := rows * C * (inputs*p.Activation + 2) // and two dropout masks
	parts := rows * (q + 2*kv + q + mlp*float64(s.FFN())) * p.Activation
	core := float64(l.Micro*s.Heads) * float64(s.Context) * float64(s.Context) * (2*p.Activation + 1) // softmax, its dropout, the mask
	if r != model.RecomputeNone {
		core = 0
	}
	return whole/split + (parts+core)/t
}

// layerParams is one layer's parameters on one device of a tensor group: norms and some biases whole, the rest split, a key head at least.
func (l Layout) layerParams(s model.Shape) float64 {
	p, t := s.Params(), float64(l.Tensor)
	copies := float64(2*s.Width*s.Head()) * max(0, float64(l.Tensor)/float64(s.KV())-1) * float64(s.KV()) // of key and value heads
	return float64(p.LayerWhole) + (float64(p.Layer-p.LayerWhole)+copies)/t
}

// stageParams is a device's parameters in the first or last stage. The last has the head: a copy of a tied one.
func (l Layout) stageParams(s model.Shape, first bool) float64 {
	p, t := s.Params(), float64(l.Tensor)
	n := l.layerParams(s) * float64(s.Layers/l.Pipeline)
	rest := float64(p.Rest)
	if s.Untied {
		rest -= float64(p.Tokens) * (1 - 1/t) // the head is split
	}
	switch {
	case l.Pipeline == 1:
		return n + float64(p.Tokens)/t + float64(p.Positions+p.Segments) + rest
	case first:
		return n + float64(p.Tokens)/t + float64(p.Positions+p.Segments)
	case s.Untied:
		return n + rest
	}
	return n + rest + float64(p.Tokens)/t
}
