// Command media measures what stands before CLIP's image tower, from the bytes of a file to normalised values, in turns with Pillow and torchvision, on one thread
// each. The values of both must be equal, bit for bit.
//
//	go run ./bench/media --peer ../venv/bin/python photos/*.jpg photos/*.png
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/plinth-ml/plinth/bench"
	"github.com/plinth-ml/plinth/internal/pixel"
	"github.com/plinth-ml/plinth/media"
)

func main() {
	peer := flag.String("peer", "", "Python with Pillow and torchvision; no peer when empty")
	script := flag.String("script", "bench/peers/media.py", "the peer's program")
	side := flag.Int("side", 224, "pixels of the tower's square")
	pairs := flag.Int("pairs", 9, "pairs for each file")
	flag.Parse()
	if err := run(*peer, *script, *side, *pairs, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "media:", err)
		os.Exit(1)
	}
}

// picture is one file and what was measured of it.
type picture struct {
	name           string
	data           []byte
	w, h           int
	decode, values bench.Pairs // to pixels, and from there on
	whole          bench.Pairs
}

func run(python, script string, side, pairs int, files []string) error {
	runtime.GOMAXPROCS(1)
	x := make([]float32, 3*side*side)
	pictures := make([]*picture, len(files))
	hashes := make([]string, len(files))
	for i, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		p := &picture{name: filepath.Base(file), data: data}
		if _, _, err := p.run(x, side); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		var b bytes.Buffer
		if err := binary.Write(&b, binary.LittleEndian, x); err != nil {
			return err
		}
		sum := sha256.Sum256(b.Bytes())
		pictures[i], hashes[i] = p, hex.EncodeToString(sum[:])
	}
	var theirs *bench.Peer
	if python != "" {
		var hello struct{ Hashes []string }
		var err error
		if theirs, err = bench.Start(&hello, python, append([]string{script, strconv.Itoa(side)}, files...)...); err != nil {
			return err
		}
		defer theirs.Close(nil)
		for i, p := range pictures {
			if i >= len(hello.Hashes) || hello.Hashes[i] != hashes[i] {
				return fmt.Errorf("%s: the peer's values are others", p.name)
			}
		}
	}
	steal := bench.ReadSteal()
	for range pairs {
		for i, p := range pictures {
			decode, values, err := p.run(x, side)
			if err != nil {
				return err
			}
			answer := struct{ Decode, Prepare float64 }{decode, values}
			if theirs != nil {
				if err := theirs.Ask(strconv.Itoa(i), &answer); err != nil {
					return err
				}
			}
			p.decode.Add(decode, answer.Decode)
			p.values.Add(values, answer.Prepare)
			p.whole.Add(decode+values, answer.Decode+answer.Prepare)
		}
	}
	report(pictures, bench.ReadSteal().Since(steal))
	return nil
}

// run decodes the file and makes values of it, and returns the seconds of each.
func (p *picture) run(x []float32, side int) (decode, values float64, err error) {
	start := time.Now()
	m, err := media.Decode(bytes.NewReader(p.data), media.Limits{})
	if err != nil {
		return 0, 0, err
	}
	middle := time.Now()
	media.CLIP(side).Apply(x, m)
	p.w, p.h = m.W, m.H
	return middle.Sub(start).Seconds(), time.Since(middle).Seconds(), nil
}

// report prints a line for each file, and one for each format over all its files: the sums of each round.
func report(pictures []*picture, stolen float64) {
	fmt.Printf("%s, %s; milliseconds, medians; peer / ours with quartiles; stolen %.1f %%\n", runtime.Version(), pixel.Variants()[len(pixel.Variants())-1], 100*stolen)
	fmt.Printf("%-34s %11s %7s  %7s %7s  %7s %7s  %s\n", "file", "pixels", "kB", "decode", "peer", "values", "peer", "whole")
	sums := map[string]*picture{}
	var formats []string
	for _, p := range pictures {
		p.print(fmt.Sprintf("%dx%d", p.w, p.h))
		kind := strings.ToLower(filepath.Ext(p.name))
		s := sums[kind]
		if s == nil {
			s = &picture{name: "all *" + kind}
			sums[kind], formats = s, append(formats, kind)
		}
		s.data = append(s.data, p.data...)
		for _, of := range []struct{ sum, part *bench.Pairs }{{&s.decode, &p.decode}, {&s.values, &p.values}, {&s.whole, &p.whole}} {
			for i := range of.part.Ours {
				if i == len(of.sum.Ours) {
					of.sum.Add(0, 0)
				}
				of.sum.Ours[i] += of.part.Ours[i]
				of.sum.Peer[i] += of.part.Peer[i]
			}
		}
	}
	for _, kind := range formats {
		sums[kind].print("")
	}
}

func (p *picture) print(size string) {
	ms := func(s []float64) float64 { return 1e3 * bench.Quantile(s, 0.5) }
	low, median, high := p.whole.Ratio()
	fmt.Printf("%-34s %11s %7d  %7.2f %7.2f  %7.2f %7.2f  %.2f [%.2f, %.2f]\n", p.name, size, len(p.data)/1000,
		ms(p.decode.Ours), ms(p.decode.Peer), ms(p.values.Ours), ms(p.values.Peer), median, low, high)
}
