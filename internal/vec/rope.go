package vec

import "fmt"

// RotateHalf turns the pairs (i, i+D/2) of x [D] by the angles whose cosines and sines are cos, sin [D/2]
// (the layout of Llama and GPT-NeoX): y[i] = x[i]*cos - x[i+D/2]*sin, y[i+D/2] = x[i+D/2]*cos + x[i]*sin.
// D is the length of y; it must be even.
func RotateHalf(y, x, cos, sin []float32) {
	rotate("RotateHalf", active.rotateHalf, y, x, cos, sin, 1)
}

// RotateHalfInverse is RotateHalf by the negative angles: its inverse and its gradient.
func RotateHalfInverse(y, x, cos, sin []float32) {
	rotate("RotateHalfInverse", active.rotateHalf, y, x, cos, sin, -1)
}

// RotatePairs is RotateHalf over the pairs (2i, 2i+1), the layout of GPT-J and of GGUF Llama.
func RotatePairs(y, x, cos, sin []float32) {
	rotate("RotatePairs", active.rotatePairs, y, x, cos, sin, 1)
}

// RotatePairsInverse is RotatePairs by the negative angles: its inverse and its gradient.
func RotatePairsInverse(y, x, cos, sin []float32) {
	rotate("RotatePairsInverse", active.rotatePairs, y, x, cos, sin, -1)
}

func rotate(op string, f func(y, x, cos, sin []float32, sign float32), y, x, cos, sin []float32, sign float32) {
	n := len(y)
	if n%2 != 0 {
		panic(fmt.Sprintf("vec: %s: y has %d elements, want an even number", op, n))
	}
	need(op, "x", len(x), n)
	need(op, "cos", len(cos), n/2)
	need(op, "sin", len(sin), n/2)
	f(y, x[:n], cos[:n/2], sin[:n/2], sign)
}
