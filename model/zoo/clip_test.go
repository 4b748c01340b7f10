package zoo_test

import (
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/internal/kernel/suite"
	"github.com/plinth-ml/plinth/internal/random"
	"github.com/plinth-ml/plinth/internal/testkit"
	"github.com/plinth-ml/plinth/media"
	"github.com/plinth-ml/plinth/model/clip"
	"github.com/plinth-ml/plinth/model/vision"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
)

// TestCLIPParity compares vectors, logits, the contrastive loss and every gradient with transformers, and of a ResNet with open_clip, on all kernels.
func TestCLIPParity(t *testing.T) {
	sets := suite.Sets()
	for _, name := range testkit.Cases(t, "clip") {
		t.Run(name, func(t *testing.T) {
			c := testkit.Golden(t, "clip/"+name)
			dir := c.Folder()
			for _, k := range sets {
				m, err := zoo.OpenAny(dir, zoo.Options{Train: true})
				if err != nil {
					t.Fatal(err)
				}
				compareCLIP(t, k, c, m.(*clip.Model))
			}
		})
	}
}

func compareCLIP(t *testing.T, k *kernel.Set, c *testkit.Case, m *clip.Model) {
	t.Helper()
	tape := tensor.Training(k)
	images := unit(tape, m.Images(tape, vision.Images{Side: m.Tower().Side(), Pixels: c.F32("pixels")}))
	texts := unit(tape, m.Texts(tape, tensor.IDs(c.I32("ids")), nn.NewSeqs(c.Ints("lengths")...)))
	testkit.Close(t, k.Name+": images", images.F32(), c.F32("images"), 1e-4, 0)
	testkit.Close(t, k.Name+": texts", texts.F32(), c.F32("texts"), 1e-4, 0)
	logits, loss, dlogits := contrast(images.F32(), texts.F32(), m)
	testkit.Close(t, k.Name+": logits", logits, c.F32("logits"), 1e-4, 0)
	if want := c.Scalar("loss"); math.Abs(loss-want) > 1e-5*want {
		t.Errorf("%s: loss %v, want %v", k.Name, loss, want)
	}
	// The loss' gradient, taken through by hand to what the tape has made.
	B, E := len(c.Ints("lengths")), m.Config.Projection
	dimages, dtexts, dscale, dbias := make([]float32, B*E), make([]float32, B*E), 0.0, 0.0
	for i := range B {
		for j := range B {
			d := dlogits[i*B+j]
			dscale += d * (float64(logits[i*B+j]) - bias(m))
			dbias += d
			for e := range E {
				dimages[i*E+e] += float32(d * m.Factor() * float64(texts.F32()[j*E+e]))
				dtexts[j*E+e] += float32(d * m.Factor() * float64(images.F32()[i*E+e]))
			}
		}
	}
	tape.Loss(images, func(_, dx []float32) { copy(dx, dimages) })
	tape.Loss(texts, func(_, dx []float32) { copy(dx, dtexts) })
	tape.Backward()
	grads := gradientsAs(t, m, m.Scheme())
	grads["logit_scale"] = []float32{float32(dscale)}
	if m.Bias != nil {
		grads["logit_bias"] = []float32{float32(dbias)}
	}
	for _, name := range c.Names("grad.") {
		testkit.Close(t, k.Name+": grad."+name, grads[name], c.F32("grad."+name), 1e-4, 1e-7*c.Norm("grad."))
	}
	if len(grads) != len(c.Names("grad.")) {
		t.Errorf("%s: %d gradients, want %d", k.Name, len(grads), len(c.Names("grad.")))
	}
}

// unit scales the rows of x to length 1.
func unit(tape *tensor.Tape, x *tensor.Tensor) *tensor.Tensor {
	_, E := x.Dims2()
	return tape.RMSNorm(x, tape.Constant(1/math.Sqrt(float64(E)), E), 1e-30)
}

// bias is what logits have added.
func bias(m *clip.Model) float64 {
	if m.Bias == nil {
		return 0
	}
	return float64(m.Bias.T().F32()[0])
}

