package main

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/plinth-ml/plinth/adapt"
	"github.com/plinth-ml/plinth/data/imagetext"
	"github.com/plinth-ml/plinth/embed"
	"github.com/plinth-ml/plinth/media"
	"github.com/plinth-ml/plinth/model/clip"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/pretrain"
	"github.com/plinth-ml/plinth/tensor"
	"github.com/plinth-ml/plinth/tokenizer"
	"github.com/plinth-ml/plinth/train"
)

// clipFlags are those of --family clip alone.
type clipFlags struct {
	Model     string   `group:"Pictures and texts (--family clip)" help:"Go on from this model, with its tokenizer, in place of a shape." placeholder:"PATH|NAME"`
	Image     string   `group:"Pictures and texts (--family clip)" default:"image" help:"Column with the picture's file." placeholder:"COL"`
	Text      []string `group:"Pictures and texts (--family clip)" default:"text" help:"Columns with captions, each a text or a list of them; every time one is drawn." placeholder:"COL,..."`
	Group     string   `group:"Pictures and texts (--family clip)" help:"Column: rows of the same value show the same thing, and a batch has one of them." placeholder:"COL"`
	Pictures  string   `group:"Pictures and texts (--family clip)" help:"Folder of the pictures that a table names; without it the table's own." placeholder:"DIR"`
	Caption   string   `group:"Pictures and texts (--family clip)" default:"caption" help:"Of shards: key of the caption in .json members." placeholder:"KEY"`
	Template  []string `group:"Pictures and texts (--family clip)" sep:"none" default:"a photo of a {}." help:"Of class folders: caption with {} for the class's name; the flag repeated." placeholder:"TEXT"`
	Held      []string `group:"Pictures and texts (--family clip)" help:"Held-out pairs, as --data; without it a share of --data (--validation)." placeholder:"PATH"`
	HeldPairs int      `group:"Pictures and texts (--family clip)" default:"1000" help:"Held-out pairs that are looked at, at most; 0 means all." placeholder:"N"`
	Truncate  bool     `group:"Pictures and texts (--family clip)" help:"Cut captions that are longer than the model's context, instead of an error."`

	Loss       string   `group:"Contrast (--family clip)" enum:"softmax,sigmoid" default:"softmax" help:"softmax as CLIP, or sigmoid as SigLIP; the folder of a sigmoid model is open_clip's."`
	Positives  string   `group:"Contrast (--family clip)" enum:",captions,pairs" default:"" placeholder:"WHAT" help:"What is right for a picture of a batch: captions, all texts that are among its captions (softmax without the flag); or pairs, its own text alone, as published (sigmoid)."`
	CropArea   float64  `group:"Contrast (--family clip)" default:"0.9" help:"Random crops have this share of a picture at least; 1 means no crop." placeholder:"F"`
	Flip       float64  `group:"Contrast (--family clip)" default:"0" help:"Share of the pictures that are mirrored." placeholder:"F"`
	Jitter     float64  `group:"Contrast (--family clip)" default:"0" help:"How much brightness, contrast and saturation change, and hue by a quarter of that." placeholder:"F"`
	Grey       float64  `group:"Contrast (--family clip)" default:"0" help:"Share of the pictures that lose their colours." placeholder:"F"`
	Ground     []string `group:"Contrast (--family clip)" help:"Colours, six hexadecimal digits each, that transparent pictures are laid over; one is drawn, held-out pictures take the first. Without it their alpha is dropped." placeholder:"RRGGBB,..."`
	PatchDrop  float64  `group:"Contrast (--family clip)" default:"0" help:"Share of the patches of a picture that are not seen in training." placeholder:"F"`
	Lock       string   `group:"Contrast (--family clip)" enum:",image,text" default:"" help:"Leave the tower for pictures or for texts as it is: image or text." placeholder:"TOWER"`
	LayerDecay float64  `group:"Contrast (--family clip)" default:"1" help:"Factor of the learning rate from each layer to the one below." placeholder:"F"`
}

// forClip says whether a flag is one of those.
func forClip(flag *kong.Flag) bool {
	return flag.Group != nil && strings.HasSuffix(flag.Group.Title, "(--family clip)")
}

// none refuses the flags in other families.
func (f *clipFlags) none(line *kong.Context) error {
	said := given(line)
	for _, flag := range line.Flags() {
		if forClip(flag) && said[flag.Name] {
			return usagef("--%s is for --family clip", flag.Name)
		}
	}
	return nil
}

