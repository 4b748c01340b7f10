package pixel

import "fmt"

// variant is one implementation of every function; arguments are checked before.
type variant struct {
	name    string
	idct    func(dst []uint8, stride int, coefs *[64]int16, quant *[64]uint16)
	blend   func(sum []int16, near, far []uint8)                       // any length
	widen   func(dst []uint8, sum []int16, even, odd int16, shift int) // any length
	jfif    func(dst, y, cb, cr []uint8)                               // any length
	sumRows func(dst, src []uint8, stride int, weights []int32)        // any length
	sumRGB  func(dst, src []uint8, w *Windows)
	paeth   func(row, above []uint8, bpp int)
}

var goVariant = variant{"go", idctGo, blendGo, widenGo, jfifGo, sumRowsGo, sumRGBGo, paethGo}

// variants lists what this machine can run, slowest first.
var variants = append([]*variant{&goVariant}, machineVariants()...)

// active is the variant in use.
var active = variants[len(variants)-1]

// Variants lists the names that Use accepts on this machine, slowest first.
func Variants() (names []string) {
	for _, v := range variants {
		names = append(names, v.name)
	}
	return names
}

// Use switches to the named variant. It is a hook for tests and benchmarks and must not run beside other calls.
func Use(name string) error {
	for _, v := range variants {
		if v.name == name {
			active = v
			return nil
		}
	}
	return fmt.Errorf("pixel: variant %q is not usable here; there are %v", name, Variants())
}

// need panics when the argument called name is shorter than want.
func need(op, name string, have, want int) {
	if have < want {
		panic(fmt.Sprintf("pixel: %s: %s has %d elements, want %d", op, name, have, want))
	}
}
