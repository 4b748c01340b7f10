package vec

// Add is y = a + b.
func Add(y, a, b []float32) {
	n := len(y)
	need("Add", "a", len(a), n)
	need("Add", "b", len(b), n)
	active.add(y, a[:n], b[:n])
}

// AddTo is y += x.
func AddTo(y, x []float32) {
	n := len(y)
	need("AddTo", "x", len(x), n)
	active.add(y, y, x[:n])
}

// Sub is y = a - b.
func Sub(y, a, b []float32) {
	n := len(y)
	need("Sub", "a", len(a), n)
	need("Sub", "b", len(b), n)
	active.sub(y, a[:n], b[:n])
}

// Mul is y = a * b, elementwise.
func Mul(y, a, b []float32) {
	n := len(y)
	need("Mul", "a", len(a), n)
	need("Mul", "b", len(b), n)
	active.mul(y, a[:n], b[:n])
}

// Scale is y = a * x.
func Scale(y []float32, a float32, x []float32) {
	need("Scale", "x", len(x), len(y))
	active.scale(y, a, x[:len(y)])
}

// Axpy is y += a * x. Variants may round the product and the sum together.
func Axpy(y []float32, a float32, x []float32) {
	need("Axpy", "x", len(x), len(y))
	active.axpy(y, a, x[:len(y)])
}

// Fill sets every element of y to a.
func Fill(y []float32, a float32) { active.fill(y, a) }

// Sum adds up x; 0 for an empty slice. The error is at most (10 + n/32) * 2^-24 * sum |x|.
func Sum(x []float32) float32 { return active.sum(x) }

// Dot is the sum of a * b. The error is at most (10 + n/32) * 2^-24 * sum |a*b|.
func Dot(a, b []float32) float32 {
	need("Dot", "b", len(b), len(a))
	return active.dot(a, b[:len(a)])
}

// SumSquares is the sum of x*x, products and sums in float64; relative error at most (1+n) * 2^-53.
func SumSquares(x []float32) float64 { return active.sumSquares(x) }

// Max is the greatest element, NaN if any element is NaN, -Inf for an empty slice.
func Max(x []float32) float32 { return active.max(x) }

// AllFinite says whether no element is NaN or infinite.
func AllFinite(x []float32) bool { return active.allFinite(x) }
