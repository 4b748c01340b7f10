package scaling

import (
	"testing"

	"github.com/plinth-ml/plinth/model"
)

// Smith et al. 2022, section 2.1: 20 bytes for each parameter, over 10 TB in all; inputs of all layers 16.9 TB for the whole batch
// and 8.8 GB for a micro-batch of one; 280 devices hold a copy of the model.
func TestMTNLGMemory(t *testing.T) {
	p := published(t, "mt-nlg-530b")
	whole := Layout{Data: 1, Tensor: 1, Pipeline: 1, Micro: p.Batch, Recompute: model.RecomputeFull, Precision: "mixed20"}
	m := whole.Memory(p.Shape, p.Batch)
	wantNear(t, "weights, gradients and optimiser", m.Weights+m.Gradients+m.Optimizer, 20*529600819200, 1e-12)
	wantNear(t, "activations", m.Activations, 16.9e12, 0.001)
	whole.Micro = 1
	wantNear(t, "activations of a micro-batch", whole.Memory(p.Shape, p.Batch).Activations, 8.8e9, 0.002)

	m = p.Layout.Memory(p.Shape, p.Batch)
	// The first stage has three of 105 layers and the embeddings, all over eight devices.
	wantNear(t, "parameters of a device", m.Params, (3*12*20480*20480+51200*20480)/8.+2048*20480, 0.001)
	wantNear(t, "activations of a device", m.Activations, 2*2048*20480*105, 1e-12)
	if m.Total > a100(t).Memory {
		t.Errorf("%v bytes do not fit into 80 GB", m.Total)
	}
}

// Figure 7 of Korthikanti et al. 2022, in percent, as the authors of calculon read it off, and the sums of figure 1 in GiB: the bytes that
// tensor parallelism keeps without and with both techniques.
func TestKorthikanti(t *testing.T) {
	const gib = 1 << 30
	figure1 := map[string][2]float64{"22b": {59.25, 9.5625}, "175b": {66.84375, 12.3515625}, "530b": {114.0234375, 23.076171875}, "1t": {131.25, 26.5625}}
	for _, c := range megatron2022 {
		kept := func(sequence bool, r model.Recompute) float64 {
			l := c.layout
			l.Sequence, l.Recompute = sequence, r
			return l.Memory(c.shape, c.batch).Activations
		}
		base := kept(false, model.RecomputeNone)
		wantNear(t, c.name+" activations", base/gib, figure1[c.name][0], 0.002)
		wantNear(t, c.name+" activations with both", kept(true, model.RecomputeSelective)/gib, figure1[c.name][1], 0.002)
		for _, f := range []struct {
			what          string
			got, percents float64
		}{
			{" sequence", kept(true, model.RecomputeNone), c.seq}, {" selective", kept(false, model.RecomputeSelective), c.sel},
			{" both", kept(true, model.RecomputeSelective), c.both}, {" full", kept(false, model.RecomputeFull), c.no},
		} {
			wantNear(t, c.name+f.what, 100*f.got/base, f.percents, 0.02)
		}
	}
}

// A gate, one key head and a parallel block: PaLM's layer, counted by hand for one device.
func TestPaLMActivations(t *testing.T) {
	s := palm(2, 1024, 4)
	s.Context = 16
	l := Layout{Data: 1, Tensor: 1, Pipeline: 1, Micro: 3}
	rows := 3.0 * 16
	norm, masks, query, keys, out, mlp := rows*1024*2*2, rows*1024*2, rows*1024*2, rows*2*256*2, rows*1024*2, rows*3*4096*2
	wantNear(t, "a layer", l.layerActivations(s, model.RecomputeNone), norm+masks+query+keys+out+mlp+3*4*16*16*5, 1e-12)
}
