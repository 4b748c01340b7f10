package ref

import "github.com/plinth-ml/plinth/internal/kernel"

func fill[T number](y buf, v float64) {
	for i, s := 0, of[T](y); i < len(s); i++ {
		s[i] = T(v)
	}
}

func copyTo[T number](y, x buf) {
	want("Copy", "x", x, y.Len())
	copy(of[T](y), of[T](x))
}

// binary sets y[i] = f(y[i], a[i], b[i]).
func binary[T float](op string, y, a, b buf, f func(y, a, b float64) float64) {
	want(op, "a", a, y.Len())
	want(op, "b", b, y.Len())
	ys, as, bs := of[T](y), of[T](a), of[T](b)
	for i := range ys {
		ys[i] = T(f(float64(ys[i]), float64(as[i]), float64(bs[i])))
	}
}

func add[T float](y, a, b buf) {
	binary[T]("Add", y, a, b, func(_, a, b float64) float64 { return a + b })
}

func mul[T float](y, a, b buf) {
	binary[T]("Mul", y, a, b, func(_, a, b float64) float64 { return a * b })
}

func mulTo[T float](y, a, b buf) {
	binary[T]("MulTo", y, a, b, func(y, a, b float64) float64 { return y + a*b })
}

func axpy[T float](y buf, a float64, x buf) {
	binary[T]("Axpy", y, x, x, func(y, x, _ float64) float64 { return y + a*x })
}

func scale[T float](y buf, a float64, x buf) {
	binary[T]("Scale", y, x, x, func(_, x, _ float64) float64 { return a * x })
}

func dropout[T float](d kernel.Dropout, y, x buf, acc bool) {
	want("Dropout", "x", x, y.Len())
	ys, xs := of[T](y), of[T](x)
	for i, v := range xs {
		f, kept := d.Factor(i), 0.0
		if f != 0 {
			kept = float64(v) * f
		}
		put(&ys[i], kept, acc)
	}
}
