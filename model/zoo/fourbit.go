package zoo

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/plinth-ml/plinth/checkpoint"
)

// keyQuantised is the key of config.json that says how a folder's weights are quantised.
const keyQuantised = "quantization_config"

// withoutBits returns config without what it says of weights that bitsandbytes made of 4 bits: the tensors say it again (checkpoint.Unpack4Bit). Of every other way
// to quantise a folder none is read: the error names it.
func withoutBits(config []byte) ([]byte, error) {
	type method struct {
		Method string `json:"quant_method"`
		Bits   int    `json:"bits"`
		In4    bool   `json:"load_in_4bit"`
		In8    bool   `json:"load_in_8bit"`
	}
	var c struct {
		Quantisation *method `json:"quantization_config"`
		Compression  *method `json:"compression_config"` // of the first versions of compressed-tensors
	}
	if err := json.Unmarshal(config, &c); err != nil {
		return nil, fmt.Errorf("%s: %w", keyQuantised, err)
	}
	q, key := c.Quantisation, keyQuantised
	if q == nil {
		q, key = c.Compression, "compression_config"
	}
	if q == nil {
		return config, nil
	}
	if q.In4 {
		q.Bits = 4
	} else if q.In8 {
		q.Bits = 8
	}
	if (q.Method == "bitsandbytes" || q.Method == "") && q.In4 && key == keyQuantised { // the first folders name no method
		var keys map[string]json.RawMessage
		if err := json.Unmarshal(config, &keys); err != nil {
			return nil, err
		}
		delete(keys, keyQuantised)
		return json.Marshal(keys)
	}
	name, bits := cmp.Or(q.Method, "a method without a name"), ""
	if q.Bits > 0 {
		bits = fmt.Sprintf(", %d bits", q.Bits)
	}
	return nil, fmt.Errorf("%s: the weights are quantised by %s%s, which is not read here: take the same model in BF16, F16 or F32 (plinth quantize makes it smaller), or a GGUF file of it",
		key, name, bits)
}

// may4Bit refuses models of which transformers' own 4 bits are not what is written here.
func may4Bit(m Stored) error {
	if _, err := AsDecoder(m); err != nil {
		return err
	}
	if needsF32(m, checkpoint.HuggingFace) {
		return fmt.Errorf("GPT-2's matrices stand transposed in folders: 4 bits of them are not written")
	}
	for _, p := range m.Params() {
		if name := m.Places(checkpoint.HuggingFace, p.Name)[0].Name; strings.Contains(name, ".experts.") {
			return fmt.Errorf("the experts of %s are no linear layers in transformers, which would not read 4 bits of them", name)
		}
	}
	return nil
}

// isLayer says whether a tensor of Hugging Face's names is the matrix of a linear layer within a block, which transformers gives to bitsandbytes; heads and
// embeddings stay.
func isLayer(t checkpoint.Info) bool {
	return len(t.Shape) == 2 && (strings.Contains(t.Name, ".layers.") || strings.Contains(t.Name, ".h."))
}

// plainType returns the type of a model's matrices, the widest of several; an error where one has fewer bits already.
func plainType(src checkpoint.Source) (checkpoint.DType, error) {
	d := checkpoint.DType("")
	for _, t := range src.Infos() {
		if len(t.Shape) != 2 {
			continue
		}
		if torchTypes[t.DType] == "" {
			return d, already(t)
		}
		if t.DType.Size() > d.Size() {
			d = t.DType
		}
	}
	return d, nil
}

// Quantize4Bit writes the decoder at in to the new folder dir as transformers stores one whose linear layers bitsandbytes made NF4 with double quantisation; what else there is stays
// in the type of the file's matrices. It returns the tensors with the bytes that they take there. When ctx ends nothing is left of the folder. threads is the most workers; 0 means all CPUs.
func Quantize4Bit(ctx context.Context, in, dir string, threads int) ([]Written, error) {
	src, m, scheme, err := openSource(in)
	if err != nil {
		return nil, err
	}
	d, err := plainType(src)
	if err = errors.Join(may4Bit(m), err); err != nil {
		err = fmt.Errorf("%s: %w", in, err)
	} else {
		err = writeDir(ctx, in, dir, m, src, scheme, DirOptions{DType: d, Threads: threads, fourBit: true})
	}
	if err = errors.Join(err, src.Close()); err != nil {
		return nil, err
	}
	return written4Bit(dir)
}

// written4Bit lists the tensors of such a folder as the model has them, with the bytes that they take there.
func written4Bit(dir string) ([]Written, error) {
	f, err := checkpoint.Open(dir)
	if err != nil {
		return nil, err
	}
	unpacked, err := checkpoint.Unpack4Bit(f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	bytes := map[string]int{}
	for _, t := range f.Infos() {
		name, _, part := strings.Cut(t.Name, ".weight.")
		if part {
			name += ".weight"
		}
		bytes[name] += t.Elements() * t.DType.Size()
	}
	var list []Written
	for _, t := range unpacked.Infos() {
		list = append(list, Written{t, bytes[t.Name]})
	}
	return list, f.Close()
}
