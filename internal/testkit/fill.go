package testkit

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Folder writes the model that a case was computed with, as transformers saves it: config.json and model.safetensors, from the case's metadata
// config and tensors and the formula of Fill; with the metadata's layout open_clip under the names of open_clip.
func (c *Case) Folder() string {
	c.t.Helper()
	var shapes map[string][]int
	if err := json.Unmarshal([]byte(c.Meta["tensors"]), &shapes); err != nil {
		c.t.Fatal(err)
	}
	header, body := map[string]any{"__metadata__": map[string]string{"format": "pt"}}, new(bytes.Buffer)
	var names []string
	for name := range shapes {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		from := body.Len()
		binary.Write(body, binary.LittleEndian, Fill(name, shapes[name])) // into memory: no error
		header[name] = map[string]any{"dtype": "F32", "shape": shapes[name], "data_offsets": []int{from, body.Len()}}
	}
	head, err := json.Marshal(header)
	if err != nil {
		c.t.Fatal(err)
	}
	head = append(head, strings.Repeat(" ", -len(head)&7)...)
	dir := c.t.TempDir()
	file := append(binary.LittleEndian.AppendUint64(nil, uint64(len(head))), head...)
	config, weights := "config.json", "model.safetensors"
	if c.Meta["layout"] == "open_clip" {
		config, weights = "open_clip_config.json", "open_clip_model.safetensors"
	}
	for name, data := range map[string][]byte{config: []byte(c.Meta["config"]), weights: append(file, body.Bytes()...)} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			c.t.Fatal(err)
		}
	}
	return dir
}

// Fill is the formula by which tools/golden/decoders.py makes the weights of a tensor, so that golden files need not hold them: uniform in
// centre ± spread, a hash of name and index.
func Fill(name string, shape []int) []float32 {
	seed := uint32(0x811C9DC5)
	for _, b := range []byte(name) { // FNV-1a
		seed = (seed ^ uint32(b)) * 0x01000193
	}
	centre, spread := 1.0, 0.5
	switch {
	case len(shape) > 1:
		centre, spread = 0, 0.6
	case strings.HasSuffix(name, "bias"):
		centre, spread = 0, 0.3
	}
	n := 1
	for _, d := range shape {
		n *= d
	}
	values := make([]float32, n)
	for i := range values {
		x := uint32(i) ^ seed
		x = (x ^ x>>16) * 0x7FEB352D
		x = (x ^ x>>15) * 0x846CA68B
		values[i] = float32(centre + spread*(float64(x^x>>16)/(1<<31)-1))
	}
	return values
}
