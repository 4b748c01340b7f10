package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"

	"github.com/plinth-ml/plinth/internal/gemm"
)

// squares are the sizes at which libraries are compared.
var squares = []string{"512x512x512", "1024x1024x1024", "2048x2048x2048", "4096x4096x4096"}

// transformer lists the products of linear layers in use: five counts of tokens by eight layers [K -> N], 40 in all.
func transformer() []string {
	var shapes []string
	for _, m := range []int{1, 8, 32, 128, 256} {
		for _, layer := range [][2]int{{128, 128}, {512, 128}, {384, 384}, {1536, 384}, {384, 1536}, {768, 768}, {3072, 768}, {768, 3072}} {
			shapes = append(shapes, fmt.Sprintf("%dx%dx%d", m, layer[0], layer[1]))
		}
	}
	return shapes
}

// shapesOf is the list of that name, or what a file holds: one shape a line, with comments from # on.
func shapesOf(name string) ([]string, error) {
	switch name {
	case "squares":
		return squares, nil
	case "transformer":
		return transformer(), nil
	case "train":
		return train(), nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("product: --shapes takes squares, transformer, train or a file: %w", err)
	}
	defer f.Close()
	var shapes []string
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		line, _, _ := strings.Cut(lines.Text(), "#")
		if line = strings.TrimSpace(line); line != "" {
			shapes = append(shapes, line)
		}
	}
	return shapes, lines.Err()
}

// train lists the products of a training step: of a GPT of 6 layers, 384 wide, over 2048 tokens and one of 4 layers, 128 wide, over 768.
func train() []string {
	var shapes []string
	for _, size := range [][2]int{{2048, 384}, {768, 128}} {
		tokens, c := size[0], size[1]
		for _, layer := range [][2]int{{c, 3 * c}, {c, c}, {c, 4 * c}, {4 * c, c}} {
			in, out := layer[0], layer[1]
			shapes = append(shapes, fmt.Sprintf("%dx%dx%d,tb", tokens, out, in), fmt.Sprintf("%dx%dx%d", tokens, in, out),
				fmt.Sprintf("%dx%dx%d,ta,acc", out, in, tokens))
		}
	}
	return shapes
}

// parse reads a shape like 64x384x1536: M, N and K, then perhaps ",ta" and ",tb" for transposed operands and ",acc" for C += product.
func parse(shape string) (m gemm.Product, err error) {
	sizes, options, _ := strings.Cut(shape, ",")
	if n, err := fmt.Sscanf(sizes, "%dx%dx%d", &m.M, &m.N, &m.K); n != 3 || err != nil || min(m.M, m.N, m.K) < 1 {
		return m, fmt.Errorf("product: %q is no shape like 64x384x1536", shape)
	}
	for option := range strings.SplitSeq(options, ",") {
		switch option {
		case "":
		case "ta":
			m.TransA = true
		case "tb":
			m.TransB = true
		case "acc":
			m.Accumulate = true
		default:
			return m, fmt.Errorf("product: %q: options are ta, tb and acc", shape)
		}
	}
	return m, nil
}
