package clip

// Size is a named shape.
type Size struct {
	Name   string
	Config Config

	LR    float64 // peak learning rate of AdamW, 0 where the table has no training settings
	Batch int     // pairs per step
}

// Shape is a CLIP in the numbers that set one apart from another. Heads are 64 wide, and MLPs four times as wide as the tower.
type Shape struct {
	Side, Patch, Width, Layers int // of the tower for pictures; the sides in pixels
	TextWidth, TextLayers      int
	Vocab, Context, Projection int
}

// Config is the shape with OpenAI's settings.
func (s Shape) Config() Config {
	like := func(width, layers int) tower { return tower{width, 4 * width, layers, width / 64, "quick_gelu", 1e-5} }
	return Config{ModelType: Type, Projection: s.Projection, ScaleInit: scaleInit, Vision: VisionConfig{tower: like(s.Width, s.Layers), Side: s.Side, Patch: s.Patch},
		Text: TextConfig{tower: like(s.TextWidth, s.TextLayers), Vocab: s.Vocab, Context: s.Context, BOS: s.Vocab - 2, EOS: s.Vocab - 1}}
}

// Sizes lists the named shapes: OpenAI's with their learning rates and batch (Radford et al. 2021, tables 18 to 20), SigLIP's first (Zhai et al. 2023), and small
// ones for pictures of one kind, which are trained in minutes to hours.
var Sizes = []Size{
	{"clip-vit-base-patch32", vit(224, 32, 768, 12, 512), 5e-4, 32768},
	{"clip-vit-base-patch16", vit(224, 16, 768, 12, 512), 5e-4, 32768},
	{"clip-vit-large-patch14", vit(224, 14, 1024, 24, 768), 4e-4, 32768},
	{"clip-vit-large-patch14-336", vit(336, 14, 1024, 24, 768), 2e-5, 32768},
	{"clip-resnet-50", resnet(224, 64, [4]int{3, 4, 6, 3}, 512, 1024), 5e-4, 32768},
	{"clip-resnet-101", resnet(224, 64, [4]int{3, 4, 23, 3}, 512, 512), 5e-4, 32768},
	{"clip-resnet-50x4", resnet(288, 80, [4]int{4, 6, 10, 6}, 640, 640), 5e-4, 32768},
	{"clip-resnet-50x16", resnet(384, 96, [4]int{6, 8, 18, 8}, 768, 768), 4e-4, 32768},
	{"clip-resnet-50x64", resnet(448, 128, [4]int{3, 15, 36, 10}, 1024, 1024), 3.6e-4, 32768},
	{"siglip-base-patch16", base(TypeSigLIP), 1e-3, 32768},
	{"clip-nano", Shape{64, 8, 128, 4, 128, 2, 4096, 48, 128}.Config(), 1e-3, 256},
	{"clip-tiny", Shape{64, 8, 192, 6, 192, 3, 4096, 48, 192}.Config(), 5e-4, 256},
	{"clip-mini", Shape{96, 12, 320, 8, 320, 4, 8192, 64, 320}.Config(), 5e-4, 512},
}

// vit is one of OpenAI's shapes: twelve layers for texts, as wide as the common space.
func vit(side, patch, width, layers, projection int) Config {
	return Shape{side, patch, width, layers, projection, 12, 49408, 77, projection}.Config()
}

// resnet is one of OpenAI's shapes with a ResNet, whose heads are 64 wide.
func resnet(side, width int, stages [4]int, textWidth, projection int) Config {
	c := Shape{side, side, 64, 1, textWidth, 12, 49408, 77, projection}.Config()
	c.Vision = VisionConfig{tower: tower{Width: width, Heads: width / 2}, Side: side, Stages: stages}
	return c
}