// check refuses values that mean nothing.
func (f *clipFlags) check() error {
	for _, v := range []struct {
		flag            string
		v, least, above float64
	}{{"crop-area", f.CropArea, 0.01, 1}, {"flip", f.Flip, 0, 1}, {"jitter", f.Jitter, 0, 1}, {"grey", f.Grey, 0, 1}, {"patch-drop", f.PatchDrop, 0, 0.99},
		{"layer-decay", f.LayerDecay, 0.01, 1}, {"held-pairs", float64(f.HeldPairs), 0, 1 << 20}} {
		if !(v.v >= v.least && v.v <= v.above) {
			return usagef("--%s %v is not within %v to %v", v.flag, v.v, v.least, v.above)
		}
	}
	return nil
}

// grounds are the colours of --ground.
func (f *clipFlags) grounds() (list [][3]uint8, err error) {
	for _, text := range f.Ground {
		b, err := hex.DecodeString(strings.TrimPrefix(text, "#"))
		if err != nil || len(b) != 3 {
			return nil, usagef("--ground %q is no colour of six hexadecimal digits", text)
		}
		list = append(list, [3]uint8(b))
	}
	return list, nil
}

// augment is what the flags do to pictures of so many pixels a side; nil: nothing.
func (f *clipFlags) augment(p media.Preprocess) *media.Augment {
	if f.CropArea == 1 && f.Flip == 0 && f.Jitter == 0 && f.Grey == 0 {
		return nil
	}
	a := &media.Augment{Crop: media.RandomResizedCrop{Size: p.Size, Filter: p.Filter, Scale: [2]float64{f.CropArea, 1}}, Flip: f.Flip, Grey: f.Grey}
	if f.Jitter > 0 {
		a.Jitters, a.Jitter = 1, media.ColorJitter{Brightness: f.Jitter, Contrast: f.Jitter, Saturation: f.Jitter, Hue: f.Jitter / 4}
	}
	return a
}

// clip trains on pairs of pictures and texts.
func (t *trainCmd) clip(ctx context.Context, line *kong.Context, c *common, size zoo.Size) error {
	if err := t.clipFlags.check(); err != nil {
		return err
	}
	switch {
	case t.Mix != nil || t.Recompute || t.ZLoss != 0:
		return usagef("--mix, --recompute and --z-loss are for the other families")
	case t.Lock != "" && t.Model == "":
		return usagef("--lock %s would keep a tower as it is at random: it is for a model that is trained already, --model", t.Lock)
	}
	grounds, err := t.grounds()
	if err != nil {
		return err
	}
	items, held, err := t.pairs(ctx, c.Seed)
	if err != nil {
		return err
	}
	m, tok, prepare, err := t.towers(ctx, c, size, items)
	if err != nil {
		return err
	}
	if prepare.Ground != nil && len(grounds) == 0 {
		grounds = [][3]uint8{*prepare.Ground}
	}
	inUse := prepare
	prepare.Ground = nil // one of grounds is drawn
	if len(grounds) > 0 {
		inUse.Ground = &grounds[0]
	}
	t.familyDefaults(line)
	t.clipDefaults(size, m, len(items))
	size.Context = m.Config.Text.Context
	o, err := t.options(c, size, m)
	if err != nil {
		return err
	}
	o.Eps = 1e-6
	if m.ResNet != nil && (t.PatchDrop > 0 || t.LayerDecay < 1) {
		return usagef("--patch-drop and --layer-decay are for a Vision Transformer: the tower for pictures is a ResNet")
	}
	set := imagetext.Options{Batch: o.Batch, Prepare: prepare, Encode: encoder(m.Config, tok, t.Truncate), Augment: t.augment(prepare), Grounds: grounds,
		Skip: t.OnBad == "skip", Threads: c.Threads, Seed: c.Seed}
	if t.Positives == "" {
		t.Positives = "captions"
		if m.Bias != nil { // see docs/LOG.md: short runs learn less with all captions
			t.Positives = "pairs"
		}
	}
	obj := &pretrain.CLIP{Model: m, Drop: t.PatchDrop, Seed: c.Seed, OwnOnly: t.Positives == "pairs"}
	if obj.Pairs, err = imagetext.New(items, set); err != nil {
		return err
	}
	if n := obj.Pairs.Skipped(); n > 0 {
		c.say("note: %d of the pictures to train on are not there, and are left out", n)
	}
	if obj.Trained, err = t.trained(m); err != nil {
		return err
	}
	k := c.kernels()
	var last pretrain.ClipScores
	job := trainJob{
		loop: func(h train.Hooks) (*train.Loop, error) { return train.Minimize(obj, k, o, h) },
		validation: func(r train.Result) string {
			if last.Pictures == 0 { // of a run that was finished before
				return fmt.Sprintf("validation %.4f", r.ValLoss)
			}
			return "validation " + describeRecall(last)
		},
		try: fmt.Sprintf("plinth classify --model %s --images DIR --labels cat,dog", t.Out),
	}
	job.hooks.Export = func(dir string) error {
		if err := zoo.Save(dir, m, tok); err != nil {
			return err
		}
		return zoo.SavePreprocess(dir, inUse)
	}
	if len(held) == 0 {
		c.say("note: no pair is held out, so nothing measures how the model does on unseen pictures (--held, --validation)")
	} else {
		set.Batch, set.Augment = min(o.Batch, len(held)), nil
		heldSet, err := imagetext.New(held, set)
		if err != nil {
			return err
		}
		if n := heldSet.Skipped(); n > 0 {
			c.say("note: %d of the held-out pictures are not there, and count as misses", n)
		}
		tape := tensor.Evaluation(k)
		job.hooks.Validate = func(ctx context.Context, _ int) (float64, float64, error) {
			last, err = obj.Evaluate(ctx, tape, heldSet, t.HeldPairs, min(o.Micro, 128))
			return last.Loss, 0, err
		}
		job.hooks.Found = func() map[string]float64 { return recalls(last.Recall) }
	}
	return t.do(ctx, line, c, job, o, fmt.Sprintf("%s: %s parameters, %d pairs and %d held out, %d steps of %d pairs (%.1f epochs), learning rate %.3g, %s", cmp.Or(t.Model, size.Name),
		count(nn.Count(m.Params())), len(items), len(held), o.Steps, o.Batch, float64(o.Steps)*float64(o.Batch)/float64(len(items)), o.LR, k.Name))
}

