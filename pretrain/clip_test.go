package pretrain

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/data/imagetext"
	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/internal/kernel/ref"
	"github.com/plinth-ml/plinth/internal/random"
	"github.com/plinth-ml/plinth/internal/testkit"
	"github.com/plinth-ml/plinth/media"
	"github.com/plinth-ml/plinth/model/clip"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
	"github.com/plinth-ml/plinth/train"
)

// rows are n vectors of length E.
func rows(seed uint64, n, E int) []float32 {
	x, key := make([]float32, n*E), random.NewKey(seed)
	for i := range x {
		x[i] = float32(key.Normal(uint64(i)))
	}
	return x
}

// of returns the loss of features.
func of(k *kernel.Set, sigmoid bool, images, texts []float32, E int, scale, bias float64) *contrast {
	c := &contrast{k: k, sigmoid: sigmoid}
	c.pair(make([]int, len(images)/E), nil, true)
	c.compute(images, texts, E, scale, bias)
	return c
}

func (c *contrast) mean() (sum float64) {
	for _, v := range c.losses {
		sum += v / float64(len(c.losses))
	}
	return sum
}

// The gradients are the slopes of the loss.
func TestContrastGradients(t *testing.T) {
	const B, E, step = 5, 4, 1e-2
	for _, sigmoid := range []bool{false, true} {
		images, texts, scale, bias := rows(1, B, E), rows(2, B, E), 3.0, -1.0
		c := of(ref.New(), sigmoid, images, texts, E, scale, bias)
		slope := func(name string, got float64, move func(by float64)) {
			move(step)
			up := of(ref.New(), sigmoid, images, texts, E, scale, bias).mean()
			move(-2 * step)
			down := of(ref.New(), sigmoid, images, texts, E, scale, bias).mean()
			move(step)
			if want := (up - down) / (2 * step); math.Abs(got-want) > 2e-4 {
				t.Errorf("sigmoid %v: gradient by %s is %v, the slope %v", sigmoid, name, got, want)
			}
		}
		for i := range images {
			slope(fmt.Sprint("picture ", i), float64(c.dimages[i]), func(by float64) { images[i] += float32(by) })
			slope(fmt.Sprint("text ", i), float64(c.dtext[i]), func(by float64) { texts[i] += float32(by) })
		}
		slope("scale", c.dscale, func(by float64) { scale *= math.Exp(by) })
		if sigmoid {
			slope("bias", c.dbias, func(by float64) { bias += by })
		}
	}
}

// Features that say nothing have the loss of chance, and the mean cosine of two rows is that of all pairs.
func TestChance(t *testing.T) {
	const B, E = 6, 3
	same := slices.Repeat([]float32{1, 2, 3}, B)
	for _, sigmoid := range []bool{false, true} {
		c := of(ref.New(), sigmoid, same, same, E, 1, math.Log(1./(B-1))-1) // the best bias: a share of 1/B
		if got, want := c.mean(), c.chance(); math.Abs(got-want) > 1e-6 || c.floor() != 0 {
			t.Errorf("sigmoid %v: loss %v, chance %v, floor %v", sigmoid, got, want, c.floor())
		}
		if math.Abs(c.likeness-1) > 1e-6 {
			t.Errorf("likeness %v of equal rows", c.likeness)
		}
	}
	x := rows(4, B, E)
	var u units
	u.set(x, E)
	sum := 0.0
	for i := range B {
		for j := range B {
			for e := range E {
				if i != j {
					sum += float64(u.rows[i*E+e]) * float64(u.rows[j*E+e])
				}
			}
		}
	}
	if got, want := likeness(u.rows, E), sum/(B*(B-1)); math.Abs(got-want) > 1e-6 {
		t.Errorf("likeness %v, want %v", got, want)
	}
}