// contrast is the loss of B pictures and texts, with the gradient of the logits [B, B]: the symmetric cross-entropy, or the sigmoid loss of a model with a bias.
func contrast(images, texts []float32, m *clip.Model) (logits []float32, loss float64, dlogits []float64) {
	E := m.Config.Projection
	B := len(images) / E
	logits, dlogits = make([]float32, B*B), make([]float64, B*B)
	rows, columns := make([]float64, B), make([]float64, B)
	for i := range B {
		for j := range B {
			sum := 0.0
			for e := range E {
				sum += float64(images[i*E+e]) * float64(texts[j*E+e])
			}
			z := m.Factor()*sum + bias(m)
			logits[i*B+j] = float32(z)
			rows[i] += math.Exp(z)
			columns[j] += math.Exp(z)
		}
	}
	for i := range B {
		for j := range B {
			z, at := float64(logits[i*B+j]), i*B+j
			if m.Bias == nil {
				dlogits[at] = (math.Exp(z)/rows[i] + math.Exp(z)/columns[j]) / float64(2*B)
				continue
			}
			sign := -1.0
			if i == j {
				sign = 1
			}
			loss += math.Log1p(math.Exp(-sign*z)) / float64(B)
			dlogits[at] = -sign / (1 + math.Exp(sign*z)) / float64(B)
		}
		if m.Bias == nil {
			loss += (math.Log(rows[i]) + math.Log(columns[i]) - 2*float64(logits[i*B+i])) / float64(2*B)
			dlogits[i*B+i] -= 1 / float64(B)
		}
	}
	return logits, loss, dlogits
}

// tinyCLIP is a model with first values, for one of the peers; open_clip's is trained by the sigmoid loss.
func tinyCLIP(t *testing.T, kind string) *clip.Model {
	t.Helper()
	c := clip.Shape{Side: 12, Patch: 4, Width: 64, Layers: 2, TextWidth: 128, TextLayers: 2, Vocab: 50, Context: 12, Projection: 24}.Config()
	if kind != "transformers" {
		c.Sigmoid, c.BiasInit = true, -10
	}
	if kind == "resnet" {
		c.Vision = clip.VisionConfig{Side: 64, Stages: [4]int{1, 2, 1, 1}}
		c.Vision.Width, c.Vision.Heads = 4, 2
	}
	if kind == "siglip" {
		c.ModelType, c.Projection, c.Text.BOS, c.Text.EOS, c.Text.Pad = clip.TypeSigLIP, 64, 0, 0, 3
	}
	m, err := clip.New(c)
	if err != nil {
		t.Fatal(err)
	}
	nn.Init(m.Params(), 1, false)
	return m
}

func prepared(kind string, side int) media.Preprocess {
	if kind == "siglip" {
		return media.SigLIP(side)
	}
	return media.CLIP(side)
}

