package data

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/plinth-ml/plinth/internal/file"
)

// TestDamage changes a small set byte by byte, cuts, lengthens and removes each file: Open reports each, by name.
func TestDamage(t *testing.T) {
	dir, _ := prepared(t, 7, PrepareOptions{Seq: 16, Validation: 0.3})
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(names) < 8 {
		t.Fatal(names, err)
	}
	bad := func(path, what, want string, args ...any) {
		s, err := Open(dir, false) // a small set is always verified
		if err == nil {
			s.Close()
			t.Errorf("%s %s %v: opened", filepath.Base(path), what, args)
		} else if !strings.Contains(err.Error(), filepath.Base(path)) && filepath.Base(path) != "manifest.json" || !strings.Contains(err.Error(), want) {
			t.Errorf("%s %s %v: %v", filepath.Base(path), what, args, err)
		}
	}
	for _, path := range names {
		old, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(old); i++ {
			f.WriteAt([]byte{old[i] ^ 1<<(i%8)}, int64(i))
			bad(path, "flipped", "", i)
			f.WriteAt(old[i:i+1], int64(i))
		}
		f.Close()
		fixed := strings.HasSuffix(path, ".bin") || strings.HasSuffix(path, ".idx") || strings.HasSuffix(path, ".plan")
		for _, n := range []int{0, 1, len(old) / 2, len(old) - 1} {
			want := ""
			if fixed && n > 0 {
				want = fmt.Sprint("is cut at offset ", n)
			}
			os.WriteFile(path, old[:n], 0o644)
			bad(path, "cut", want, n)
		}
		os.WriteFile(path, append(bytes.Clone(old), 0), 0o644)
		bad(path, "longer", "")
		os.Remove(path)
		bad(path, "missing", "")
		os.WriteFile(path, old, 0o644)
	}
	s, err := Open(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
}

// TestVerifyLargeSets: a set of more than 64 MiB opens without reading its shards, and is compared with its checksums when asked. The first
// shard that differs is named.
func TestVerifyLargeSets(t *testing.T) {
	dir, _ := prepared(t, 400, PrepareOptions{Seq: 16, ShardTokens: 3000})
	ballast, err := os.Create(filepath.Join(dir, "ballast"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(ballast.Truncate(verifyBelow), ballast.Close()); err != nil { // a sparse file
		t.Fatal(err)
	}
	for _, name := range []string{"train-00001.bin", "train-00002.bin"} {
		path := filepath.Join(dir, name)
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		raw[100] ^= 1
		if err := os.WriteFile(path, raw, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s, err := Open(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	os.Remove(ballast.Name())
	_, err = Open(dir, true)
	var damage *file.DamageError
	if !errors.As(err, &damage) || damage.File != "train-00001.bin" {
		t.Errorf("%v", err)
	}
}

// memorySet is a split built from the files of a set, without a folder.
func memorySet(meta, bin, idx, plan []byte) (*Split, error) {
	in, err := decodeMeta(meta)
	if err != nil {
		return nil, err
	}
	p := newSplit(in.Train, in.Seq, in.Vocab, in.Width, make([]byte, 4*in.Vocab), "")
	if len(in.Train.Shards) != 1 {
		return nil, errors.New("one shard here")
	}
	return p, errors.Join(p.addShard("train-00000.bin", "train-00000.idx", in.Train.Shards[0], bin, idx), p.setPlan("train.plan", plan))
}

// smallFiles are meta.json, shard, boundaries and plan of a small set.
func smallFiles(t testing.TB, o PrepareOptions) [4][]byte {
	dir, _ := prepared(t, 12, o)
	var files [4][]byte
	for i, name := range []string{"meta.json", "train-00000.bin", "train-00000.idx", "train.plan"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		files[i] = b
	}
	return files
}

// use reads all of a split that was not checked, and fails on anything but good batches and errors that name a file.
func use(t *testing.T, p *Split) (failed int) {
	checked := p.check()
	src, err := p.Source(1, int(p.seq), 1)
	if err != nil {
		t.Fatal(err)
	}
	v, err := p.Val(7, 5000)
	if err != nil {
		t.Fatal(err)
	}
	var b Batch
	for i := range min(int(p.Info.Sequences), 200) + v.Sequences() {
		if i < int(p.Info.Sequences) && i < 200 {
			err = src.Fill(&b, i, 0, 1)
			if err == nil && len(b.IDs) != int(p.seq) {
				t.Fatalf("%d tokens", len(b.IDs))
			}
		} else {
			k := i - min(int(p.Info.Sequences), 200)
			err = v.FillAt(&b, k, k+1)
		}
		if err != nil {
			failed++
			if text := err.Error(); !strings.Contains(text, "train-00000.") && !strings.Contains(text, "train.plan") {
				t.Fatal("an error without a file: ", text)
			}
			if checked == nil && !strings.Contains(err.Error(), "vocabulary") {
				t.Fatalf("check found nothing, but %v", err)
			}
		} else if len(b.Targets) != len(b.IDs) {
			t.Fatalf("%d targets of %d", len(b.Targets), len(b.IDs))
		}
	}
	return failed
}

// TestBadEntriesAtUse flips every byte of boundaries and plan: where opening does not see it, using the entry does, or the value does not matter.
func TestBadEntriesAtUse(t *testing.T) {
	whole := smallFiles(t, PrepareOptions{Seq: 16, Pack: BestFit})
	seen, late := 0, 0
	for which := 2; which < 4; which++ {
		for i := range whole[which] {
			files := whole
			files[which] = slices.Clone(whole[which])
			files[which][i] ^= 0x81
			p, err := memorySet(files[0], files[1], files[2], files[3])
			if err != nil {
				seen++
				continue
			}
			if failed := use(t, p); failed > 0 {
				late++
			} else if p.check() != nil && which == 3 {
				t.Errorf("file %d, byte %d: no sequence failed, but the check: %v", which, i, p.check())
			}
		}
	}
	if seen < 16 || late < 100 {
		t.Errorf("%d seen at opening, %d at use", seen, late)
	}
}