// pairs are those to train on and those held out.
func (t *trainCmd) pairs(ctx context.Context, seed uint64) (items, held []imagetext.Item, err error) {
	o := imagetext.ReadOptions{Image: t.Image, Text: t.Text, Group: t.Group, Folder: t.Pictures, Caption: t.Caption, Templates: t.Template}
	if items, err = imagetext.Read(ctx, t.Data, o); err != nil {
		return nil, nil, err
	}
	if len(t.Held) > 0 {
		held, err = imagetext.Read(ctx, t.Held, o)
		return items, held, err
	}
	items, held = imagetext.Split(items, t.Validation, seed)
	if len(items) == 0 {
		return nil, nil, usagef("--validation %v leaves no pair to train on", t.Validation)
	}
	return items, held, nil
}

// towers are the model, with its first values or those of --model, its tokenizer, and how it wants pictures.
func (t *trainCmd) towers(ctx context.Context, c *common, size zoo.Size, items []imagetext.Item) (m *clip.Model, tok *tokenizer.Tokenizer, p media.Preprocess, err error) {
	if t.Model != "" {
		if t.Tokenizer != "" || t.Size != "" || t.Vocab != 0 || t.Seq != 0 || t.Loss == "sigmoid" {
			return nil, nil, p, usagef("--model has its own shape, tokenizer and loss: without --size, --vocab, --seq, --tokenizer and --loss")
		}
		dir, err := findPath(t.Model)
		if err != nil {
			return nil, nil, p, err
		}
		if m, p, err = zoo.OpenCLIP(dir, zoo.Options{Train: true}); err != nil {
			return nil, nil, p, err
		}
		tok, err = tokenizer.Open(dir)
		return m, tok, p, err
	}
	if tok, err = t.clipTokenizer(ctx, c, size, items); err != nil {
		return nil, nil, p, err
	}
	vocab := cmp.Or(t.Vocab, tok.VocabSize())
	if vocab < tok.VocabSize() {
		return nil, nil, p, usagef("--vocab %d is smaller than the tokenizer's %d", vocab, tok.VocabSize())
	}
	shapes, err := size.New(vocab, size.Context, -1)
	if err != nil {
		return nil, nil, p, usageError{err}
	}
	config := shapes.(*clip.Model).Config
	if config.ModelType == clip.Type {
		marks := tok.AddSpecial(nil)
		if len(marks) != 2 {
			return nil, nil, p, fmt.Errorf("the tokenizer puts %d marks around a text, CLIP's has two, for its start and its end", len(marks))
		}
		config.Text.BOS, config.Text.EOS = int(marks[0]), int(marks[1])
	}
	if t.Loss == "sigmoid" && !config.Sigmoid { // Zhai et al. 2023, section 3.2
		config.Sigmoid, config.ScaleInit, config.BiasInit = true, math.Log(10), -10
	}
	if m, err = clip.New(config); err != nil {
		return nil, nil, p, usageError{err}
	}
	nn.Init(m.Params(), c.Seed, true)
	return m, tok, media.CLIP(m.Tower().Side()), nil
}

