package kernel_test

import (
	"reflect"
	"testing"

	"github.com/plinth-ml/plinth/internal/kernel"
	"github.com/plinth-ml/plinth/internal/kernel/ref"
)

func TestProfileWrapsEveryOp(t *testing.T) {
	s := ref.New()
	p, _ := kernel.Profile(s)
	have, was := reflect.ValueOf(p).Elem(), reflect.ValueOf(s).Elem()
	for i := range have.NumField() {
		if f := have.Field(i); f.Kind() == reflect.Func && f.Pointer() == was.Field(i).Pointer() {
			t.Errorf("%s is not measured", have.Type().Field(i).Name)
		}
	}
}

func TestProfileCounts(t *testing.T) {
	p, times := kernel.Profile(ref.New())
	a, b, c := kernel.OfF32([]float32{1, 2, 3, 4}), kernel.OfF32([]float32{5, 6}), kernel.Alloc(kernel.F32, 2)
	for range 3 {
		p.MatMul(&kernel.MatMul{M: 2, N: 1, K: 2, A: a, B: b, C: c})
	}
	if got := c.F32(); got[0] != 17 || got[1] != 39 {
		t.Fatalf("product %v, want [17 39]", got)
	}
	ops := times.Ops()
	if len(ops) != 1 || ops[0].Op != "MatMul nn" || ops[0].Shape != "2x1x2" || ops[0].Calls != 3 || ops[0].FLOPs != 3*8 || ops[0].Bytes != 3*4*8 {
		t.Fatalf("ops %+v", ops)
	}
	if times.Total() != ops[0].Time {
		t.Fatalf("total %v, op %v", times.Total(), ops[0].Time)
	}
	if times.Reset(); len(times.Ops()) != 0 {
		t.Fatal("ops after Reset")
	}
}