// transformers and open_clip read our folders and compute the same, and we read what they save.
func TestPeersLoadCLIP(t *testing.T) {
	type job struct {
		Dir    string    `json:"dir"`
		Again  string    `json:"again"`
		Kind   string    `json:"kind"`
		Side   int       `json:"side"`
		Pixels []float32 `json:"pixels"`
		IDs    [][]int32 `json:"ids"`
	}
	noise := make([]float32, 2*3*64*64)
	key := random.NewKey(3)
	for i := range noise {
		noise[i] = float32(key.Normal(uint64(i)))
	}
	all := [][]int32{{48, 3, 9, 20, 49}, {48, 49}, {48, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 49}}
	var jobs []job
	var models []*clip.Model
	for _, kind := range []string{"transformers", "siglip", "open_clip", "resnet"} {
		m := tinyCLIP(t, kind)
		if m.ResNet != nil {
			for _, p := range m.Params() {
				if p.Statistic || p.T().Rank() == 1 { // what starts at 0 and 1
					copy(p.T().F32(), testkit.Fill(p.Name, p.T().Shape()))
				}
			}
		}
		side := m.Tower().Side()
		dir := t.TempDir()
		if err := zoo.Save(dir, m, nil); err != nil {
			t.Fatal(err)
		}
		if err := zoo.SavePreprocess(dir, prepared(kind, side)); err != nil {
			t.Fatal(err)
		}
		var texts [][]int32
		for _, ids := range all {
			texts = append(texts, m.Config.Padded(slices.Clone(ids)))
		}
		models, jobs = append(models, m), append(jobs, job{dir, filepath.Join(dir, "again"), kind, side, noise[:2*3*side*side], texts})
	}
	var answers []struct {
		Images, Texts []float32
		Factor, Bias  float64
		Report        string
	}
	testkit.Ask(t, "testdata/clip.py", []string{"torch", "transformers", "open_clip"}, jobs, &answers)
	for n, a := range answers {
		m := models[n]
		if a.Report != "" {
			t.Errorf("%s: %s", jobs[n].Kind, a.Report)
		}
		back, p, err := zoo.OpenCLIP(jobs[n].Again, zoo.Options{F32: true})
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(p, prepared(jobs[n].Kind, jobs[n].Side)) {
			t.Errorf("%s: preparation %+v", jobs[n].Kind, p)
		}
		for _, m := range []*clip.Model{m, back} {
			tape := tensor.Evaluation(cpu.New(cpu.Options{Threads: 1}))
			testkit.Close(t, jobs[n].Kind+": images", m.Images(tape, vision.Images{Side: jobs[n].Side, Pixels: jobs[n].Pixels}).F32(), a.Images, 1e-4, 0)
			var ids []int32
			var lengths []int
			for _, s := range jobs[n].IDs {
				ids, lengths = append(ids, s...), append(lengths, len(s))
			}
			testkit.Close(t, jobs[n].Kind+": texts", m.Texts(tape, tensor.IDs(ids), nn.NewSeqs(lengths...)).F32(), a.Texts, 1e-4, 0)
			if math.Abs(m.Factor()-a.Factor) > 1e-4*a.Factor {
				t.Errorf("%s: factor %v, want %v", jobs[n].Kind, m.Factor(), a.Factor)
			}
			if m.Bias != nil && float64(m.Bias.T().F32()[0]) != a.Bias {
				t.Errorf("%s: bias %v, want %v", jobs[n].Kind, m.Bias.T().F32()[0], a.Bias)
			}
		}
	}
}

// A folder of transformers, written for open_clip and back, holds the same tensors, configuration and preparation; each of the two layouts is what it should be.
func TestConvertCLIP(t *testing.T) {
	m := tinyCLIP(t, "transformers")
	dir := t.TempDir()
	one, two, three := filepath.Join(dir, "one"), filepath.Join(dir, "two"), filepath.Join(dir, "three")
	if err := zoo.Save(one, m, nil); err != nil {
		t.Fatal(err)
	}
	p := media.CLIP(12)
	p.Filter, p.Ground = media.Bilinear, &[3]uint8{255, 250, 0}
	if err := zoo.SavePreprocess(one, p); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		in, out string
		open    bool
	}{{one, two, true}, {two, three, false}} {
		if err := zoo.WriteDir(t.Context(), step.in, step.out, zoo.DirOptions{DType: checkpoint.F32, OpenCLIP: step.open}); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(step.out, "open_clip_config.json")); (err == nil) != step.open {
			t.Errorf("%s: open_clip's file: %v", step.out, err)
		}
		back, prepare, err := zoo.OpenCLIP(step.out, zoo.Options{F32: true})
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(prepare, p) || !reflect.DeepEqual(back.Config, m.Config) {
			t.Errorf("%s: %+v %+v", step.out, prepare, back.Config)
		}
		for i, q := range back.Params() {
			if !reflect.DeepEqual(q.T().F32(), m.Params()[i].T().F32()) {
				t.Errorf("%s: %s changed", step.out, q.Name)
			}
		}
	}
	sameTensors(t, one, three)
	m, dir = tinyCLIP(t, "open_clip"), t.TempDir()
	if err := zoo.Save(dir, m, nil); err != nil {
		t.Fatal(err)
	}
	err := zoo.WriteDir(t.Context(), dir, filepath.Join(dir, "out"), zoo.DirOptions{DType: checkpoint.F32})
	if err == nil || !strings.Contains(err.Error(), "bias of logits") {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "out")); err == nil {
		t.Error("a refused conversion left a folder")
	}
}