// clipTokenizer is the one that is given, or one trained on the captions: the same each time.
func (t *trainCmd) clipTokenizer(ctx context.Context, c *common, size zoo.Size, items []imagetext.Item) (*tokenizer.Tokenizer, error) {
	if t.Tokenizer != "" {
		return tokenizer.Open(t.Tokenizer)
	}
	c.say("training a tokenizer of at most %d ids ...", size.Vocab)
	return tokenizer.TrainCLIP(ctx, func(yield func([]byte) bool) {
		for _, it := range items {
			for _, r := range it.Rows {
				for _, caption := range r.Captions {
					if !yield([]byte(caption)) {
						return
					}
				}
			}
		}
	}, tokenizer.WordOptions{VocabSize: size.Vocab, MinFrequency: 2, Threads: c.Threads})
}

// encoder returns what makes the ids of a caption.
func encoder(c clip.Config, tok *tokenizer.Tokenizer, truncate bool) func(string) ([]int32, error) {
	return func(text string) ([]int32, error) {
		ids, err := embed.TextIDs(c, tok, text, truncate)
		if errors.Is(err, tokenizer.ErrContext) {
			err = fmt.Errorf("%w: --truncate cuts it", err)
		}
		return ids, err
	}
}

// clipDefaults fill in what no flag says: 32 epochs, as open_clip, and a warm-up of 50 steps at least. Where the rate rises faster, the first steps draw the
// features of all pictures together, and some runs never get them apart.
func (t *trainCmd) clipDefaults(size zoo.Size, m *clip.Model, items int) {
	if t.Batch == 0 {
		t.Batch = min(items, size.Batch/size.Context)
	}
	if t.Micro == 0 {
		t.Micro = min(t.Batch, 256)
		if m.ResNet != nil { // its statistics are of what is computed at once
			t.Micro = t.Batch
		}
	}
	if t.Steps == 0 {
		t.Steps = max(1, 32*items/t.Batch)
	}
	if t.Warmup == 0 {
		t.Warmup = min(max(50, min(200, t.Steps/10)), t.Steps/2)
	}
	if t.SampleEvery == 0 {
		t.SampleEvery = -1
	}
}

// trained are the parameters that the flags do not lock, with their rates.
func (t *trainCmd) trained(m *clip.Model) ([]nn.Named, error) {
	locked := map[string][]string{"image": {"vision_model.", "visual_projection.", "visual."}, "text": {"text_model.", "text_projection."}}[t.Lock] // a SigLIP's are inside the towers
	if t.Lock == "image" && m.ResNet != nil {
		m.ResNet.FreezeStatistics(true)
	}
	var list []nn.Named
	for _, tower := range []string{"text_model.", "vision_model.", ""} {
		var part []nn.Named
		for _, p := range m.Params() {
			own := strings.HasPrefix(p.Name, "text_model.") || strings.HasPrefix(p.Name, "vision_model.")
			if tower != "" && strings.HasPrefix(p.Name, tower) || tower == "" && !own {
				part = append(part, p)
			}
		}
		if tower != "" && t.LayerDecay < 1 {
			var err error
			if part, err = adapt.LayerDecay(part, t.LayerDecay); err != nil {
				return nil, err
			}
		}
		for _, p := range part {
			if slices.ContainsFunc(locked, func(prefix string) bool { return strings.HasPrefix(p.Name, prefix) }) {
				p.T().SetTrain(false)
			} else if p.T().Trains() {
				list = append(list, p)
			}
		}
	}
	return list, nil
}

func describeRecall(s pretrain.ClipScores) string {
	return fmt.Sprintf("%.4f; of %d pictures %.1f %% find their text first and %.1f %% among ten, of %d texts %.1f %% their picture and %.1f %%", s.Loss, s.Pictures,
		100*s.ImageToText[0], 100*s.ImageToText[2], s.Texts, 100*s.TextToImage[0], 100*s.TextToImage[2])
}

// recalls are those of the metrics.
func recalls(r pretrain.Recall) map[string]float64 {
	m := map[string]float64{}
	for i, rank := range pretrain.Ranks {
		m[fmt.Sprintf("image_to_text_recall@%d", rank)] = r.ImageToText[i]
		m[fmt.Sprintf("text_to_image_recall@%d", rank)] = r.TextToImage[i]
	}
	return m
}
