package adapt_test

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/adapt"
	"github.com/plinth-ml/plinth/data"
	"github.com/plinth-ml/plinth/generate"
	"github.com/plinth-ml/plinth/internal/kernel/cpu"
	"github.com/plinth-ml/plinth/internal/random"
	"github.com/plinth-ml/plinth/model"
	"github.com/plinth-ml/plinth/model/gpt"
	"github.com/plinth-ml/plinth/model/t5"
	"github.com/plinth-ml/plinth/nn"
	"github.com/plinth-ml/plinth/tensor"
	"github.com/plinth-ml/plinth/tokenizer"
	"github.com/plinth-ml/plinth/train"
)

// smallT5 is a T5 v1.1 with fresh weights.
func smallT5(t *testing.T, vocab int) *t5.Model {
	t.Helper()
	s, err := t5.ByName("t5-v1_1-small")
	if err != nil {
		t.Fatal(err)
	}
	c := s.Config
	c.Vocab, c.Width, c.HeadDim, c.Hidden, c.Layers, c.DecoderLayers, c.Heads = vocab, 32, 8, 48, 2, 2, 4
	m, err := t5.New(c)
	if err != nil {
		t.Fatal(err)
	}
	nn.Init(m.Params(), 3, true)
	return m
}

// A model learns to write a function of its source, here what is marked in it, and the search writes it.
func TestWriting(t *testing.T) {
	m, k := smallT5(t, 24), cpu.New(cpu.Options{Threads: 2})
	m.Dropout = 0.05
	var pairs []adapt.Pair
	for i := range uint64(48) {
		key := random.NewKey(5, i)
		var p adapt.Pair
		for j := range 4 + uint64(key.Uint64(99)%5) {
			p.Source = append(p.Source, 4+int32(key.Uint64(j)%20))
		}
		p.Target = []int32{p.Source[0], p.Source[len(p.Source)-1], 1}
		pairs = append(pairs, p)
	}
	o, err := adapt.NewWriting(m, pairs, 16, 1)
	if err != nil {
		t.Fatal(err)
	}
	loop, err := train.Minimize(o, k, train.Options{Steps: 240, Batch: 16, LR: 5e-3, Warmup: 10, Seed: 1, OnSpike: "ignore"}, train.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := loop.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	var reqs []generate.SearchRequest
	for _, p := range pairs {
		reqs = append(reqs, generate.SearchRequest{Source: p.Source, BeamOptions: generate.BeamOptions{MaxTokens: 6, Stop: m.Ends()}})
	}
	found, err := generate.NewSeq2SeqSearcher(m, k).Search(context.Background(), reqs)
	if err != nil {
		t.Fatal(err)
	}
	right := 0
	for i, p := range pairs {
		if slices.Equal(found[i][0].IDs, p.Target) {
			right++
		}
	}
	if right < 45 {
		t.Errorf("%d of 48 targets are written", right)
	}
}

// Span corruption trains, its parts are functions of their arguments, and a pass in pieces has the loss of one at once.
func TestSpanCorruption(t *testing.T) {
	const seq, vocab, batch = 24, 64, 6
	var docs [][]int32
	for i := range uint64(40) {
		var doc []int32
		for j := range 30 + i {
			doc = append(doc, 2+int32((i+j)%30)) // text that can be guessed
		}
		docs = append(docs, append(doc, 1))
	}
	split, err := data.FromTokens(docs, vocab, seq, 1)
	if err != nil {
		t.Fatal(err)
	}
	src, err := split.Source(1, seq, batch)
	if err != nil {
		t.Fatal(err)
	}
	m := smallT5(t, vocab)
	o, err := adapt.NewSpanCorruption(m, src, seq, data.Spans{Sentinel: vocab - 1, EOS: 1}, 9)
	if err != nil {
		t.Fatal(err)
	}
	run := func(micro int) train.Result {
		nn.Init(m.Params(), 3, true)
		m.Dropout = 0
		loop, err := train.Minimize(o, cpu.New(cpu.Options{Threads: 2}), train.Options{Steps: 60, Batch: batch, Micro: micro, LR: 5e-3, Warmup: 5, Seed: 1}, train.Hooks{})
		if err != nil {
			t.Fatal(err)
		}
		r, err := loop.Run(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	whole, pieces := run(batch), run(2)
	if d := whole.Loss - pieces.Loss; d > 1e-3 || d < -1e-3 {
		t.Errorf("the last loss is %v at once and %v in pieces", whole.Loss, pieces.Loss)
	}
	if whole.Loss > 2.5 { // log 64 = 4.2
		t.Errorf("the last loss is %v", whole.Loss)
	}
	if _, err := adapt.NewSpanCorruption(m, src, seq, data.Spans{Sentinel: vocab, EOS: 1}, 9); err == nil {
		t.Error("a sentinel outside the vocabulary is accepted")
	}
}

// writingLoss is the sum of the losses of a pair's target tokens.
func writingLoss(t *testing.T, m *t5.Model, pair adapt.Pair) float64 {
	t.Helper()
	o, err := adapt.NewWriting(m, []adapt.Pair{pair}, 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	p, err := o.Part(nil, 0, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	sums := []float64{0}
	p.Loss(tensor.Evaluation(cpu.New(cpu.Options{Threads: 2})), []float64{1}, sums)
	return sums[0]
}

// The score of held-out text is that of its sources and targets one by one, however many are computed at once, and tells text from sentinels.
func TestSpanScores(t *testing.T) {
	const seq, vocab = 24, 64
	var docs [][]int32
	for i := range uint64(7) {
		doc := []int32{}
		for j := range 11 + i {
			doc = append(doc, 2+int32((5*i+j*j)%40))
		}
		docs = append(docs, append(doc, 1))
	}
	split, err := data.FromTokens(docs, vocab, seq, 1)
	if err != nil {
		t.Fatal(err)
	}
	src, err := split.Source(1, seq, 2)
	if err != nil {
		t.Fatal(err)
	}
	val, err := split.Val(seq, 0)
	if err != nil {
		t.Fatal(err)
	}
	m := smallT5(t, vocab)
	o, err := adapt.NewSpanCorruption(m, src, seq, data.Spans{Sentinel: vocab - 1, EOS: 1}, 9)
	if err != nil {
		t.Fatal(err)
	}
	tape := tensor.Evaluation(cpu.New(cpu.Options{Threads: 2}))
	var all []adapt.SpanScores
	for _, once := range []int{1, 3, 100} {
		s, err := o.Evaluate(context.Background(), tape, []train.Split{val, val}, once)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	if all[0] != all[1] || all[0] != all[2] {
		t.Errorf("one by one, three and all at once: %+v", all)
	}
	one, err := o.Evaluate(context.Background(), tape, []train.Split{val}, 2)
	if err != nil {
		t.Fatal(err)
	}
	sum, tokens, text := 0.0, 0, 0
	for n := range val.Sequences() {
		p, err := o.Held(val, n)
		if err != nil {
			t.Fatal(err)
		}
		sum += writingLoss(t, m, p)
		tokens += len(p.Target)
		for _, gap := range o.Spans.Gaps(p.Source, p.Target) {
			text += len(gap)
		}
	}
	if want := sum / float64(tokens); math.Abs(one.Loss-want) > 1e-6 || one.Tokens != text {
		t.Errorf("%+v, one by one loss %v, %d tokens of text", one, want, text)
	}
	if !(one.Text > 0) || one.Text == one.Loss || one.Accuracy < 0 || one.Accuracy > 1 {
		t.Errorf("%+v", one)
	}
}

// What a Summarizer says is the text of what the search finds from the prefixed and cut source.
func TestSummarizer(t *testing.T) {
	text := "the quick brown fox jumps over the lazy dog and the dog sleeps on while the fox runs away over the hill"
	tok, err := tokenizer.TrainUnigram(t.Context(), slices.Values([][]byte{[]byte(text)}), tokenizer.WordOptions{VocabSize: 300})
	if err != nil {
		t.Fatal(err)
	}
	m, k := smallT5(t, tok.VocabSize()), cpu.New(cpu.Options{Threads: 2})
	s := adapt.NewSummarizer(m, tok, k)
	s.Prefix, s.Search.MaxTokens = "the fox: ", 9
	whole, _, err := s.Source(text)
	if err != nil {
		t.Fatal(err)
	}
	s.MaxSource = 16
	list, err := s.Summarize(context.Background(), []string{text, "dog"})
	if err != nil {
		t.Fatal(err)
	}
	if cut := len(whole) - s.MaxSource; list[0].Cut != cut || list[1].Cut != 0 {
		t.Errorf("%d and %d tokens cut, want %d and none", list[0].Cut, list[1].Cut, cut)
	}
	for i, source := range []string{text, "dog"} {
		ids, _, err := s.Source(source)
		if err != nil {
			t.Fatal(err)
		}
		found, err := generate.NewSeq2SeqSearcher(m, k).Search(context.Background(), []generate.SearchRequest{
			{Source: ids, BeamOptions: generate.BeamOptions{MaxTokens: 9, Stop: m.Ends()}}})
		if err != nil {
			t.Fatal(err)
		}
		if best := found[0][0]; !slices.Equal(list[i].IDs, best.IDs) || list[i].Score != best.Score || list[i].Text != tok.DecodeText(best.IDs) {
			t.Errorf("text %d: %+v, the search finds %+v", i, list[i], best)
		}
	}
}

// smallGPT is a GPT with fresh weights.
func smallGPT(t *testing.T, vocab, context int) *gpt.Model {
	t.Helper()
	m, err := gpt.New(gpt.Shape(2, 32, 4, vocab, context))
	if err != nil {
		t.Fatal(err)
	}
	nn.Init(m.Params(), 3, true)
	return m
}

// A decoder learns to write answers, here the first and the last token of a prompt, and nothing of the prompts themselves: tokens that are not to be learned
// count nothing in the loss and get no gradient.
func TestSupervised(t *testing.T) {
	m, k := smallGPT(t, 24, 16), cpu.New(cpu.Options{Threads: 2})
	var list []adapt.Demonstration
	for i := range uint64(48) {
		key := random.NewKey(5, i)
		var prompt []int32
		for j := range 3 + uint64(key.Uint64(99)%4) {
			prompt = append(prompt, 4+int32(key.Uint64(j)%20))
		}
		list = append(list, adapt.Answered(append(prompt, 2), []int32{prompt[0], prompt[len(prompt)-1], 1}))
	}
	o, err := adapt.NewSupervised(m, list, 16, 1)
	if err != nil {
		t.Fatal(err)
	}
	tape := tensor.Evaluation(k)
	before, err := adapt.DemonstrationLoss(context.Background(), tape, m, list)
	if err != nil {
		t.Fatal(err)
	}
	want, counted := 0.0, 0
	for _, d := range list { // from all logits
		tape.Reset()
		z := m.Head().Logits(tape, model.Features(m, tape, tensor.IDs(d.IDs), nn.NewSeqs(len(d.IDs)), nil)).F32()
		for i := 1; i < len(d.IDs); i++ {
			if d.Learn[i] {
				row := z[(i-1)*24 : i*24]
				want += generate.LogSum(row) - float64(row[d.IDs[i]])
				counted++
			}
		}
	}
	if want /= float64(counted); math.Abs(before-want) > 1e-5 || counted != 3*48 {
		t.Errorf("loss %v of %d tokens, from the logits %v", before, counted, want)
	}
	loop, err := train.Minimize(o, k, train.Options{Steps: 250, Batch: 16, LR: 5e-3, Warmup: 10, Seed: 1, OnSpike: "ignore"}, train.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := loop.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	var reqs []generate.SearchRequest
	for _, d := range list {
		reqs = append(reqs, generate.SearchRequest{Prompt: d.IDs[:len(d.IDs)-3], BeamOptions: generate.BeamOptions{Beams: 1, MaxTokens: 6, Stop: []int32{1}}})
	}
	found, err := generate.NewSearcher(m, k).Search(context.Background(), reqs)
	if err != nil {
		t.Fatal(err)
	}
	right := 0
	for i, d := range list {
		if slices.Equal(found[i][0].IDs, d.IDs[len(d.IDs)-3:]) {
			right++
		}
	}
	if right < 44 {
		t.Errorf("%d of 48 answers are written", right)
	}
	for name, bad := range map[string]adapt.Demonstration{
		"nothing to learn": {IDs: []int32{1, 2}, Learn: []bool{false, false}}, "the first": {IDs: []int32{1, 2}, Learn: []bool{true, true}},
		"length": {IDs: []int32{1, 2}, Learn: []bool{true}}, "id": {IDs: []int32{1, 24}, Learn: []bool{false, true}},
		"context": {IDs: make([]int32, 18), Learn: append(make([]bool, 17), true)},
	} {
		if _, err := adapt.NewSupervised(m, []adapt.Demonstration{bad}, 1, 1); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// The loss of pairs is the mean over their tokens, however many are computed at once.
func TestWritingLoss(t *testing.T) {
	m := smallT5(t, 24)
	var list []adapt.Pair
	sum, tokens := 0.0, 0
	var each []float64
	for i := range int32(5) {
		p := adapt.Pair{Source: []int32{4 + i, 9, 1}, Target: append(make([]int32, i), 7, 1)}
		list, each = append(list, p), append(each, writingLoss(t, m, p))
		sum, tokens = sum+each[i], tokens+len(p.Target)
	}
	losses, err := adapt.WritingLosses(context.Background(), tensor.Evaluation(cpu.New(cpu.Options{Threads: 2})), m, list)
	if err != nil || len(losses) != 5 {
		t.Fatal(losses, err)
	}
	for i, l := range losses {
		if math.Abs(l-each[i]) > 1e-5 {
			t.Errorf("pair %d: %v, by itself %v", i, l, each[i])
		}
	}
	got, err := adapt.WritingLoss(context.Background(), tensor.Evaluation(cpu.New(cpu.Options{Threads: 2})), m, list)
	if want := sum / float64(tokens); err != nil || math.Abs(got-want) > 1e-6 {
		t.Errorf("%v (%v), one by one %v", got, err, want)
	}
}

// A decoder's text is cut until prompt and summary fit its context, and its parts make up the text and end where sentences do.
func TestPromptedSummarizer(t *testing.T) {
	text := strings.Repeat("the quick brown fox jumps over the lazy dog. the dog sleeps on!\nthe fox runs 3.5 miles over the hill? ", 6)
	tok, err := tokenizer.Train(t.Context(), slices.Values([][]byte{[]byte(text)}), tokenizer.TrainOptions{VocabSize: 300})
	if err != nil {
		t.Fatal(err)
	}
	m := smallGPT(t, tok.VocabSize(), 64)
	s := adapt.NewPromptedSummarizer(m, tok, cpu.New(cpu.Options{Threads: 2}))
	s.Prefix, s.Suffix, s.Search.MaxTokens, s.Search.Beams = "text: ", "\nTL;DR:", 9, 1
	ids, cut, err := s.Source(text)
	if err != nil {
		t.Fatal(err)
	}
	all, prompt := len(tok.Encode(text)), tok.Decode(ids)
	middle, ok := strings.CutPrefix(prompt, s.Prefix)
	middle, ok2 := strings.CutSuffix(middle, s.Suffix)
	if !ok || !ok2 || !strings.HasPrefix(text, middle) || len(ids) > 64-9 || len(ids) < 64-9-4 || cut < all-55 || cut >= all {
		t.Errorf("%d tokens, %d of %d cut: %q", len(ids), cut, all, prompt)
	}
	list, err := s.Summarize(context.Background(), []string{text, "the dog."})
	if err != nil {
		t.Fatal(err)
	}
	if list[0].Cut != cut || list[0].Read != len(ids) || list[1].Cut != 0 || len(list[1].IDs) == 0 || len(list[1].IDs) > 9 {
		t.Errorf("%+v", list)
	}
	parts, err := s.Parts(text)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Join(parts, "") != text || len(parts) < 3 {
		t.Errorf("%q are not the text", parts)
	}
	for i, p := range parts {
		if _, cut, err := s.Source(p); err != nil || cut != 0 {
			t.Errorf("part %d loses %d tokens, %v", i, cut, err)
		}
		if end := p[len(p)-1]; i+1 < len(parts) && !strings.ContainsRune(".!?\n", rune(end)) {
			t.Errorf("part %d ends with %q", i, p)
		}
	}
	whole, err := s.SummarizeParts(context.Background(), text)
	if err != nil {
		t.Fatal(err)
	}
	if whole.Parts < len(parts) {
		t.Errorf("%d parts summarised, the text has %d", whole.Parts, len(parts))
	}
	if short, err := s.SummarizeParts(context.Background(), "the dog."); err != nil || short.Parts != 0 || short.Text != list[1].Text {
		t.Errorf("a short text: %+v, %v; not in parts %+v", short, err, list[1])
	}
	target, err := s.Target("the dog", 0)
	if end, _ := tok.EOS(); err != nil || tok.Decode(target[:len(target)-1]) != " the dog" || target[len(target)-1] != end {
		t.Errorf("target %v, %v", target, err)
	}
	s.MaxSource = 6
	if _, _, err := s.Source(text); err == nil || !strings.Contains(err.Error(), "no room") {
		t.Errorf("a prompt without room: %v", err)
	}
}