// The losses and their gradients are open_clip's, also where it computes a batch in parts over cached features.
func TestContrastPeer(t *testing.T) {
	modules := []string{"torch", "open_clip"}
	testkit.Python(t, modules...)
	const B, E = 8, 6
	images, texts := rows(5, B, E), rows(6, B, E)
	split := func(x []float32) [][]float32 { return slices.Collect(slices.Chunk(x, E)) }
	for _, job := range []struct {
		scale float64
		bias  any
		accum int
	}{{math.Log(1 / 0.07), nil, 1}, {math.Log(1 / 0.07), nil, 4}, {math.Log(10), -10, 1}, {math.Log(10), -10, 2}} {
		var want struct {
			Loss, Scale, Bias float64
			Images, Texts     []float32
		}
		testkit.Ask(t, filepath.Join(testkit.Root(), "tools", "golden", "openclip_loss.py"), modules,
			map[string]any{"images": split(images), "texts": split(texts), "scale": job.scale, "bias": job.bias, "accum": job.accum}, &want)
		bias, sigmoid := 0.0, job.bias != nil
		if sigmoid {
			bias = float64(job.bias.(int))
		}
		c := of(cpu.New(cpu.Options{Threads: 1}), sigmoid, images, texts, E, math.Exp(job.scale), bias)
		if math.Abs(c.mean()-want.Loss) > 1e-5*want.Loss {
			t.Errorf("%+v: loss %v, open_clip has %v", job, c.mean(), want.Loss)
		}
		testkit.Close(t, "images", c.dimages, want.Images, 1e-5, 1e-8)
		testkit.Close(t, "texts", c.dtext, want.Texts, 1e-5, 1e-8)
		if job.accum == 1 && (math.Abs(c.dscale-want.Scale) > 1e-5*math.Abs(want.Scale) || math.Abs(c.dbias-want.Bias) > 1e-5*math.Abs(want.Bias)) {
			t.Errorf("%+v: gradients by scale and bias %v, %v, open_clip has %v, %v", job, c.dscale, c.dbias, want.Scale, want.Bias)
		}
	}
}

func TestRecall(t *testing.T) {
	// Three pictures on the axes; the first has two texts, the second's is nearer to the third picture.
	images := []float32{1, 0, 0, 0, 1, 0, 0, 0, 1}
	texts := []float32{1, 0, 0, 0, 1, 0.5, 0, 1, 2, 0, 0, 1}
	r := recall(ref.New(), images, texts, 3, []int{0, 0, 1, 2}, []int{0, 1, 2, 3})
	want := Recall{3, 4, [3]float64{2. / 3, 1, 1}, [3]float64{2. / 4, 1, 1}}
	for i := range Ranks {
		if math.Abs(r.ImageToText[i]-want.ImageToText[i]) > 1e-9 || math.Abs(r.TextToImage[i]-want.TextToImage[i]) > 1e-9 {
			t.Fatalf("%+v, want %+v", r, want)
		}
	}
	each := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}
	same := recall(ref.New(), slices.Repeat([]float32{1}, 12), slices.Repeat([]float32{1}, 12), 1, each, each)
	if same.ImageToText[2] != 0 || same.TextToImage[0] != 0 {
		t.Errorf("features that are all the same find %+v", same)
	}
	// Two classes of two pictures each: a caption is right for all pictures of its class, the third picture is nearer to the other one.
	classes := recall(ref.New(), []float32{1, 0, 0.8, 0.1, 0.9, 0.2, 0, 1}, []float32{1, 0, 1, 0, 0, 1, 0, 1}, 2, []int{0, 1, 2, 3}, []int{0, 0, 1, 1})
	if classes.ImageToText[0] != 0.75 || math.Abs(classes.TextToImage[0]-1) > 1e-9 {
		t.Errorf("classes: %+v", classes)
	}
}

// colours are pictures of one colour each, a little different every time, with their names.
func colours(t testing.TB, batch int) *imagetext.Set { return coloursOf(t, batch, 16, 8) }

