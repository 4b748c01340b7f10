package train

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/plinth-ml/plinth/internal/testkit"
)

// records reads TFRecords back.
func records(b []byte) ([][]byte, error) {
	var list [][]byte
	for len(b) > 0 {
		if len(b) < 12 || maskedCRC(b[:8]) != binary.LittleEndian.Uint32(b[8:]) {
			return list, fmt.Errorf("record %d: its length is damaged", len(list))
		}
		n := binary.LittleEndian.Uint64(b)
		if n > uint64(len(b)) || uint64(len(b)) < 16+n || maskedCRC(b[12:12+n]) != binary.LittleEndian.Uint32(b[12+n:]) {
			return list, fmt.Errorf("record %d is damaged", len(list))
		}
		list = append(list, b[12:12+n])
		b = b[16+n:]
	}
	return list, nil
}

// The masked checksum's known value, and the bytes of one event written out.
func TestEventBytes(t *testing.T) {
	// RFC 3720, B.4: CRC32C of 32 zero bytes is 8a9136aa; TFRecord rotates it right by 15 and adds a constant.
	crc := uint32(0x8a9136aa)
	if got := maskedCRC(make([]byte, 32)); got != (crc>>15|crc<<17)+0xa282ead8 {
		t.Errorf("masked CRC %08x", got)
	}
	b := appendScalars(nil, Event{Step: 300, Loss: 1.5})
	list, err := records(b)
	want := append([]byte{0x10, 0xac, 0x02, 0x2a, 0x0d, 0x0a, 0x0b, 0x0a, 0x04}, "loss"...)
	want = append(want, 0x15, 0x00, 0x00, 0xc0, 0x3f)
	if err != nil || len(list) != 1 || !bytes.Equal(list[0], want) {
		t.Errorf("% x, %v; want % x", list, err, want)
	}
	if b := appendScalars(nil, Event{Kind: "rewind", Step: 3}); b != nil {
		t.Errorf("an event without scalars is % x", b)
	}
}

// TensorBoard reads the file of a run with a rewind: each step once, with the values of metrics.jsonl.
func TestTensorBoardReads(t *testing.T) {
	python := testkit.Python(t, "tensorboard")
	o := spikeOptions(t)
	o.Steps = 60
	if _, _, events, err := run(t, tiny.source(), o, nanAt(33)); err != nil || len(events) != 1 {
		t.Fatal(events, err)
	}
	out, err := exec.Command(python, "-c", `
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
a = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0})
a.Reload()
print(json.dumps({t: [[e.step, e.value] for e in a.Scalars(t)] for t in a.Tags()["scalars"]}))`, o.RunDir).Output()
	if err != nil {
		t.Fatal(err, stderr(err))
	}
	var got map[string][][2]float64
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	b, err := os.ReadFile(filepath.Join(o.RunDir, MetricsFile))
	if err != nil {
		t.Fatal(err)
	}
	want := map[int]float64{}
	for line := range bytes.Lines(b) {
		var e Event
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatal(err)
		}
		if e.Kind == "" {
			want[e.Step] = e.Loss
		}
	}
	for _, tag := range []string{"loss", "lr", "grad_norm", "tokens_per_second"} {
		if len(got[tag]) != o.Steps {
			t.Errorf("%s: %d values", tag, len(got[tag]))
		}
	}
	if len(got["val_loss"]) == 0 || len(got["val_bits_per_byte"]) == 0 {
		t.Error("no validation")
	}
	for i, v := range got["loss"] {
		if int(v[0]) != i+1 || math.Abs(v[1]-want[i+1]) > 1e-6*want[i+1] {
			t.Errorf("value %d: step %v loss %v, want %v", i, v[0], v[1], want[i+1])
		}
	}
}

func stderr(err error) string {
	if e, ok := err.(*exec.ExitError); ok {
		return string(e.Stderr)
	}
	return ""
}
