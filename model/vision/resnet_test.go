package vision_test

import (
	"math"
	"testing"

	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/internal/kernel/suite"
	"github.com/plinth-ml/plinth/internal/testkit"
	"github.com/plinth-ml/plinth/model/vision"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// Tolerances against PyTorch in float32, of the tensor's largest value and of the norm of all gradients: some gradients are zero in theory.
const (
	rel     = 1e-4
	relNorm = 1e-7
)

// tiny is the shape of the golden files' towers.
func tiny(width int) vision.ResNetConfig {
	return vision.ResNetConfig{Side: 64, Width: width, Layers: [4]int{1, 2, 1, 1}, Heads: width, Output: 6}
}

// filled returns a tower with the golden files' weights and statistics.
func filled(width int) *vision.ResNet {
	m := vision.NewResNet(tiny(width))
	params := nn.Params(m)
	nn.Alloc(params, true)
	for _, p := range params {
		copy(p.T().F32(), testkit.Fill(p.Name, p.T().Shape()))
		p.T().Changed()
	}
	return m
}

func TestResNetParity(t *testing.T) {
	for _, set := range suite.Sets() {
		for _, c := range []struct {
			name   string
			width  int
			frozen bool
		}{{"resnet", 2, true}, {"resnet-training", 4, false}} {
			for _, keep := range []tensor.Keep{tensor.KeepAll, tensor.KeepLean} {
				g := testkit.Golden(t, "vision/"+c.name)
				m := filled(c.width)
				m.FreezeStatistics(c.frozen)
				tape := tensor.Training(set)
				tape.Keep(keep)
				in := vision.Images{Side: 64, Pixels: g.F32("pixels")}
				y := m.Encode(tape, in)
				name := set.Name + " " + c.name + ": "
				testkit.Close(t, name+"y", y.F32(), g.F32("y"), rel, 0)
				tape.Seed(tape.Mul(y, tensor.FromF32(g.F32("dy"), g.Shape("dy")...)))
				tape.Backward()
				norm := relNorm * g.Norm("grad.")
				for _, p := range nn.Params(m) {
					if !p.Statistic {
						testkit.Close(t, name+"d"+p.Name, p.T().Grad.F32(), g.F32("grad."+p.Name), rel, norm)
						continue
					}
					if !p.T().Grad.None() {
						t.Errorf("%s has a gradient", p.Name)
					}
					want := testkit.Fill(p.Name, p.T().Shape())
					if !c.frozen {
						want = g.F32("after." + p.Name)
					}
					testkit.Close(t, name+p.Name, p.T().F32(), want, rel, 0)
				}
				if c.frozen {
					for _, tape := range []*tensor.Tape{tensor.Evaluation(set), tensor.Inference(set)} {
						testkit.Close(t, name+"y for use", m.Encode(tape, in).F32(), g.F32("y"), rel, 0)
					}
				}
			}
		}
	}
}

// Every parameter and statistic that open_clip's tower has, and no other, by its name.
func TestResNetNames(t *testing.T) {
	g := testkit.Golden(t, "vision/resnet-training")
	want := map[string]bool{}
	for _, prefix := range []string{"grad.", "after."} {
		for _, name := range g.Names(prefix) {
			want[name] = true
		}
	}
	for _, p := range nn.Params(vision.NewResNet(tiny(4))) {
		if !want[p.Name] {
			t.Errorf("%s is not in PyTorch's tower", p.Name)
		}
		delete(want, p.Name)
	}
	for name := range want {
		t.Errorf("%s is missing", name)
	}
}

// The arithmetic that FLOPs counts is that of the products which a picture takes.
func TestFLOPs(t *testing.T) {
	const pictures = 2
	for _, layers := range [][4]int{{1, 1, 1, 1}, {1, 2, 1, 2}} {
		c := tiny(4)
		c.Layers = layers
		m := vision.NewResNet(c)
		nn.Init(nn.Params(m), 1, false)
		set, times := kernel.Profile(cpu.New(cpu.Options{Threads: 1}))
		m.Encode(tensor.Evaluation(set), vision.Images{Side: c.Side, Pixels: make([]float32, pictures*3*c.Side*c.Side)})
		sum := 0.0
		for _, op := range times.Ops() {
			sum += op.FLOPs
		}
		if want := pictures * c.FLOPs(); math.Abs(sum-want) > 1e-9*want {
			t.Errorf("%v blocks: the ops do %v FLOP, the count is %v", layers, sum, want)
		}
	}
}
