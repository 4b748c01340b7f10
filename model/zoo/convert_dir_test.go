package zoo_test

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"strings"
	"sync"
	"testing"

	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/model/zoo"
	"github.com/plinth-ml/plinth/nn"
)

// made saves a model of so many layers of Llama's tiny shape but of the given width, with weights that bfloat16 can hold.
func made(t *testing.T, layers, width string) string {
	t.Helper()
	shape := strings.NewReplacer(`"num_hidden_layers": 2`, `"num_hidden_layers": `+layers, `"hidden_size": 24`, `"hidden_size": `+width).Replace(grouped)
	m, err := zoo.Families["llama"]([]byte(`{"model_type": "llama", `+shape+`}`), checkpoint.HuggingFace)
	if err != nil {
		t.Fatal(err)
	}
	nn.Alloc(m.Params(), false)
	for i, p := range m.Params() {
		for j := range p.T().F32() {
			p.T().F32()[j] = float32((i+j)%17-8) / 16
		}
	}
	dir := filepath.Join(t.TempDir(), "made")
	if err := zoo.Save(dir, m, nil); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A folder goes to BF16 in shards, to F16 and to F32 again with the same values, and what else it holds comes along.
func TestConvertDir(t *testing.T) {
	dir, base := made(t, "2", "24"), t.TempDir()
	for name, text := range map[string]string{"generation_config.json": `{"eos_token_id": 7}`, "additional_chat_templates/tool_use.jinja": "{{ tools }}", "README.md": "no", "train.json": "{}", "result.json": "{}"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	bf16, f16, f32 := filepath.Join(base, "bf16"), filepath.Join(base, "f16"), filepath.Join(base, "f32")
	for _, step := range []struct {
		in, out string
		o       zoo.DirOptions
	}{
		{dir, bf16, zoo.DirOptions{DType: checkpoint.BF16, ShardBytes: 10_000}},
		{bf16, f16, zoo.DirOptions{DType: checkpoint.F16, Threads: 1}},
		{f16, f32, zoo.DirOptions{DType: checkpoint.F32}},
	} {
		if err := zoo.WriteDir(t.Context(), step.in, step.out, step.o); err != nil {
			t.Fatal(err)
		}
		f, err := checkpoint.Open(step.out)
		if err != nil {
			t.Fatal(err)
		}
		for _, info := range f.Infos() {
			if info.DType != step.o.DType {
				t.Errorf("%s: %s is %s", step.out, info.Name, info.DType)
			}
		}
		f.Close()
	}
	sameTensors(t, dir, f32)
	if shards, _ := filepath.Glob(filepath.Join(bf16, "*.safetensors")); len(shards) < 2 {
		t.Errorf("shards: %v", shards)
	}
	for name, want := range map[string]string{zoo.ConfigFile: `"torch_dtype": "float32"`, "generation_config.json": `{"eos_token_id": 7}`, "additional_chat_templates/tool_use.jinja": "{{ tools }}"} {
		if data, err := os.ReadFile(filepath.Join(f32, name)); err != nil || !strings.Contains(string(data), want) {
			t.Errorf("%s: %q, %v", name, data, err)
		}
	}
	for _, name := range []string{"README.md", "train.json", "result.json"} {
		if _, err := os.Stat(filepath.Join(bf16, name)); err == nil {
			t.Errorf("%s came along", name)
		}
	}
	if err := zoo.WriteDir(t.Context(), dir, filepath.Join(base, "q"), zoo.DirOptions{DType: checkpoint.Q8_0}); err == nil || !strings.Contains(err.Error(), "Q8_0") {
		t.Errorf("Q8_0: %v", err)
	}
}

// live collects garbage and returns the bytes that were found in use, those allocated meanwhile included.
func live() uint64 {
	runtime.GC()
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// A conversion never holds the model: with garbage collected again and again, what lives stays below half of it.
func TestConvertMemory(t *testing.T) {
	dir := made(t, "64", "256") // layers of equal size, a million bytes each
	info, err := os.Stat(filepath.Join(dir, zoo.WeightsFile))
	if err != nil {
		t.Fatal(err)
	}
	gguf := filepath.Join(t.TempDir(), "m.gguf")
	for _, c := range []struct {
		name string
		run  func() error
	}{
		{"to GGUF", func() error {
			_, err := zoo.WriteGGUF(t.Context(), dir, gguf, 0, 0, zoo.PickType(checkpoint.F32))
			return err
		}},
		{"quantize", func() error {
			_, err := zoo.Quantize(t.Context(), dir, filepath.Join(t.TempDir(), "q.gguf"), "q8_0", 0)
			return err
		}},
		{"from GGUF", func() error {
			return zoo.WriteDir(t.Context(), gguf, filepath.Join(t.TempDir(), "d"), zoo.DirOptions{DType: checkpoint.BF16})
		}},
		{"folder to folder", func() error {
			return zoo.WriteDir(t.Context(), dir, filepath.Join(t.TempDir(), "d"), zoo.DirOptions{DType: checkpoint.F16})
		}},
	} {
		least := uint64(math.MaxUint64) // what is allocated while the collector runs counts as in use: on a busy machine that may be much, but not every time
		for try := 0; try < 5 && least > uint64(info.Size())/2; try++ {
			least = min(least, peak(t, c.name, c.run))
		}
		t.Logf("%s: %d bytes", c.name, least)
		if least > uint64(info.Size())/2 {
			t.Errorf("%s: %d bytes live, of a model of %d", c.name, least, info.Size())
		}
	}
}

// peak is what f has in use at most, beyond what was before.
func peak(t *testing.T, name string, f func() error) uint64 {
	t.Helper()
	before, most := live(), uint64(0)
	done := make(chan bool)
	var group sync.WaitGroup
	group.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			most = max(most, live())
		}
	})
	err := f()
	close(done)
	group.Wait()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return most - min(most, before)
}

// TestConversionsInterrupted: a conversion whose context has ended tells why and leaves nothing.
func TestConversionsInterrupted(t *testing.T) {
	dir := made(t, "2", "24")
	why := errors.New("enough")
	ctx, stop := context.WithCancelCause(t.Context())
	stop(why)
	out := t.TempDir()
	_, quantized := zoo.Quantize(ctx, dir, filepath.Join(out, "q.gguf"), "q8_0", 0)
	_, written := zoo.WriteGGUF(ctx, dir, filepath.Join(out, "w.gguf"), 0, 0, zoo.PickType(checkpoint.F32))
	folder := zoo.WriteDir(ctx, dir, filepath.Join(out, "d"), zoo.DirOptions{DType: checkpoint.F32})
	for i, err := range []error{quantized, written, folder} {
		if !errors.Is(err, why) {
			t.Errorf("conversion %d: %v", i, err)
		}
	}
	if left, err := os.ReadDir(out); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}
