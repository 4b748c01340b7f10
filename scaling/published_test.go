package scaling

import (
	"math"
	"testing"

	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/gpt"
)

func published(t *testing.T, name string) PublishedModel {
	t.Helper()
	p, err := ModelByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The table of the reference: counts of checkpoints, or by formula where the authors round.
func TestPublishedParameters(t *testing.T) {
	for name, want := range map[string]int64{
		"gpt2": 124439808, "gpt2-medium": 354823168, "gpt2-large": 774030080, "gpt2-xl": 1557611200,
		"gpt3-small": 125226240, "gpt3-medium": 355871744, "gpt3-large": 760300032, "gpt3-xl": 1315723264,
		"gpt3-2.7b": 2651553280, "gpt3-6.7b": 6658404352, "gpt3-13b": 12853386240, "gpt3-175b": 174604259328,
		"bert-base": 109482240, "bert-large": 335141888, "bert-base-cased": 108310272, "bert-large-cased": 333579264,
		"bert-tiny": 4385920, "bert-mini": 11170560, "bert-small": 28763648, "bert-medium": 41373184,
		"mt-nlg-530b": 529600819200,
		// 14·C² + 2·256·C for each layer at H·256 = C; 118·(2·12288·C + 2·256·C + 12·C²) for 540B; a norm's scale for each block and one at the end.
		"palm-8b":   32*(14*4096*4096+512*4096+4096) + 4096 + 256000*4096,
		"palm-62b":  64*(14*8192*8192+512*8192+8192) + 8192 + 256000*8192,
		"palm-540b": 118*(2*12288*18432+512*18432+12*18432*18432+18432) + 18432 + 256000*18432,
	} {
		if got := published(t, name).Shape.Params().Total(); got != want {
			t.Errorf("%s has %d parameters, want %d", name, got, want)
		}
	}
	variants := map[int64]model.Shape{
		1517123584:   gpt3(24, 2048, 24, 128), // XL as printed
		12952938780:  gpt3(40, 5140, 20, 257), // 13B as printed: any heads x dim that make 5140
		529581506560: mtnlg(50257),
	}
	base, large := bert(12, 768, 12, 30522), bert(24, 1024, 16, 30522)
	base.Pooler = false
	variants[108891648] = base
	base.Pooler, base.MLM, base.NSP, large.MLM, large.NSP = true, true, true, true, true
	variants[110106428], variants[336226108] = base, large
	for want, s := range variants {
		if got := s.Params().Total(); got != want {
			t.Errorf("%+v has %d parameters, want %d", s, got, want)
		}
	}
	for name, want := range map[string]float64{"gopher-280b": 280, "chinchilla-70b": 70} {
		if got := float64(published(t, name).Shape.Params().Total()) / 1e9; math.Abs(got-want) > 0.002*want {
			t.Errorf("%s has %.3f billion parameters, want %v", name, got, want)
		}
	}
}

// The named sizes of package gpt and the published table agree; the window of GPT-3's odd layers has no parameters.
func TestPublishedMatchesGPT(t *testing.T) {
	for _, s := range gpt.Sizes {
		p, err := ModelByName(s.Name)
		if err != nil {
			continue // nano, micro, mini
		}
		if got, want := p.Shape.Params(), s.Config.Shape().Params(); got != want {
			t.Errorf("%s: %+v in the table, %+v in package gpt", s.Name, got, want)
		}
		if p.LR != 0 && (p.LR != s.LR || p.Batch*2048 != s.Batch) {
			t.Errorf("%s: rate %v and batch %d in the table, %v and %d tokens in package gpt", s.Name, p.LR, p.Batch, s.LR, s.Batch)
		}
	}
}

// Training FLOPs as the authors print them: GPT-3 and PaLM 540B are 6ND, PaLM's smaller two count attention as well.
func TestPublishedFLOPs(t *testing.T) {
	for _, p := range PublishedModels {
		if p.FLOPs == 0 || p.Shape.Positions == model.Relative { // Gopher and Chinchilla: the print of one is 14 % above 6ND, of the other 2 % below
			continue
		}
		want := 6 * float64(p.Shape.Params().Total()) * p.Tokens
		if p.Name == "palm-8b" || p.Name == "palm-62b" {
			want = p.Shape.FLOPs(1, 2048, model.RecomputeNone).Model(true) / 2048 * p.Tokens
		}
		if math.Abs(p.FLOPs/want-1) > 0.02 {
			t.Errorf("%s: printed %.3g FLOPs, counted %.3g", p.Name, p.FLOPs, want)
		}
	}
}

// Table 3 of Chowdhery et al. 2022: the MFU that follows from the printed tokens per second.
func TestMFU(t *testing.T) {
	for _, c := range []struct {
		name        string
		tokens, mfu float64
	}{{"mt-nlg-530b", 65.43e3, 0.302}, {"palm-540b", 238.3e3, 0.462}} {
		p := published(t, c.name)
		d, err := DeviceByName(p.Device)
		if err != nil {
			t.Fatal(err)
		}
		perToken := p.Shape.FLOPs(1, 2048, model.RecomputeNone).Model(true) / 2048
		if got := perToken * c.tokens / (float64(p.Devices) * d.Peak); math.Abs(got-c.mfu) > 0.0005 || p.MFU != c.mfu {
			t.Errorf("%s: MFU %.4f counted, %v in the table, want %v", c.name, got, p.MFU, c.mfu)
		}
	}
}

func TestPublishedIsWhole(t *testing.T) {
	for i, p := range PublishedModels {
		if p.Source == "" || p.Year < 2018 || p.Year > 2023 || p.Params == 0 {
			t.Errorf("%s: no source, year or size", p.Name)
		}
		if i > 0 && int(p.Year) < int(PublishedModels[i-1].Year) {
			t.Errorf("%s stands after a younger model", p.Name)
		}
		if got := float64(p.Shape.Params().Total()); math.Abs(got/p.Params-1) > 0.02 {
			t.Errorf("%s: %v parameters counted, %v published", p.Name, got, p.Params)
		}
		if p.Layout != (Layout{}) {
			if err := p.Layout.Check(p.Shape, p.Batch, p.Devices); err != nil {
				t.Errorf("%s: %v", p.Name, err)
			}
		}
	}
	for name, want := range map[string]int{"gpt3": 8, "gpt2": 1, "bert": 8, "bert-base": 1, "palm": 3, "gpt": 0, "all": len(PublishedModels)} {
		if got := len(ModelFamily(name)); got != want {
			t.Errorf("%s is %d models, want %d", name, got, want)
		}
	}
	if _, err := ModelByName("gpt5"); err == nil {
		t.Error("an unknown model is found")
	}
	for _, name := range []string{"a100", "-1", "0", "inf", "NaN", ""} {
		if _, err := DeviceByName(name); err == nil {
			t.Errorf("device %q is accepted", name)
		}
	}
	for _, d := range Devices {
		if d.Peak < 1e14 || d.Memory < 1e10 || d.Bandwidth < 1e11 || d.Link == 0 || d.Network == 0 || d.Node == 0 || d.Source == "" {
			t.Errorf("%+v is not whole", d)
		}
	}
	if d, err := DeviceByName("2.5e14"); err != nil || d.Peak != 2.5e14 {
		t.Errorf("a rate gives %+v, %v", d, err)
	}
}
