package pickle

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/checkpoint"
	"github.com/plinth-ml/plinth/internal/testkit"
)

// archived wraps a pickle, and members by name, as torch.save does.
func archived(t testing.TB, pickle string, members ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	add := func(name, data string, method uint16) {
		f, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: method})
		if err == nil {
			_, err = f.Write([]byte(data))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if pickle != "" {
		add("m/data.pkl", pickle, zip.Store)
	}
	for i := 0; i+1 < len(members); i += 2 {
		method := zip.Store
		name, deflate := strings.CutPrefix(members[i], "deflate:")
		if deflate {
			method = zip.Deflate
		}
		add(name, members[i+1], method)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Pieces of pickles.
const (
	start  = "\x80\x02"
	stor   = "(U\x07storagectorch\nFloatStorage\nU\x010U\x03cpu"
	values = "\x00\x00\x80\x3f\x00\x00\x00\x40\x00\x00\x40\x40\x00\x00\x80\x40" // 1 to 4
)

// storageOf is a storage of n elements, rebuilt a tensor over it, with offset, shape and strides of two.
func storageOf(n byte) string { return stor + "K" + string(n) + "tQ" }

func rebuilt(storage string, offset, rows, cols, rowStride, colStride byte) string {
	return "ctorch._utils\n_rebuild_tensor_v2\n(" + storage + "K" + string(offset) + "K" + string(rows) + "K" + string(cols) + "\x86K" + string(rowStride) + "K" + string(colStride) +
		"\x86\x89ccollections\nOrderedDict\n)RtR"
}

// named is a dictionary with one entry.
func named(key, value string) string {
	return start + "}U" + string(byte(len(key))) + key + value + "s."
}

func TestTensors(t *testing.T) {
	for _, c := range []struct {
		name   string
		value  string
		want   []float32
		mapped bool
	}{
		{"whole", rebuilt(storageOf(4), 0, 2, 2, 2, 1), []float32{1, 2, 3, 4}, true},
		{"part", rebuilt(storageOf(4), 2, 1, 2, 2, 1), []float32{3, 4}, true},
		{"transposed", rebuilt(storageOf(4), 0, 2, 2, 1, 2), []float32{1, 3, 2, 4}, false},
		{"diagonal", rebuilt(storageOf(4), 0, 2, 1, 3, 1), []float32{1, 4}, false},
		{"row of stride 0", rebuilt(storageOf(4), 1, 1, 2, 0, 1), []float32{2, 3}, true},
		{"empty", rebuilt(storageOf(4), 9, 0, 2, 7, 7), []float32{}, true},
		{"parameter", "ctorch._utils\n_rebuild_parameter\n(" + rebuilt(storageOf(4), 0, 2, 2, 2, 1) + "\x88}tR", []float32{1, 2, 3, 4}, true},
	} {
		path := filepath.Join(t.TempDir(), "m.bin")
		if err := os.WriteFile(path, archived(t, named("w", c.value), "m/data/0", values, "m/byteorder", "little"), 0o644); err != nil {
			t.Fatal(err)
		}
		f, err := Open(path)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if len(f.Infos()) != 1 || f.Infos()[0].Name != "w" || (f.Mapped(0) != nil) != c.mapped {
			t.Fatalf("%s: %v, mapped %t", c.name, f.Infos(), f.Mapped(0) != nil)
		}
		data := make([]byte, 4*len(c.want))
		if err := f.Read(0, data, 0); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(floats(t, checkpoint.F32, data, len(c.want)), c.want) || c.mapped && !bytes.Equal(data, f.Mapped(0)) {
			t.Errorf("%s: %v, want %v", c.name, data, c.want)
		}
		for from := range len(c.want) {
			tail := make([]byte, 4*(len(c.want)-from))
			if err := f.Read(0, tail, 4*from); err != nil || !bytes.Equal(tail, data[4*from:]) {
				t.Errorf("%s: from element %d: %v, %v", c.name, from, tail, err)
			}
		}
		if f.Read(0, make([]byte, 4), len(data)) == nil || f.Close() != nil || f.Mapped(0) != nil || f.Read(0, data, 0) == nil {
			t.Errorf("%s: read beyond the end, or after Close", c.name)
		}
	}
}

// What training programs save around a model's tensors is not part of their names, and what they save beside them is not read.
func TestWrapped(t *testing.T) {
	tensor := rebuilt(storageOf(4), 0, 2, 2, 2, 1)
	entry := func(key, value string) string { return "U" + string(byte(len(key))) + key + value + "s" }
	for want, pickled := range map[string]string{
		"w":          "}" + entry("step", "K\x07") + entry("state_dict", "}"+entry("module.w", tensor)),
		"a.w":        "}" + entry("model", "U\x06resnet") + entry("module", "}"+entry("model", "}"+entry("_orig_mod.a.w", tensor))),
		"model.w":    "}" + entry("model.w", tensor),
		"net.w":      "}" + entry("net", "}"+entry("w", tensor)),
		"module":     "}" + entry("module", tensor),
		"module.w x": "}" + entry("x", tensor) + entry("module.w", tensor),
	} {
		path := filepath.Join(t.TempDir(), "m.pt")
		if err := os.WriteFile(path, archived(t, start+pickled+".", "m/data/0", values), 0o644); err != nil {
			t.Fatal(err)
		}
		f, err := Open(path)
		if err != nil {
			t.Errorf("%s: %v", want, err)
			continue
		}
		var names []string
		for _, info := range f.Infos() {
			names = append(names, info.Name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("tensors %s, want %s", got, want)
		}
		f.Close()
	}
}

func floats(t testing.TB, d checkpoint.DType, data []byte, n int) []float32 {
	t.Helper()
	v := make([]float32, n)
	if err := (checkpoint.Tensor{DType: d, Data: data}).Float32(v); err != nil {
		t.Fatal(err)
	}
	return v
}

var hostile = []struct{ name, want, pickle string }{
	{"system", `"posix.system" is not allowed`, "\x80\x02cposix\nsystem\nU\x02id\x85R."},
	{"eval", `"builtins.eval" is not allowed`, "\x80\x04\x8c\x08builtins\x8c\x04eval\x93\x8c\x011\x85R."},
	{"getattr", `"builtins.getattr" is not allowed`, "\x80\x02cbuiltins\ngetattr\n."},
	{"torch.load of bytes", `"torch.storage._load_from_bytes" is not allowed`, "\x80\x02ctorch.storage\n_load_from_bytes\n."},
	{"dotted name", `"collections.OrderedDict.fromkeys" is not allowed`, "\x80\x04\x8c\x0bcollections\x8c\x14OrderedDict.fromkeys\x93."},
	{"quantised tensor", "_rebuild_qtensor", "\x80\x02ctorch._utils\n_rebuild_qtensor\n."},
	{"complex storage", "torch.ComplexFloatStorage", "\x80\x02ctorch\nComplexFloatStorage\n."},
	{"module", `"torch.nn.modules.linear.Linear" is not allowed`, "\x80\x02ctorch.nn.modules.linear\nLinear\n)\x81."},
	{"name from numbers", "STACK_GLOBAL", "\x80\x04K\x01K\x02\x93."},
	{"INST", "not allowed", "(iposix\nsystem\n."},
	{"OBJ", "not allowed", "(cposix\nsystem\no."},
	{"EXT1", "0x82 is not allowed", "\x80\x02\x82\x01."},
	{"out-of-band buffer", "0x97 is not allowed", "\x80\x05\x97."},
	{"text persistent id", "0x50 is not allowed", "Pstorage\n."},
	{"call of a string", "a call of", "\x80\x02U\x01x)R."},
	{"call of a type", "no function", "\x80\x02ctorch\nfloat32\n)R."},
	{"arguments that are no tuple", "a call of", "\x80\x02ccollections\nOrderedDict\n]R."},
	{"protocol", "protocol 9", "\x80\x09."},
	{"no end", "ends within", "\x80\x02}"},
	{"empty stack", "the stack is empty", "\x80\x02."},
	{"no mark", "no mark", "\x80\x02t."},
	{"mark as a value", "a mark where", "\x80\x02(."},
	{"memo", "memo 7 is empty", "\x80\x02h\x07."},
	{"append to a tuple", "APPEND", "\x80\x02)K\x01a."},
	{"append to itself", "nested deeper", "\x80\x02]q\x00h\x00a."},
	{"odd items", "a key without value", "\x80\x02}(K\x01u."},
	{"items of a list", "SETITEM of a", "\x80\x02](K\x01K\x02u."},
	{"BUILD", "BUILD of a", "\x80\x02]}b."},
	{"long string", "ends within", "\x80\x02X\xff\xff\xff\x7fabc."},
	{"long string 2^63", "a length of", "\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xffabc."},
	{"long number", "ends within", "\x80\x02\x8b\xff\xff\xff\x7f1."},
	{"negative length", "ends within", "\x80\x02\x8b\xff\xff\xff\xff1."},
	{"bad number", "invalid syntax", "Ix\n."},
	{"endless line", "a line without end", "cposix"},
	{"doubling strings by the memo", "", "\x80\x02]q\x00(" + strings.Repeat("h\x00h\x00", 20000) + "e."},
	{"a million marks", "takes more memory", strings.Repeat("(", 1<<20) + "."},
	{"lists of lists", "takes more memory", strings.Repeat("]", 1<<20) + "."},
	{"laughs", "names of the tensors", laughs()},
	{"deep", "nested deeper", start + strings.Repeat("]", 40) + strings.Repeat("a", 39) + "."},
	{"storage that is a number", "no storage", start + "K\x01Q."},
	{"storage without class", "unexpected fields", start + "(U\x07storageU\x01xU\x010U\x03cpuK\x04tQ."},
	{"storage of a function", "a storage of class", start + "(U\x07storagectorch\nSize\nU\x010U\x03cpuK\x04tQ."},
	{"storage of negative size", "unexpected fields", start + "(U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuJ\xff\xff\xff\xfftQ."},
	{"storage that overflows", "overflow", start + "(U\x07storagectorch\nFloatStorage\nU\x010U\x03cpu\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x40tQ."},
	{"storage of two sizes", "is 4 of", named("w", "("+storageOf(4)+storageOf(5)+"t")},
	{"storage not in the file", `no "m/data/1"`, start + "(U\x07storagectorch\nFloatStorage\nU\x011U\x03cpuK\x04tQ."},
	{"storage with a path", `no "m/data/../0"`, start + "(U\x07storagectorch\nFloatStorage\nU\x04../0U\x03cpuK\x04tQ."},
	{"storage longer than its member", "has 16 bytes, its storage 20", named("w", storageOf(5))},
	{"tensor without arguments", "unexpected arguments", start + "ctorch._utils\n_rebuild_tensor_v2\n)R."},
	{"tensor over no storage", "unexpected arguments", start + "ctorch._utils\n_rebuild_tensor_v2\n(K\x01K\x00))tR."},
	{"tensor outside", "ends outside", named("w", rebuilt(storageOf(4), 1, 2, 2, 2, 1))},
	{"tensor outside by stride", "ends outside", named("w", rebuilt(storageOf(4), 0, 2, 2, 100, 1))},
	{"tensor at offset", "ends outside", named("w", rebuilt(storageOf(4), 100, 1, 1, 1, 1))},
	{"expanded tensor", "expanded tensors", named("w", rebuilt(storageOf(4), 0, 100, 1, 0, 0))},
	{"shape that overflows", "overflows", start + "ctorch._utils\n_rebuild_tensor_v2\n(" + storageOf(4) + "K\x00" + huge + huge + "\x86K\x00K\x00\x86tR."},
	{"stride that overflows", "overflows", start + "ctorch._utils\n_rebuild_tensor_v2\n(" + storageOf(4) + "K\x00K\x09K\x09\x86" + huge + huge + "\x86tR."},
	{"negative stride", "unexpected arguments", start + "ctorch._utils\n_rebuild_tensor_v2\n(" + storageOf(4) + "K\x00K\x01\x85J\xff\xff\xff\xff\x85tR."},
	{"strides too few", "unexpected arguments", start + "ctorch._utils\n_rebuild_tensor_v2\n(" + storageOf(4) + "K\x00K\x01K\x01\x86K\x01\x85tR."},
	{"65 dimensions", "65 dimensions", start + "ctorch._utils\n_rebuild_tensor_v2\n(" + storageOf(4) + "K\x00(" + strings.Repeat("K\x01", 65) + "t(" + strings.Repeat("K\x01", 65) + "ttR."},
	{"two of one name", `two tensors called "w"`, start + "}(U\x01w" + rebuilt(storageOf(4), 0, 2, 2, 2, 1) + "q\x01U\x01wh\x01u."},
}

// huge is 2^62.
const huge = "\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x40"

// laughs is a list that holds twice a list that holds twice a list.
func laughs() string {
	b := start + "]q\x00"
	for i := range 30 {
		b += fmt.Sprintf("]q%c(h%ch%ce", i+1, i, i)
	}
	return b + "."
}

func TestHostile(t *testing.T) {
	for _, c := range hostile {
		t.Run(c.name, func(t *testing.T) {
			data := archived(t, c.pickle, "m/data/0", values)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			found, err := parse(data)
			runtime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; n > uint64(8*len(data)+16<<20) {
				t.Errorf("%d bytes allocated for a file of %d", n, len(data))
			}
			if err == nil {
				err = fmt.Errorf("%d tensors", len(found))
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// Containers that are damaged, or no PyTorch file.
func TestHostileFiles(t *testing.T) {
	good := archived(t, named("w", rebuilt(storageOf(4), 0, 2, 2, 2, 1)), "m/data/0", values)
	legacyHead := "\x80\x02\x8a\x0a" + string(magicBytes) + ".\x80\x02M\xe9\x03.\x80\x02}."
	old := legacyHead + named("w", rebuilt(storageOf(4), 0, 2, 2, 2, 1)) + "\x80\x02]U\x010a.\x04\x00\x00\x00\x00\x00\x00\x00" + values
	if found, err := parse([]byte(old)); err != nil || found["w"] == nil {
		t.Fatal(found, err)
	}
	for name, c := range map[string]struct {
		want string
		data []byte
	}{
		"empty":                 {"neither a zip", nil},
		"safetensors":           {"neither a zip", []byte("\x02\x00\x00\x00\x00\x00\x00\x00{}")},
		"bare pickle":           {"neither a zip", []byte("\x80\x02}.")},
		"bare system":           {"posix.system", []byte("\x80\x02cposix\nsystem\n.")},
		"zip of something else": {"no PyTorch file", archived(t, "", "a.txt", "hello")},
		"cut zip":               {"zip", good[:len(good)-1]},
		"zip cut in its data":   {"zip", good[:80]},
		"compressed pickle":     {"compressed", archived(t, "", "deflate:m/data.pkl", named("w", storageOf(4)))},
		"compressed storage":    {"compressed", archived(t, named("w", storageOf(4)), "deflate:m/data/0", values)},
		"two pickles":           {"two pickles", archived(t, named("w", storageOf(4)), "n/data.pkl", start+"}.")},
		"two members":           {"two members", archived(t, named("w", storageOf(4)), "m/data/0", values, "m/data/0", values)},
		"big-endian":            {`"big"`, archived(t, named("w", storageOf(4)), "m/data/0", values, "m/byteorder", "big")},
		"script":                {"not allowed", archived(t, start+"c__torch__\nNet\n)\x81.", "m/constants.pkl", start+").")},
		"old version":           {"only 1001", []byte(legacyHead[:15] + "\x80\x02M\xea\x03.")},
		"old big-endian":        {"big-endian", []byte(strings.Replace(old, "}.", "}U\x0dlittle_endian\x89s.", 1))},
		"old without keys":      {"no list of keys", []byte(legacyHead + "\x80\x02}.\x80\x02K\x01.")},
		"old, unknown key":      {"no tensor has it", []byte(legacyHead + "\x80\x02}.\x80\x02]U\x01xa.")},
		"old, key twice":        {"twice", []byte(strings.Replace(old, "]U\x010a.", "](U\x010U\x010e.", 1) + old[len(old)-24:])},
		"old, key missing":      {"0 storages in the file", []byte(strings.Replace(old, "]U\x010a.", "].", 1))},
		"old, other length":     {"has 5 elements", []byte(strings.Replace(old, ".\x04\x00", ".\x05\x00", 1))},
		"old, length 2^63":      {"elements, the pickle says", []byte(strings.Replace(old, ".\x04\x00\x00\x00\x00\x00\x00\x00", ".\xff\xff\xff\xff\xff\xff\xff\xff", 1))},
		"old, cut":              {"ends outside the file", []byte(old[:len(old)-1])},
		"old, cut length":       {"the file ends before", []byte(old[:len(old)-20])},
	} {
		if _, err := parse(c.data); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	for i := range old {
		if _, err := parse([]byte(old[:i])); err == nil {
			t.Errorf("old file cut at %d is accepted", i)
		}
	}
}

func TestIndex(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("a.bin", archived(t, named("w", rebuilt(storageOf(4), 0, 2, 2, 2, 1)), "m/data/0", values))
	write("b.bin", archived(t, named("v", rebuilt(storageOf(4), 0, 1, 2, 2, 1)), "m/data/0", values))
	write(IndexFile, []byte(`{"weight_map":{"w":"a.bin","v":"b.bin"}}`))
	f, err := Open(filepath.Join(dir, IndexFile))
	if err != nil {
		t.Fatal(err)
	}
	if l := f.Infos(); len(l) != 2 || l[0].Name != "v" || l[1].Name != "w" || f.Close() != nil {
		t.Error(l)
	}
	for want, index := range map[string]string{
		"which the index does not name": `{"weight_map":{"x":"a.bin"}}`,
		"lacks tensor":                  `{"weight_map":{"w":"a.bin","x":"a.bin"}}`,
		"not called *.bin":              `{"weight_map":{"w":"a.txt"}}`,
		"path escapes":                  `{"weight_map":{"w":"../a.bin"}}`,
	} {
		write(IndexFile, []byte(index))
		if _, err := Open(filepath.Join(dir, IndexFile)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// extract unpacks the .pt files of a tar.gz into a folder of their own.
func extract(t *testing.T, path string) []string {
	t.Helper()
	r, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	z, err := gzip.NewReader(r)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for dir, a := t.TempDir(), tar.NewReader(z); ; {
		h, err := a.Next()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Ext(h.Name) != ".pt" {
			continue
		}
		data, err := io.ReadAll(a)
		name := filepath.Join(dir, fmt.Sprintf("%03d-%s", len(list), filepath.Base(h.Name)))
		if err := errors.Join(err, os.WriteFile(name, data, 0o644)); err != nil {
			t.Fatal(err)
		}
		list = append(list, name)
	}
}

// Published files of all types and protocols load.
func TestPublishedFiles(t *testing.T) {
	want := map[string][]float32{
		"bfloat16": {1.203125, -3.40625, 5.59375, -7.8125}, "bool": {1, 0, 1, 0}, "int8": {1, -2, 3, -4}, "uint8": {1, 10, 100, 255}, "float32": {1.2, -3.4, 5.6, -7.8},
	}
	n := 0
	for _, path := range extract(t, testkit.Data(t, "malformed/pickle/gopickle-torch-tensors.tar.gz")) {
		f, err := Open(path)
		if err != nil {
			t.Error(err)
			continue
		}
		info := f.Infos()[0]
		data := make([]byte, 4*info.DType.Size())
		if err := f.Read(0, data, 0); err != nil {
			t.Error(err)
		}
		kind := strings.Split(filepath.Base(path), "_")[1]
		if w := want[kind]; w != nil {
			n++
			var got []float32
			switch info.DType {
			case checkpoint.I8:
				for _, b := range data {
					got = append(got, float32(int8(b)))
				}
			case checkpoint.U8, checkpoint.Bool:
				for _, b := range data {
					got = append(got, float32(b))
				}
			default:
				got = floats(t, info.DType, data, 4)
			}
			if !slices.Equal(got, w) {
				t.Errorf("%s: %v, want %v", path, got, w)
			}
		}
		f.Close()
	}
	if n != 50 {
		t.Errorf("%d files compared, want 50", n)
	}
	tensors := 0
	for _, path := range extract(t, testkit.Data(t, "malformed/pickle/burn-torch-reader.tar.gz")) {
		f, err := Open(path)
		if broken := strings.HasSuffix(path, "broken.pt"); broken != (err != nil) {
			t.Errorf("%s: %v", path, err)
		}
		if err == nil {
			tensors += len(f.Infos())
			f.Close()
		}
	}
	if tensors != 157 { // as torch.load counts them, but for the one beside a wrapped model's
		t.Errorf("%d tensors, want 157", tensors)
	}
}

// One model trained twice, saved in each format: names, types and shapes are the same.
func TestAgainstSafetensors(t *testing.T) {
	a, err := Open(testkit.Data(t, "models/mnist-cnn/mnist.pt"))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := checkpoint.Open(testkit.Data(t, "models/mnist-cnn/mnist.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if len(a.Infos()) != len(b.Infos()) || len(a.Infos()) == 0 {
		t.Fatalf("%d tensors and %d", len(a.Infos()), len(b.Infos()))
	}
	for i, x := range a.Infos() {
		y := b.Infos()[i]
		if x.Name != y.Name || x.DType != y.DType || !slices.Equal(x.Shape, y.Shape) || len(a.Mapped(i)) != len(b.Mapped(i)) {
			t.Errorf("%v and %v differ", x, y)
		}
	}
	f, err := Open(testkit.Data(t, "malformed/tensor-files/fortran_tensor_3d.pth"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data := make([]byte, 24*8)
	if err := f.Read(0, data, 0); err != nil || f.Mapped(0) != nil {
		t.Error(err, f.Mapped(0))
	}
	for i := range 24 {
		if data[8*i] != byte(i+1) {
			t.Errorf("element %d is %d, want %d", i, data[8*i], i+1)
		}
	}
	for _, name := range []string{"models/taef2/taef2_decoder.pth", "models/torchtune-tiny/tiny_fair_checkpoint.pt"} {
		f, err := Open(testkit.Data(t, name))
		if err != nil {
			t.Fatal(err)
		}
		for i, x := range f.Infos() {
			data := make([]byte, x.Elements()*x.DType.Size())
			if err := f.Read(i, data, 0); err != nil {
				t.Error(err)
			}
			for _, v := range floats(t, x.DType, data, x.Elements()) {
				if math.IsNaN(float64(v)) || math.Abs(float64(v)) > 1e3 {
					t.Fatalf("%s: %s holds %v", name, x.Name, v)
				}
			}
		}
		f.Close()
	}
}

// FuzzParse runs whole files, FuzzMachine pickles inside an archive.
func FuzzParse(f *testing.F) {
	f.Add(archived(f, named("w", rebuilt(storageOf(4), 0, 2, 2, 1, 2)), "m/data/0", values, "m/byteorder", "little"))
	f.Add([]byte("\x80\x02\x8a\x0a" + string(magicBytes) + ".\x80\x02M\xe9\x03.\x80\x02}." + named("w", rebuilt(storageOf(4), 0, 2, 2, 2, 1)) +
		"\x80\x02]U\x010a.\x04\x00\x00\x00\x00\x00\x00\x00" + values))
	f.Fuzz(func(t *testing.T, data []byte) { check(t, data) })
}

func FuzzMachine(f *testing.F) {
	for _, c := range hostile {
		if len(c.pickle) < 1<<12 {
			f.Add([]byte(c.pickle))
		}
	}
	f.Add([]byte(named("w", rebuilt(storageOf(4), 0, 2, 2, 2, 1))))
	f.Fuzz(func(t *testing.T, pickle []byte) { check(t, archived(t, string(pickle), "m/data/0", values)) })
}

// check reads every tensor of an accepted file: none may leave its storage.
func check(t *testing.T, data []byte) {
	found, err := parse(data)
	if err != nil {
		return
	}
	for name, x := range found {
		n := 1
		for _, d := range x.shape {
			n *= d
		}
		if n < 0 || n > x.storage.size {
			t.Fatalf("%q has %v elements in %d bytes", name, x.shape, x.storage.size)
		}
		base := data[x.storage.start : x.storage.start+x.storage.size]
		x.gather(make([]byte, n*x.dtype.Size()), base, 0, x.dtype.Size())
	}
}
