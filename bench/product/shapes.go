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
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("product: --shapes takes squares, transformer or a file: %w", err)
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

// parse reads a shape like 64x384x1536: M, N and K.
func parse(shape string) (m gemm.Product, err error) {
	if n, err := fmt.Sscanf(shape, "%dx%dx%d", &m.M, &m.N, &m.K); n != 3 || err != nil || min(m.M, m.N, m.K) < 1 {
		return m, fmt.Errorf("product: %q is no shape like 64x384x1536", shape)
	}
	return m, nil
}
