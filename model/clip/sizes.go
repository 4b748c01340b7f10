package clip

// Size is a named shape.
type Size struct {
	Name   string
	Config Config
}

// Sizes lists the named shapes: OpenAI's (Radford et al. 2021, table 20).
var Sizes = []Size{
	{"clip-vit-base-patch32", vit(224, 32, 768, 12, 512, 512)},
	{"clip-vit-base-patch16", vit(224, 16, 768, 12, 512, 512)},
	{"clip-vit-large-patch14", vit(224, 14, 1024, 24, 768, 768)},
	{"clip-vit-large-patch14-336", vit(336, 14, 1024, 24, 768, 768)},
}

// vit is a shape with OpenAI's settings: heads of 64, MLPs of four times the width, twelve layers for texts.
func vit(side, patch, width, layers, textWidth, projection int) Config {
	c := base()
	c.Projection, c.ScaleInit = projection, scaleInit
	c.Vision = VisionConfig{tower: like(width, layers), Side: side, Patch: patch}
	c.Text.tower = like(textWidth, 12)
	return c
}

func like(width, layers int) tower {
	return tower{width, 4 * width, layers, width / 64, "quick_gelu", 1e-5}
}
