package kernel

import "fmt"

// Conv describes a convolution of pictures whose rows are pixels:
//
//	Y[b,y,x,o] = f(Σ X[b, y·Stride-Pad+ky, x·Stride-Pad+kx, c] · Weight[o,c,ky,kx] + Bias[o]) + Residual[b,y,x,o]
//
// The sum goes over ky, kx and c, in this order; X is 0 outside of the picture.
type Conv struct {
	B, H, W, C    int
	O, KH, KW     int
	Stride, Pad   int     // of both axes, Stride from 1
	X, Weight, Y  Buf     // [B,H,W,C], [O,C,KH,KW], [B,OutH,OutW,O]
	Packed        *Packed // the weight packed beforehand by PackConv; Weight is then not read by Conv
	Bias          Buf     // [O] or none
	Act           Act
	Pre, Residual Buf  // as in MatMul, of Y's size; or none
	ActLast       bool // Y is f(sum + Bias + Residual), which excludes Pre
}

// Out is the height and width of the result.
func (c *Conv) Out() (h, w int) {
	return (c.H+2*c.Pad-c.KH)/c.Stride + 1, (c.W+2*c.Pad-c.KW)/c.Stride + 1
}

// Pointwise tells that the convolution is a product of X [B·H·W,C] with Weight [O,C].
func (c *Conv) Pointwise() bool { return c.KH == 1 && c.KW == 1 && c.Stride == 1 && c.Pad == 0 }

// Check panics where sizes disagree.
func (c *Conv) Check(op string) {
	if c.Stride < 1 || c.Pad < 0 || c.KH < 1 || c.KW < 1 || c.H+2*c.Pad < c.KH || c.W+2*c.Pad < c.KW {
		panic(fmt.Sprintf("%s: kernel [%d,%d], stride %d, padding %d on a picture of [%d,%d]", op, c.KH, c.KW, c.Stride, c.Pad, c.H, c.W))
	}
	h, w := c.Out()
	y := c.B * h * w * c.O
	for _, o := range []struct {
		name     string
		b        Buf
		want     int
		optional bool
	}{
		{"X", c.X, c.B * c.H * c.W * c.C, false}, {"Weight", c.Weight, c.O * c.C * c.KH * c.KW, c.Packed != nil}, {"Y", c.Y, y, true},
		{"Bias", c.Bias, c.O, true}, {"Pre", c.Pre, y, true}, {"Residual", c.Residual, y, true},
	} {
		if o.b.Len() != o.want && !(o.optional && o.b.None()) {
			panic(fmt.Sprintf("%s: %s has %d elements, want %d: pictures [%d,%d,%d,%d], weight [%d,%d,%d,%d]",
				op, o.name, o.b.Len(), o.want, c.B, c.H, c.W, c.C, c.O, c.C, c.KH, c.KW))
		}
	}
}

// ConvGrad holds the gradients of a Conv before its epilogue.
type ConvGrad struct {
	DY  Buf  // [B,OutH,OutW,O]
	DX  Buf  // written, or added to with Acc; or none
	DW  Buf  // [O,C,KH,KW], added to; or none
	Acc bool // of DX
}

// Pool describes squares of Size x Size pixels, one beside the other, of pictures [B,H,W,C]. What is left over at the lower and right border is in none.
type Pool struct{ B, H, W, C, Size int }

// Out is the height and width of the result.
func (p Pool) Out() (h, w int) { return p.H / p.Size, p.W / p.Size }

// BatchNorm describes y = f((x-Mean)/sqrt(Var+Eps)·Weight + Bias + Residual) for every row of x [N,C] (Ioffe & Szegedy 2015, algorithm 1; He et
// al. 2016 add the residual there).
type BatchNorm struct {
	X, Y         Buf // [N,C]
	Mean, Var    Buf // [C]: those of X, or of earlier batches
	Weight, Bias Buf // [C]
	Residual     Buf // [N,C] or none
	Act          Act
	Eps          float64
}

// BatchNormGrad holds the gradients of a BatchNorm.
type BatchNormGrad struct {
	DY     Buf  // [N,C]; becomes the gradient of what f is applied to, which is that of Residual too
	DX     Buf  // written, or added to with Acc; or none
	DW, DB Buf  // [C], added to; or none
	Fixed  bool // Mean and Var are constants, not those of X
	Acc    bool
}