// coloursOf are pictures of so many pixels, and so many names: with fewer than eight, colours share them.
func coloursOf(t testing.TB, batch, side, names int) *imagetext.Set {
	t.Helper()
	dir := t.TempDir()
	var table strings.Builder
	table.WriteString("image\ttext\tcolour\n")
	list := []color.RGBA{{220, 30, 30, 255}, {30, 200, 40, 255}, {30, 40, 220, 255}, {230, 220, 30, 255}, {20, 20, 20, 255}, {240, 240, 240, 255}, {200, 40, 200, 255}, {40, 210, 210, 255}}
	for i, c := range list {
		for n := range 3 {
			m := image.NewRGBA(image.Rect(0, 0, 16, 16))
			for p := range 16 * 16 {
				m.SetRGBA(p%16, p/16, color.RGBA{c.R + uint8(4*n), c.G - uint8(3*n), c.B + uint8((p*n)%7), 255})
			}
			var b bytes.Buffer
			if err := png.Encode(&b, m); err != nil {
				t.Fatal(err)
			}
			name := fmt.Sprintf("%d-%d.png", i, n)
			if err := os.WriteFile(filepath.Join(dir, name), b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&table, "%s\t%c\t%d\n", name, 'a'+i%names, i)
		}
	}
	path := filepath.Join(dir, "pairs.tsv")
	if err := os.WriteFile(path, []byte(table.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	items, err := imagetext.Read(t.Context(), []string{path}, imagetext.ReadOptions{Group: "colour"})
	if err != nil {
		t.Fatal(err)
	}
	set, err := imagetext.New(items, imagetext.Options{Batch: batch, Prepare: media.CLIP(side), Seed: 3, Encode: func(text string) ([]int32, error) {
		return []int32{30, int32(text[0] - 'a'), 31}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// tinyClip is a model for colours.
func tinyClip(t testing.TB, sigmoid bool) *clip.Model {
	t.Helper()
	c := clip.Shape{Side: 16, Patch: 8, Width: 64, Layers: 2, TextWidth: 64, TextLayers: 2, Vocab: 32, Context: 8, Projection: 32}.Config()
	if c.Sigmoid = sigmoid; sigmoid {
		c.ScaleInit, c.BiasInit = math.Log(10), -3
	}
	m, err := clip.New(c)
	if err != nil {
		t.Fatal(err)
	}
	nn.Init(m.Params(), 1, true)
	return m
}

// step computes the gradient of the first step, micro pairs at once, and returns the loss.
func step(t *testing.T, o *CLIP, micro int) float64 {
	t.Helper()
	k := cpu.New(cpu.Options{Threads: 1})
	var parts []train.Part
	for from := 0; from < o.Pairs.Batch(); from += micro {
		p, err := o.Part(nil, 0, from, min(from+micro, o.Pairs.Batch()))
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, p)
	}
	if len(parts) > 1 {
		o.Join(tensor.Evaluation(k), parts)
	}
	tape, sums := tensor.Training(k), [1]float64{}
	for _, p := range parts {
		p.Loss(tape, []float64{float64(o.Pairs.Batch())}, sums[:])
		tape.Backward()
		tape.Reset()
	}
	return sums[0] / float64(o.Pairs.Batch())
}

// A batch in parts has the loss and the gradient of the whole.
func TestFeatureCache(t *testing.T) {
	for _, sigmoid := range []bool{false, true} {
		for drop, names := range map[float64]int{0: 8, 0.5: 3} { // with three, several texts are right for a picture
			whole := &CLIP{Model: tinyClip(t, sigmoid), Pairs: coloursOf(t, 8, 16, names), Drop: drop}
			parts := &CLIP{Model: tinyClip(t, sigmoid), Pairs: coloursOf(t, 8, 16, names), Drop: drop}
			a, b := step(t, whole, 8), step(t, parts, 3)
			if math.Abs(a-b) > 1e-6*a {
				t.Errorf("loss %v of the whole, %v of parts", a, b)
			}
			norm := 0.0
			for _, p := range whole.Params() {
				for _, v := range p.T().Grad.F32() {
					norm += float64(v) * float64(v)
				}
			}
			for i, p := range whole.Params() {
				testkit.Close(t, p.Name, parts.Params()[i].T().Grad.F32(), p.T().Grad.F32(), 1e-5, 1e-7*math.Sqrt(norm))
			}
			if g := whole.Model.Scale.T().Grad.F32()[0]; g == 0 {
				t.Error("no gradient reaches the scale")
			}
		}
	}
}

// A locked tower stays as it is and the other learns; in parts the locked one is computed once.
func TestLockedTower(t *testing.T) {
	for _, locked := range []string{"vision_model.", "text_model."} {
		o := &CLIP{Model: tinyClip(t, false), Pairs: colours(t, 8)}
		projection := map[string]string{"vision_model.": "visual_projection.weight", "text_model.": "text_projection.weight"}[locked]
		for _, p := range o.Model.Params() {
			if strings.HasPrefix(p.Name, locked) || p.Name == projection {
				p.T().SetTrain(false)
			} else {
				o.Trained = append(o.Trained, p)
			}
		}
		full := &CLIP{Model: tinyClip(t, false), Pairs: o.Pairs}
		step(t, full, 8)
		for _, micro := range []int{8, 3} {
			for _, p := range o.Trained {
				clear(p.T().Grad.F32())
			}
			step(t, o, micro)
			for i, p := range o.Model.Params() {
				if p.T().Trains() {
					testkit.Close(t, p.Name, p.T().Grad.F32(), full.Params()[i].T().Grad.F32(), 1e-5, 1e-6)
				}
			}
		}
	}
}

func TestPatchDropout(t *testing.T) {
	o := &CLIP{Model: tinyClip(t, false), Pairs: colours(t, 8), Drop: 0.5, Seed: 4}
	keeps := func(step, from, to int) [][]int32 {
		p, err := o.Part(nil, step, from, to)
		if err != nil {
			t.Fatal(err)
		}
		return p.(*clipPart).keep
	}
	all := keeps(0, 0, 8)
	different := false
	for i, k := range all {
		if len(k) != 2 || k[0] >= k[1] || k[1] > 3 {
			t.Fatalf("patches %v of picture %d: want two of four, ascending", k, i)
		}
		different = different || !slices.Equal(k, all[0])
	}
	if !different {
		t.Error("all pictures lose the same patches")
	}
	if got := keeps(0, 3, 5); !slices.EqualFunc(got, all[3:5], slices.Equal) {
		t.Error("what is dropped depends on the parts of the batch")
	}
	if slices.EqualFunc(keeps(1, 0, 8), all, slices.Equal) {
		t.Error("every step drops the same")
	}
	if p, _ := o.Part(nil, 0, 0, 8); p.Tokens() != 8*(1+2)+8*3 {
		t.Errorf("%d rows", p.Tokens())
	}
}

// The cost times the rows of a step is the arithmetic of its pictures and texts: all of it, a share of the patches, and a third of a locked tower.
func TestCLIPCost(t *testing.T) {
	o := &CLIP{Model: tinyClip(t, false), Pairs: colours(t, 8)}
	all := func() float64 {
		p, err := o.Part(nil, 0, 0, 8)
		if err != nil {
			t.Fatal(err)
		}
		c := o.Cost(8)
		return (c.Matrix + c.Attention) * float64(p.Tokens()) / 8
	}
	pictures := func(patches int) float64 { m, a := o.Model.ImageFLOPs(patches); return m + a }
	m, a := o.Model.TextFLOPs(3)
	texts := m + a
	check := func(what string, want float64) {
		t.Helper()
		if got := all(); math.Abs(got-want) > 1e-9*want {
			t.Errorf("%s: %v operations a pair, want %v", what, got, want)
		}
	}
	check("whole", pictures(4)+texts)
	o.Drop = 0.5
	if pictures(2) > 0.7*pictures(4) {
		t.Errorf("%v operations for half of the patches, %v for all", pictures(2), pictures(4))
	}
	check("half of the patches", pictures(2)+texts)
	for _, p := range o.Model.Params() {
		if strings.HasPrefix(p.Name, "vision_model.") || p.Name == "visual_projection.weight" {
			p.T().SetTrain(false)
		}
	}
	check("locked", pictures(2)/3+texts)
	o = &CLIP{Model: tinyResNet(t), Pairs: coloursOf(t, 8, 32, 8)}
	m, a = o.Model.TextFLOPs(3)
	check("a ResNet", pictures(0)+m+a)
}

// The objective learns, in parts and as a whole, with both losses; the retrieval of held-out pairs is then right.
func TestCLIPLearns(t *testing.T) {
	for _, sigmoid := range []bool{false, true} {
		o := &CLIP{Model: tinyClip(t, sigmoid), Pairs: colours(t, 8)}
		l, err := train.Minimize(o, cpu.New(cpu.Options{Threads: 1}), train.Options{Steps: 40, Batch: 8, Micro: 4, LR: 3e-3, Beta2: 0.98, OnSpike: "ignore"}, train.Hooks{})
		if err != nil {
			t.Fatal(err)
		}
		first := step(t, o, 8)
		for _, p := range o.Params() {
			clear(p.T().Grad.F32())
		}
		r, err := l.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		s, err := o.Evaluate(t.Context(), tensor.Evaluation(cpu.New(cpu.Options{Threads: 1})), colours(t, 8), 0, 3)
		if err != nil {
			t.Fatal(err)
		}
		if !(r.Loss < first/3) || s.ImageToText[0] != 1 || s.TextToImage[0] != 1 || s.Pictures != 8 || s.Texts != 8 {
			t.Errorf("sigmoid %v: loss %v after %v; %+v", sigmoid, r.Loss, first, s)
		}
		if m := o.Measures(); m["image_to_text"] != 1 || m["likeness"] > 0.9 {
			t.Errorf("sigmoid %v: measures %v", sigmoid, m)
		}
	}
}

// tinyResNet is a model for colours whose tower for pictures is a ResNet.
func tinyResNet(t testing.TB) *clip.Model {
	t.Helper()
	c := tinyClip(t, false).Config
	c.Vision = clip.VisionConfig{Side: 32, Stages: [4]int{1, 1, 1, 1}}
	c.Vision.Width, c.Vision.Heads = 8, 2
	m, err := clip.New(c)
	if err != nil {
		t.Fatal(err)
	}
	nn.Init(m.Params(), 1, true)
	return m
}

// A ResNet learns; its running statistics go into checkpoints, so that a run in two halves has the bits of one; and its batch is one part.
func TestResNetLearns(t *testing.T) {
	run := func(dir string, stop int) (*CLIP, train.Result) {
		o := &CLIP{Model: tinyResNet(t), Pairs: coloursOf(t, 8, 32, 8)}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		h := train.Hooks{Progress: func(e train.Event) {
			if e.Kind == "" && e.Step == stop {
				cancel()
			}
		}}
		l, err := train.Minimize(o, cpu.New(cpu.Options{Threads: 1}), train.Options{Steps: 30, Batch: 8, Micro: 8, LR: 3e-3, OnSpike: "ignore", RunDir: dir, Resume: true}, h)
		if err != nil {
			t.Fatal(err)
		}
		r, err := l.Run(ctx)
		if err != nil && !errors.Is(err, train.ErrInterrupted) {
			t.Fatal(err)
		}
		return o, r
	}
	whole, r := run(t.TempDir(), 0)
	if !(r.Loss < math.Log(8)/2) {
		t.Errorf("loss %v", r.Loss)
	}
	dir := t.TempDir()
	run(dir, 11)
	parts, _ := run(dir, 0)
	for i, p := range whole.Model.Params() {
		if !slices.Equal(p.T().F32(), parts.Model.Params()[i].T().F32()) {
			t.Fatalf("%s has other bits after a pause", p.Name)
		}
	}
	if len(whole.State()) == 0 || whole.State()[0].T().F32()[0] == 0 {
		t.Error("no running statistic has moved")
	}
	if _, err := whole.Part(nil, 0, 0, 4); err == nil || !strings.Contains(err.Error(), "one part") {
		t.Errorf("a part of a ResNet's batch: %v", err)
	}
	whole.Model.ResNet.FreezeStatistics(true)
	if _, err := whole.Part(nil, 0, 0, 4); err != nil {
		t.Error(err)
	}
}

func TestSymptom(t *testing.T) {
	o := &CLIP{Model: tinyClip(t, false), Pairs: colours(t, 8), OwnOnly: true}
	o.compute(tensor.Evaluation(ref.New()), rows(1, 8, 32), rows(2, 8, 32), make([]int, 8), nil)
	for _, c := range []struct {
		loss, likeness float64
		want           string
	}{{math.Log(8) + 0.01, 0.2, "a guess among 8"}, {1, 0.999, "same features"}, {1, 0.5, ""}, {3, 0.5, ""}} {
		o.loss.likeness = c.likeness
		if got := o.Symptom(c.loss); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("loss %v, likeness %v: %q, want %q", c.loss, c.likeness, got, c.want)
		}
	}
}

func TestCLIPRefusesCaptions(t *testing.T) {
	set := colours(t, 8)
	for want, change := range map[string]func(c *clip.Config){
		"vocabulary of 31": func(c *clip.Config) { c.Text.Vocab = 31 },
		"context is 2":     func(c *clip.Config) { c.Text.Context = 2 },
	} {
		m := tinyClip(t, false)
		change(&m.Config)
		if _, err := (&CLIP{Model: m, Pairs: set}).Part(nil, 0, 0, 8); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
